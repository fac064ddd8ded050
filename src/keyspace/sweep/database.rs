//! Sweeps one database, segment by segment.

use tracing::{debug, info, warn};

use super::vitals::Scope;
use super::{Sweeper, Visited};
use crate::clock::now;
use crate::failure::{Failure, Reason};
use crate::keyspace::segment::{
    PROOF_STEPS, Segment, has_outgrown, has_segments, has_table_per_slot, proves_redis_cursors,
    segments,
};

impl Sweeper<'_> {
    /// Sweeps one database. Starts again with more segments if the database outgrows them. Returns
    /// false if its data were replaced.
    pub(super) async fn database(&mut self, database: u32, keys: u64) -> Result<bool, Failure> {
        let mut keys = keys;
        loop {
            match self.visit_database(database, keys).await? {
                Visited::Whole => return Ok(true),
                Visited::Replaced => return Ok(false),
                Visited::Outgrown => keys = self.keys_of(database),
            }
            debug!(
                name = self.name,
                database, keys, "the database has outgrown its segments; its pass starts again"
            );
        }
    }

    /// Sweeps one database, segment by segment.
    async fn visit_database(&mut self, database: u32, keys: u64) -> Result<Visited, Failure> {
        let generation = self.census.generation();
        self.reader.select(database).await?;
        self.prove_cursors(keys).await?;
        let order = if self.census.sweeps_in_random_order() {
            let in_use = self.census.segments_in_use(database);
            segments(keys, in_use, |below| fastrand::usize(..below))
        } else {
            vec![Segment::WHOLE]
        };
        self.census.start_database(database, order.len());
        let order = self.census.remaining(database, order);
        if self.draw_is_due() {
            // Publish the first estimate before the sweep starts.
            Box::pin(self.publish()).await?;
        }
        for segment in order {
            self.census.open(database, segment, now());
            match self.segment(database, segment, generation).await {
                Ok(Visited::Whole) => {
                    if segment.start() != 0 {
                        self.census.record_accepted_cursor();
                    }
                }
                Ok(early) => return Ok(early),
                // A server that accepts only its own cursors, or the passing error of a proxy.
                Err(failure) if failure.reason == Reason::Other && segment.start() != 0 => {
                    if self.census.record_refused_cursor() {
                        warn!(name = self.name, %failure, "the server refused a cursor; sweeping in the order of the server from now on");
                    } else {
                        info!(name = self.name, %failure, "the server refused a cursor; the pass starts again");
                    }
                    return Ok(Visited::Replaced);
                }
                Err(failure) => return Err(failure),
            }
            self.census.close(database, now());
        }
        self.check(Scope::SHORT).await?;
        if self.census.generation() != generation {
            return Ok(Visited::Replaced);
        }
        if !self.census.check_pass(database) {
            warn!(
                database,
                "two passes in random order missed keys or saw some twice; sweeping in the order of the server from now on"
            );
        }
        Ok(Visited::Whole)
    }

    /// Sweeps one segment, batch by batch. Ends early if the data were replaced since `generation`.
    async fn segment(
        &mut self,
        database: u32,
        segment: Segment,
        generation: u64,
    ) -> Result<Visited, Failure> {
        let mut cursor = segment.start();
        loop {
            cursor = self.batch(database, segment, cursor).await?;
            self.publish_if_due().await?;
            self.check_if_due().await?;
            self.preview_if_due(database).await?;
            if self.census.generation() != generation {
                return Ok(Visited::Replaced);
            }
            if !segment.has_more(cursor) {
                return Ok(Visited::Whole);
            }
            if self.has_outgrown_segments(database) {
                return Ok(Visited::Outgrown);
            }
        }
    }

    /// Returns whether a pass in random order should start again with more segments.
    fn has_outgrown_segments(&self, database: u32) -> bool {
        let segments = self.census.segments_in_use(database);
        self.census.sweeps_in_random_order()
            && segments.is_some_and(|segments| has_outgrown(self.keys_of(database), segments))
    }

    /// Scans the first steps to find out whether the cursors are those of Redis, unless that is
    /// known. If every slot has its own table, the steps prove nothing.
    pub(super) async fn prove_cursors(&mut self, keys: u64) -> Result<(), Failure> {
        let server = *self.reader.server();
        if self.census.knows_cursors() || has_table_per_slot(&server) {
            return Ok(());
        }
        let mut steps = Vec::new();
        let mut cursor = 0;
        while steps.len() < PROOF_STEPS {
            let (next, found) = self.scan(cursor).await?;
            let microseconds = self.cost_of_scan(found.len());
            self.census.record_batch(0, microseconds);
            if next == 0 {
                return Ok(());
            }
            steps.push((next, found.len()));
            cursor = next;
        }
        if proves_redis_cursors(&steps, keys) {
            self.census.record_cursors(has_segments(&server));
        } else {
            self.census.record_other_cursors();
        }
        Ok(())
    }
}
