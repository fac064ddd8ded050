//! One batch of a sweep: a SCAN, the details of its keys, and the pause after it.

use std::cmp::Reverse;
use std::collections::HashSet;

use tokio::time::Instant;

use super::follow::SHARE_WITHOUT_TTLS;
use super::key_reader::{KeyDetails, Step, WantedKey};
use super::{Event, Sweeper};
use crate::connection::Spacing;
use crate::failure::Failure;
use crate::keyspace::cost::{ROUND_TRIP_MICROSECONDS, SweepQuery};
use crate::keyspace::pace::Batch;
use crate::keyspace::panel::Region;
use crate::keyspace::segment::Segment;
use crate::number::length;
use crate::reply::ReplyBytes;

/// Share of the lookups spent on keys with a TTL policy.
const POLICY_SHARE: f64 = 0.75;

/// Share of the lookups that query the type. It is small because a namespace usually has a single
/// type.
const TYPE_SHARE: f64 = 0.2;

/// Cost of MEMORY USAGE with many sampled elements, in microseconds.
const MANY_ELEMENTS_MICROSECONDS: f64 = 200.0;

/// Maximum number of aggregates per pipeline whose memory is measured with many elements, largest
/// first.
const CLOSE_PER_PIPELINE: usize = 4;

/// A SCAN sent with the previous batch.
#[derive(Debug)]
pub(super) struct Ahead {
    cursor: u64,
    step: Step,
}

impl Sweeper<'_> {
    /// Sends one SCAN, queries the details of its keys, and pauses. Returns the next cursor.
    pub(super) async fn batch(
        &mut self,
        database: u32,
        segment: Segment,
        cursor: u64,
    ) -> Result<u64, Failure> {
        let ahead = self.ahead.take();
        let ahead = ahead.filter(|ahead| ahead.cursor == cursor && cursor != segment.start());
        let (next, mut keys) = match ahead {
            Some(ahead) => self.record_scan(ahead.step),
            None => self.scan(cursor).await?,
        };
        let mut microseconds = self.cost_of_scan(keys.len());
        if segment.is_overrun(next) {
            // The keys beyond the end also begin the next segment. They would count twice.
            let (beyond, took) = self.keys_beyond(segment.end(), next).await?;
            microseconds += took;
            keys.retain(|key| !beyond.contains(key));
        }
        let next_in_segment = segment.has_more(next).then_some(next);
        microseconds += Box::pin(self.details(database, &keys, next_in_segment)).await?;
        self.census.record_batch(keys.len(), microseconds);
        (self.listener)(Event::Progress {
            seen: self.census.keys_visited() - self.pass.visited_before,
            keys: self.pass.keys,
        });
        let batch = Batch {
            keys: u32::try_from(keys.len()).unwrap_or(u32::MAX),
            commands: self.reader.take_sent(),
            microseconds: self.census.take_unpaid(),
            round_trip: self.reader.take_round_trip(),
            took: self.paused.elapsed(),
        };
        // They take no memory during the pause.
        drop(keys);
        let pause = self.pace.pause(&batch);
        self.paused = Instant::now() + pause;
        self.census.record_pace(&self.pace);
        self.wait(pause).await?;
        Ok(next)
    }

    /// Queries keys. Sends the next SCAN with the last of them if that saves time. Returns the cost
    /// to the server, in microseconds.
    async fn details(
        &mut self,
        database: u32,
        keys: &[ReplyBytes],
        next: Option<u64>,
    ) -> Result<f64, Failure> {
        let mut microseconds = 0.0;
        let mut wanted: Vec<_> = keys.iter().map(|key| self.wanted(key)).collect();
        if let Some(sample) = &mut self.sample {
            for wanted in &mut wanted {
                (wanted.expiry, wanted.data_type) = sample.next(|below| fastrand::u64(..below));
            }
        } else if self.allowance.is_limited() {
            self.choose_lookups(database, &mut wanted);
        }
        let shape = self.pace.shape(count(&wanted));
        let count = self.count();
        let mut rest = wanted.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(keys_in(rest, shape.commands));
            rest = later;
            let is_last = later.is_empty() && shape.scans_ahead;
            let next = next.filter(|_| is_last);
            let scan = next.map(|cursor| (cursor, count));
            let (mut found, step) = self.reader.details(now, scan, shape.spacing).await?;
            microseconds += cost_of_trips(now, scan.is_some(), shape.spacing);
            microseconds += self.measure_closely(now, &mut found).await?;
            let ahead = next.zip(step);
            self.ahead = ahead.map(|(cursor, step)| Ahead { cursor, step });
            for (wanted, found) in now.iter().zip(&found) {
                microseconds += self.cost(wanted);
                let (namespace, policy) = self.census.see(database, wanted.key, found);
                (self.listener)(Event::Key {
                    database,
                    namespace,
                    policy,
                    name: wanted.key,
                    found,
                });
            }
        }
        Ok(microseconds)
    }

    /// Measures the largest aggregates of a pipeline with more of their elements. Returns the cost
    /// to the server, in microseconds.
    async fn measure_closely(
        &mut self,
        wanted: &[WantedKey<'_>],
        found: &mut [KeyDetails],
    ) -> Result<f64, Failure> {
        let pairs = wanted.iter().zip(found);
        let large = pairs.filter(|(_, found)| found.may_be_large_aggregate());
        let mut large: Vec<_> = large.collect();
        large.sort_by_key(|(_, found)| Reverse(found.details.memory));
        let mut microseconds = 0.0;
        for (place, (wanted, found)) in large.into_iter().take(CLOSE_PER_PIPELINE).enumerate() {
            if place > 0 {
                let Some(left) = self.close_left.checked_sub(1) else {
                    break;
                };
                self.close_left = left;
            }
            // One at a time, so that other clients are served in between.
            let bytes = self.reader.memory_of_many_elements(wanted.key).await?;
            if bytes.is_none() {
                break;
            }
            found.details.memory = bytes;
            microseconds += MANY_ELEMENTS_MICROSECONDS + ROUND_TRIP_MICROSECONDS;
        }
        Ok(microseconds)
    }

    /// Returns the queries for a key: each is sent for a uniform share of all keys. Lookups are
    /// chosen separately if they are limited.
    pub(super) fn wanted<'k>(&self, key: &'k [u8]) -> WantedKey<'k> {
        let shares = self.pace.shares(self.shares, self.pass.keys);
        let is_limited = self.allowance.is_limited() || self.sample.is_some();
        let expiry = !is_limited && fastrand::f64() < shares.expiry;
        WantedKey {
            key,
            memory: fastrand::f64() < shares.memory,
            expiry,
            data_type: expiry,
        }
    }

    /// Spends the allowed lookups, mostly on keys with a TTL policy. Other keys of a namespace have the
    /// same chance. While the panel lacks TTLs, most lookups are left to it.
    pub(super) fn choose_lookups(&mut self, database: u32, wanted: &mut [WantedKey<'_>]) {
        if self.lacks_ttls() && fastrand::f64() > SHARE_WITHOUT_TTLS {
            return;
        }
        let mut rest: Vec<usize> = (0..wanted.len()).collect();
        fastrand::shuffle(&mut rest);
        while !rest.is_empty() && self.allowance.has_some() {
            let Some(query) = self.next_lookup(wanted) else {
                return;
            };
            self.allowance.take();
            let declared = fastrand::f64() < POLICY_SHARE;
            let deserving = rest.iter().position(|at| {
                let key = wanted.get(*at).map_or(&[][..], |wanted| wanted.key);
                declared && self.census.has_ttl_policy(database, key)
            });
            let chosen = rest.swap_remove(deserving.unwrap_or(0));
            if let Some(wanted) = wanted.get_mut(chosen) {
                wanted.expiry = query == SweepQuery::Expiry;
                wanted.data_type = query == SweepQuery::Type;
            }
        }
    }

    /// Returns the query of the next lookup: each query once before one is repeated. Returns `None`
    /// if the server refuses both.
    fn next_lookup(&self, wanted: &[WantedKey<'_>]) -> Option<SweepQuery> {
        let is_untried = |query: SweepQuery| {
            let mut queries = wanted.iter().flat_map(|wanted| wanted.queries());
            !self.reader.has_tried(query) && queries.all(|other| other != query)
        };
        let is_type = !is_untried(SweepQuery::Expiry)
            && (is_untried(SweepQuery::Type) || fastrand::f64() < TYPE_SHARE);
        let order = if is_type {
            [SweepQuery::Type, SweepQuery::Expiry]
        } else {
            [SweepQuery::Expiry, SweepQuery::Type]
        };
        order.into_iter().find(|query| self.reader.sends(*query))
    }

    /// Returns the keys from the end of a part of the table up to the cursor at which a SCAN of that
    /// part stopped, and the cost to the server, in microseconds. May return keys after these.
    ///
    /// COUNT may be smaller than that of the SCAN, which was perhaps sent before the server became
    /// slower, so a single SCAN may not be enough.
    pub(super) async fn keys_beyond(
        &mut self,
        end: u64,
        stopped: u64,
    ) -> Result<(HashSet<ReplyBytes>, f64), Failure> {
        let beyond = Region {
            database: self.reader.selected(),
            start: end,
            end: stopped,
        };
        let (mut keys, mut microseconds) = (HashSet::new(), 0.0);
        let mut cursor = end;
        loop {
            let (next, found) = self.scan(cursor).await?;
            microseconds += self.cost_of_scan(found.len());
            keys.extend(found);
            // A server with other cursors may never get there.
            let advances = next.reverse_bits() > cursor.reverse_bits();
            if !beyond.has_more(next) || !advances {
                return Ok((keys, microseconds));
            }
            cursor = next;
        }
    }

    pub(super) async fn scan(&mut self, cursor: u64) -> Result<Step, Failure> {
        let step = self.reader.scan(cursor, self.count()).await?;
        Ok(self.record_scan(step))
    }

    /// Returns COUNT for the next SCAN.
    fn count(&self) -> u32 {
        let wanted = self.pace.count(self.sweep.count);
        self.census.costs().count(wanted)
    }

    fn record_scan(&mut self, (next, keys): Step) -> Step {
        self.census.record_scan(keys.len());
        (next, keys)
    }

    /// Returns the cost of a SCAN that returned this many keys, with its round trip, in
    /// microseconds.
    pub(super) fn cost_of_scan(&self, keys: usize) -> f64 {
        let costs = self.census.costs();
        costs.of_scan(length(keys), f64::from(self.sweep.count)) + ROUND_TRIP_MICROSECONDS
    }

    pub(super) fn cost(&mut self, wanted: &WantedKey<'_>) -> f64 {
        let mut microseconds = 0.0;
        for query in wanted.queries().filter(|query| self.reader.sends(*query)) {
            microseconds += self.census.costs().of(query);
            self.census.record_sent(query);
        }
        microseconds
    }
}

/// Returns how many commands the details of some keys take.
fn count(wanted: &[WantedKey<'_>]) -> usize {
    wanted.iter().map(|wanted| wanted.queries().count()).sum()
}

/// Returns the cost of the round trips for the details of some keys, in microseconds. The server
/// reads each part of a pipeline separately. A SCAN in the pipeline includes the last round trip.
pub(super) fn cost_of_trips(wanted: &[WantedKey<'_>], has_scan: bool, spacing: Spacing) -> f64 {
    let scans = usize::from(has_scan);
    let parts = (count(wanted) + scans).div_ceil(spacing.commands.max(1));
    length(parts.saturating_sub(scans)) * ROUND_TRIP_MICROSECONDS
}

/// Returns how many of the keys fit into a pipeline of this many commands, at least one.
fn keys_in(wanted: &[WantedKey<'_>], commands: usize) -> usize {
    let mut left = commands;
    let fits = |wanted: &&WantedKey<'_>| {
        let needed = wanted.queries().count();
        let fits = needed <= left;
        left = left.saturating_sub(needed);
        fits
    };
    wanted.iter().take_while(fits).count().max(1)
}
