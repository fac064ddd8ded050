//! Defines metrics: families, units, samples, and the snapshot that holds the samples of one poll.
//!
//! Depends on no other module. It does not know where values come from or how they are written as
//! text. Pure.

mod const_text;
mod labels;
mod names;
mod packed_counts;
mod percentiles;
mod snapshot;
mod value;

pub use const_text::{is_same, stem};
pub use names::{Names, Series};
pub use packed_counts::PackedCounts;
pub use percentiles::{PercentileTable, Percentiles};
pub use snapshot::{
    FamilyRun, LABEL_VALUE_BYTES_MAX, SAMPLES_PER_FAMILY_MAX, Sample, SampleValue, Snapshot, cut,
};
pub use value::{Edge, Histogram, Summary, Value};

use const_text::{contains, ends_with, starts_with};

/// The Prometheus type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value that only increases, and restarts at 0 with the server.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Counts per bucket, with a sum.
    Histogram,
    /// Quantiles, with a sum and a count.
    Summary,
}

impl Kind {
    /// Returns the word for the `# TYPE` line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// The unit of a value in a reply. Pages use base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A count, a flag, or a ratio: needs no conversion.
    One,
    /// Bytes.
    Bytes,
    /// Kibibytes, converted to bytes.
    Kibibytes,
    /// Mebibytes, converted to bytes.
    Mebibytes,
    /// Seconds.
    Seconds,
    /// Milliseconds, converted to seconds.
    Milliseconds,
    /// Microseconds, converted to seconds.
    Microseconds,
    /// Percent, converted to a ratio from 0 to 1.
    Percent,
}

impl Unit {
    /// Converts a value from the unit of the reply to the base unit.
    #[must_use]
    pub fn to_base(self, replied: f64) -> f64 {
        match self {
            Self::One | Self::Bytes | Self::Seconds => replied,
            Self::Kibibytes => replied * 1024.0,
            Self::Mebibytes => replied * 1_048_576.0,
            // Division yields the nearest float; multiplication by 0.001 does not.
            Self::Milliseconds => replied / 1e3,
            Self::Microseconds => replied / 1e6,
            Self::Percent => replied / 100.0,
        }
    }
}

/// The command that a value comes from, and the field of its reply, such as `INFO` and
/// `used_memory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The Redis command, or `the poll` for values that the exporter measures.
    pub command: &'static str,
    /// The field of the reply; empty if the whole reply is meant.
    pub field: &'static str,
}

/// Returns the source of a family: a command and a field of its reply.
#[must_use]
pub const fn source(command: &'static str, field: &'static str) -> Source {
    Source { command, field }
}

/// A second name of a family: `redis_exporter`'s, which breaks Prometheus's naming rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Legacy {
    /// The full metric name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether values keep the unit of the reply instead of the base unit.
    pub as_replied: bool,
    /// Whether it replaces the clean name: both would add too many series, or they differ only by
    /// `_total`, which OpenMetrics and Datadog treat as one metric.
    pub instead: bool,
}

/// A metric family. Everything about a metric derives from this row.
#[derive(Debug, PartialEq)]
pub struct Descriptor {
    /// The full metric name, which follows Prometheus's naming rules.
    pub name: &'static str,
    /// The Prometheus type.
    pub kind: Kind,
    /// The unit of recorded values.
    pub unit: Unit,
    /// Label names, except `target`.
    pub labels: &'static [&'static str],
    /// The HELP text: one sentence.
    pub help: &'static str,
    /// The source of the value.
    pub source: Source,
    /// The second name, if there is one.
    pub legacy: Option<Legacy>,
}

/// A family whose number of labels is part of its type, so that every sample has all of them.
#[derive(Debug)]
pub struct Family<const LABELS: usize> {
    descriptor: Descriptor,
}

impl<const LABELS: usize> Family<LABELS> {
    /// Defines a gauge. A name that ends in `_total` does not compile.
    ///
    /// # Panics
    ///
    /// At compile time, if the name breaks the rules: rows are statics.
    #[must_use]
    pub const fn gauge(
        name: &'static str,
        labels: &'static [&'static str; LABELS],
        source: Source,
        unit: Unit,
        help: &'static str,
    ) -> Self {
        assert!(!ends_with(name, "_total"), "a gauge must not end in _total");
        Self::new(name, Kind::Gauge, labels, source, unit, help)
    }

    /// Defines a counter. A name that does not end in `_total` does not compile.
    ///
    /// # Panics
    ///
    /// At compile time, if the name breaks the rules: rows are statics.
    #[must_use]
    pub const fn counter(
        name: &'static str,
        labels: &'static [&'static str; LABELS],
        source: Source,
        unit: Unit,
        help: &'static str,
    ) -> Self {
        assert!(ends_with(name, "_total"), "a counter must end in _total");
        Self::new(name, Kind::Counter, labels, source, unit, help)
    }

    /// Defines a histogram.
    #[must_use]
    pub const fn histogram(
        name: &'static str,
        labels: &'static [&'static str; LABELS],
        source: Source,
        unit: Unit,
        help: &'static str,
    ) -> Self {
        Self::new(name, Kind::Histogram, labels, source, unit, help)
    }

    /// Defines a summary.
    #[must_use]
    pub const fn summary(
        name: &'static str,
        labels: &'static [&'static str; LABELS],
        source: Source,
        unit: Unit,
        help: &'static str,
    ) -> Self {
        Self::new(name, Kind::Summary, labels, source, unit, help)
    }

    const fn new(
        name: &'static str,
        kind: Kind,
        labels: &'static [&'static str; LABELS],
        source: Source,
        unit: Unit,
        help: &'static str,
    ) -> Self {
        assert!(starts_with(name, "redis_"), "a name starts with redis_");
        assert!(
            unit_suffix_fits(name, unit),
            "the name does not contain the base unit"
        );
        Self {
            descriptor: Descriptor {
                name,
                kind,
                unit,
                labels,
                help,
                source,
                legacy: None,
            },
        }
    }

    /// Adds `redis_exporter`'s name, with values in the base unit. It replaces the clean name if
    /// the two differ only by `_total`.
    #[must_use]
    pub const fn legacy(self, name: &'static str, kind: Kind) -> Self {
        self.spelled(Legacy {
            name,
            kind,
            as_replied: false,
            instead: false,
        })
    }

    /// Adds `redis_exporter`'s name, with values in the unit of the reply. It replaces the clean
    /// name if the two differ only by `_total`.
    #[must_use]
    pub const fn legacy_as_replied(self, name: &'static str, kind: Kind) -> Self {
        self.spelled(Legacy {
            name,
            kind,
            as_replied: true,
            instead: false,
        })
    }

    /// Replaces the clean name with `redis_exporter`'s, with values in the unit of the reply, if
    /// legacy names are on. For families with many series.
    #[must_use]
    pub const fn legacy_instead(self, name: &'static str, kind: Kind) -> Self {
        self.spelled(Legacy {
            name,
            kind,
            as_replied: true,
            instead: true,
        })
    }

    /// Keeps the name but uses `redis_exporter`'s type if legacy names are on.
    #[must_use]
    pub const fn legacy_kind(self, kind: Kind) -> Self {
        let name = self.descriptor.name;
        self.spelled(Legacy {
            name,
            kind,
            as_replied: false,
            instead: true,
        })
    }

    const fn spelled(self, legacy: Legacy) -> Self {
        let Self { descriptor } = self;
        let same_stem = is_same(stem(descriptor.name), stem(legacy.name));
        let legacy = Legacy {
            instead: legacy.instead || same_stem,
            ..legacy
        };
        Self {
            descriptor: Descriptor {
                legacy: Some(legacy),
                ..descriptor
            },
        }
    }

    /// Returns the family without its number of labels.
    #[must_use]
    pub const fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Returns the field of the reply that the values come from.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.descriptor.source.field
    }

    /// Converts the family into one without its number of labels.
    #[must_use]
    pub const fn into_descriptor(self) -> Descriptor {
        let Self { descriptor } = self;
        descriptor
    }
}

/// Returns whether the name contains the unit if the value is converted. Otherwise, readers would
/// assume the unit of Redis.
const fn unit_suffix_fits(name: &str, unit: Unit) -> bool {
    match unit {
        Unit::One | Unit::Seconds | Unit::Bytes => true,
        Unit::Kibibytes | Unit::Mebibytes => contains(name, "_bytes"),
        Unit::Milliseconds | Unit::Microseconds => contains(name, "_seconds"),
        Unit::Percent => ends_with(name, "_ratio") || contains(name, "_percent"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_name_replaces_a_name_with_the_same_stem() {
        static TOTAL: Family<0> = Family::counter(
            "redis_test_hits_total",
            &[],
            source("T", ""),
            Unit::One,
            "Hits.",
        )
        .legacy("redis_test_hits", Kind::Gauge);
        static SOCKETS: Family<0> = Family::gauge(
            "redis_test_sockets",
            &[],
            source("T", ""),
            Unit::One,
            "Sockets.",
        )
        .legacy("redis_test_sockets_total", Kind::Gauge);
        static OTHER: Family<0> = Family::counter(
            "redis_test_reads_total",
            &[],
            source("T", ""),
            Unit::One,
            "Reads.",
        )
        .legacy("redis_test_total_reads", Kind::Counter);
        let replaces = |family: &Family<0>| family.descriptor.legacy.unwrap().instead;
        assert!(replaces(&TOTAL) && replaces(&SOCKETS) && !replaces(&OTHER));
    }

    #[test]
    fn microseconds_become_the_nearest_number_of_seconds() {
        assert_eq!(Unit::Microseconds.to_base(264.0).to_string(), "0.000264");
        assert_eq!(Unit::Percent.to_base(99.18).to_string(), "0.9918");
        assert_eq!(Unit::Mebibytes.to_base(0.5).to_string(), "524288");
    }
}
