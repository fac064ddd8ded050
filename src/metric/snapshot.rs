//! The samples of one poll, and the snapshot that holds them. Pure.

use std::sync::Arc;

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
    /// The values of all samples with a number, in order.
    numbers: Vec<f64>,
    /// The values of all other samples, in order.
    distributions: Vec<Distribution>,
    /// The lengths of all label values in `text`, in order.
    label_lengths: Vec<u16>,
    text: String,
    dropped: u64,
}

#[derive(Clone, Debug)]
enum Distribution {
    Histogram(Arc<Histogram>),
    Summary(Summary),
}

/// Consecutive samples of one family, with the same kind of value.
#[derive(Clone, Copy, Debug)]
struct SampleRun {
    family: &'static Descriptor,
    samples: u32,
    /// Number of labels of each sample.
    labels: u16,
    are_numbers: bool,
}

impl SampleRun {
    fn extends(&self, other: &Self) -> bool {
        std::ptr::eq(self.family, other.family)
            && (self.labels, self.are_numbers) == (other.labels, other.are_numbers)
    }
}

/// The start of a sample in each list.
#[derive(Clone, Copy, Debug, Default)]
struct SamplePosition {
    number: usize,
    distribution: usize,
    label: usize,
    text: usize,
}

/// A sample as seen by readers of a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The family.
    pub family: &'static Descriptor,
    /// The value, in the unit of the family's reply.
    pub value: SampleValue<'a>,
    label_lengths: &'a [u16],
    /// The label values, one after the other.
    text: &'a str,
}

impl<'a> Sample<'a> {
    /// Yields the label values, in the order of the family's label names.
    pub fn label_values(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = self.text;
        self.label_lengths.iter().map(move |length| {
            let split = rest.split_at_checked(usize::from(*length));
            let (value, later) = split.unwrap_or((rest, ""));
            rest = later;
            value
        })
    }

    fn has_labels_of(&self, other: &Self) -> bool {
        self.text == other.text && self.label_lengths == other.label_lengths
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
        for label in labels {
            let label = cut(label);
            self.text.push_str(label);
            // A cut label is never longer.
            self.label_lengths
                .push(u16::try_from(label.len()).unwrap_or(u16::MAX));
        }
        let count = u16::try_from(labels.len()).unwrap_or(u16::MAX);
        self.append(family, count, value);
    }

    /// Adds a value whose labels have just been added.
    fn append(&mut self, family: &'static Descriptor, labels: u16, value: Value) {
        let run = SampleRun {
            family,
            samples: 1,
            labels,
            are_numbers: matches!(value, Value::Number(_)),
        };
        match value {
            Value::Number(number) => self.numbers.push(number),
            Value::Histogram(one) => self.distributions.push(Distribution::Histogram(one)),
            Value::Summary(one) => self.distributions.push(Distribution::Summary(one)),
        }
        match self.runs.last_mut() {
            Some(last) if last.extends(&run) => last.samples += 1,
            _ => self.runs.push(run),
        }
    }

    const fn samples_stored(&self) -> usize {
        self.numbers.len() + self.distributions.len()
    }

    /// Returns the sample at a position, and moves the position to the next one.
    fn next_sample(&self, run: &SampleRun, position: &mut SamplePosition) -> Option<Sample<'_>> {
        let value = if run.are_numbers {
            SampleValue::Number(*self.numbers.get(position.number)?)
        } else {
            match self.distributions.get(position.distribution)? {
                Distribution::Histogram(histogram) => SampleValue::Histogram(histogram),
                Distribution::Summary(summary) => SampleValue::Summary(summary),
            }
        };
        let labels = usize::from(run.labels);
        let label_lengths = self.label_lengths.get(position.label..)?.get(..labels)?;
        let bytes = text_bytes(label_lengths);
        let text = self.text.get(position.text..)?.get(..bytes)?;
        position.number += usize::from(run.are_numbers);
        position.distribution += usize::from(!run.are_numbers);
        position.label += labels;
        position.text += bytes;
        Some(Sample {
            family: run.family,
            value,
            label_lengths,
            text,
        })
    }

    /// Moves a position from the start of a run to that of the next one.
    fn skip(&self, run: &SampleRun, position: &mut SamplePosition) {
        let samples = run.samples as usize;
        if run.are_numbers {
            position.number += samples;
        } else {
            position.distribution += samples;
        }
        let labels = samples * usize::from(run.labels);
        let lengths = self.label_lengths.get(position.label..);
        let lengths = lengths.and_then(|lengths| lengths.get(..labels));
        position.text += text_bytes(lengths.unwrap_or_default());
        position.label += labels;
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
            distributions: Vec::with_capacity(self.distributions.len()),
            label_lengths: Vec::with_capacity(self.label_lengths.len()),
            text: String::with_capacity(self.text.len()),
            dropped: self.dropped,
        };
        let mut samples: Vec<Sample<'_>> = Vec::new();
        for same in runs.chunk_by(|left, right| std::ptr::eq(left.family, right.family)) {
            samples.clear();
            samples.extend(same.iter().flat_map(FamilyRun::samples));
            samples.sort_by(|left, right| left.label_values().cmp(right.label_values()));
            samples.dedup_by(|later, first| later.has_labels_of(first));
            sealed.dropped += samples.len().saturating_sub(SAMPLES_PER_FAMILY_MAX) as u64;
            for sample in samples.iter().take(SAMPLES_PER_FAMILY_MAX) {
                sealed.append_copy(sample);
            }
        }
        sealed.runs.shrink_to_fit();
        sealed.text.shrink_to_fit();
        sealed
    }

    /// Adds a sample of another snapshot.
    fn append_copy(&mut self, sample: &Sample<'_>) {
        self.text.push_str(sample.text);
        self.label_lengths.extend_from_slice(sample.label_lengths);
        let labels = u16::try_from(sample.label_lengths.len()).unwrap_or(u16::MAX);
        let value = match sample.value {
            SampleValue::Number(number) => Value::Number(number),
            SampleValue::Histogram(histogram) => Value::Histogram(Arc::clone(histogram)),
            SampleValue::Summary(summary) => Value::Summary(summary.clone()),
        };
        self.append(sample.family, labels, value);
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
        let mut position = SamplePosition::default();
        self.runs.iter().map(move |run| {
            let start = position;
            self.skip(run, &mut position);
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

/// Returns the length of the text of some labels.
fn text_bytes(label_lengths: &[u16]) -> usize {
    label_lengths.iter().copied().map(usize::from).sum()
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
