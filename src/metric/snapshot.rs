//! The samples of one poll: values, and the snapshot that holds them. Pure.

use std::ops::Range;
use std::sync::Arc;

use super::{Descriptor, Family};

/// Maximum length of a label value, in bytes. Longer values are cut at a character boundary.
pub const LABEL_VALUE_BYTES_MAX: usize = 512;

/// Maximum number of samples in a snapshot before it is sealed: fifty families at their limit.
const SAMPLES_MAX: usize = 50 * SAMPLES_PER_FAMILY_MAX;

/// Maximum number of samples per family in a snapshot. Excess samples are dropped and counted.
pub const SAMPLES_PER_FAMILY_MAX: usize = 2_000;

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
    /// Returns an edge that is always written.
    #[must_use]
    pub const fn new(at: u64, as_replied: &'static str, in_base_unit: &'static str) -> Self {
        Self {
            at,
            as_replied,
            in_base_unit,
            only_full: false,
        }
    }

    /// Returns an edge that is written only when all series are enabled.
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

/// Consecutive samples of a snapshot that belong to one family.
#[derive(Clone, Copy, Debug)]
pub struct FamilyRun<'a> {
    /// The family.
    pub family: &'static Descriptor,
    snapshot: &'a Snapshot,
    samples: &'a [Stored],
}

impl<'a> FamilyRun<'a> {
    /// Yields the samples, in order.
    pub fn samples(&self) -> impl Iterator<Item = Sample<'a>> + use<'a> {
        let snapshot = self.snapshot;
        self.samples.iter().map(|stored| snapshot.sample(stored))
    }
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
        self.store(
            family.descriptor(),
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
            family.descriptor(),
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
        self.samples.iter().map(|stored| self.sample(stored))
    }

    /// Yields all samples by family, in order.
    pub fn runs(&self) -> impl Iterator<Item = FamilyRun<'_>> {
        let runs = self.samples.chunk_by(is_same_family);
        runs.filter_map(|samples| {
            Some(FamilyRun {
                family: samples.first()?.family,
                snapshot: self,
                samples,
            })
        })
    }

    /// Returns the samples of the family with this name. The snapshot must be sealed.
    #[must_use]
    pub fn family(&self, name: &str) -> Option<FamilyRun<'_>> {
        let start = self
            .samples
            .partition_point(|sample| sample.family.name < name);
        let rest = self.samples.get(start..)?;
        let samples = rest.chunk_by(is_same_family).next()?;
        let family = samples.first()?.family;
        (family.name == name).then_some(FamilyRun {
            family,
            snapshot: self,
            samples,
        })
    }

    const fn sample<'a>(&'a self, stored: &'a Stored) -> Sample<'a> {
        Sample {
            family: stored.family,
            value: &stored.value,
            snapshot: self,
            labels: &stored.labels,
        }
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
    let mut runs: Vec<(u128, &'static str, Range<usize>)> = Vec::new();
    let mut last: Option<&'static Descriptor> = None;
    for (at, sample) in samples.iter().enumerate() {
        match runs.last_mut() {
            Some((.., run)) if last.is_some_and(|last| std::ptr::eq(last, sample.family)) => {
                run.end = at + 1;
            }
            _ => runs.push((start_of(sample.family.name), sample.family.name, at..at + 1)),
        }
        last = Some(sample.family);
    }
    runs.sort_by(|left, right| left.0.cmp(&right.0).then_with(|| left.1.cmp(right.1)));
    let mut sorted = Vec::with_capacity(samples.len());
    let mut samples: Vec<Option<Stored>> = samples.into_iter().map(Some).collect();
    for (.., run) in runs {
        let of_run = samples.get_mut(run).unwrap_or_default();
        sorted.extend(of_run.iter_mut().filter_map(Option::take));
    }
    sorted
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
}
