//! Previews databases that have not been swept yet.
//!
//! A pass sweeps one database after the other, so a large one would keep the others without an
//! estimate for minutes. A preview visits a few keys of each. They count until the pass has seen
//! more keys of the same segment.

use std::time::Duration;

use tokio::time::Instant;

use super::{CHECK_EVERY, Sweeper};
use crate::clock::now;
use crate::failure::Failure;
use crate::keyspace::segment::Segment;

/// Maximum number of databases that are previewed before a pass. The others are previewed while it
/// runs, at most half of the time.
const BEFORE_PASS_MAX: usize = 64;

/// Number of keys of all previews at startup. They are a part of the first keys that the sweep
/// visits quickly.
const KEYS_AT_STARTUP: usize = 4_000;

/// Limits of the number of keys in the preview of one database. The error of a share is then three
/// to ten percentage points.
const KEYS_MIN: usize = 100;
const KEYS_MAX: usize = 1_000;

/// When the next database is previewed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Previews {
    /// From this time.
    From(Instant),
    /// Never over this connection: a part of a database is not a sample, or a database is denied.
    Never,
}

impl Previews {
    /// Returns the state after a preview or a check that took this long.
    fn after(self, took: Duration) -> Self {
        match self {
            Self::From(_) => Self::From(Instant::now() + took.max(CHECK_EVERY)),
            Self::Never => Self::Never,
        }
    }

    fn are_due(self) -> bool {
        matches!(self, Self::From(time) if time <= Instant::now())
    }
}

impl Sweeper<'_> {
    /// Previews the databases that have not been swept yet, before a pass over all of them.
    pub(super) async fn preview_databases(&mut self) -> Result<(), Failure> {
        if self.sample.is_some() || self.databases().len() < 2 {
            return Ok(());
        }
        let (started, generation) = (Instant::now(), self.census.generation());
        let unseen = self.unseen_databases();
        let most = keys_of_each(unseen.len().min(BEFORE_PASS_MAX));
        for (database, keys) in unseen.into_iter().take(BEFORE_PASS_MAX) {
            let is_over = self.census.generation() != generation;
            if is_over || matches!(self.previews, Previews::Never) {
                break;
            }
            self.preview(database, keys, most).await?;
        }
        self.previews = self.previews.after(started.elapsed());
        Ok(())
    }

    /// Previews one database that has not been swept yet, and returns to the one being swept.
    pub(super) async fn preview_if_due(&mut self, swept: u32) -> Result<(), Failure> {
        if self.sample.is_some() || !self.previews.are_due() {
            return Ok(());
        }
        let started = Instant::now();
        if let Some((database, keys)) = self.unseen_databases().into_iter().next() {
            self.preview(database, keys, KEYS_MIN).await?;
            self.reader.select(swept).await?;
            // Its cursor is that of another database.
            self.ahead = None;
        }
        self.previews = self.previews.after(started.elapsed());
        Ok(())
    }

    /// Returns the databases without a visit, each with its number of keys.
    fn unseen_databases(&self) -> Vec<(u32, u64)> {
        let mut databases = self.databases();
        databases.retain(|(database, _)| self.census.segments_in_use(*database).is_none());
        databases
    }

    /// Visits up to about `most` keys of a database. Ends early if its data were replaced.
    async fn preview(&mut self, database: u32, keys: u64, most: usize) -> Result<(), Failure> {
        if !self.can_preview(database, keys).await? {
            // The pass finds out the reason, and handles it.
            self.previews = Previews::Never;
            return Ok(());
        }
        let generation = self.census.generation();
        // Every server accepts the first cursor of this segment.
        let segment = if self.census.sweeps_in_random_order() {
            Segment::first(keys)
        } else {
            Segment::WHOLE
        };
        self.census.start_preview(database, segment, now());
        let most = if !self.census.is_sample() {
            KEYS_MAX
        } else if self.pace.is_starting() {
            most
        } else {
            KEYS_MIN
        };
        let mut cursor = segment.start();
        for _ in 0..most.div_ceil(self.sweep.count.max(1) as usize) {
            cursor = self.batch(database, segment, cursor).await?;
            self.check_if_due().await?;
            self.publish_if_due().await?;
            let is_forgotten = self.census.segments_in_use(database).is_none();
            if is_forgotten || self.census.generation() != generation {
                return Ok(());
            }
            if !segment.has_more(cursor) {
                self.census.close(database, now());
                return Ok(());
            }
        }
        self.census.close_part(database, now());
        Ok(())
    }

    /// Selects a database, and returns whether a preview gives an estimate: some of its keys are a
    /// sample, or they are all visited. Too few keys prove nothing about cursors.
    async fn can_preview(&mut self, database: u32, keys: u64) -> Result<bool, Failure> {
        if self.reader.try_select(database).await?.is_some() {
            return Ok(false);
        }
        self.prove_cursors(keys).await?;
        Ok(self.census.is_sample() || keys <= KEYS_MAX as u64)
    }
}

/// Returns how many keys of each of several databases are visited at startup.
fn keys_of_each(databases: usize) -> usize {
    (KEYS_AT_STARTUP / databases.max(1)).clamp(KEYS_MIN, KEYS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_of_many_databases_are_a_part_of_the_first_keys() {
        assert_eq!(
            [1, 4, 16, 40, 1_000].map(keys_of_each),
            [1_000, 1_000, 250, 100, 100]
        );
        let most = keys_of_each(BEFORE_PASS_MAX) * BEFORE_PASS_MAX;
        assert!(most <= 10_000, "{most}");
    }
}
