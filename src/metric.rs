//! What a metric is: families, units, samples, and the snapshot that holds the samples of one poll.
//!
//! Depends on nothing. It does not know where values come from or how they are written as text.

use std::ops::Range;

/// Longest label value that is kept, in bytes; longer ones are cut at a character boundary.
pub const LABEL_VALUE_BYTES_MAX: usize = 512;

/// Most samples that are held before a snapshot is sealed: fifty families that have all they may.
const SAMPLES_MAX: usize = 50 * SAMPLES_PER_FAMILY_MAX;

/// Most samples that one family may have in one snapshot; the rest is dropped and counted.
pub const SAMPLES_PER_FAMILY_MAX: usize = 2_000;

/// The type of a metric, as Prometheus knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up, starts again at 0 with the server.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by bucket, with a sum.
    Histogram,
    /// Quantiles, with a sum and a count.
    Summary,
}

impl Kind {
    /// The word in a `# TYPE` line.
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

/// The unit in which a reply gives a value. Pages show base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A count, a flag, a ratio: nothing to convert.
    One,
    /// Bytes.
    Bytes,
    /// Kibibytes, shown as bytes.
    Kibibytes,
    /// Mebibytes, shown as bytes.
    Mebibytes,
    /// Seconds.
    Seconds,
    /// Milliseconds, shown as seconds.
    Milliseconds,
    /// Microseconds, shown as seconds.
    Microseconds,
    /// Percent, shown as a ratio from 0 to 1.
    Percent,
}

impl Unit {
    /// Converts a value as replied into the base unit.
    #[must_use]
    pub fn to_base(self, replied: f64) -> f64 {
        match self {
            Self::One | Self::Bytes | Self::Seconds => replied,
            Self::Kibibytes => replied * 1024.0,
            Self::Mebibytes => replied * 1_048_576.0,
            // Division, unlike multiplication by 0.001, gives the nearest number.
            Self::Milliseconds => replied / 1e3,
            Self::Microseconds => replied / 1e6,
            Self::Percent => replied / 100.0,
        }
    }
}

/// The question and the part of its reply that a value comes from, as `INFO` and `used_memory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The Redis command, or `poll` for what the exporter measured itself.
    pub command: &'static str,
    /// The field of its reply; empty where the whole reply is meant.
    pub field: &'static str,
}

/// Names the command and the field that a family is read from.
#[must_use]
pub const fn source(command: &'static str, field: &'static str) -> Source {
    Source { command, field }
}

/// A second spelling of a family: that of `redis_exporter`, where it breaks Prometheus's naming.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Legacy {
    /// The full metric name.
    pub name: &'static str,
    /// The type that goes with it.
    pub kind: Kind,
    /// Whether values stand in the unit of the reply instead of the base unit.
    pub as_replied: bool,
    /// Whether it replaces the clean spelling: both would cost too many series, or differ only by
    /// `_total`, which OpenMetrics and Datadog take for one metric.
    pub instead: bool,
}

/// One metric family: the row that everything about a metric derives from.
#[derive(Debug, PartialEq)]
pub struct Descriptor {
    /// The full metric name, clean by Prometheus's naming rules.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
    /// The unit of recorded values.
    pub unit: Unit,
    /// Label names, without `target`.
    pub labels: &'static [&'static str],
    /// One plain sentence.
    pub help: &'static str,
    /// Where the value comes from.
    pub source: Source,
    /// The other spelling, if there is one.
    pub legacy: Option<Legacy>,
}

/// A family whose number of labels is part of its type, so that a sample cannot have too few.
#[derive(Debug)]
pub struct Family<const LABELS: usize> {
    descriptor: Descriptor,
}

impl<const LABELS: usize> Family<LABELS> {
    /// A gauge. A name with a counter's suffix does not compile.
    ///
    /// # Panics
    ///
    /// At compile time, where the name breaks the rules: rows are statics.
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

    /// A counter. A name without `_total` does not compile.
    ///
    /// # Panics
    ///
    /// At compile time, where the name breaks the rules: rows are statics.
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

    /// A histogram.
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

    /// A summary.
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

    /// Adds `redis_exporter`'s spelling, with values in the base unit. It replaces the clean one if
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

    /// Adds `redis_exporter`'s spelling, with values as in the reply. It replaces the clean one if
    /// the two differ only by `_total`.
    #[must_use]
    pub const fn legacy_as_replied(self, name: &'static str, kind: Kind) -> Self {
        self.spelled(Legacy {
            name,
            kind,
            as_replied: true,
            instead: false,
        })
    }

    /// Puts `redis_exporter`'s spelling in the place of the clean one, with values as in the
    /// reply, while legacy names are on. For families with many series.
    #[must_use]
    pub const fn legacy_instead(self, name: &'static str, kind: Kind) -> Self {
        self.spelled(Legacy {
            name,
            kind,
            as_replied: true,
            instead: true,
        })
    }

    /// Keeps the name but has `redis_exporter`'s type while legacy names are on.
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
        let same_stem = same(
            stem(descriptor.name).as_bytes(),
            stem(legacy.name).as_bytes(),
        );
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

    /// The family without its number of labels.
    #[must_use]
    pub const fn descriptor(&self) -> &Descriptor {
        &self.descriptor
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

/// A name without `_total`: what OpenMetrics takes for the name of a counter.
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

/// Values that are converted must say so in their name; else a reader takes them as replied.
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

/// The counts of a histogram: one per edge, cumulative, in the order of the edges.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The upper edges that the counts belong to; the same for all samples of a family.
    pub edges: &'static [Edge],
    /// How many observations are at or below each edge.
    pub counts: Vec<u64>,
    /// How many observations there are.
    pub count: u64,
    /// Their sum, in the unit of the family; NaN where it is unknown, and then not written.
    pub sum: f64,
}

/// An upper edge of a histogram's bucket, with the texts that stand in the `le` label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// The edge in the unit of the reply.
    pub at: u64,
    /// Its text in the unit of the reply.
    pub as_replied: &'static str,
    /// Its text in the base unit.
    pub in_base_unit: &'static str,
    /// Whether it is written only if all series are wanted.
    pub only_full: bool,
}

/// Percentiles with the count and the sum of all observations.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Pairs of percentile (from 0 to 100) and value, in the unit of the family.
    pub percentiles: Vec<(f64, f64)>,
    /// How many observations there are.
    pub count: u64,
    /// Their sum, in the unit of the family.
    pub sum: f64,
}

/// What a sample holds, in the unit of its family's reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A counter's or a gauge's value; never NaN.
    Number(f64),
    /// A histogram.
    Histogram(Box<Histogram>),
    /// A summary.
    Summary(Box<Summary>),
}

#[derive(Clone, Debug)]
struct Stored {
    family: &'static Descriptor,
    labels: Range<u32>,
    value: Value,
}

/// All samples of one poll of one target. Collectors fill it; [`Snapshot::finish`] seals it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    samples: Vec<Stored>,
    /// The ends, in `text`, of all label values; each starts where the one before ends.
    label_ends: Vec<u32>,
    text: String,
    dropped: u64,
}

/// One sample as a reader of a snapshot sees it.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The family that it belongs to.
    pub family: &'static Descriptor,
    /// Its value, in the unit of the family's reply.
    pub value: &'a Value,
    snapshot: &'a Snapshot,
    labels: &'a Range<u32>,
}

impl<'a> Sample<'a> {
    /// The label values, in the order of the family's label names.
    pub fn label_values(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let snapshot = self.snapshot;
        self.labels
            .clone()
            .map(move |label| snapshot.label_value(label))
    }
}

impl Snapshot {
    /// Adds a number. One that is not finite is left out: what is unknown is absent.
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
        histogram: Histogram,
    ) {
        self.store(
            &family.descriptor,
            &labels,
            Value::Histogram(Box::new(histogram)),
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

    fn store(&mut self, family: &'static Descriptor, labels: &[&str], value: Value) {
        if self.samples.len() >= SAMPLES_MAX {
            self.dropped += 1;
            return;
        }
        let first = self.label_ends.len();
        for label in labels {
            self.text.push_str(cut(label));
            // A snapshot never reaches 4 GiB of label text: every value is cut short.
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

    /// Seals the snapshot: samples stand in the order of family names and labels; of samples with
    /// the same labels the first stays; families are cut at [`SAMPLES_PER_FAMILY_MAX`].
    #[must_use]
    pub fn finish(mut self) -> Self {
        let mut samples = std::mem::take(&mut self.samples);
        samples.sort_by(|left, right| {
            let by_name = if std::ptr::eq(left.family, right.family) {
                std::cmp::Ordering::Equal
            } else {
                left.family.name.cmp(right.family.name)
            };
            by_name.then_with(|| self.label_text(left).cmp(self.label_text(right)))
        });
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
        // A snapshot is kept until the next poll.
        samples.shrink_to_fit();
        self.label_ends.shrink_to_fit();
        self.text.shrink_to_fit();
        self.samples = samples;
        self
    }

    /// How many samples [`Snapshot::finish`] dropped because their family had too many.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// All samples, in order.
    pub fn samples(&self) -> impl Iterator<Item = Sample<'_>> {
        self.samples.iter().map(|stored| Sample {
            family: stored.family,
            value: &stored.value,
            snapshot: self,
            labels: &stored.labels,
        })
    }

    /// The value of the first sample of a family without labels, in the unit of the reply.
    #[must_use]
    pub fn number(&self, family: &'static Family<0>) -> Option<f64> {
        self.samples
            .iter()
            .find(|stored| stored.family.name == family.descriptor.name)
            .and_then(|stored| match stored.value {
                Value::Number(number) => Some(number),
                Value::Histogram(_) | Value::Summary(_) => None,
            })
    }

    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is no sample at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

/// The longest start of a label value that is within [`LABEL_VALUE_BYTES_MAX`].
fn cut(value: &str) -> &str {
    let mut end = value.len().min(LABEL_VALUE_BYTES_MAX);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value.get(..end).unwrap_or_default()
}

/// The names and labels under which metrics are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Whether the names of `redis_exporter` that break Prometheus naming are served too.
    pub legacy: bool,
    /// What stands in the place of `redis` at the start of each name, where that is another word.
    pub prefix: Option<String>,
    /// Whether the page of all targets has the label `target`.
    pub target_label: bool,
    /// Which series are served.
    pub series: Series,
}

/// Which series are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Series {
    /// Those that every server needs: histograms have fewer edges, the same for every sample.
    #[default]
    Compact,
    /// All of them.
    Full,
}

impl Series {
    /// Returns whether an edge is written.
    #[must_use]
    pub const fn has(self, edge: &Edge) -> bool {
        !edge.only_full || matches!(self, Self::Full)
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
    fn samples_stand_in_order_and_the_first_of_a_double_stays() {
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
    fn what_is_not_finite_is_left_out() {
        let mut snapshot = Snapshot::default();
        snapshot.push(&UP, [], f64::NAN);
        snapshot.push(&UP, [], f64::INFINITY);
        assert!(snapshot.is_empty());
    }

    #[test]
    fn a_family_with_too_many_samples_is_cut_and_counted() {
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
    fn a_long_label_is_cut_at_a_character() {
        let long = "é".repeat(LABEL_VALUE_BYTES_MAX);
        let mut snapshot = Snapshot::default();
        snapshot.push(&KEYS, [&long], 1.0);
        let kept = seen(&snapshot);
        assert_eq!(kept[0].1[0].len(), LABEL_VALUE_BYTES_MAX);
        assert!(kept[0].1[0].chars().all(|letter| letter == 'é'));
    }

    #[test]
    fn a_legacy_name_replaces_one_of_the_same_stem() {
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
