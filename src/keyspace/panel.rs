//! Follows sampled keys for a short time to estimate which namespaces lose keys, and how. Pure.
//!
//! A sample is a run: the keys that one SCAN returns at a random cursor. A second SCAN of the same
//! part of the table shows which of them have vanished. It counts no lookup, leaves out keys whose
//! TTL has ended, and takes one command instead of one for each key.
//!
//! Each key represents a part of the keyspace during the time since the previous draw. It is
//! checked once and then leaves the panel: older keys are not a sample of the living ones.

mod attribution;
mod effort;
pub mod families;
mod fit;
mod interval;
mod reading;
#[cfg(test)]
mod simulation;
mod split;
mod totals;

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use super::NamespaceId;
use super::tally::Expiry;
use crate::number::{length, to_float as float};
use attribution::Block;
use effort::Effort;
use interval::Interval;
pub use reading::Reading;
use split::{End, Split};
use totals::Totals;

/// A database and a namespace.
pub type Place = (u32, NamespaceId);

/// Maximum number of keys in the panel.
const KEYS_MAX: usize = 8_000;

/// Maximum number of keys of one run. A SCAN with a large COUNT returns more.
const RUN_KEYS_MAX: usize = 1_000;

/// Maximum number of keys in the panel for each key of a small keyspace. More would only repeat the
/// same keys.
const REPEATED_MAX: usize = 4;

/// Maximum time that a draw represents, in seconds. What vanishes while the sweep is disconnected
/// is unknown.
const REPRESENTED_MAX: f64 = 20.0;

/// Time that the first draw represents, in seconds.
const REPRESENTED_FIRST: f64 = 1.0;

/// Keys are followed until their TTL ends if that is after this many seconds, and before that plus
/// this many times the age at which keys of the namespace are checked.
const EXPIRING_AFTER: f64 = 1.5;
const EXPIRING_AGES: f64 = 3.0;

/// Such keys are checked this many seconds before and after their TTL ends. Checks can be a second
/// late.
const BEFORE_EXPIRY: f64 = 1.3;
const AFTER_EXPIRY: f64 = 0.3;

/// Maximum delay of a check, in seconds.
const DELAY_MAX: f64 = 20.0;

/// The known expiry of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lifetime {
    /// Its TTL was not queried.
    Unknown,
    /// It has no TTL.
    Unlimited,
    /// It expires at this time, in seconds.
    Until(f64),
}

impl Lifetime {
    /// Returns the lifetime of a key whose TTL was queried at this time.
    #[must_use]
    pub fn of(expiry: Expiry, now: f64) -> Self {
        match expiry {
            Expiry::Never => Self::Unlimited,
            Expiry::In(milliseconds) => Self::Until(now + float(milliseconds) / 1e3),
        }
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

/// The keys found in a region.
#[derive(Clone, Debug)]
pub struct Drawn<'k> {
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
    since: f64,
    /// Number of keys that each represents, times the seconds for which it does.
    weight: f64,
    members: Vec<Member>,
}

/// A key that is followed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Member {
    /// Keyed hash of its name. Names are not kept.
    id: u64,
    namespace: NamespaceId,
    /// Age at which it is checked, in seconds.
    age: f64,
    purpose: Purpose,
}

/// Why a key is checked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Purpose {
    /// To count it if it has vanished.
    Count(Lifetime),
    /// To find out whether it is still there just before this time, at which its TTL ends.
    BeforeExpiry(f64, Expiring),
    /// To find out whether it has expired.
    AfterExpiry(Expiring),
}

/// One divided by the seconds within which keys are followed until their TTL ends.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Expiring(f64);

/// A checked key.
#[derive(Clone, Copy, Debug)]
enum Checked {
    Counted {
        place: Place,
        lifetime: Lifetime,
        weight: f64,
        since: f64,
        at: f64,
        is_gone: bool,
    },
    Expired(Place, Expiring),
}

/// Keys that are followed until they are checked.
#[derive(Debug, Default)]
pub struct Panel {
    hasher: RandomState,
    runs: Vec<Run>,
    /// Checked keys that count unless the data turn out to have been replaced before the check.
    unconfirmed: Vec<Checked>,
    intervals: BTreeMap<Place, Interval>,
    splits: BTreeMap<Place, Split>,
    totals: BTreeMap<Place, Totals>,
    block: Option<Block>,
    reading: Option<Reading>,
    effort: Effort,
    /// Time of the last draw.
    drawn: Option<f64>,
    /// Checked keys that still existed, and that did not.
    alive: u64,
    gone: u64,
    /// Whether the server's counts of evictions and expiries can be attributed now.
    knows_evicted: bool,
    knows_expired: bool,
    /// Whether a reading had the calls of commands.
    counts_calls: bool,
}

impl Member {
    /// Returns the check of a key just before its TTL ends, if that is soon.
    fn until_expiry(self, lifetime: Lifetime, now: f64) -> Option<Self> {
        let Lifetime::Until(expiry) = lifetime else {
            return None;
        };
        let (left, within) = (expiry - now, EXPIRING_AGES * self.age);
        let is_soon = (EXPIRING_AFTER..EXPIRING_AFTER + within).contains(&left);
        is_soon.then_some(Self {
            age: left - BEFORE_EXPIRY,
            purpose: Purpose::BeforeExpiry(expiry, Expiring(1.0 / within)),
            ..self
        })
    }
}

impl Panel {
    /// Returns how many runs to draw now, from this many keys, at up to `scans` SCANs per second.
    pub fn wanted(&mut self, now: f64, keys: u64, scans: f64) -> u32 {
        let members = self.runs.iter().map(|run| run.members.len()).sum::<usize>();
        let keys = usize::try_from(keys).unwrap_or(usize::MAX);
        let most = KEYS_MAX.min(keys.saturating_mul(REPEATED_MAX));
        let left = self.effort.earn(now, scans);
        if members >= most { 0 } else { left }
    }

    /// Records a SCAN that was sent for the panel.
    pub const fn note_scan(&mut self) {
        self.effort.spend();
    }

    /// Adds runs: a uniform sample of all keys, of which there are `keys`.
    pub fn draw(&mut self, now: f64, keys: u64, runs: &[Drawn<'_>]) {
        let drawn: usize = runs.iter().map(|run| run.keys.len()).sum();
        if drawn == 0 {
            return;
        }
        let since = self.drawn.map_or(REPRESENTED_FIRST, |drawn| now - drawn);
        self.drawn = Some(now);
        let weight = float(keys) * since.clamp(0.0, REPRESENTED_MAX) / length(drawn);
        for run in runs {
            let mut members = Vec::new();
            for (name, namespace, lifetime) in run.keys.iter().take(RUN_KEYS_MAX) {
                let place = (run.region.database, *namespace);
                let member = Member {
                    id: self.hasher.hash_one(name),
                    namespace: *namespace,
                    age: self.interval(place).age(),
                    purpose: Purpose::Count(*lifetime),
                };
                members.push(member);
                if *lifetime != Lifetime::Unknown {
                    self.splits.entry(place).or_default().note_known(*lifetime);
                }
                members.extend(member.until_expiry(*lifetime, now));
            }
            self.runs.push(Run {
                region: run.region,
                since: now,
                weight,
                members,
            });
        }
    }

    /// Returns whether enough TTLs of a place are known.
    #[must_use]
    pub fn knows_ttls(&self, place: Place) -> bool {
        self.splits.get(&place).is_some_and(Split::is_known)
    }

    fn interval(&self, place: Place) -> Interval {
        self.intervals.get(&place).copied().unwrap_or_default()
    }

    /// Removes the keys of one run that are to be checked now. Drops those that should have been
    /// checked long ago.
    pub fn take_due(&mut self, now: f64) -> Option<Run> {
        for run in &mut self.runs {
            let age = now - run.since;
            run.members.retain(|member| age <= member.age + DELAY_MAX);
        }
        self.runs.retain(|run| !run.members.is_empty());
        let is_due = |run: &Run, member: &Member| now - run.since >= member.age;
        let due = |run: &&mut Run| run.members.iter().any(|member| is_due(run, member));
        let run = self.runs.iter_mut().find(due)?;
        let (members, later) = run
            .members
            .iter()
            .partition(|member| now - run.since >= member.age);
        run.members = later;
        Some(Run { members, ..*run })
    }

    /// Records a check of the keys of a run: the names in its region now. It counts with the next
    /// reading of INFO, if that shows that the data were not replaced.
    pub fn note_checked(&mut self, now: f64, run: &Run, names: &[Vec<u8>]) {
        let ids = names
            .iter()
            .map(|name| self.hasher.hash_one(name.as_slice()));
        let ids: HashSet<u64> = ids.collect();
        let mut later = Vec::new();
        for member in &run.members {
            let place = (run.region.database, member.namespace);
            let is_gone = !ids.contains(&member.id);
            match member.purpose {
                Purpose::Count(lifetime) => self.unconfirmed.push(Checked::Counted {
                    place,
                    lifetime,
                    weight: run.weight,
                    since: run.since,
                    at: now,
                    is_gone,
                }),
                Purpose::BeforeExpiry(expiry, expiring) if !is_gone && now < expiry => {
                    later.push(Member {
                        age: expiry - run.since + AFTER_EXPIRY,
                        purpose: Purpose::AfterExpiry(expiring),
                        ..*member
                    });
                }
                Purpose::AfterExpiry(expiring) if is_gone => {
                    self.unconfirmed.push(Checked::Expired(place, expiring));
                }
                Purpose::BeforeExpiry(..) | Purpose::AfterExpiry(_) => {}
            }
        }
        if !later.is_empty() {
            self.runs.push(Run {
                members: later,
                ..*run
            });
        }
    }

    /// Returns whether the server counts calls of commands. Without them, a FLUSHALL looks like many
    /// deaths.
    #[must_use]
    pub const fn counts_calls(&self) -> bool {
        self.counts_calls
    }

    /// Records a reading of INFO. The checks before it count now. A reading without the calls of
    /// commands attributes nothing yet.
    pub fn observe(&mut self, now: f64, reading: Reading) {
        for checked in std::mem::take(&mut self.unconfirmed) {
            self.confirm(checked);
        }
        self.knows_evicted &= reading.counts_evicted();
        self.knows_expired &= reading.counts_expired();
        let has_calls = reading.counts_calls();
        self.counts_calls |= has_calls;
        let reading = reading.with_calls_of(self.reading);
        let before = self.reading.replace(reading);
        let Some(removals) = before.map(|before| before.until(reading)) else {
            return;
        };
        let mut block = self.block.take().unwrap_or_else(|| Block::new(now));
        block.add(removals);
        if has_calls && block.is_ready(now) {
            self.settle(&block, now);
        } else {
            self.block = Some(block);
        }
    }

    fn confirm(&mut self, checked: Checked) {
        let (place, lifetime, weight, since, at, is_gone) = match checked {
            Checked::Expired(place, Expiring(per_second)) => {
                self.splits
                    .entry(place)
                    .or_default()
                    .note_expired(per_second);
                return;
            }
            Checked::Counted {
                place,
                lifetime,
                weight,
                since,
                at,
                is_gone,
            } => (place, lifetime, weight, since, at, is_gone),
        };
        let seconds = (at - since).max(f64::MIN_POSITIVE);
        let interval = self.intervals.entry(place).or_default();
        interval.note(seconds, is_gone);
        let interval = *interval;
        if self.totals.is_empty() {
            self.knows_evicted = true;
            self.knows_expired = true;
        }
        let totals = self.totals.entry(place).or_default();
        if !is_gone {
            self.alive += 1;
            return;
        }
        self.gone += 1;
        let split = self.splits.entry(place).or_default();
        let end = End::of(lifetime, at);
        if let Lifetime::Until(expiry) = lifetime
            && end == Some(End::Early)
        {
            totals.note_lost_ttl(expiry - f64::midpoint(since, at));
        }
        let keys = weight / seconds;
        totals.note_vanished(
            keys,
            end.map_or_else(|| split.shares(interval), End::shares),
        );
        if let Some(block) = &mut self.block {
            block.note_vanished(place, keys);
        }
    }

    /// Attributes what the server has counted since the last time.
    fn settle(&mut self, block: &Block, now: f64) {
        let early = |place: Place| self.splits.get(&place)?.early(self.interval(place));
        let mut attributed = attribution::attribute(block, now, early);
        self.knows_evicted = attributed.knows_evicted;
        self.knows_expired = attributed.knows_expired;
        for (place, totals) in &mut self.totals {
            let found = attributed.places.remove(place);
            // No key of the place was seen to vanish.
            let (evicted, expired) = found.unwrap_or((Some(0.0), Some(0.0)));
            totals.note_attributed(evicted, expired);
        }
        self.block = Some(attributed.next);
    }

    /// Drops all keys, because the data were replaced. Nothing that happened since the last reading
    /// counts.
    pub fn forget(&mut self) {
        self.runs.clear();
        self.unconfirmed.clear();
        self.splits.clear();
        self.intervals.clear();
        self.block = None;
        self.reading = None;
        self.drawn = None;
    }

    /// Returns whether there is nothing to forget.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.unconfirmed.is_empty()
    }

    /// Drops the counts of namespaces that have no series any more.
    pub fn retain(&mut self, is_shown: impl Fn(NamespaceId) -> bool) {
        self.intervals.retain(|(_, name), _| is_shown(*name));
        self.splits.retain(|(_, name), _| is_shown(*name));
        self.totals.retain(|(_, name), _| is_shown(*name));
    }
}

#[cfg(test)]
mod tests;
