//! Estimates how the keys of a namespace vanish, from the keys whose TTL is known. Pure.
//!
//! Few TTLs are known, because the server counts their queries as lookups. The keys among them that
//! are followed until their TTL ends show how many keys expire. The other vanished keys did not.

use super::Lifetime;
use super::interval::Interval;

/// Minimum number of known TTLs for a usable share.
const KNOWN_MIN: f64 = 20.0;

/// Number of known TTLs after which earlier ones count half.
const KNOWN_MAX: f64 = 300.0;

/// How a key vanished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Before its TTL had ended.
    Early,
    /// It had no TTL.
    Unlimited,
}

/// Shares of the vanished keys.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Shares {
    /// Vanished before their TTL had ended.
    pub(super) before_ttl: f64,
    /// Vanished after their TTL had ended.
    pub(super) after_ttl: f64,
    /// Had no TTL.
    pub(super) no_ttl: f64,
    /// The rest: their TTL is unknown.
    pub(super) unknown: f64,
}

impl Shares {
    const NONE: Self = Self {
        before_ttl: 0.0,
        after_ttl: 0.0,
        no_ttl: 0.0,
        unknown: 0.0,
    };
    const UNKNOWN: Self = Self {
        unknown: 1.0,
        ..Self::NONE
    };
}

impl End {
    /// Returns how a key vanished that was gone at this time; `None` if that is unknown. A key
    /// whose TTL has ended may have vanished before.
    pub(super) fn of(lifetime: Lifetime, at: f64) -> Option<Self> {
        match lifetime {
            Lifetime::Unlimited => Some(Self::Unlimited),
            Lifetime::Until(expiry) if expiry > at => Some(Self::Early),
            Lifetime::Unknown | Lifetime::Until(_) => None,
        }
    }

    /// Returns the shares of a single key.
    pub(super) const fn shares(self) -> Shares {
        match self {
            Self::Early => Shares {
                before_ttl: 1.0,
                ..Shares::NONE
            },
            Self::Unlimited => Shares {
                no_ttl: 1.0,
                ..Shares::NONE
            },
        }
    }
}

/// The keys of a namespace whose TTL is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Split {
    known: f64,
    without_ttl: f64,
    /// Keys that expired, each divided by the seconds within which it was expected to.
    expired_per_second: f64,
}

impl Split {
    /// Records a living key whose TTL is known.
    pub(super) fn note_known(&mut self, lifetime: Lifetime) {
        if self.known >= KNOWN_MAX {
            self.known /= 2.0;
            self.without_ttl /= 2.0;
            self.expired_per_second /= 2.0;
        }
        self.known += 1.0;
        self.without_ttl += f64::from(u8::from(lifetime == Lifetime::Unlimited));
    }

    /// Records that such a key was there until its TTL ended, and not after it.
    pub(super) fn note_expired(&mut self, per_second: f64) {
        self.expired_per_second += per_second;
    }

    /// Returns whether enough TTLs are known.
    pub(super) fn is_known(&self) -> bool {
        self.known >= KNOWN_MIN
    }

    /// Returns the share of the vanished keys that had not expired; `None` if it is unknown.
    pub(super) fn early(&self, interval: Interval) -> Option<f64> {
        let expiring = self.expired_per_second / self.known.max(1.0);
        let late = expiring / interval.gone_per_second().max(f64::MIN_POSITIVE);
        self.is_known().then_some(1.0 - late.min(1.0))
    }

    /// Returns the shares of all vanished keys of the namespace.
    pub(super) fn shares(&self, interval: Interval) -> Shares {
        let Some(early) = self.early(interval) else {
            return Shares::UNKNOWN;
        };
        let no_ttl = self.without_ttl / self.known;
        Shares {
            before_ttl: early * (1.0 - no_ttl),
            after_ttl: 1.0 - early,
            no_ttl: early * no_ttl,
            unknown: 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an interval in which a tenth of the keys vanishes in eight seconds.
    fn interval() -> Interval {
        let mut interval = Interval::default();
        (0..200).for_each(|check| interval.note(8.0, check % 10 == 0));
        interval
    }

    fn split(lifetime: Lifetime, known: u32) -> Split {
        let mut split = Split::default();
        (0..known).for_each(|_| split.note_known(lifetime));
        split
    }

    #[test]
    fn end_depends_on_the_known_expiry() {
        assert_eq!(End::of(Lifetime::Unknown, 5.0), None);
        assert_eq!(End::of(Lifetime::Unlimited, 5.0), Some(End::Unlimited));
        assert_eq!(End::of(Lifetime::Until(5.1), 5.0), Some(End::Early));
        assert_eq!(End::of(Lifetime::Until(5.0), 5.0), None);
    }

    #[test]
    fn few_known_keys_give_no_share() {
        let few = split(Lifetime::Until(1.0), 19);
        assert_eq!(few.early(interval()), None);
        assert_eq!(few.shares(interval()), Shares::UNKNOWN);
    }

    #[test]
    fn keys_that_do_not_expire_vanish_early() {
        let hour = split(Lifetime::Until(3_600.0), 20);
        assert_eq!(hour.early(interval()), Some(1.0));
        assert_eq!(hour.shares(interval()), End::Early.shares());
        let never = split(Lifetime::Unlimited, 20);
        assert_eq!(never.shares(interval()), End::Unlimited.shares());
    }

    #[test]
    fn expired_keys_are_subtracted() {
        // Five of 100 keys expired within eight seconds, and ten vanished.
        let mut split = split(Lifetime::Until(10.0), 100);
        (0..5).for_each(|_| split.note_expired(1.0 / 8.0));
        let early = split.early(interval()).unwrap();
        assert!((early - 0.5).abs() < 1e-6, "{early}");
        (0..50).for_each(|_| split.note_expired(1.0 / 8.0));
        assert_eq!(split.early(interval()), Some(0.0));
    }

    #[test]
    fn recent_keys_count_more() {
        let mut split = split(Lifetime::Until(10.0), 300);
        (0..30).for_each(|_| split.note_expired(1.0 / 8.0));
        (0..1_000).for_each(|_| split.note_known(Lifetime::Until(3_600.0)));
        let early = split.early(interval()).unwrap();
        assert!(early > 0.8, "{early}");
    }
}
