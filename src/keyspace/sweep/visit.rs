//! Lookups between two passes.
//!
//! A pass over few keys ends before the lookup allowance is known, and the sample of TTLs grows by
//! the lookups allowed in every second.

use super::Sweeper;
use super::batch::cost_of_trips;
use super::key_reader::WantedKey;
use crate::connection::Spacing;
use crate::failure::Failure;

impl Sweeper<'_> {
    /// Spends the allowed lookups on keys at a random position.
    pub(super) async fn visit(&mut self) -> Result<(), Failure> {
        if !self.allowance.is_limited() || !self.allowance.has_some() {
            return Ok(());
        }
        let Some((database, keys)) = self.choose_database() else {
            return Ok(());
        };
        if self.reader.try_select(database).await?.is_some() {
            return Ok(());
        }
        let cursor = if self.census.sweeps_in_random_order() {
            fastrand::u64(..keys.checked_next_power_of_two().unwrap_or(u64::MAX))
        } else if self.visited.0 == database {
            self.visited.1
        } else {
            0
        };
        let (next, keys) = self.scan(cursor).await?;
        self.visited = (database, next);
        let mut microseconds = self.cost_of_scan(keys.len());
        let mut wanted: Vec<_> = keys.iter().map(|key| WantedKey::nothing_of(key)).collect();
        self.choose_lookups(database, &mut wanted);
        wanted.retain(|wanted| wanted.queries().next().is_some());
        let (found, _) = self.reader.details(&wanted, None, Spacing::NONE).await?;
        microseconds += cost_of_trips(&wanted, false, Spacing::NONE);
        for (wanted, found) in wanted.iter().zip(&found) {
            microseconds += self.cost(wanted);
            self.census.learn(database, wanted.key, found);
        }
        self.census.record_batch(0, microseconds);
        self.reader.take_round_trip();
        let sent = self.reader.take_sent();
        self.pace.owe(sent);
        Ok(())
    }

    /// Chooses a random database, with a probability proportional to its keys. Leaves out those that
    /// the server has refused: only the pass fails because of them.
    pub(super) fn choose_database(&self) -> Option<(u32, u64)> {
        let mut databases = self.databases();
        databases.retain(|(database, _)| !self.reader.has_refused(*database));
        let all: u64 = databases.iter().map(|(_, keys)| keys).sum();
        let mut place = if all > 0 { fastrand::u64(..all) } else { 0 };
        databases.into_iter().find(|(_, keys)| {
            let is_here = place < *keys;
            place = place.saturating_sub(*keys);
            is_here
        })
    }
}
