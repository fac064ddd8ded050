//! The keys of a part of a hash table, which are drawn and checked together. Pure.

use super::members::Members;
use crate::keyspace::NamespaceId;
use crate::keyspace::tally::Expiry;
use crate::number::to_float as float;

/// Keys are followed until their TTL ends if that is after this many seconds, and before that plus
/// this many times the age at which keys of the namespace are checked.
const EXPIRING_AFTER: f64 = 1.5;
const EXPIRING_AGES: f64 = 3.0;

/// One in this many of them is followed, because that takes two SCANs.
const EXPIRING_ONE_IN: u32 = 3;

/// Such keys are checked this many seconds before and after their TTL ends. Checks can be a second
/// late.
const BEFORE_EXPIRY: SinceDraw = 1.3;
const AFTER_EXPIRY: SinceDraw = 0.3;

/// One in this many of the followed keys is not checked at once, but when a check of the panel would
/// find it missing: at a random time up to the usual age.
const LATER_ONE_IN: u32 = 2;

/// Maximum delay of a check, in seconds.
const DELAY_MAX: f64 = 20.0;

/// The known expiry of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lifetime<Time = f64> {
    /// Its TTL was not queried.
    Unknown,
    /// It has no TTL.
    Unlimited,
    /// It expires at this time, in seconds.
    Until(Time),
}

/// A time in seconds since the keys of a run were drawn. Single precision keeps thousands of keys
/// small. It is exact to a millisecond for the minute in which a key is followed.
pub(super) type SinceDraw = f32;

impl Lifetime {
    /// Returns the lifetime of a key whose TTL was queried at this time.
    #[must_use]
    pub fn of(expiry: Expiry, now: f64) -> Self {
        match expiry {
            Expiry::Never => Self::Unlimited,
            Expiry::In(milliseconds) => Self::Until(now + float(milliseconds) / 1e3),
        }
    }

    /// Returns whether the TTL is known to have ended by this time.
    #[must_use]
    pub fn ended_by(self, time: f64) -> bool {
        matches!(self, Self::Until(expiry) if expiry <= time)
    }
}

/// A part of a hash table, from one cursor of SCAN up to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The database.
    pub database: u32,
    /// The first cursor.
    pub start: u64,
    /// The cursor after the last; 0 for the end of the table.
    pub end: u64,
}

impl Region {
    /// Returns whether this is the whole table.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.start == 0 && self.end == 0
    }

    /// Returns whether a SCAN at this cursor is still within the region. Cursors count in reversed
    /// bits.
    #[must_use]
    pub const fn has_more(self, cursor: u64) -> bool {
        cursor != 0 && (self.end == 0 || cursor.reverse_bits() < self.end.reverse_bits())
    }
}

/// Returns the number of cursors at which a draw from this many keys may start.
///
/// A table that grows has two parts, and the smaller one has as few as an eighth of these buckets.
/// A cursor with more bits than that part returns keys which are before it once the table has
/// grown, so a check would not find them.
#[must_use]
pub const fn starts(keys: u64) -> u64 {
    let buckets = match keys.checked_next_power_of_two() {
        Some(buckets) => buckets,
        None => u64::MAX,
    };
    let starts = buckets / 8;
    if starts == 0 { 1 } else { starts }
}

/// The keys found in a region.
#[derive(Clone, Debug)]
pub struct Drawn<'k> {
    /// Time before the SCAN that found them, in seconds.
    pub at: f64,
    /// The part of the table with these keys.
    pub region: Region,
    /// Each key with its namespace and its known expiry.
    pub keys: Vec<(&'k [u8], NamespaceId, Lifetime)>,
}

/// Keys of a region that are followed.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The part of the table with these keys.
    pub region: Region,
    pub(super) since: f64,
    /// Number of keys that each represents, times the seconds for which it does.
    pub(super) weight: f64,
    pub(super) members: Members,
}

/// A key that is followed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Member {
    /// Keyed hash of its name. Names are not kept.
    pub(super) id: u32,
    pub(super) namespace: NamespaceId,
    /// When it is checked.
    pub(super) age: SinceDraw,
    pub(super) purpose: Purpose,
}

/// Why a key is checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Purpose {
    /// To count it if it has vanished.
    Count(Lifetime<SinceDraw>),
    /// To find out whether it is still there just before this time, at which its TTL ends.
    BeforeExpiry(SinceDraw),
    /// To find out whether it has expired.
    AfterExpiry,
    /// To find out whether it has expired and was not written again.
    LaterAfterExpiry,
    /// To find out whether its TTL, which ended at this time, was renewed.
    Renewal(SinceDraw),
}

/// The TTLs of keys that expire soon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Expiring {
    /// Difference of the longest and the shortest of them, in seconds.
    within: f64,
}

impl Expiring {
    /// Returns the range of a namespace whose keys are checked at this age.
    pub(super) const fn of(age: f64) -> Self {
        Self {
            within: EXPIRING_AGES * age,
        }
    }

    pub(super) fn range(self) -> std::ops::Range<f64> {
        EXPIRING_AFTER..EXPIRING_AFTER + self.within
    }

    /// Returns how many keys expire per second for each of these keys.
    pub(super) const fn per_second(self) -> f64 {
        1.0 / self.within
    }
}

impl Run {
    /// Returns whether a key is to be checked by now.
    pub(super) fn is_due(&self, now: f64) -> bool {
        let seconds = now - self.since;
        self.members.are_due(seconds)
    }

    /// Removes the keys that are to be checked now. Drops those that should have been checked long
    /// ago.
    pub(super) fn take_due(&mut self, now: f64) -> Self {
        let seconds = now - self.since;
        let members = std::mem::take(&mut self.members);
        let (mut due, later): (Vec<Member>, Vec<Member>) =
            members.iter().partition(|member| member.is_due(seconds));
        due.retain(|member| seconds <= f64::from(member.age) + DELAY_MAX);
        self.members = later.into_iter().collect();
        Self {
            members: due.into_iter().collect(),
            ..*self
        }
    }
}

impl Member {
    /// Returns whether it is to be checked once this many seconds have passed since the draw.
    pub(super) fn is_due(&self, seconds: f64) -> bool {
        seconds >= f64::from(self.age)
    }

    /// Returns how a followed key is checked after its TTL has ended.
    pub(super) const fn purpose_after_expiry(self) -> Purpose {
        if (self.id / EXPIRING_ONE_IN).is_multiple_of(LATER_ONE_IN) {
            Purpose::LaterAfterExpiry
        } else {
            Purpose::AfterExpiry
        }
    }

    /// Returns the check of a key that was still there just before this time, at which its TTL ends.
    /// `age` is the age at which keys of its namespace are checked: such a check finds keys that have
    /// expired at any time in between.
    #[expect(clippy::cast_precision_loss, reason = "the number is small")]
    pub(super) fn after_expiry(self, expiry: SinceDraw, age: SinceDraw) -> Self {
        let purpose = self.purpose_after_expiry();
        let part = (self.id / (EXPIRING_ONE_IN * LATER_ONE_IN) % 1_000) as SinceDraw / 1_000.0;
        let delay = match purpose {
            Purpose::LaterAfterExpiry => (part * age).max(AFTER_EXPIRY),
            _ => AFTER_EXPIRY,
        };
        Self {
            age: expiry + delay,
            purpose,
            ..self
        }
    }

    /// Returns the check of a key just before its TTL ends, if that is soon. Checks may be later than
    /// usual by `delay`.
    pub(super) fn until_expiry(
        self,
        lifetime: Lifetime<SinceDraw>,
        delay: SinceDraw,
    ) -> Option<Self> {
        let Lifetime::Until(expiry) = lifetime else {
            return None;
        };
        let is_soon = Expiring::of(self.age.into())
            .range()
            .contains(&expiry.into());
        let is_chosen = self.id.is_multiple_of(EXPIRING_ONE_IN);
        (is_soon && is_chosen).then_some(Self {
            age: expiry - BEFORE_EXPIRY - delay,
            purpose: Purpose::BeforeExpiry(expiry),
            ..self
        })
    }
}

impl Lifetime {
    /// Returns the lifetime with a time since this draw.
    #[expect(clippy::cast_possible_truncation, reason = "see `SinceDraw`")]
    pub(super) fn since(self, drawn: f64) -> Lifetime<SinceDraw> {
        match self {
            Self::Unknown => Lifetime::Unknown,
            Self::Unlimited => Lifetime::Unlimited,
            Self::Until(expiry) => Lifetime::Until((expiry - drawn) as SinceDraw),
        }
    }
}

impl Lifetime<SinceDraw> {
    /// Returns the lifetime of a key that was drawn at this time.
    pub(super) fn from(self, drawn: f64) -> Lifetime {
        match self {
            Self::Unknown => Lifetime::Unknown,
            Self::Unlimited => Lifetime::Unlimited,
            Self::Until(expiry) => Lifetime::Until(drawn + f64::from(expiry)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::starts;

    #[test]
    fn draws_start_at_cursors_of_a_smaller_table() {
        assert_eq!([0, 1, 9, 20_000].map(starts), [1, 1, 2, 4_096]);
        assert_eq!(starts(u64::MAX), u64::MAX / 8);
    }
}
