//! Draws a uniform sample of the keys of a pass, for suggestions only.
//!
//! It contains at most 200,000 names of at most 512 bytes each, with 40 bytes of overhead per name.
//! That is 110 MB if all names are that long, and about 20 MB with names of usual length.

use std::time::Duration;

use super::suggest::{KeyUse, MeasuredUse, ObservedTtl, SampledKey};
use crate::keyspace::idle::{IdleSample, LruHorizon};
use crate::keyspace::sweep::KeyDetails;
use crate::keyspace::tally::Expiry;
use crate::number::to_float;

/// Maximum number of names.
pub const NAMES_MAX: usize = 200_000;

/// Maximum length of a name, in bytes. Longer names are truncated.
pub const NAME_BYTES_MAX: usize = 512;

/// Names with their TTLs.
#[derive(Clone, Debug, Default)]
pub struct NamedSample {
    keys: Vec<(Box<[u8]>, ObservedTtl)>,
    seen: u64,
    /// Names with idle seconds and bytes. A pass samples at most a thousand.
    idle: Vec<(Box<[u8]>, f64, Option<f64>)>,
}

impl NamedSample {
    /// Offers a key. Every key has the same chance to be in the final sample. `random` returns a
    /// number below its argument. Ignores keys that no longer exist.
    pub fn see(&mut self, name: &[u8], found: &KeyDetails, random: impl FnOnce(u64) -> u64) {
        if found.is_gone {
            return;
        }
        self.seen += 1;
        if self.keys.len() < NAMES_MAX {
            self.keys.push(entry(name, found));
            return;
        }
        let place = usize::try_from(random(self.seen)).unwrap_or(usize::MAX);
        if let Some(kept) = self.keys.get_mut(place) {
            *kept = entry(name, found);
        }
    }

    /// Returns the sampled keys.
    #[must_use]
    pub fn keys(&self) -> &[(Box<[u8]>, ObservedTtl)] {
        &self.keys
    }

    /// Adds keys with their idle times.
    pub fn see_idle(&mut self, keys: &[(&[u8], IdleSample)]) {
        let kept = keys.iter().map(|(name, sample)| {
            let name = name.get(..NAME_BYTES_MAX).unwrap_or(name);
            (name.into(), sample.idle, sample.bytes.map(to_float))
        });
        self.idle.extend(kept);
    }

    /// Returns the idle times in the form that suggestions need, limited to what is known.
    #[must_use]
    pub fn measured_use(&self, longest_known: f64, horizon: Option<LruHorizon>) -> MeasuredUse<'_> {
        let keys = self.idle.iter().map(|(name, idle, bytes)| KeyUse {
            name,
            idle: idle.min(longest_known),
            bytes: *bytes,
        });
        MeasuredUse {
            keys: keys.collect(),
            longest_known,
            horizon,
        }
    }

    /// Returns the sampled keys in the form that suggestions need.
    pub fn sampled(&self) -> impl Iterator<Item = SampledKey<'_>> {
        self.keys
            .iter()
            .map(|(name, ttl)| SampledKey { name, ttl: *ttl })
    }
}

fn entry(name: &[u8], found: &KeyDetails) -> (Box<[u8]>, ObservedTtl) {
    let kept = name.get(..NAME_BYTES_MAX).unwrap_or(name);
    let ttl = match found.details.expiry {
        None => ObservedTtl::Unknown,
        Some(Expiry::Never) => ObservedTtl::Never,
        Some(Expiry::In(left)) => ObservedTtl::Remaining(Duration::from_millis(left)),
    };
    (kept.into(), ttl)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(is_gone: bool) -> KeyDetails {
        KeyDetails {
            is_gone,
            ..KeyDetails::default()
        }
    }

    #[test]
    fn sample_size_and_name_length_are_bounded() {
        let mut sample = NamedSample::default();
        sample.see(&[b'k'; 1_000], &found(false), |_| 0);
        for number in 0..NAMES_MAX {
            sample.see(number.to_string().as_bytes(), &found(false), |_| 1);
        }
        assert_eq!(sample.keys().len(), NAMES_MAX);
        assert_eq!(sample.keys()[0].0.len(), NAME_BYTES_MAX);
        // The last key replaced the key at the random position.
        assert_eq!(*sample.keys()[1].0, *(NAMES_MAX - 1).to_string().as_bytes());
    }

    #[test]
    fn late_keys_have_the_same_chance() {
        let mut sample = NamedSample::default();
        for _ in 0..NAMES_MAX {
            sample.see(b"early", &found(false), |_| 0);
        }
        let mut below = Vec::new();
        for _ in 0..2 {
            sample.see(b"late", &found(false), |most| {
                below.push(most);
                most - 1
            });
        }
        let full = NAMES_MAX as u64;
        assert_eq!(below, [full + 1, full + 2]);
        assert!(sample.keys().iter().all(|(name, _)| **name == *b"early"));
    }

    #[test]
    fn vanished_keys_are_not_sampled() {
        let mut sample = NamedSample::default();
        sample.see(b"gone", &found(true), |_| 0);
        assert!(sample.keys().is_empty());
    }
}
