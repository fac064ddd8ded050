//! Numbers of the largest namespaces at a few times. Pure.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::metric::{Sample, Snapshot};

/// Maximum number of remembered namespaces: those with the largest numbers.
pub(super) const NAMESPACES_MAX: usize = 32;

/// The numbers of namespaces at one time. A name is a hash, because names have no maximum length.
#[derive(Clone, Debug)]
pub(super) struct RingPoint {
    /// The time, in seconds since the epoch.
    pub(super) at: f64,
    numbers: Vec<(u64, f64)>,
}

impl RingPoint {
    /// Returns the number of the namespace with this digest.
    pub(super) fn number(&self, wanted: u64) -> Option<f64> {
        let known = self.numbers.iter().find(|(known, _)| *known == wanted);
        known.map(|(_, number)| *number)
    }
}

/// The newest points.
#[derive(Clone, Debug, Default)]
pub(super) struct NamespaceRing<const POINTS: usize>(VecDeque<RingPoint>);

impl<const POINTS: usize> NamespaceRing<POINTS> {
    /// Returns whether a point is due. Forgets everything if the clock was set back.
    pub(super) fn is_due(&mut self, at: f64, step: f64) -> bool {
        let last = self.0.back().map(|point| point.at);
        if last.is_some_and(|last| at < last) {
            self.0.clear();
        }
        self.0.back().is_none_or(|point| at >= point.at + step)
    }

    /// Adds a point.
    pub(super) fn push(&mut self, at: f64, numbers: Vec<(u64, f64)>) {
        if self.0.len() >= POINTS {
            self.0.pop_front();
        }
        self.0.push_back(RingPoint { at, numbers });
    }

    /// Forgets the numbers of all other namespaces.
    pub(super) fn keep(&mut self, known: &HashSet<u64>) {
        for point in &mut self.0 {
            point.numbers.retain(|(digest, _)| known.contains(digest));
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Yields the points, the oldest first.
    pub(super) fn points(&self) -> impl DoubleEndedIterator<Item = &RingPoint> {
        self.0.iter()
    }

    /// Returns the largest size of the points, with what an allocation needs.
    #[cfg(test)]
    pub(super) const fn bytes_max() -> usize {
        let of_point = NAMESPACES_MAX * size_of::<(u64, f64)>() + 16;
        POINTS * of_point + POINTS.next_power_of_two() * size_of::<RingPoint>()
    }
}

/// Returns the digest of a namespace in a database, such as `db0`.
pub(super) fn digest(database: &str, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (database, name).hash(&mut hasher);
    hasher.finish()
}

/// Yields the samples of a family with the digests of their namespaces.
fn samples<'a>(
    snapshot: &'a Snapshot,
    family: &str,
) -> impl Iterator<Item = (u64, Sample<'a>)> + use<'a> {
    let run = snapshot.family(family).into_iter();
    run.flat_map(|run| run.samples()).filter_map(|sample| {
        let [database, name] = [sample.label("db")?, sample.label("key_namespace")?];
        Some((digest(database, name), sample))
    })
}

/// Returns the digests of the namespaces that have a number.
pub(super) fn known_namespaces(snapshot: &Snapshot, family: &str) -> HashSet<u64> {
    let known = samples(snapshot, family).filter(|(_, sample)| sample.number().is_some());
    known.map(|(digest, _)| digest).collect()
}

/// Returns the largest numbers of a family, with the digests of their namespaces.
pub(super) fn largest_namespaces(snapshot: &Snapshot, family: &str) -> Vec<(u64, f64)> {
    let numbers = samples(snapshot, family);
    let numbers = numbers.filter_map(|(digest, sample)| Some((digest, sample.number()?)));
    let mut numbers: Vec<(u64, f64)> = numbers.collect();
    numbers.sort_by(|one, other| other.1.total_cmp(&one.1));
    numbers.truncate(NAMESPACES_MAX);
    numbers.shrink_to_fit();
    numbers
}
