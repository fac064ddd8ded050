//! Defines metrics: families, units, samples, and the snapshot that holds the samples of one poll.
//!
//! Depends on no other module. It does not know where values come from or how they are written as
//! text. Pure.

use std::ops::Range;
use std::sync::Arc;

/// Maximum length of a label value, in bytes. Longer values are cut at a character boundary.
pub const LABEL_VALUE_BYTES_MAX: usize = 512;

/// Maximum number of samples in a snapshot before it is sealed: fifty families at their limit.
const SAMPLES_MAX: usize = 50 * SAMPLES_PER_FAMILY_MAX;

/// Maximum number of samples per family in a snapshot. Excess samples are dropped and counted.
pub const SAMPLES_PER_FAMILY_MAX: usize = 2_000;

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
            "the name does not say the base unit"
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

    /// Converts the family into one without its number of labels.
    #[must_use]
    pub const fn into_descriptor(self) -> Descriptor {
        let Self { descriptor } = self;
        descriptor
    }
}

const fn starts_with(text: &str, prefix: &str) -> bool {
    let (text, prefix) = (text.as_bytes(), prefix.as_bytes());
    matches!(text.split_at_checked(prefix.len()), Some((head, _)) if same(head, prefix))
}

const fn ends_with(text: &str, suffix: &str) -> bool {
    let (text, suffix) = (text.as_bytes(), suffix.as_bytes());
    match text.len().checked_sub(suffix.len()) {
        Some(start) => {
            matches!(text.split_at_checked(start), Some((_, tail)) if same(tail, suffix))
        }
        None => false,
    }
}

/// Returns a name without `_total`: the name of the counter in OpenMetrics.
#[must_use]
pub const fn stem(name: &str) -> &str {
    const SUFFIX: &str = "_total";
    if !ends_with(name, SUFFIX) {
        return name;
    }
    match name.split_at_checked(name.len() - SUFFIX.len()) {
        Some((stem, _)) => stem,
        None => name,
    }
}

/// Compares two texts at compile time.
#[must_use]
pub const fn is_same(left: &str, right: &str) -> bool {
    same(left.as_bytes(), right.as_bytes())
}

#[expect(
    clippy::indexing_slicing,
    reason = "const code has no iterators; both lengths are checked"
)]
const fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Converted values must name their unit, or readers would assume that of Redis.
const fn unit_suffix_fits(name: &str, unit: Unit) -> bool {
    match unit {
        Unit::One | Unit::Seconds | Unit::Bytes => true,
        Unit::Kibibytes | Unit::Mebibytes => contains(name, "_bytes"),
        Unit::Milliseconds | Unit::Microseconds => contains(name, "_seconds"),
        Unit::Percent => ends_with(name, "_ratio") || contains(name, "_percent"),
    }
}

const fn contains(text: &str, part: &str) -> bool {
    let mut rest = text.as_bytes();
    loop {
        if matches!(rest.split_at_checked(part.len()), Some((head, _)) if same(head, part.as_bytes()))
        {
            return true;
        }
        match rest.split_first() {
            Some((_, tail)) => rest = tail,
            None => return false,
        }
    }
}

/// The counts of a histogram: cumulative, one per edge, in the order of the edges.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The upper edges of the buckets; the same for all samples of a family.
    pub edges: &'static [Edge],
    /// Number of observations at or below each edge.
    pub counts: Vec<u64>,
    /// Number of observations.
    pub count: u64,
    /// Sum of the observations, in the unit of the family. NaN if unknown; it is then left out.
    pub sum: f64,
    /// Whether it is written only when all series are enabled.
    pub only_full: bool,
}

/// An upper edge of a bucket, with its texts for the `le` label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// The edge, in the unit of the reply.
    pub at: u64,
    /// Its text, in the unit of the reply.
    pub as_replied: &'static str,
    /// Its text, in the base unit.
    pub in_base_unit: &'static str,
    /// Whether it is written only when all series are enabled.
    pub only_full: bool,
}

impl Edge {
    /// An edge that is always written.
    #[must_use]
    pub const fn new(at: u64, as_replied: &'static str, in_base_unit: &'static str) -> Self {
        Self {
            at,
            as_replied,
            in_base_unit,
            only_full: false,
        }
    }

    /// An edge that is written only when all series are enabled.
    #[must_use]
    pub const fn only_full(at: u64, as_replied: &'static str, in_base_unit: &'static str) -> Self {
        Self {
            only_full: true,
            ..Self::new(at, as_replied, in_base_unit)
        }
    }
}

/// Percentiles, with the count and the sum of all observations.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Pairs of a percentile (0 to 100) and its value, in the unit of the family.
    pub percentiles: Arc<[(f64, f64)]>,
    /// Number of observations.
    pub count: u64,
    /// Sum of the observations, in the unit of the family.
    pub sum: f64,
}

/// The value of a sample, in the unit of its family's reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The value of a counter or a gauge; never NaN.
    Number(f64),
    /// A histogram. Later snapshots share it while it stays the same.
    Histogram(Arc<Histogram>),
    /// A summary.
    Summary(Box<Summary>),
}

#[derive(Clone, Debug)]
struct Stored {
    family: &'static Descriptor,
    labels: Range<u32>,
    value: Value,
}

/// All samples of one poll of one target. Collectors fill it and [`Snapshot::finish`] seals it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    samples: Vec<Stored>,
    /// The ends of all label values in `text`. Each value starts where the previous one ends.
    label_ends: Vec<u32>,
    text: String,
    dropped: u64,
}

/// A sample as seen by readers of a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The family.
    pub family: &'static Descriptor,
    /// The value, in the unit of the family's reply.
    pub value: &'a Value,
    snapshot: &'a Snapshot,
    labels: &'a Range<u32>,
}

impl<'a> Sample<'a> {
    /// Yields the label values, in the order of the family's label names.
    pub fn label_values(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let snapshot = self.snapshot;
        self.labels
            .clone()
            .map(move |label| snapshot.label_value(label))
    }
}

impl Snapshot {
    /// Adds a number. Infinity and NaN are left out: unknown values are absent.
    pub fn push<const LABELS: usize>(
        &mut self,
        family: &'static Family<LABELS>,
        labels: [&str; LABELS],
        number: f64,
    ) {
        if number.is_finite() {
            self.store(&family.descriptor, &labels, Value::Number(number));
        }
    }

    /// Adds a histogram.
    pub fn push_histogram<const LABELS: usize>(
        &mut self,
        family: &'static Family<LABELS>,
        labels: [&str; LABELS],
        histogram: impl Into<Arc<Histogram>>,
    ) {
        self.store(
            &family.descriptor,
            &labels,
            Value::Histogram(histogram.into()),
        );
    }

    /// Adds a summary.
    pub fn push_summary<const LABELS: usize>(
        &mut self,
        family: &'static Family<LABELS>,
        labels: [&str; LABELS],
        summary: Summary,
    ) {
        self.store(
            &family.descriptor,
            &labels,
            Value::Summary(Box::new(summary)),
        );
    }

    /// Adds a value with one label value for each label name of the family.
    pub(crate) fn store(&mut self, family: &'static Descriptor, labels: &[&str], value: Value) {
        if self.samples.len() >= SAMPLES_MAX {
            self.dropped += 1;
            return;
        }
        let first = self.label_ends.len();
        for label in labels {
            self.text.push_str(cut(label));
            // A snapshot never reaches 4 GiB of label text: every value is cut.
            self.label_ends
                .push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
        }
        let labels = u32::try_from(first).unwrap_or(u32::MAX)
            ..u32::try_from(self.label_ends.len()).unwrap_or(u32::MAX);
        self.samples.push(Stored {
            family,
            labels,
            value,
        });
    }

    fn label_value(&self, label: u32) -> &str {
        let label = label as usize;
        let end = |at: usize| self.label_ends.get(at).map_or(0, |end| *end as usize);
        let start = label.checked_sub(1).map_or(0, end);
        self.text.get(start..end(label)).unwrap_or_default()
    }

    fn label_text(&self, stored: &Stored) -> impl Iterator<Item = &str> {
        stored.labels.clone().map(|label| self.label_value(label))
    }

    /// Seals the snapshot. Samples are sorted by family name and labels, only the first of samples
    /// with equal labels is kept, and families are cut at [`SAMPLES_PER_FAMILY_MAX`].
    #[must_use]
    pub fn finish(mut self) -> Self {
        let mut samples = by_family(std::mem::take(&mut self.samples));
        for family in samples.chunk_by_mut(is_same_family) {
            family.sort_by(|left, right| self.label_text(left).cmp(self.label_text(right)));
        }
        samples.dedup_by(|later, first| {
            std::ptr::eq(later.family, first.family)
                && self.label_text(later).eq(self.label_text(first))
        });
        let found = samples.len();
        let mut last: Option<(&Descriptor, usize)> = None;
        samples.retain(|sample| {
            let place = match last {
                Some((family, place)) if std::ptr::eq(family, sample.family) => place + 1,
                _ => 0,
            };
            last = Some((sample.family, place));
            place < SAMPLES_PER_FAMILY_MAX
        });
        self.dropped += (found - samples.len()) as u64;
        // The snapshot is kept until the next poll.
        samples.shrink_to_fit();
        self.label_ends.shrink_to_fit();
        self.text.shrink_to_fit();
        self.samples = samples;
        self
    }

    /// Returns how many samples [`Snapshot::finish`] dropped because their family had too many.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Yields all samples, in order.
    pub fn samples(&self) -> impl Iterator<Item = Sample<'_>> {
        self.samples.iter().map(|stored| Sample {
            family: stored.family,
            value: &stored.value,
            snapshot: self,
            labels: &stored.labels,
        })
    }

    /// Returns the number of samples.
    #[cfg(test)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Returns whether there are no samples.
    #[cfg(test)]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

fn is_same_family(left: &Stored, right: &Stored) -> bool {
    std::ptr::eq(left.family, right.family)
}

/// Sorts samples by the names of their families. Most samples of a family come one after the other,
/// so only these runs are sorted.
fn by_family(samples: Vec<Stored>) -> Vec<Stored> {
    let mut runs: Vec<Vec<Stored>> = Vec::new();
    for sample in samples {
        match runs.last_mut() {
            Some(run)
                if run
                    .first()
                    .is_some_and(|first| is_same_family(first, &sample)) =>
            {
                run.push(sample);
            }
            _ => runs.push(vec![sample]),
        }
    }
    runs.sort_by_key(|run| run.first().map(|sample| sample.family.name));
    runs.into_iter().flatten().collect()
}

/// Returns the longest prefix of a label value within [`LABEL_VALUE_BYTES_MAX`].
fn cut(value: &str) -> &str {
    let mut end = value.len().min(LABEL_VALUE_BYTES_MAX);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value.get(..end).unwrap_or_default()
}

/// The names and labels of the served metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Whether `redis_exporter`'s names that break Prometheus's naming rules are served too.
    pub legacy: bool,
    /// The prefix that replaces `redis` in each name, if another one is configured.
    pub prefix: Option<String>,
    /// Whether the page of all targets has a `target` label.
    pub target_label: bool,
    /// The served series.
    pub series: Series,
}

/// The served series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Series {
    /// The default series: fewer histograms, with fewer edges, the same for every sample.
    #[default]
    Compact,
    /// All series.
    Full,
}

impl Series {
    /// Returns whether an edge is written.
    #[must_use]
    pub const fn has(self, edge: &Edge) -> bool {
        !edge.only_full || matches!(self, Self::Full)
    }

    /// Returns whether a value is written.
    #[must_use]
    pub fn shows(self, value: &Value) -> bool {
        match value {
            Value::Histogram(histogram) => !histogram.only_full || matches!(self, Self::Full),
            Value::Number(_) | Value::Summary(_) => true,
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self {
            legacy: true,
            prefix: None,
            target_label: true,
            series: Series::Compact,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static KEYS: Family<1> = Family::gauge(
        "redis_test_keys",
        &["db"],
        source("TEST", "keys"),
        Unit::One,
        "Keys of a database.",
    );
    static UP: Family<0> = Family::gauge(
        "redis_test_up",
        &[],
        source("TEST", ""),
        Unit::One,
        "Whether it is up.",
    );

    fn seen(snapshot: &Snapshot) -> Vec<(String, Vec<String>)> {
        snapshot
            .samples()
            .map(|sample| {
                (
                    sample.family.name.to_owned(),
                    sample.label_values().map(str::to_owned).collect(),
                )
            })
            .collect()
    }

    #[test]
    fn samples_are_sorted_and_the_first_duplicate_wins() {
        let mut snapshot = Snapshot::default();
        snapshot.push(&UP, [], 1.0);
        snapshot.push(&KEYS, ["db3"], 5.0);
        snapshot.push(&KEYS, ["db0"], 7.0);
        snapshot.push(&KEYS, ["db3"], 6.0);
        let snapshot = snapshot.finish();
        let expected: Vec<(String, Vec<String>)> = vec![
            ("redis_test_keys".into(), vec!["db0".into()]),
            ("redis_test_keys".into(), vec!["db3".into()]),
            ("redis_test_up".into(), vec![]),
        ];
        assert_eq!(seen(&snapshot), expected);
        let kept: Vec<_> = snapshot
            .samples()
            .map(|sample| sample.value.clone())
            .collect();
        assert_eq!(
            kept,
            [Value::Number(7.0), Value::Number(5.0), Value::Number(1.0)]
        );
    }

    #[test]
    fn non_finite_values_are_dropped() {
        let mut snapshot = Snapshot::default();
        snapshot.push(&UP, [], f64::NAN);
        snapshot.push(&UP, [], f64::INFINITY);
        assert!(snapshot.is_empty());
    }

    #[test]
    fn family_with_too_many_samples_is_truncated_and_counted() {
        let mut snapshot = Snapshot::default();
        for db in 0..SAMPLES_PER_FAMILY_MAX + 3 {
            snapshot.push(&KEYS, [&format!("db{db}")], 1.0);
        }
        let snapshot = snapshot.finish();
        assert_eq!(
            (snapshot.len(), snapshot.dropped()),
            (SAMPLES_PER_FAMILY_MAX, 3)
        );
    }

    #[test]
    fn long_label_is_truncated_at_a_character() {
        let long = "é".repeat(LABEL_VALUE_BYTES_MAX);
        let mut snapshot = Snapshot::default();
        snapshot.push(&KEYS, [&long], 1.0);
        let kept = seen(&snapshot);
        assert_eq!(kept[0].1[0].len(), LABEL_VALUE_BYTES_MAX);
        assert!(kept[0].1[0].chars().all(|letter| letter == 'é'));
    }

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
