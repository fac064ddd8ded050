//! The samples of one poll, and the snapshot that holds them. Pure.

use std::sync::Arc;

use super::labels::{LabelLists, LabelPlace, LabelValues};
use super::value::{Histogram, Summary, Value};
use super::{Descriptor, Family};

/// Maximum length of a label value, in bytes. Longer values are cut at a character boundary.
pub const LABEL_VALUE_BYTES_MAX: usize = 512;

/// Maximum number of samples in a snapshot before it is sealed: fifty families at their limit.
const SAMPLES_MAX: usize = 50 * SAMPLES_PER_FAMILY_MAX;

/// Maximum number of samples per family in a snapshot. Excess samples are dropped and counted.
pub const SAMPLES_PER_FAMILY_MAX: usize = 2_000;

/// The value of a stored sample, in the unit of its family's reply.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SampleValue<'a> {
    /// The value of a counter or a gauge; never NaN.
    Number(f64),
    /// A histogram.
    Histogram(&'a Arc<Histogram>),
    /// A summary.
    Summary(&'a Summary),
}

/// All samples of one poll of one target. Collectors fill it and [`Snapshot::finish`] seals it.
///
/// Thousands of targets have one each, so it has one list for each kind of value instead of one for
/// all samples.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    runs: Vec<SampleRun>,
    /// The values of all samples of each kind, in order.
    numbers: Vec<f64>,
    histograms: Vec<Arc<Histogram>>,
    summaries: Vec<Summary>,
    labels: LabelLists,
    dropped: u64,
}

/// A kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueKind {
    Number,
    Histogram,
    Summary,
}

/// Consecutive samples of one family, with the same kind of value.
#[derive(Clone, Copy, Debug)]
struct SampleRun {
    family: &'static Descriptor,
    /// The number of the list of labels. Meaningless without labels.
    list: u32,
    samples: u16,
    /// Number of labels of each sample.
    labels: u8,
    kind: ValueKind,
}

impl SampleRun {
    fn extends(&self, other: &Self) -> bool {
        std::ptr::eq(self.family, other.family)
            && (self.labels, self.kind) == (other.labels, other.kind)
            && self.samples < u16::MAX
    }
}

/// Number of samples of each kind.
#[derive(Clone, Copy, Debug, Default)]
struct KindCounts {
    numbers: usize,
    histograms: usize,
    summaries: usize,
}

impl KindCounts {
    const fn of(&mut self, kind: ValueKind) -> &mut usize {
        match kind {
            ValueKind::Number => &mut self.numbers,
            ValueKind::Histogram => &mut self.histograms,
            ValueKind::Summary => &mut self.summaries,
        }
    }
}

/// The place of a sample in the lists of its values and labels.
#[derive(Clone, Copy, Debug, Default)]
struct SamplePosition {
    value: usize,
    label: LabelPlace,
}

/// A sample as seen by readers of a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The family.
    pub family: &'static Descriptor,
    /// The value, in the unit of the family's reply.
    pub value: SampleValue<'a>,
    labels: LabelValues<'a>,
}

impl<'a> Sample<'a> {
    /// Yields the label values, in the order of the family's label names.
    pub fn label_values(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.labels.iter()
    }

    /// Returns the value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&'a str> {
        let place = self.family.labels.iter().position(|label| *label == name)?;
        self.label_values().nth(place)
    }

    /// Returns the value in the base unit, if it is a number.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self.value {
            SampleValue::Number(number) => Some(self.family.unit.to_base(number)),
            SampleValue::Histogram(_) | SampleValue::Summary(_) => None,
        }
    }
}

/// Consecutive samples of a snapshot that belong to one family.
#[derive(Clone, Copy, Debug)]
pub struct FamilyRun<'a> {
    /// The family.
    pub family: &'static Descriptor,
    snapshot: &'a Snapshot,
    run: &'a SampleRun,
    start: SamplePosition,
}

impl<'a> FamilyRun<'a> {
    /// Yields the samples, in order.
    pub fn samples(&self) -> impl Iterator<Item = Sample<'a>> + use<'a> {
        let Self {
            snapshot,
            run,
            mut start,
            ..
        } = *self;
        (0..run.samples).map_while(move |_| snapshot.next_sample(run, &mut start))
    }
}

impl Snapshot {
    /// Adds a number. `None`, infinity and NaN are left out: unknown values are absent.
    pub fn push<const LABELS: usize>(
        &mut self,
        family: &'static Family<LABELS>,
        labels: [&str; LABELS],
        number: impl Into<Option<f64>>,
    ) {
        if let Some(number) = number.into().filter(|number| number.is_finite()) {
            self.store(family.descriptor(), &labels, Value::Number(number));
        }
    }

    /// Adds a histogram.
    pub fn push_histogram<const LABELS: usize>(
        &mut self,
        family: &'static Family<LABELS>,
        labels: [&str; LABELS],
        histogram: impl Into<Arc<Histogram>>,
    ) {
        let value = Value::Histogram(histogram.into());
        self.store(family.descriptor(), &labels, value);
    }

    /// Adds a summary.
    pub fn push_summary<const LABELS: usize>(
        &mut self,
        family: &'static Family<LABELS>,
        labels: [&str; LABELS],
        summary: Summary,
    ) {
        self.store(family.descriptor(), &labels, Value::Summary(summary));
    }

    /// Adds a value with one label value for each label name of the family.
    pub(crate) fn store(&mut self, family: &'static Descriptor, labels: &[&str], value: Value) {
        if self.samples_stored() >= SAMPLES_MAX {
            self.dropped += 1;
            return;
        }
        let count = u8::try_from(labels.len()).unwrap_or(u8::MAX);
        self.append(family, count, value);
        for label in labels {
            self.labels.push(cut(label));
        }
    }

    /// Adds a value whose labels are added next.
    fn append(&mut self, family: &'static Descriptor, labels: u8, value: Value) {
        let mut run = SampleRun {
            family,
            list: 0,
            samples: 1,
            labels,
            kind: match value {
                Value::Number(_) => ValueKind::Number,
                Value::Histogram(_) => ValueKind::Histogram,
                Value::Summary(_) => ValueKind::Summary,
            },
        };
        match value {
            Value::Number(number) => self.numbers.push(number),
            Value::Histogram(histogram) => self.histograms.push(histogram),
            Value::Summary(summary) => self.summaries.push(summary),
        }
        match self.runs.last_mut() {
            Some(last) if last.extends(&run) => last.samples += 1,
            _ => {
                if labels > 0 {
                    run.list = self.labels.start();
                }
                self.runs.push(run);
            }
        }
    }

    const fn samples_stored(&self) -> usize {
        self.numbers.len() + self.histograms.len() + self.summaries.len()
    }

    /// Returns the sample at a position, and moves the position to the next one of the run.
    fn next_sample(&self, run: &SampleRun, position: &mut SamplePosition) -> Option<Sample<'_>> {
        let place = position.value;
        let value = match run.kind {
            ValueKind::Number => SampleValue::Number(*self.numbers.get(place)?),
            ValueKind::Histogram => SampleValue::Histogram(self.histograms.get(place)?),
            ValueKind::Summary => SampleValue::Summary(self.summaries.get(place)?),
        };
        position.value += 1;
        Some(Sample {
            family: run.family,
            value,
            labels: self.labels.take(&mut position.label, run.labels)?,
        })
    }

    /// Seals the snapshot. Samples are sorted by family name and labels, only the first of samples
    /// with equal labels is kept, and families are cut at [`SAMPLES_PER_FAMILY_MAX`].
    #[must_use]
    pub fn finish(self) -> Self {
        let mut runs: Vec<_> = self.runs().collect();
        runs.sort_by_cached_key(|run| (start_of(run.family.name), run.family.name));
        // The snapshot is kept until the next poll, so it has no spare capacity.
        let mut sealed = Self {
            runs: Vec::with_capacity(runs.len()),
            numbers: Vec::with_capacity(self.numbers.len()),
            histograms: Vec::with_capacity(self.histograms.len()),
            summaries: Vec::with_capacity(self.summaries.len()),
            labels: LabelLists::with_room_for(&self.labels),
            dropped: self.dropped,
        };
        let mut samples: Vec<Sample<'_>> = Vec::new();
        for same in runs.chunk_by(|left, right| std::ptr::eq(left.family, right.family)) {
            samples.clear();
            samples.extend(same.iter().flat_map(FamilyRun::samples));
            samples.sort_by(|left, right| left.label_values().cmp(right.label_values()));
            samples.dedup_by(|later, first| later.labels == first.labels);
            sealed.dropped += samples.len().saturating_sub(SAMPLES_PER_FAMILY_MAX) as u64;
            for sample in samples.iter().take(SAMPLES_PER_FAMILY_MAX) {
                sealed.append_copy(sample);
            }
            sealed.share_labels();
        }
        sealed.runs.shrink_to_fit();
        sealed.labels.shrink_to_fit();
        sealed
    }

    /// Adds a sample of another snapshot.
    fn append_copy(&mut self, sample: &Sample<'_>) {
        let labels = u8::try_from(sample.labels.len()).unwrap_or(u8::MAX);
        let value = match sample.value {
            SampleValue::Number(number) => Value::Number(number),
            SampleValue::Histogram(histogram) => Value::Histogram(Arc::clone(histogram)),
            SampleValue::Summary(summary) => Value::Summary(summary.clone()),
        };
        self.append(sample.family, labels, value);
        self.labels.extend(sample.labels);
    }

    /// Keeps the labels of the last run once if those of an earlier one are equal.
    fn share_labels(&mut self) {
        if let Some(last) = self.runs.last_mut().filter(|run| run.labels > 0) {
            last.list = self.labels.share_last();
        }
    }

    /// Returns how many samples [`Snapshot::finish`] dropped because their family had too many.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Yields all samples, in order.
    pub fn samples(&self) -> impl Iterator<Item = Sample<'_>> {
        self.runs().flat_map(|run| run.samples())
    }

    /// Yields all samples by family, in order.
    pub fn runs(&self) -> impl Iterator<Item = FamilyRun<'_>> {
        let mut counts = KindCounts::default();
        self.runs.iter().map(move |run| {
            let place = counts.of(run.kind);
            let start = SamplePosition {
                value: *place,
                label: self.labels.place(run.list),
            };
            *place += usize::from(run.samples);
            FamilyRun {
                family: run.family,
                snapshot: self,
                run,
                start,
            }
        })
    }

    /// Returns the samples of the family with this name.
    #[must_use]
    pub fn family(&self, name: &str) -> Option<FamilyRun<'_>> {
        self.runs().find(|run| run.family.name == name)
    }

    /// Returns the first number of the family with this name, in the base unit. The snapshot must be
    /// sealed.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.family(name)?.samples().next()?.number()
    }

    /// Returns the number of samples.
    #[cfg(test)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples_stored()
    }

    /// Returns whether there are no samples.
    #[cfg(test)]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples_stored() == 0
    }
}

/// Returns a number that orders names like their first bytes do. Whole names are only compared if
/// these are equal. All names start with `redis_`.
fn start_of(name: &str) -> u128 {
    let bytes = name.strip_prefix("redis_").unwrap_or_default().as_bytes();
    let mut start = [0; 16];
    for (place, byte) in start.iter_mut().zip(bytes) {
        *place = *byte;
    }
    u128::from_be_bytes(start)
}

/// Returns the longest prefix of a label value within [`LABEL_VALUE_BYTES_MAX`].
#[must_use]
pub fn cut(value: &str) -> &str {
    let mut end = value.len().min(LABEL_VALUE_BYTES_MAX);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{Unit, source};
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
        let kept: Vec<_> = snapshot.samples().map(|sample| sample.value).collect();
        assert_eq!(kept, [7.0, 5.0, 1.0].map(SampleValue::Number));
    }

    #[test]
    fn families_with_equal_labels_keep_their_values() {
        static EXPIRES: Family<1> = Family::gauge(
            "redis_test_expires",
            &["db"],
            source("TEST", "expires"),
            Unit::One,
            "Keys of a database with a TTL.",
        );
        let mut snapshot = Snapshot::default();
        for (db, number) in [("db0", 1.0), ("db3", 2.0)] {
            snapshot.push(&KEYS, [db], number);
            snapshot.push(&EXPIRES, [db], -number);
        }
        let snapshot = snapshot.finish();
        let samples = snapshot.samples().map(|sample| {
            let number = sample.number().unwrap();
            (sample.family.name, sample.label("db").unwrap(), number)
        });
        let expected = [
            ("redis_test_expires", "db0", -1.0),
            ("redis_test_expires", "db3", -2.0),
            ("redis_test_keys", "db0", 1.0),
            ("redis_test_keys", "db3", 2.0),
        ];
        assert_eq!(samples.collect::<Vec<_>>(), expected);
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
}
