//! Keeps the TTLs and types of the keys queried last, across passes. Pure.
//!
//! Lookups are few, so those of a single pass prove little. They stay a sample as long as the
//! namespace is used in the same way, and are forgotten with the database.

use std::collections::{BTreeMap, VecDeque};

use super::NamespaceId;
use super::tally::{DataType, Details, Expiry, Tally};
use crate::config::TtlPolicy;

/// Maximum number of keys to keep per namespace.
const KEPT_MAX: usize = 256;

/// The same for a namespace with a TTL policy, which only a few keys may violate.
const KEPT_FOR_POLICY_MAX: usize = 1_024;

/// The last lookups of each namespace of one database.
#[derive(Clone, Debug, Default)]
pub struct Kept(BTreeMap<NamespaceId, LastLookups>);

#[derive(Clone, Debug, Default)]
struct LastLookups {
    policy: TtlPolicy,
    details: VecDeque<KeptDetails>,
}

/// The TTL and the type of a key in one number: the TTL in milliseconds, times [`TYPES`], and the place
/// of the type.
#[derive(Clone, Copy, Debug)]
struct KeptDetails(u64);

/// The number of types, with an unknown one.
const TYPES: u64 = 8;

/// More than any TTL.
const UNKNOWN: u64 = u64::MAX / TYPES;
const NEVER: u64 = UNKNOWN - 1;
const LONGEST: u64 = NEVER - 1;

impl KeptDetails {
    fn of(details: Details) -> Self {
        let ttl = match details.expiry {
            None => UNKNOWN,
            Some(Expiry::Never) => NEVER,
            Some(Expiry::In(milliseconds)) => milliseconds.min(LONGEST),
        };
        let mut types = (0..).zip(DataType::ALL);
        let known = types.find(|(_, data_type)| Some(*data_type) == details.data_type);
        let place = known.map_or(TYPES - 1, |(place, _)| place);
        Self(ttl * TYPES + place)
    }

    fn details(self) -> Details {
        let mut types = (0..).zip(DataType::ALL);
        let known = types.find(|(place, _)| *place == self.0 % TYPES);
        Details {
            memory: None,
            expiry: match self.0 / TYPES {
                UNKNOWN => None,
                NEVER => Some(Expiry::Never),
                milliseconds => Some(Expiry::In(milliseconds)),
            },
            data_type: known.map(|(_, data_type)| data_type),
        }
    }
}

impl Kept {
    /// Keeps the result of a lookup.
    pub fn keep(&mut self, namespace: NamespaceId, details: Details, policy: TtlPolicy) {
        if details.expiry.is_none() && details.data_type.is_none() {
            return;
        }
        let kept = self.0.entry(namespace).or_default();
        kept.policy = policy;
        let most = if policy.required || policy.max.is_some() {
            KEPT_FOR_POLICY_MAX
        } else {
            KEPT_MAX
        };
        if kept.details.len() >= most {
            kept.details.pop_front();
        }
        kept.details.push_back(KeptDetails::of(details));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Replaces the TTLs and types of a tally with the kept ones if these cover more keys, unless
    /// the tally covers all of its keys.
    pub fn fill(&self, namespace: NamespaceId, tally: &mut Tally) {
        let Some(kept) = self.0.get(&namespace) else {
            return;
        };
        let present = tally.keys.saturating_sub(tally.vanished);
        let mut known = Tally::default();
        for details in &kept.details {
            known.learn(details.details(), kept.policy);
        }
        if tally.expiry.count < known.expiry.count.min(present) {
            tally.expiry = known.expiry.clone();
        }
        if tally.typed() < known.typed().min(present) {
            tally.types = known.types;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMESPACE: NamespaceId = NamespaceId(1);

    fn details(expiry: Expiry) -> Details {
        Details {
            memory: Some(50),
            expiry: Some(expiry),
            data_type: Some(DataType::Hash),
        }
    }

    #[test]
    fn kept_details_read_back() {
        let expiries = [
            None,
            Some(Expiry::Never),
            Some(Expiry::In(0)),
            Some(Expiry::In(LONGEST)),
        ];
        let types = DataType::ALL.into_iter().map(Some).chain([None]);
        for (data_type, expiry) in types.flat_map(|one| expiries.map(|expiry| (one, expiry))) {
            let details = Details {
                memory: None,
                expiry,
                data_type,
            };
            assert_eq!(KeptDetails::of(details).details(), details);
        }
        let longer = Details {
            expiry: Some(Expiry::In(u64::MAX)),
            ..Details::default()
        };
        let kept = KeptDetails::of(longer).details();
        assert_eq!(kept.expiry, Some(Expiry::In(LONGEST)));
    }

    #[test]
    fn lookups_of_earlier_passes_fill_an_empty_tally() {
        let mut kept = Kept::default();
        for at in 0..1_000 {
            let expiry = if at % 4 == 0 {
                Expiry::Never
            } else {
                Expiry::In(9)
            };
            kept.keep(NAMESPACE, details(expiry), TtlPolicy::default());
        }
        let mut tally = Tally {
            keys: 5_000,
            ..Tally::default()
        };
        kept.fill(NAMESPACE, &mut tally);
        assert_eq!(tally.expiry.count, 256);
        assert_eq!(tally.expiry.without_ttl, 64);
        assert_eq!((tally.typed(), tally.memory.count), (256, 0));
        kept.clear();
        let mut tally = Tally::default();
        kept.fill(NAMESPACE, &mut tally);
        assert_eq!(tally, Tally::default());
    }

    #[test]
    fn complete_tally_is_unchanged() {
        let mut kept = Kept::default();
        for _ in 0..10 {
            kept.keep(NAMESPACE, details(Expiry::Never), TtlPolicy::default());
        }
        let mut tally = Tally::default();
        tally.see(details(Expiry::In(7)), TtlPolicy::default());
        let before = tally.clone();
        kept.fill(NAMESPACE, &mut tally);
        assert_eq!(tally, before);
    }
}
