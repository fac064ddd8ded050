//! Follows all keys in a few parts of the hash table, to find out whether evicted keys are written
//! again, and when. Pure.
//!
//! A key that is evicted is called a ghost until it is written again. Ghosts that return soon show
//! the hits that more memory would have given. Parts of the table are random samples of all names,
//! also of those that have no key now.

mod returns;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};

use super::name_hasher::NameHasher;
use super::panel::{Lifetime, Region};
use crate::number::{length, to_count};
pub use returns::{Ghost, GhostEnd, share_returned};

/// Number of times the residence for which a part of the table is followed. The residence is the
/// time for which a key is there on average.
const LIFE: f64 = 12.0;

/// Number of times the residence for which a ghost is followed. With twice the memory, keys stay
/// about twice as long.
const FOLLOWED: f64 = 4.0;

/// Time between two scans of a part, in residences and at least in seconds. Keys that are evicted
/// and written again in between are not seen.
const EVERY: f64 = 0.1;
const EVERY_MIN: f64 = 1.0;

/// Maximum time between two scans, in residences.
const EVERY_MAX: f64 = 0.3;

/// Share of the interval by which a scan may be early, because the sweep checks once a second.
const EARLY: f64 = 0.3;

/// Maximum number of parts.
const PARTS_MAX: usize = 8;

/// Intended number of keys of a part. Of more, a random share is followed.
const KEYS_OF_PART: usize = 60;

/// Maximum number of keys and ghosts of a part.
const KEYS_MAX: usize = 2_000;

/// Maximum number of ghosts to remember whose end is known, and of scans. Eight parts have up to
/// 6,000 ghosts while they are followed.
const GHOSTS_MAX: usize = 8_192;
const SCANS_MAX: usize = 4_096;

/// Weight of a ghost that was missing in a single scan: as many ghosts again came back within one
/// interval as half of them, and were not seen.
const WEIGHT_OF_SHORT: f64 = 1.5;

/// Tolerance for times of expiry, in seconds.
const TOLERANCE: f64 = 1.5;

/// A key or a ghost in a part of the table.
#[derive(Clone, Copy, Debug)]
enum Entry {
    /// The key is there, with this lifetime, which was read at this time.
    Here(Lifetime, f64),
    /// The key was evicted at about this time, would have lived until then, and was missing in this
    /// many scans.
    Gone {
        died: f64,
        until: Option<f64>,
        scans: u32,
    },
}

/// A part of the table that is scanned repeatedly.
#[derive(Debug)]
struct TablePart {
    region: Region,
    since: f64,
    scanned: f64,
    /// One in this many keys is followed, by the hash of its name.
    one_in: u64,
    entries: HashMap<u64, Entry>,
}

/// The changes between two scans.
#[derive(Clone, Copy, Debug)]
struct Scan {
    at: f64,
    /// Number of keys, times the seconds since the scan before.
    key_seconds: f64,
    written: f64,
    removed: f64,
}

/// How often keys are written and removed, in the parts that are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KeyTurnover {
    /// Number of keys, times the seconds for which they were followed.
    pub key_seconds: f64,
    /// Keys that were not there before.
    pub written: f64,
    /// Keys that were there before.
    pub removed: f64,
}

/// The parts of the table that are followed, and the ghosts found there.
#[derive(Debug, Default)]
pub struct Ghosts {
    hasher: NameHasher,
    parts: Vec<TablePart>,
    ended: Vec<Ghost>,
    scans: VecDeque<Scan>,
    /// Average time for which a key is there, in seconds.
    residence: Option<f64>,
    /// Number of parts to follow, and the time between two scans of each.
    wanted: usize,
    every: f64,
    /// Ghosts that died before this time no longer count. To count those that ended late or early
    /// would be a biased sample.
    oldest: f64,
}

impl Ghosts {
    /// Records how long keys stay on average, in seconds, or `None` if none are evicted by their last
    /// use. `scans` is the number of SCANs per second that may be sent.
    pub fn plan(&mut self, now: f64, residence: Option<f64>, scans: f64) {
        let Some(residence) = residence.filter(|_| scans > 0.0) else {
            self.forget();
            return;
        };
        self.residence = Some(residence);
        self.every = (EVERY * residence).max(EVERY_MIN).max(1.0 / scans);
        let possible = to_count(self.every * scans);
        self.wanted = usize::try_from(possible).map_or(PARTS_MAX, |parts| parts.min(PARTS_MAX));
        if self.every > EVERY_MAX * residence {
            self.wanted = 0;
        }
        let oldest = now - LIFE * residence;
        let (ended, kept): (Vec<TablePart>, Vec<TablePart>) = std::mem::take(&mut self.parts)
            .into_iter()
            .partition(|part| part.since < oldest);
        self.parts = kept;
        for part in ended.iter().chain(
            self.parts
                .split_off(self.parts.len().min(self.wanted))
                .iter(),
        ) {
            self.ended.extend(part.ghosts());
        }
        self.oldest = self.oldest.max(oldest);
        if self.ended.len() > GHOSTS_MAX {
            let mut died: Vec<f64> = self.ended.iter().map(|ghost| ghost.died).collect();
            let middle = died.len() / 2;
            self.oldest = *died.select_nth_unstable_by(middle, f64::total_cmp).1;
        }
        self.ended.retain(|ghost| ghost.died >= self.oldest);
        while self.scans.len() > SCANS_MAX {
            self.scans.pop_front();
        }
    }

    /// Returns whether a further part should be followed.
    #[must_use]
    pub fn wants_part(&self) -> bool {
        self.parts.len() < self.wanted
    }

    /// Adds a part of the table with the names in it, unless it is followed already.
    pub fn add(&mut self, now: f64, region: Region, names: &[impl AsRef<[u8]>]) {
        let is_known = |part: &TablePart| {
            let other = part.region;
            (other.database, other.start) == (region.database, region.start)
        };
        if self.parts.iter().any(is_known) {
            return;
        }
        // Parts end one after the other.
        let spread = self.residence.map_or(0.0, |residence| LIFE * residence);
        let share = length(self.parts.len()) / length(PARTS_MAX);
        let one_in = names.len().div_ceil(KEYS_OF_PART).max(1);
        let one_in = u64::try_from(one_in).unwrap_or(u64::MAX);
        let entries = self.ids(names, one_in).into_iter();
        let entries = entries.map(|id| (id, Entry::Here(Lifetime::Unknown, now)));
        let part = TablePart {
            region,
            since: now - spread * share / 2.0,
            scanned: now,
            one_in,
            entries: entries.collect(),
        };
        if part.entries.len() <= KEYS_MAX {
            self.parts.push(part);
        }
    }

    /// Returns the hashes of the names that are followed.
    fn ids(&self, names: &[impl AsRef<[u8]>], one_in: u64) -> HashSet<u64> {
        let ids = names.iter();
        let ids = ids.map(|name| self.hasher.hash_one(name.as_ref()));
        ids.filter(|id| id.is_multiple_of(one_in)).collect()
    }

    /// Returns a part that is to be scanned now.
    #[must_use]
    pub fn due(&self, now: f64) -> Option<Region> {
        let every = self.every * (1.0 - EARLY);
        let due = self.parts.iter().find(|part| now - part.scanned >= every);
        due.map(|part| part.region)
    }

    /// Drops a part that can no longer be scanned.
    pub fn drop_part(&mut self, region: Region) {
        self.parts.retain(|part| part.region != region);
    }

    /// Records the names in a part at this time.
    pub fn record(&mut self, now: f64, region: Region, names: &[impl AsRef<[u8]>]) {
        let followed = self
            .residence
            .map_or(f64::INFINITY, |residence| FOLLOWED * residence);
        let one_in = self.parts.iter().find(|part| part.region == region);
        let ids = one_in.map(|part| self.ids(names, part.one_in));
        let part = self.parts.iter_mut().find(|part| part.region == region);
        let Some((part, ids)) = part.zip(ids) else {
            return;
        };
        let (scan, ended) = part.record(now, &ids, followed);
        self.scans.push_back(scan);
        self.ended.extend(ended);
        if part.entries.len() > KEYS_MAX {
            self.drop_part(region);
        }
    }

    /// Returns the positions of the names in a part whose TTL is unknown, or was read long ago.
    #[must_use]
    pub fn without_ttl(&self, now: f64, region: Region, names: &[impl AsRef<[u8]>]) -> Vec<usize> {
        let Some(part) = self.parts.iter().find(|part| part.region == region) else {
            return Vec::new();
        };
        let old = now - self.residence.unwrap_or(0.0);
        let is_wanted = |name: &[u8]| match part.entries.get(&self.hasher.hash_one(name)) {
            Some(Entry::Here(Lifetime::Unknown, _)) => true,
            Some(Entry::Here(_, read)) => *read < old,
            _ => false,
        };
        let names = names.iter().enumerate();
        let wanted = names.filter(|(_, name)| is_wanted(name.as_ref()));
        wanted.map(|(at, _)| at).collect()
    }

    /// Records the lifetime of a key in a part.
    pub fn learn(&mut self, now: f64, region: Region, name: &[u8], lifetime: Lifetime) {
        let id = self.hasher.hash_one(name);
        let mut parts = self.parts.iter_mut();
        let part = parts.find(|part| part.region == region);
        if let Some(entry @ Entry::Here(..)) = part.and_then(|part| part.entries.get_mut(&id)) {
            *entry = Entry::Here(lifetime, now);
        }
    }

    /// Returns how long parts of the table are followed, in seconds, if keys stay for this long.
    #[must_use]
    pub const fn followed_for(residence: f64) -> f64 {
        LIFE * residence
    }

    /// Returns the ghosts, by the time for which they were followed. Without `needs_ttls`, keys have
    /// no TTL.
    #[must_use]
    pub fn all(&self, needs_ttls: bool) -> Vec<Ghost> {
        let active = self.parts.iter().flat_map(TablePart::ghosts);
        let all = self.ended.iter().copied().chain(active);
        let wanted =
            all.filter(|ghost| ghost.died >= self.oldest && (ghost.is_known || !needs_ttls));
        let mut ghosts: Vec<Ghost> = wanted.collect();
        ghosts.sort_by(|one, other| one.age.total_cmp(&other.age));
        ghosts
    }

    /// Returns how often keys were written and removed since a time.
    #[must_use]
    pub fn turnover(&self, start: f64) -> KeyTurnover {
        let mut sum = KeyTurnover::default();
        for scan in self.scans.iter().filter(|scan| scan.at >= start) {
            sum.key_seconds += scan.key_seconds;
            sum.written += scan.written;
            sum.removed += scan.removed;
        }
        sum
    }

    /// Discards everything, because the data were replaced or nothing is evicted.
    pub fn forget(&mut self) {
        self.parts.clear();
        self.ended.clear();
        self.scans.clear();
        self.residence = None;
        self.wanted = 0;
        self.oldest = f64::MIN;
    }

    /// Returns whether there is nothing to forget.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

impl Entry {
    /// Returns the ghost of a key with this lifetime.
    const fn gone(lifetime: Lifetime, died: f64) -> Self {
        let until = match lifetime {
            Lifetime::Unlimited => Some(f64::INFINITY),
            Lifetime::Until(expiry) => Some(expiry),
            Lifetime::Unknown => None,
        };
        Self::Gone {
            died,
            until,
            scans: 1,
        }
    }
}

impl TablePart {
    fn record(&mut self, now: f64, ids: &HashSet<u64>, followed: f64) -> (Scan, Vec<Ghost>) {
        let middle = f64::midpoint(self.scanned, now);
        let mut scan = Scan {
            at: now,
            key_seconds: length(ids.len()) * (now - self.scanned),
            written: 0.0,
            removed: 0.0,
        };
        let mut ended = Vec::new();
        self.scanned = now;
        self.entries.retain(|id, entry| {
            let is_there = ids.contains(id);
            match *entry {
                Entry::Here(lifetime, read) if is_there => {
                    if lifetime.ended_by(now - TOLERANCE) {
                        // Its TTL was renewed.
                        *entry = Entry::Here(Lifetime::Unknown, read);
                    }
                    true
                }
                Entry::Here(lifetime, _) => {
                    scan.removed += 1.0;
                    *entry = Entry::gone(lifetime, middle);
                    // If it has expired, more memory would not have kept it.
                    !lifetime.ended_by(middle)
                }
                Entry::Gone { died, until, scans } if is_there => {
                    let weight = if scans == 1 { WEIGHT_OF_SHORT } else { 1.0 };
                    scan.written += weight;
                    scan.removed += weight - 1.0;
                    ended.push(Ghost::of(died, middle, until, GhostEnd::Returned, weight));
                    *entry = Entry::Here(Lifetime::Unknown, now);
                    true
                }
                Entry::Gone { died, until, scans } => {
                    let scans = scans.saturating_add(1);
                    *entry = Entry::Gone { died, until, scans };
                    let is_kept = now - died <= followed;
                    if !is_kept {
                        ended.push(Ghost::of(died, now, until, GhostEnd::Followed, 1.0));
                    }
                    is_kept
                }
            }
        });
        for id in ids {
            self.entries.entry(*id).or_insert_with(|| {
                scan.written += 1.0;
                Entry::Here(Lifetime::Unknown, now)
            });
        }
        (scan, ended)
    }

    /// Returns the ghosts at the last scan.
    fn ghosts(&self) -> impl Iterator<Item = Ghost> {
        self.entries.values().filter_map(|entry| match entry {
            Entry::Gone { died, until, .. } => Some(Ghost::of(
                *died,
                self.scanned,
                *until,
                GhostEnd::Followed,
                1.0,
            )),
            Entry::Here(..) => None,
        })
    }
}
