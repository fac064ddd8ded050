//! Scans a few parts of the hash table again and again, to find evicted keys that are written again.

use tokio::time::Instant;

use super::Sweeper;
use super::follow::{SCANS_PER_RUN, SMALL_KEYS};
use super::key_reader::WantedKey;
use crate::clock::monotonic;
use crate::connection::Spacing;
use crate::failure::Failure;
use crate::keyspace::cost::SweepQuery;
use crate::keyspace::ghosts::Ghosts;
use crate::keyspace::panel::{Lifetime, Region, starts};
use crate::reply::ReplyBytes;

/// SCANs for evicted keys, compared with those that the panel may send.
const SCANS: f64 = 2.0 / 3.0;

/// Maximum number of parts to scan at a time, so that a slow server does not hold up the sweep.
const SCANS_PER_TURN: usize = 8;

/// Maximum number of TTLs to query per scan, and the same while lookups are limited.
const LOOKUPS_PER_SCAN: usize = 30;
const LOOKUPS_IF_LIMITED: usize = 2;

impl Sweeper<'_> {
    /// Scans the parts of the table that are due, and begins with further ones.
    pub(super) async fn follow_ghosts_if_due(&mut self) -> Result<(), Failure> {
        let is_due = |at: Instant| at.elapsed() >= self.running.check_every();
        let is_due = self.ghosts_followed.is_none_or(is_due);
        if !is_due || self.sample.is_some() || self.published.is_none() {
            return Ok(());
        }
        self.ghosts_followed = Some(Instant::now());
        if self.ghosts().is_none() {
            return Ok(());
        }
        let database = self.reader.selected();
        let result = Box::pin(self.follow_ghosts()).await;
        self.resume(database, result).await
    }

    fn ghosts(&mut self) -> Option<&mut Ghosts> {
        let scans = SCANS * self.scans_per_second();
        self.census.ghosts(monotonic(), scans)
    }

    async fn follow_ghosts(&mut self) -> Result<(), Failure> {
        for _ in 0..SCANS_PER_TURN {
            let due = self.ghosts().and_then(|ghosts| ghosts.due(monotonic()));
            let Some(region) = due else { break };
            self.reader.select(region.database).await?;
            let at = monotonic();
            let names = self.names_of(region).await?;
            let Some(ghosts) = self.ghosts() else {
                return Ok(());
            };
            let Some(names) = names else {
                ghosts.drop_part(region);
                continue;
            };
            ghosts.record(at, region, &names);
            self.learn_ttls(region, &names).await?;
        }
        if self.ghosts().is_some_and(|ghosts| ghosts.wants_part()) {
            self.add_part().await?;
        }
        Ok(())
    }

    /// Begins to follow a random part of a database with enough keys.
    async fn add_part(&mut self) -> Result<(), Failure> {
        let large = self.choose_database();
        let Some((database, keys)) = large.filter(|(_, keys)| *keys > SMALL_KEYS) else {
            return Ok(());
        };
        if self.reader.try_select(database).await?.is_some() {
            return Ok(());
        }
        let start = fastrand::u64(..starts(keys));
        let at = monotonic();
        let (end, names) = self.scan(start).await?;
        let region = Region {
            database,
            start,
            end,
        };
        let microseconds = self.cost_of_scan(names.len());
        self.census.record_batch(0, microseconds);
        if let Some(ghosts) = self.ghosts() {
            ghosts.add(at, region, &names);
        }
        self.learn_ttls(region, &names).await
    }

    /// Returns exactly the names in a part of the table, or `None` if there are too many. The last
    /// SCAN may go beyond its end.
    async fn names_of(&mut self, region: Region) -> Result<Option<Vec<ReplyBytes>>, Failure> {
        let (mut all, mut cursor) = (Vec::new(), region.start);
        for _ in 0..SCANS_PER_RUN {
            let (next, names) = self.scan(cursor).await?;
            let microseconds = self.cost_of_scan(names.len());
            self.census.record_batch(0, microseconds);
            all.extend(names);
            if !region.has_more(next) {
                if next != region.end {
                    let (beyond, microseconds) = self.keys_beyond(region.end, next).await?;
                    self.census.record_batch(0, microseconds);
                    all.retain(|name| !beyond.contains(name));
                }
                return Ok(Some(all));
            }
            cursor = next;
        }
        Ok(None)
    }

    /// Queries the TTLs of keys that may be evicted later, within the allowance, if keys have TTLs.
    async fn learn_ttls(&mut self, region: Region, names: &[ReplyBytes]) -> Result<(), Failure> {
        let sends = self.reader.sends(SweepQuery::Expiry) && !self.lacks_ttls();
        if !self.census.needs_ttls_of_ghosts() || !sends {
            return Ok(());
        }
        let ghosts = self.ghosts();
        let wanted = ghosts.map(|ghosts| ghosts.without_ttl(monotonic(), region, names));
        let mut wanted = wanted.unwrap_or_default();
        fastrand::shuffle(&mut wanted);
        let is_limited = self.allowance.is_limited();
        let most = if is_limited {
            LOOKUPS_IF_LIMITED
        } else {
            LOOKUPS_PER_SCAN
        };
        wanted.truncate(most);
        let allowed = wanted.into_iter();
        let allowed = allowed.take_while(|_| !is_limited || self.allowance.take());
        let keys = allowed.filter_map(|at| names.get(at));
        let wanted = keys.map(|key| WantedKey {
            expiry: true,
            ..WantedKey::nothing_of(key)
        });
        let wanted: Vec<WantedKey<'_>> = wanted.collect();
        let (found, _) = self.reader.details(&wanted, None, Spacing::NONE).await?;
        let now = monotonic();
        for (wanted, found) in wanted.iter().zip(found) {
            let microseconds = self.cost(wanted);
            self.census.record_batch(0, microseconds);
            let (hits, misses) = (found.hits.into(), found.misses.into());
            self.census.record_lookups(hits, misses);
            let lifetime = found.details.expiry.map(|expiry| Lifetime::of(expiry, now));
            if let Some((ghosts, lifetime)) = self.ghosts().zip(lifetime) {
                ghosts.learn(now, region, wanted.key, lifetime);
            }
        }
        Ok(())
    }
}
