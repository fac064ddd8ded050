//! The sampled idle time of a key. Pure.

use crate::keyspace::panel::NamespacePlace;

/// The idle time of a key, in whole seconds, with its details.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IdleSample {
    /// Its database and namespace.
    pub place: NamespacePlace,
    /// Seconds since it was last used.
    pub idle: f64,
    /// Its memory in bytes, if it was queried.
    pub bytes: Option<u64>,
    /// Whether it has a TTL, if that was queried.
    pub has_ttl: Option<bool>,
}

/// A sample with the time when it was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Taken {
    pub(super) at: f64,
    pub(super) sample: IdleSample,
}

/// The same in little memory. A target keeps thousands.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackedSample {
    pub(super) at: f64,
    pub(super) place: NamespacePlace,
    /// [`UNKNOWN`] if it was not queried.
    bytes: u64,
    /// Single precision is exact to a second for half a year.
    idle: f32,
    has_ttl: Option<bool>,
}

/// More than the memory of any key.
const UNKNOWN: u64 = u64::MAX;

impl From<Taken> for PackedSample {
    #[expect(clippy::cast_possible_truncation, reason = "see `idle`")]
    fn from(Taken { at, sample }: Taken) -> Self {
        Self {
            at,
            place: sample.place,
            bytes: sample.bytes.unwrap_or(UNKNOWN),
            idle: sample.idle as f32,
            has_ttl: sample.has_ttl,
        }
    }
}

impl From<PackedSample> for Taken {
    fn from(packed: PackedSample) -> Self {
        Self {
            at: packed.at,
            sample: IdleSample {
                place: packed.place,
                idle: packed.idle.into(),
                bytes: Some(packed.bytes).filter(|bytes| *bytes != UNKNOWN),
                has_ttl: packed.has_ttl,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::NamespaceId;

    #[test]
    fn samples_read_back() {
        for (bytes, has_ttl) in [(None, None), (Some(0), Some(false)), (Some(56), Some(true))] {
            let sample = IdleSample {
                place: (3, NamespaceId::OTHER),
                idle: 15_000_000.0,
                bytes,
                has_ttl,
            };
            let taken = Taken { at: 1.5, sample };
            assert_eq!(Taken::from(PackedSample::from(taken)), taken);
        }
        assert_eq!(size_of::<PackedSample>(), 32);
    }
}
