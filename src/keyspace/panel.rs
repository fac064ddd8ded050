//! Follows sampled keys for a short time to estimate which namespaces lose keys, and how. Pure.
//!
//! A sample is a run: the keys that one SCAN returns at a random cursor. A second SCAN of the same
//! part of the table shows which of them have vanished. It counts no lookup, leaves out keys whose
//! TTL has ended, and takes one command instead of one for each key.
//!
//! Each key represents a part of the keyspace during the time since the previous draw. It is
//! checked once and then leaves the panel: older keys are not a sample of the living ones.

mod attribution;
mod checked;
mod effort;
pub mod families;
mod fit;
mod interval;
mod members;
mod rates;
mod reading;
mod removed;
mod renewal;
mod run;
#[cfg(test)]
mod simulation;
mod size;
mod split;
mod totals;
mod ttls;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use super::NamespaceId;
use super::events::{Coverage, Uncovered};
use super::name_hasher::NameHasher;
use crate::number::length;
use attribution::Block;
use checked::{Checked, CheckedRun};
use effort::Effort;
use interval::Interval;
pub use rates::RemovalRates;
pub use reading::RemovalReading;
pub use renewal::RenewalCheck;
use renewal::Renewals;
pub use run::{Drawn, Lifetime, Region, Run, starts};
use run::{Member, Purpose, SinceDraw};
use size::{RUN_KEYS_MAX, most_members};
use split::Split;
use totals::Totals;

/// A database and a namespace.
pub type NamespacePlace = (u32, NamespaceId);

/// Maximum time that a draw represents, in seconds. What vanishes while the sweep is disconnected
/// is unknown.
const REPRESENTED_MAX: f64 = 20.0;

/// Time that the first draw represents, in seconds.
const REPRESENTED_FIRST: f64 = 1.0;

/// Keys that are followed until they are checked.
#[derive(Debug, Default)]
pub struct Panel {
    hasher: NameHasher,
    runs: Vec<Run>,
    /// Checked keys that count unless the data turn out to have been replaced before the check.
    unconfirmed: Vec<CheckedRun>,
    intervals: BTreeMap<NamespacePlace, Interval>,
    splits: BTreeMap<NamespacePlace, Split>,
    /// Databases of which INFO reported that no key has a TTL.
    unlimited: BTreeSet<u32>,
    /// Boxed, because a node of the map has room for eleven.
    totals: BTreeMap<NamespacePlace, Box<Totals>>,
    block: Option<Block>,
    reading: Option<RemovalReading>,
    /// What key events cover, and the time when the next reading was requested.
    coverage: ([Coverage; 2], f64),
    uncovered: [Uncovered; 2],
    renewals: Renewals,
    effort: Effort,
    /// How much later than usual keys are checked.
    delay: SinceDraw,
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

impl Panel {
    /// Returns how many runs to draw now, from this many keys, at up to `scans` SCANs per second.
    /// `panels` is the number of panels of all targets.
    pub fn wanted(&mut self, now: f64, keys: u64, scans: f64, panels: usize) -> u32 {
        let members = self.runs.iter().map(|run| run.members.len()).sum::<usize>();
        let left = self.effort.earn(now, scans);
        if members >= most_members(keys, panels) {
            0
        } else {
            left
        }
    }

    /// Sets how much later than usual keys may be checked, because checks are rare.
    pub fn set_delay(&mut self, delay: Duration) {
        self.delay = delay.as_secs_f32();
    }

    /// Records a SCAN that was sent for the panel.
    pub fn record_scan(&mut self) {
        self.effort.record_scan();
    }

    /// Adds runs: a uniform sample of all living keys, of which there are `keys`.
    pub fn draw(&mut self, now: f64, keys: f64, runs: &[Drawn<'_>]) {
        self.effort.record_draws(length(runs.len()));
        let drawn: usize = runs.iter().map(|run| run.keys.len()).sum();
        if drawn == 0 {
            return;
        }
        let since = self.drawn.map_or(REPRESENTED_FIRST, |drawn| now - drawn);
        self.drawn = Some(now);
        let weight = keys * since.clamp(0.0, REPRESENTED_MAX) / length(drawn);
        for run in runs {
            let follows_renewals = self.renewals.follows(run);
            let mut members = Vec::new();
            for (name, namespace, lifetime) in run.keys.iter().take(RUN_KEYS_MAX) {
                let place = (run.region.database, *namespace);
                let lifetime = lifetime.since(run.at);
                let member = Member {
                    id: self.hasher.short(name),
                    namespace: *namespace,
                    age: self.interval(place).age(),
                    purpose: Purpose::Count(lifetime),
                };
                members.push(member);
                members.extend(member.until_expiry(lifetime, self.delay));
                if follows_renewals {
                    members.extend(member.until_renewal(lifetime));
                }
            }
            self.runs.push(Run {
                region: run.region,
                since: run.at,
                weight,
                members: members.into_iter().collect(),
            });
        }
    }

    fn interval(&self, place: NamespacePlace) -> Interval {
        self.intervals.get(&place).copied().unwrap_or_default()
    }

    /// Removes the keys of one run that are to be checked now. Drops those that should have been
    /// checked long ago.
    pub fn take_due(&mut self, now: f64) -> Option<Run> {
        loop {
            let at = self.runs.iter().position(|run| run.is_due(now))?;
            let run = self.runs.get_mut(at)?;
            let due = run.take_due(now);
            if run.members.is_empty() {
                self.runs.remove(at);
            }
            if !due.members.is_empty() {
                return Some(due);
            }
        }
    }

    /// Records a check of the keys of a run: the names in its region at this time. It counts with
    /// the next reading of INFO, if that shows that the data were not replaced.
    pub fn record_checked(&mut self, now: f64, run: &Run, names: &[impl AsRef<[u8]>]) {
        let ids = names.iter().map(|name| self.hasher.short(name.as_ref()));
        let ids: HashSet<u32> = ids.collect();
        let mut later = Vec::new();
        let mut found = Vec::with_capacity(run.members.len());
        for member in run.members.iter() {
            let is_gone = !ids.contains(&member.id);
            let checked = match member.purpose {
                Purpose::Count(lifetime) => Checked::Counted(lifetime, is_gone),
                // Too late to find out.
                Purpose::BeforeExpiry(expiry) if now - run.since >= expiry.into() => continue,
                Purpose::BeforeExpiry(_) if is_gone => match member.purpose_after_expiry() {
                    Purpose::LaterAfterExpiry => Checked::FollowedLonger(false),
                    _ => Checked::Followed(false),
                },
                Purpose::BeforeExpiry(expiry) => {
                    let place = (run.region.database, member.namespace);
                    later.push(member.after_expiry(expiry, self.interval(place).age()));
                    continue;
                }
                // Its TTL decides, which is queried after this.
                Purpose::Renewal(_) => continue,
                Purpose::AfterExpiry => Checked::Followed(is_gone),
                Purpose::LaterAfterExpiry => Checked::FollowedLonger(is_gone),
            };
            found.push((member.namespace, checked));
        }
        if !found.is_empty() {
            self.unconfirmed.push(CheckedRun::new(run, now, found));
        }
        if !later.is_empty() {
            self.runs.push(Run {
                members: later.into_iter().collect(),
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
    pub fn observe(&mut self, now: f64, reading: RemovalReading) {
        for run in std::mem::take(&mut self.unconfirmed) {
            self.confirm(&run);
        }
        self.knows_evicted &= reading.counts_evicted();
        self.knows_expired &= reading.counts_expired();
        let has_calls = reading.counts_calls();
        self.counts_calls |= has_calls;
        let reading = reading.with_calls_of(self.reading);
        let is_reset = self
            .reading
            .is_some_and(|before| before.is_reset_by(reading));
        let uncovered = self.uncovered(reading.counters(), is_reset);
        let before = self.reading.replace(reading);
        let Some(removals) = before.map(|before| before.until(reading)) else {
            return;
        };
        let mut block = self.block.take().unwrap_or_else(|| Block::new(now));
        block.add(removals, uncovered);
        if has_calls && block.is_ready(now) {
            self.settle(&block, now);
        } else {
            self.block = Some(block);
        }
    }

    /// Attributes what the server has counted since the last time.
    fn settle(&mut self, block: &Block, now: f64) {
        let expiring = |place: NamespacePlace| self.splits.get(&place)?.expiring();
        let mut attributed = attribution::attribute(block, now, expiring);
        self.knows_evicted = attributed.knows_evicted;
        self.knows_expired = attributed.knows_expired;
        for (place, totals) in &mut self.totals {
            let found = attributed.places.remove(place);
            // No key of the place was seen to vanish.
            let (evicted, expired) = found.unwrap_or((Some(0.0), Some(0.0)));
            totals.record_attributed(evicted, expired);
        }
        self.block = Some(attributed.next);
    }

    /// Drops all keys, because the data were replaced. Nothing that happened since the last reading
    /// counts.
    pub fn forget(&mut self) {
        self.runs.clear();
        self.unconfirmed.clear();
        self.splits.clear();
        self.unlimited.clear();
        self.intervals.clear();
        self.renewals.forget();
        self.block = None;
        self.reading = None;
        self.drawn = None;
        self.uncovered.iter_mut().for_each(Uncovered::forget);
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
        self.renewals.retain(is_shown);
    }
}

#[cfg(test)]
mod tests;
