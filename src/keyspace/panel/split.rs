//! Estimates how the keys of a namespace vanish, from the keys whose TTL is known. Pure.
//!
//! Few TTLs are known, because the server counts their queries as lookups. The keys among them that
//! are followed until their TTL ends show how many keys expire. The other vanished keys did not.

use std::ops::Range;

use super::Lifetime;
use super::fit::Uncertain;
use super::interval::Interval;
use crate::keyspace::tally::Expiry;
use crate::number::to_float as float;

/// Minimum number of known TTLs for a usable share.
const KNOWN_MIN: f64 = 20.0;

/// Number of known TTLs up to which those of a namespace are queried first. With 20, the expiries are
/// only known to within a third or so.
const KNOWN_WELL: u32 = 100;

/// Number of known TTLs after which earlier ones count half.
const KNOWN_MAX: f64 = 300.0;

/// Number of keys followed until their TTL ended after which earlier ones count half.
const FOLLOWED_MAX: f64 = 60.0;

/// Minimum share of the expired keys that a check finds, by which their number is scaled.
const LASTING_MIN: f64 = 0.1;

/// Maximum share of expired keys. All may have expired, but a few known ones do not prove that.
const LATE_MAX: f64 = 0.98;

/// Minimum error of the number of known keys that expire soon. It applies if none was found.
const EXPIRING_ERROR: f64 = 0.5;

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

/// The shares of the keys of a namespace that expire in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ExpiryShares {
    /// All of them.
    pub(super) all: f64,
    /// Those that are not written again until the keys of the panel are checked. A check does not
    /// find the others.
    pub(super) lasting: Uncertain,
}

impl ExpiryShares {
    /// Returns the share of the expired keys that are not written again until the check.
    pub(super) fn share_lasting(self) -> f64 {
        if self.all > 0.0 {
            (self.lasting.number / self.all).clamp(LASTING_MIN, 1.0)
        } else {
            1.0
        }
    }
}

/// Number of keys that were followed, and those of them that were missing in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct FollowedKeys {
    keys: f64,
    missing: f64,
}

impl FollowedKeys {
    fn record(&mut self, is_missing: bool) {
        if self.keys >= FOLLOWED_MAX {
            self.keys /= 2.0;
            self.missing /= 2.0;
        }
        self.keys += 1.0;
        self.missing += f64::from(u8::from(is_missing));
    }

    /// Returns the share that was missing. Until some were followed, all are expected to be.
    fn share(self) -> Uncertain {
        let number = (self.missing + 1.0) / (self.keys + 1.0);
        Uncertain {
            number,
            variance: number * (1.0 - number) / (self.keys + 1.0),
        }
    }
}

/// The keys of a namespace whose TTL is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Split {
    known: f64,
    without_ttl: f64,
    /// Keys that expire soon, each divided by the seconds within which it does.
    expiring_per_second: f64,
    /// The sum of the squares, and the last of these parts of a key.
    expiring_squares: f64,
    per_second: f64,
    /// Sum of the known TTLs, in seconds.
    ttls: f64,
    /// Such keys that were followed until their TTL ended.
    followed: FollowedKeys,
    /// Others that were followed until the keys of the panel are checked.
    followed_longer: FollowedKeys,
}

impl Split {
    /// Records the TTL of a living key. It expires soon if its TTL is in this range of seconds.
    pub(super) fn learn(&mut self, expiry: Expiry, soon: &Range<f64>, per_second: f64) {
        if self.known >= KNOWN_MAX {
            self.known /= 2.0;
            self.without_ttl /= 2.0;
            self.expiring_per_second /= 2.0;
            self.expiring_squares /= 2.0;
            self.ttls /= 2.0;
        }
        self.known += 1.0;
        self.per_second = per_second;
        if let Expiry::In(milliseconds) = expiry {
            self.ttls += float(milliseconds) / 1e3;
        }
        match expiry {
            Expiry::Never => self.without_ttl += 1.0,
            Expiry::In(milliseconds) if soon.contains(&(float(milliseconds) / 1e3)) => {
                self.expiring_per_second += per_second;
                self.expiring_squares += per_second * per_second;
            }
            Expiry::In(_) => {}
        }
    }

    /// Records a key that was followed until its TTL ended: whether it was there until then, and
    /// not after it.
    pub(super) fn record_followed(&mut self, has_expired: bool) {
        self.followed.record(has_expired);
    }

    /// Records a key that was followed for longer: whether it was there until its TTL ended, and was
    /// not written again until then.
    pub(super) fn record_followed_longer(&mut self, is_missing: bool) {
        self.followed_longer.record(is_missing);
    }

    /// Returns how many TTLs are known, up to the number after which further ones would hardly change
    /// the shares.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    pub(super) fn known(&self) -> u32 {
        (self.known as u32).min(KNOWN_WELL)
    }

    /// Returns whether enough TTLs are known.
    pub(super) fn is_known(&self) -> bool {
        self.known >= KNOWN_MIN
    }

    /// Returns the shares of the keys that expire in a second; `None` if they are unknown.
    pub(super) fn expiring(&self) -> Option<ExpiryShares> {
        let known = self.known.max(1.0);
        let mean = self.expiring_per_second / known;
        // Keys with a TTL may expire soon even if none was found that does.
        let with_ttl = 1.0 - self.without_ttl / known;
        let least = EXPIRING_ERROR * self.per_second * with_ttl;
        let squares = self.expiring_squares.max(self.expected_squares());
        let variance = squares.max(least * least) / (known * known);
        let (at_once, later) = (self.followed.share(), self.followed_longer.share());
        // A key that is missing later has expired.
        let share = if at_once.number < later.number {
            at_once
        } else {
            later
        };
        self.is_known().then_some(ExpiryShares {
            all: mean * self.followed.share().number,
            lasting: Uncertain {
                number: mean * share.number,
                variance: variance * share.number.powi(2) + share.variance * mean * mean,
            },
        })
    }

    /// Returns the squares that are expected if keys are written at a steady rate with the same TTL,
    /// which is twice the mean of the remaining ones. If few keys that expire soon are known by
    /// chance, their number alone would make the estimate look certain.
    fn expected_squares(&self) -> f64 {
        let keys = self.known - self.without_ttl;
        let ttl = 2.0 * self.ttls / keys.max(1.0);
        let share = 1.0 / (self.per_second * ttl).max(1.0);
        keys.max(0.0) * share * self.per_second * self.per_second
    }

    /// Returns the share of the vanished keys that had not expired; `None` if it is unknown.
    fn early(&self, interval: Interval) -> Option<f64> {
        let late =
            self.expiring()?.lasting.number / interval.gone_per_second().max(f64::MIN_POSITIVE);
        Some(1.0 - late.min(LATE_MAX))
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
        (0..200).for_each(|check| interval.record(8.0, check % 10 == 0));
        interval
    }

    fn learn(split: &mut Split, expiry: Expiry, known: u32) {
        (0..known).for_each(|_| split.learn(expiry, &(1.0..9.0), 1.0 / 8.0));
    }

    fn split(expiry: Expiry, known: u32) -> Split {
        let mut split = Split::default();
        learn(&mut split, expiry, known);
        split
    }

    const HOUR: Expiry = Expiry::In(3_600_000);
    const SOON: Expiry = Expiry::In(5_000);

    #[test]
    fn end_depends_on_the_known_expiry() {
        assert_eq!(End::of(Lifetime::Unknown, 5.0), None);
        assert_eq!(End::of(Lifetime::Unlimited, 5.0), Some(End::Unlimited));
        assert_eq!(End::of(Lifetime::Until(5.1), 5.0), Some(End::Early));
        assert_eq!(End::of(Lifetime::Until(5.0), 5.0), None);
    }

    #[test]
    fn few_known_keys_give_no_share() {
        let few = split(SOON, 19);
        assert_eq!(few.early(interval()), None);
        assert_eq!(few.shares(interval()), Shares::UNKNOWN);
    }

    #[test]
    fn keys_that_do_not_expire_vanish_early() {
        let hour = split(HOUR, 20);
        assert_eq!(hour.early(interval()), Some(1.0));
        assert_eq!(hour.shares(interval()), End::Early.shares());
        let never = split(Expiry::Never, 20);
        assert_eq!(never.shares(interval()), End::Unlimited.shares());
    }

    #[test]
    fn expiring_keys_are_subtracted() {
        // Of 100 keys, five expire within eight seconds, and ten vanish.
        let mut split = split(HOUR, 95);
        learn(&mut split, SOON, 5);
        let early = split.early(interval()).unwrap();
        assert!((early - 0.5).abs() < 1e-6, "{early}");
        learn(&mut split, SOON, 50);
        let early = split.early(interval()).unwrap();
        assert!(early < 0.05, "{early}");
    }

    #[test]
    fn few_known_keys_that_expire_soon_are_no_certainty() {
        // Two of 20 keys with TTLs of up to 40 seconds should expire within eight.
        let error = |ttl| {
            let split = split(Expiry::In(ttl), 20);
            split.expiring().unwrap().lasting.variance.sqrt()
        };
        assert!(error(20_000) > 0.01, "{}", error(20_000));
        assert!(error(3_600_000) < 0.004, "{}", error(3_600_000));
    }

    #[test]
    fn renewed_keys_do_not_expire() {
        let mut split = split(SOON, 100);
        (0..50).for_each(|_| split.record_followed_longer(false));
        let early = split.early(interval()).unwrap();
        assert!(early > 0.7, "{early}");
    }

    #[test]
    fn keys_that_are_written_again_expire_but_are_not_missing() {
        let mut split = split(SOON, 100);
        (0..50).for_each(|_| split.record_followed(true));
        (0..50).for_each(|_| split.record_followed_longer(false));
        let expiries = split.expiring().unwrap();
        assert!(
            expiries.all > 10.0 * expiries.lasting.number,
            "{expiries:?}"
        );
    }

    #[test]
    fn recent_keys_count_more() {
        let mut split = split(SOON, 300);
        learn(&mut split, HOUR, 1_000);
        let early = split.early(interval()).unwrap();
        assert!(early > 0.5, "{early}");
    }
}
