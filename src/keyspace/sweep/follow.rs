//! Draws keys for the panel and checks them, with SCANs between the batches of a sweep.

use std::time::Duration;

use tokio::time::Instant;

use super::census::DrawnKeys;
use super::key_reader::{KeyDetails, WantedKey};
use super::{CHECK_EVERY, Sweeper};
use crate::clock::monotonic;
use crate::connection::Spacing;
use crate::failure::{Failure, Reason};
use crate::keyspace::cost::SweepQuery;
use crate::keyspace::panel::{Lifetime, Region, RenewalCheck, Run, starts};
use crate::reply::ReplyBytes;

/// Maximum number of SCANs per second for the panel. They take about 0.03 % of a core.
const SCANS: f64 = 3.0;

/// Maximum share of the sweep's commands.
const COMMAND_SHARE: f64 = 0.125;

/// Maximum share of the sweep's time that is spent on round trips for the panel.
const TIME_SHARE: f64 = 0.1;

/// Number of keys up to which a draw takes all keys of a database. SCANs at random cursors of a
/// small table often reach its end, and would return keys near the end more often.
pub(super) const SMALL_KEYS: u64 = 1_000;

/// Maximum number of SCANs for one run. Its part of the table may have grown, and the run is dropped
/// then.
pub(super) const SCANS_PER_RUN: usize = 20;

/// Factor of growth up to which all keys of a small database are scanned again.
const GROWTH_MAX: u64 = 2;

/// Maximum number of TTLs to query per run.
const LOOKUPS_PER_RUN: usize = 10;

/// Share of the runs for which TTLs are queried if lookups are limited. The rest of the lookups is
/// left to the sweep.
const LOOKUP_SHARE: f64 = 0.75;

/// Share of the allowed lookups of idle times, types and visits while TTLs are lacking to distinguish evicted keys
/// from expired ones.
pub(super) const SHARE_WITHOUT_TTLS: f64 = 0.1;

impl Sweeper<'_> {
    /// Checks the keys of the panel that are due, and draws others.
    pub(super) async fn follow_if_due(&mut self) -> Result<(), Failure> {
        let is_due = self
            .followed
            .is_none_or(|at| at.elapsed() >= self.running.check_every());
        // A single pass ends before the first keys are due.
        if !is_due || self.sample.is_some() || self.published.is_none() {
            return Ok(());
        }
        if self.census.panel().is_none() {
            return Ok(());
        }
        self.followed = Some(Instant::now());
        let database = self.reader.selected();
        let result = Box::pin(self.follow()).await;
        self.resume(database, result).await
    }

    /// Returns to the database of the sweep after queries between two batches, and charges them to
    /// its budget. They may have failed because of a cursor.
    pub(super) async fn resume(
        &mut self,
        database: u32,
        result: Result<(), Failure>,
    ) -> Result<(), Failure> {
        if self.reader.selected() != database {
            Box::pin(self.reader.select(database)).await?;
        }
        self.reader.take_round_trip();
        let sent = self.reader.take_sent();
        self.pace.owe(sent);
        match result {
            // The server accepts only its own cursors, or a proxy had a passing error.
            Err(failure) if failure.reason == Reason::Other => {
                self.census.record_refused_cursor();
                Ok(())
            }
            result => result,
        }
    }

    async fn follow(&mut self) -> Result<(), Failure> {
        let mut microseconds = 0.0;
        while let Some(run) = self.next_due() {
            if self.has_outgrown(&run) {
                continue;
            }
            self.reader.select(run.region.database).await?;
            let at = monotonic();
            let (names, took) = self.scan_region(run.region).await?;
            microseconds += took;
            if let Some(names) = names {
                self.census.record_followed(at, &run, &names);
                microseconds += self.check_renewals(&run, &names).await?;
            }
        }
        let databases = self.databases().into_iter();
        let (keys, living): (Vec<u64>, Vec<f64>) = databases
            .map(|(database, keys)| (keys, self.vitals.living_keys(database)))
            .unzip();
        let (keys, living) = (keys.iter().sum(), living.iter().sum());
        let scans = self.scans_per_second();
        let panels = self.running.of_all();
        let delay = self.running.check_every().saturating_sub(CHECK_EVERY);
        let wanted = self.census.panel().map_or(0, |panel| {
            panel.set_delay(delay);
            panel.wanted(monotonic(), keys, scans, panels)
        });
        let mut runs = Vec::new();
        for _ in 0..wanted {
            let (run, took) = self.draw_run().await?;
            microseconds += took;
            runs.extend(run);
        }
        self.census.follow(monotonic(), living, &runs);
        self.census.record_batch(0, microseconds);
        Ok(())
    }

    /// Queries the TTLs of the keys in a run that may have been renewed, within the allowance. Returns
    /// the cost to the server, in microseconds.
    async fn check_renewals(&mut self, run: &Run, names: &[ReplyBytes]) -> Result<f64, Failure> {
        let panel = self.census.panel();
        let checks = panel.map(|panel| panel.renewal_checks(run, names));
        let checks = checks.unwrap_or_default();
        if checks.is_empty() || !self.reader.sends(SweepQuery::Expiry) {
            return Ok(0.0);
        }
        let (gone, there): (Vec<RenewalCheck>, Vec<RenewalCheck>) = checks
            .into_iter()
            .take_while(|check| self.may_check(check))
            .partition(|check| check.at.is_none());
        let names = there.iter().filter_map(|check| names.get(check.at?));
        let wanted = names.map(|key| WantedKey {
            expiry: true,
            ..WantedKey::nothing_of(key)
        });
        let wanted: Vec<WantedKey<'_>> = wanted.collect();
        let (found, _) = self.reader.details(&wanted, None, Spacing::NONE).await?;
        let mut renewals: Vec<(RenewalCheck, Option<Lifetime>)> = Vec::new();
        renewals.extend(gone.into_iter().map(|check| (check, None)));
        let mut microseconds = 0.0;
        for ((check, wanted), found) in there.into_iter().zip(&wanted).zip(found) {
            microseconds += self.cost(wanted);
            // Keys that have lived for another minute are not a sample of all keys, so their TTLs
            // count for nothing else.
            let (hits, misses) = (found.hits.into(), found.misses.into());
            self.census.record_lookups(hits, misses);
            let lifetime = match found.details.expiry {
                _ if found.is_gone => None,
                Some(expiry) => Some(Lifetime::of(expiry, monotonic())),
                None => Some(Lifetime::Unknown),
            };
            renewals.push((check, lifetime));
        }
        if let Some(panel) = self.census.panel() {
            for (check, lifetime) in renewals {
                panel.record_renewal(check, lifetime);
            }
        }
        Ok(microseconds)
    }

    /// Returns whether a lookup is left for a check, and takes it if the key is still there. If
    /// none is left, keys that are gone do not count either: they would count too often.
    fn may_check(&mut self, check: &RenewalCheck) -> bool {
        if !self.allowance.is_limited() {
            return true;
        }
        if check.at.is_some() {
            self.allowance.take()
        } else {
            self.allowance.has_some()
        }
    }

    /// Returns whether most lookups should be spent on TTLs for the panel.
    pub(super) fn lacks_ttls(&mut self) -> bool {
        self.reader.sends(SweepQuery::Expiry) && self.census.lacks_ttls()
    }

    fn next_due(&mut self) -> Option<Run> {
        self.census.panel()?.take_due(monotonic())
    }

    /// Returns whether a run of a small database would now be the scan of a large one.
    fn has_outgrown(&self, run: &Run) -> bool {
        run.region.is_whole() && self.keys_of(run.region.database) > GROWTH_MAX * SMALL_KEYS
    }

    /// Returns the SCANs that the panel may send per second.
    pub(super) fn scans_per_second(&self) -> f64 {
        let by_commands = self.pace.most_commands().map(|most| most * COMMAND_SHARE);
        let trip = self.pace.least_round_trip().map(|trip| trip.as_secs_f64());
        let by_time =
            trip.map(|trip| TIME_SHARE / trip.max(Duration::from_micros(1).as_secs_f64()));
        let least = by_commands.into_iter().chain(by_time).fold(SCANS, f64::min);
        // One per second is too few to notice, even for a slow server.
        (least / self.pace.slowdown()).max(least.min(1.0))
    }

    /// Draws a run. Returns it with the cost to the server, in microseconds.
    async fn draw_run(&mut self) -> Result<(Option<DrawnKeys>, f64), Failure> {
        let Some((database, keys)) = self.choose_database() else {
            return Ok((None, 0.0));
        };
        if self.reader.try_select(database).await?.is_some() {
            return Ok((None, 0.0));
        }
        let at = monotonic();
        let (region, names, mut microseconds) = if keys <= SMALL_KEYS {
            let region = Region {
                database,
                start: 0,
                end: 0,
            };
            let (names, took) = self.scan_region(region).await?;
            (region, names.unwrap_or_default(), took)
        } else {
            let start = fastrand::u64(..starts(keys));
            let (end, names) = self.scan_for_panel(start).await?;
            let region = Region {
                database,
                start,
                end,
            };
            let took = self.cost_of_scan(names.len());
            (region, names, took)
        };
        let (found, took) = self.look_up_some(database, &names).await?;
        microseconds += took;
        let keys = names.into_iter().zip(found).collect();
        Ok((Some(DrawnKeys { at, region, keys }), microseconds))
    }

    /// Queries the TTLs of some keys, within the allowance. Returns what was found of each key.
    async fn look_up_some(
        &mut self,
        database: u32,
        names: &[ReplyBytes],
    ) -> Result<(Vec<KeyDetails>, f64), Failure> {
        let mut all = vec![KeyDetails::default(); names.len()];
        let mut wanted: Vec<WantedKey<'_>> =
            names.iter().map(|key| WantedKey::nothing_of(key)).collect();
        self.choose_ttls(database, &mut wanted);
        let chosen = wanted.iter().enumerate();
        let chosen = chosen.filter(|(_, wanted)| wanted.queries().next().is_some());
        let (places, wanted): (Vec<usize>, Vec<WantedKey<'_>>) = chosen.unzip();
        let (found, _) = self.reader.details(&wanted, None, Spacing::NONE).await?;
        let mut microseconds = 0.0;
        for ((place, wanted), found) in places.into_iter().zip(&wanted).zip(found) {
            microseconds += self.cost(wanted);
            self.census.learn(database, wanted.key, &found);
            if let Some(all) = all.get_mut(place) {
                *all = found;
            }
        }
        Ok((all, microseconds))
    }

    /// Chooses the keys of a run whose TTL is queried, within the allowance. Keys of the namespaces
    /// with the fewest known TTLs come first. Keys of the same namespace have the same chance.
    fn choose_ttls(&mut self, database: u32, wanted: &mut [WantedKey<'_>]) {
        let is_limited = self.allowance.is_limited();
        let share = if self.lacks_ttls() { 1.0 } else { LOOKUP_SHARE };
        let is_left_out = is_limited && fastrand::f64() > share;
        // INFO reports for free that no key has a TTL.
        let is_needless = self.vitals.expires.get(&database) == Some(&0);
        if is_left_out || is_needless || !self.reader.sends(SweepQuery::Expiry) {
            return;
        }
        let mut order: Vec<&mut WantedKey<'_>> = wanted.iter_mut().collect();
        fastrand::shuffle(&mut order);
        order.sort_by_cached_key(|wanted| self.census.known_ttls(database, wanted.key));
        for wanted in order.into_iter().take(LOOKUPS_PER_RUN) {
            if is_limited && !self.allowance.has_some() {
                return;
            }
            if is_limited {
                self.allowance.take();
            }
            wanted.expiry = true;
        }
    }

    /// Scans a region. Returns its names and the cost to the server, in microseconds. Returns no
    /// names if there are too many.
    async fn scan_region(
        &mut self,
        region: Region,
    ) -> Result<(Option<Vec<ReplyBytes>>, f64), Failure> {
        let (mut all, mut microseconds) = (Vec::new(), 0.0);
        let mut cursor = region.start;
        for _ in 0..SCANS_PER_RUN {
            let (next, names) = self.scan_for_panel(cursor).await?;
            microseconds += self.cost_of_scan(names.len());
            all.extend(names);
            if !region.has_more(next) {
                return Ok((Some(all), microseconds));
            }
            cursor = next;
        }
        Ok((None, microseconds))
    }

    async fn scan_for_panel(&mut self, cursor: u64) -> Result<(u64, Vec<ReplyBytes>), Failure> {
        if let Some(panel) = self.census.panel() {
            panel.record_scan();
        }
        self.scan(cursor).await
    }
}
