//! Distributes the evictions and expiries that the server counted among the namespaces, in
//! proportion to the keys of each that vanished. Pure.

use std::collections::BTreeMap;

use super::NamespacePlace;
use super::fit::{Parts, Uncertain, fit};
use super::reading::{Calls, Removals};
use super::split::ExpiryShares;

/// Number of vanished keys for which the counts are distributed at once.
const GONE_ENOUGH: u32 = 50;

/// Ages after which they are distributed for fewer vanished keys, in seconds.
const AGE_OF_FEW: f64 = 60.0;
const GONE_FEW: u32 = 10;
const AGE_MAX: f64 = 300.0;

/// Keys removed by DEL and the like, as a share of the evictions, from which a vanished key cannot
/// be considered evicted.
const REMOVING_MAX: f64 = 0.05;

/// How far the estimate of vanished keys may exceed what the server counted, besides its error.
/// Beyond it, keys vanish in other ways, such as by the removal of the last element of a list.
const EXCESS_MAX: f64 = 1.5;

/// This limit while DEL and the like are called. Each call may remove many keys.
const EXCESS_OF_CALLS_MAX: f64 = 1.2;
const EXCESS_ERRORS: f64 = 3.0;

/// Share of all causes below which a cause is negligible.
const NEGLIGIBLE: f64 = 0.02;

/// How much of the earlier blocks counts in the next one. Few keys vanish in one, and they are found
/// some time after they vanished, in another block than the evictions of a burst.
const EARLIER_SHARE: f64 = 0.75;

/// The counts of the server, and the findings of the panel, in the same time.
#[derive(Clone, Debug)]
pub(super) struct Block {
    since: f64,
    /// Evicted and expired keys that are not attributed yet.
    evicted: f64,
    expired: f64,
    /// Whether a counter was unknown in between.
    misses_evicted: bool,
    misses_expired: bool,
    misses_removing: bool,
    calls: Calls,
    /// Changes of the data by commands; `None` if they are unknown.
    changes: Option<f64>,
    /// Number of vanished keys of the panel.
    gone: u32,
    sums: Sums,
    earlier: Sums,
}

/// Sums over a block, or over recent ones.
#[derive(Clone, Debug, Default)]
struct Sums {
    evicted: f64,
    expired: f64,
    removing: f64,
    places: BTreeMap<NamespacePlace, Findings>,
}

/// The findings of the panel about a place.
#[derive(Clone, Copy, Debug, Default)]
struct Findings {
    /// Number of vanished keys of the panel.
    gone: f64,
    /// Estimated number of keys that vanished.
    vanished: Uncertain,
    /// Estimated number of living keys, times the seconds.
    key_seconds: f64,
}

impl Findings {
    fn of_vanished(keys: f64) -> Self {
        Self {
            gone: 1.0,
            vanished: Uncertain {
                number: keys,
                variance: keys * keys,
            },
            key_seconds: 0.0,
        }
    }

    /// Adds other findings, with a weight.
    fn add(&mut self, other: &Self, weight: f64) {
        self.gone += weight * other.gone;
        self.vanished.number += weight * other.vanished.number;
        self.vanished.variance += weight * other.vanished.variance;
        self.key_seconds += weight * other.key_seconds;
    }
}

impl Sums {
    /// Adds other sums, with a weight.
    fn add(&mut self, other: &Self, weight: f64) {
        self.evicted += weight * other.evicted;
        self.expired += weight * other.expired;
        self.removing += weight * other.removing;
        for (place, findings) in &other.places {
            self.places.entry(*place).or_default().add(findings, weight);
        }
    }

    fn counted(&self) -> f64 {
        self.evicted + self.expired + self.removing
    }

    /// Returns whether the server counted the vanished keys, apart from a few. Of the expired keys,
    /// only this many were missing.
    fn are_explained(&self, expired_and_missing: f64) -> bool {
        let counted = self.evicted + expired_and_missing + self.removing;
        let places = self.places.values();
        let vanished: f64 = places.clone().map(|found| found.vanished.number).sum();
        let gone: f64 = places.map(|found| found.gone).sum();
        let error = EXCESS_ERRORS / gone.max(1.0).sqrt();
        let excess = if self.removing > 0.0 {
            EXCESS_OF_CALLS_MAX
        } else {
            EXCESS_MAX
        };
        self.removing <= REMOVING_MAX * self.evicted && vanished <= counted * (excess + error)
    }
}

/// The result of attributing a block.
#[derive(Debug)]
pub(super) struct Attributed {
    /// Evicted and expired keys of each place; `None` if its TTLs are unknown.
    pub(super) places: BTreeMap<NamespacePlace, (Option<f64>, Option<f64>)>,
    /// Whether the evictions, and the expiries, are attributed.
    pub(super) knows_evicted: bool,
    pub(super) knows_expired: bool,
    /// The next block.
    pub(super) next: Block,
}

impl Block {
    /// Begins the first block.
    pub(super) fn new(now: f64) -> Self {
        Self {
            since: now,
            evicted: 0.0,
            expired: 0.0,
            misses_evicted: false,
            misses_expired: false,
            misses_removing: false,
            calls: Calls::default(),
            changes: Some(0.0),
            gone: 0,
            sums: Sums::default(),
            earlier: Sums::default(),
        }
    }

    /// Adds what the server counted, and which evicted and expired keys of it are to be attributed.
    pub(super) fn add(&mut self, removals: Removals, uncovered: [Option<f64>; 2]) {
        let [evicted, expired] = uncovered;
        self.misses_evicted |= removals.evicted.is_none();
        self.misses_expired |= removals.expired.is_none();
        self.misses_removing |= removals.calls.is_none();
        self.evicted += evicted.unwrap_or(0.0);
        self.expired += expired.unwrap_or(0.0);
        self.sums.evicted += removals.evicted.unwrap_or(0.0);
        self.sums.expired += removals.expired.unwrap_or(0.0);
        self.calls.add(removals.calls.unwrap_or_default());
        self.changes = self
            .changes
            .zip(removals.changes)
            .map(|(sum, more)| sum + more);
        self.sums.removing = self.calls.removed_at_least(self.changes);
    }

    /// Adds a checked key that represents this many keys, times the seconds for which it does.
    pub(super) fn record_checked(&mut self, place: NamespacePlace, key_seconds: f64) {
        self.sums.places.entry(place).or_default().key_seconds += key_seconds;
    }

    /// Adds a vanished key that represents this many.
    pub(super) fn record_vanished(&mut self, place: NamespacePlace, keys: f64) {
        self.gone = self.gone.saturating_add(1);
        let found = self.sums.places.entry(place).or_default();
        found.add(&Findings::of_vanished(keys), 1.0);
    }

    /// Returns whether enough keys vanished to distribute the counts.
    pub(super) fn is_ready(&self, now: f64) -> bool {
        let age = now - self.since;
        self.gone >= GONE_ENOUGH
            || (age >= AGE_OF_FEW && self.gone >= GONE_FEW)
            || (age >= AGE_MAX && self.gone > 0)
    }

    /// Returns the share of these places in the keys that vanished in this block and the recent ones.
    pub(super) fn share_of(&self, is_one: impl Fn(NamespacePlace) -> bool) -> f64 {
        let (mut all, mut of_these) = (0.0, 0.0);
        for sums in [&self.sums, &self.earlier] {
            for (place, found) in &sums.places {
                all += found.vanished.number;
                if is_one(*place) {
                    of_these += found.vanished.number;
                }
            }
        }
        if all > 0.0 { of_these / all } else { 0.0 }
    }

    /// Returns whether keys are both evicted and expired, apart from a few.
    pub(super) fn has_both_causes(&self) -> bool {
        let sum = |of: fn(&Sums) -> f64| of(&self.sums) + of(&self.earlier);
        let least = NEGLIGIBLE * sum(Sums::counted);
        sum(|sums| sums.evicted) > least && sum(|sums| sums.expired) > least
    }

    const fn misses_some(&self) -> bool {
        self.misses_evicted || self.misses_expired || self.misses_removing
    }

    /// Returns the sums over this block and the recent ones.
    fn all(&self) -> Sums {
        let mut sums = self.sums.clone();
        sums.add(&self.earlier, EARLIER_SHARE);
        sums
    }

    /// Returns the vanished keys of a place whose TTL had ended, from the share that expires in a
    /// second; `None` if that is unknown. Without a known TTL, it is known if only one cause is at
    /// work.
    fn expired_of(
        &self,
        sums: &Sums,
        found: &Findings,
        expiries: Option<ExpiryShares>,
    ) -> Option<Uncertain> {
        let is_negligible = |keys: f64| keys <= NEGLIGIBLE * sums.counted();
        let by_ttl = expiries.map(|expiries| expiries.lasting.times(found.key_seconds));
        by_ttl.or_else(|| match () {
            () if self.misses_some() => None,
            () if is_negligible(sums.expired) => Some(Uncertain::default()),
            () if is_negligible(sums.evicted + sums.removing) => Some(found.vanished),
            () => None,
        })
    }

    /// Returns the next block. Counts that no vanished key explains yet are carried over.
    fn next(&self, now: f64, evicted: f64, expired: f64) -> Self {
        Self {
            evicted,
            expired,
            earlier: self.all(),
            ..Self::new(now)
        }
    }
}

/// A place of a block.
struct PlaceOfBlock {
    place: NamespacePlace,
    is_known: bool,
    /// The share of its expired keys that were missing when the panel was checked.
    lasting: f64,
}

/// Returns the share of the expired keys that are not written again until the panel is checked. Those
/// of places whose TTLs are unknown are assumed to have the usual share of expired keys, and none that
/// is written again.
fn lasting(sums: &Sums, expiring: &impl Fn(NamespacePlace) -> Option<ExpiryShares>) -> f64 {
    let usual = sums.expired / (sums.evicted + sums.expired).max(1.0);
    let (mut all, mut lasting) = (0.0, 0.0);
    for (place, found) in &sums.places {
        if let Some(expiries) = expiring(*place) {
            let expired = expiries.all * found.key_seconds;
            all += expired;
            lasting += expired * expiries.share_lasting();
        } else {
            all += usual * found.vanished.number;
            lasting += usual * found.vanished.number;
        }
    }
    if all > 0.0 {
        (lasting / all).min(1.0)
    } else {
        1.0
    }
}

/// Distributes the counts of a block. `expiring` returns the shares of the keys of a place that
/// expire in a second, if its TTLs are known.
pub(super) fn attribute(
    block: &Block,
    now: f64,
    expiring: impl Fn(NamespacePlace) -> Option<ExpiryShares>,
) -> Attributed {
    let sums = block.all();
    // The panel misses the others.
    let expired_and_missing = sums.expired * lasting(&sums, &expiring);
    // A place whose TTLs are unknown takes its part of the counts too, but does not learn it.
    let usual = expired_and_missing / (sums.evicted + expired_and_missing).max(1.0);
    let (mut places, mut parts) = (Vec::new(), Vec::new());
    for (place, found) in &sums.places {
        let expiries = expiring(*place);
        let expired = block.expired_of(&sums, found, expiries);
        let unknown = Uncertain {
            number: found.vanished.number * usual,
            variance: found.vanished.number.powi(2),
        };
        places.push(PlaceOfBlock {
            place: *place,
            is_known: expired.is_some(),
            lasting: expiries.map_or(1.0, ExpiryShares::share_lasting),
        });
        parts.push(Parts::new(found.vanished, expired.unwrap_or(unknown)));
    }
    let is_explained = !block.misses_some() && sums.are_explained(expired_and_missing);
    let knows_evicted = !block.misses_some() && (block.evicted <= 0.0 || is_explained);
    let knows_expired = !block.misses_expired;
    if is_explained {
        fit(&mut parts, sums.evicted, expired_and_missing);
    }
    for (parts, place) in parts.iter_mut().zip(&places) {
        parts.late /= place.lasting;
    }
    let early = parts.iter().map(|parts| parts.early).sum();
    let late = parts.iter().map(|parts| parts.late).sum();
    let evictions = ServerCount::new(block.evicted, early, knows_evicted);
    let expiries = ServerCount::new(block.expired, late, knows_expired);
    let places = places.into_iter().zip(parts);
    let places = places.map(|(of_block, parts)| {
        let evicted = evictions.part(parts.early, of_block.is_known);
        let expired = expiries.part(parts.late, of_block.is_known);
        (of_block.place, (evicted, expired))
    });
    Attributed {
        places: places.collect(),
        knows_evicted,
        knows_expired,
        next: block.next(now, evictions.rest(), expiries.rest()),
    }
}

/// A count of the server, to be distributed among keys.
#[derive(Clone, Copy, Debug)]
struct ServerCount {
    count: f64,
    /// The estimated keys that it is distributed among.
    among: f64,
}

impl ServerCount {
    /// An unknown count distributes nothing.
    fn new(count: f64, among: f64, is_known: bool) -> Self {
        let count = if is_known { count } else { 0.0 };
        Self { count, among }
    }

    /// Returns the part of some of these keys; `None` if it is unknown how many they are.
    fn part(self, keys: f64, is_known: bool) -> Option<f64> {
        if self.count <= 0.0 || self.among <= 0.0 {
            return Some(0.0);
        }
        is_known.then_some(self.count * keys / self.among)
    }

    /// Returns what could not be distributed.
    fn rest(self) -> f64 {
        if self.among > 0.0 { 0.0 } else { self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::NamespaceId;

    const PLACES: [NamespacePlace; 2] = [(0, NamespaceId(1)), (0, NamespaceId(2))];

    fn removals(evicted: f64, expired: f64, removing: f64) -> Removals {
        Removals {
            evicted: Some(evicted),
            expired: Some(expired),
            calls: Some(Calls::of_removing(removing)),
            changes: None,
        }
    }

    /// Returns a block in which this many keys of the places vanished.
    fn block(counted: Removals, vanished: [u32; 2]) -> Block {
        let mut block = Block::new(0.0);
        block.add(counted, [counted.evicted, counted.expired]);
        for (place, gone) in PLACES.into_iter().zip(vanished) {
            record_vanished(&mut block, place, gone);
        }
        block
    }

    /// Each represents ten, which were followed for a second.
    fn record_vanished(block: &mut Block, place: NamespacePlace, gone: u32) {
        for _ in 0..gone {
            block.record_checked(place, 10.0);
            block.record_vanished(place, 10.0);
        }
    }

    /// Attributes a block, if this share of the vanished keys of each place had not expired.
    fn attributed(block: &Block, early: [Option<f64>; 2]) -> Attributed {
        let expiring = early.map(|early| {
            early.map(|early| ExpiryShares {
                all: 1.0 - early,
                lasting: Uncertain {
                    number: 1.0 - early,
                    variance: 0.0,
                },
            })
        });
        let expiring: BTreeMap<_, _> = PLACES.into_iter().zip(expiring).collect();
        attribute(block, 60.0, |place| expiring[&place])
    }

    fn rounded((evicted, expired): (Option<f64>, Option<f64>)) -> (Option<f64>, Option<f64>) {
        (evicted.map(f64::round), expired.map(f64::round))
    }

    #[test]
    fn evictions_are_distributed_by_vanished_keys() {
        let block = block(removals(800.0, 0.0, 0.0), [60, 20]);
        let found = attributed(&block, [None; 2]);
        assert!(found.knows_evicted);
        assert_eq!(rounded(found.places[&PLACES[0]]), (Some(600.0), Some(0.0)));
        assert_eq!(rounded(found.places[&PLACES[1]]), (Some(200.0), Some(0.0)));
    }

    #[test]
    fn known_ttls_separate_the_causes() {
        let block = block(removals(300.0, 500.0, 0.0), [60, 20]);
        let found = attributed(&block, [Some(0.0), Some(1.0)]);
        assert_eq!(rounded(found.places[&PLACES[0]]), (Some(0.0), Some(500.0)));
        assert_eq!(rounded(found.places[&PLACES[1]]), (Some(300.0), Some(0.0)));
    }

    /// Of the first place, 600 keys were evicted, and 400 expired and were written again before the check
    /// of the panel, which only misses those that were evicted.
    #[test]
    fn keys_that_are_written_again_take_no_evictions() {
        let block = block(removals(800.0, 400.0, 0.0), [60, 20]);
        let expiries = |place| {
            let all = if place == PLACES[0] { 2.0 / 3.0 } else { 0.0 };
            let lasting = Uncertain::default();
            Some(ExpiryShares { all, lasting })
        };
        let found = attribute(&block, 60.0, expiries);
        let evicted = PLACES.map(|place| found.places[&place].0.map(f64::round));
        let is_close =
            |at: usize, truth: f64| evicted[at].is_some_and(|keys| (keys - truth).abs() < 30.0);
        assert!(is_close(0, 600.0) && is_close(1, 200.0), "{evicted:?}");
    }

    /// All keys of the first place were evicted, except few that expired and were written again. Those
    /// of the second one expired, and its TTLs are unknown.
    #[test]
    fn keys_that_are_written_again_say_nothing_about_other_places() {
        let block = block(removals(200.0, 800.0, 0.0), [20, 80]);
        let expiries = |place| {
            let lasting = Uncertain::default();
            (place == PLACES[0]).then_some(ExpiryShares { all: 0.1, lasting })
        };
        let found = attribute(&block, 60.0, expiries);
        let evicted = found.places[&PLACES[0]].0.unwrap();
        assert!(evicted > 150.0, "{evicted}");
    }

    #[test]
    fn unknown_ttls_give_no_number() {
        let block = block(removals(300.0, 500.0, 0.0), [60, 20]);
        let found = attributed(&block, [None; 2]);
        assert!(found.places.values().all(|place| *place == (None, None)));
    }

    #[test]
    fn without_evictions_none_is_attributed() {
        let block = block(removals(0.0, 300.0, 900.0), [60, 20]);
        let found = attributed(&block, [None; 2]);
        assert!(found.knows_evicted);
        let expected = (Some(0.0), None);
        assert!(found.places.values().all(|place| *place == expected));
    }

    #[test]
    fn deletions_hide_evictions() {
        let early = [Some(1.0); 2];
        let few = block(removals(700.0, 0.0, 30.0), [60, 20]);
        assert!(attributed(&few, early).knows_evicted);
        let many = block(removals(700.0, 0.0, 100.0), [60, 20]);
        let found = attributed(&many, early);
        assert!(!found.knows_evicted && found.knows_expired);
        assert_eq!(rounded(found.places[&PLACES[0]]), (Some(0.0), Some(0.0)));
    }

    /// UNLINK of many keys is one call. The changes of the data show how many keys it was.
    #[test]
    fn deletions_of_many_keys_hide_evictions() {
        let with = |changes| Removals {
            changes,
            ..removals(700.0, 0.0, 1.0)
        };
        let knows = |removals, vanished| {
            let block = block(removals, vanished);
            attributed(&block, [Some(1.0); 2]).knows_evicted
        };
        assert!(knows(with(Some(30.0)), [60, 20]));
        assert!(!knows(with(Some(100.0)), [60, 20]));
        // Without the changes, the excess shows it, sooner than without any call.
        assert!(knows(with(None), [70, 20]));
        assert!(!knows(with(None), [90, 20]));
        assert!(knows(removals(700.0, 0.0, 0.0), [90, 20]));
    }

    #[test]
    fn more_vanished_keys_than_counted_hide_evictions() {
        let block = block(removals(100.0, 0.0, 0.0), [60, 20]);
        assert!(!attributed(&block, [None; 2]).knows_evicted);
    }

    #[test]
    fn only_uncovered_keys_are_attributed() {
        let counted = removals(800.0, 0.0, 0.0);
        let mut block = Block::new(0.0);
        block.add(counted, [Some(80.0), Some(0.0)]);
        for (place, gone) in PLACES.into_iter().zip([60, 20]) {
            record_vanished(&mut block, place, gone);
        }
        let attributed = attributed(&block, [Some(1.0); 2]);
        let evicted = PLACES.map(|place| attributed.places[&place].0.map(f64::round));
        assert_eq!(evicted, [Some(60.0), Some(20.0)]);
        assert!(attributed.knows_evicted);
    }

    #[test]
    fn burst_may_be_found_later_than_it_was_counted() {
        let burst = block(removals(1_600.0, 0.0, 0.0), [60, 20]);
        let mut after = attributed(&burst, [None; 2]).next;
        after.add(removals(5.0, 0.0, 0.0), [Some(5.0), Some(0.0)]);
        record_vanished(&mut after, PLACES[0], 80);
        assert!(attributed(&after, [None; 2]).knows_evicted);
    }

    #[test]
    fn unexplained_counts_are_carried_over() {
        let block = block(removals(10.0, 800.0, 0.0), [60, 20]);
        let mut next = attributed(&block, [Some(0.0); 2]).next;
        record_vanished(&mut next, PLACES[1], 1);
        let found = attributed(&next, [Some(0.0), Some(1.0)]);
        assert_eq!(rounded(found.places[&PLACES[1]]), (Some(10.0), Some(0.0)));
    }

    #[test]
    fn hidden_counters_are_unknown() {
        let block = block(Removals::default(), [60, 20]);
        let found = attributed(&block, [Some(1.0); 2]);
        assert!(!found.knows_evicted && !found.knows_expired);
    }

    #[test]
    fn block_is_ready_after_enough_keys_or_time() {
        let counted = removals(1.0, 0.0, 0.0);
        assert!(block(counted, [50, 0]).is_ready(1.0));
        assert!(!block(counted, [49, 0]).is_ready(1.0));
        assert!(block(counted, [10, 0]).is_ready(60.0));
        assert!(!block(counted, [9, 0]).is_ready(60.0));
        assert!(block(counted, [1, 0]).is_ready(300.0));
        assert!(!block(counted, [0, 0]).is_ready(3_000.0));
    }
}
