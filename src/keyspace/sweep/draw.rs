//! Draws random keys of a cluster node, so that there is an estimate long before a pass is
//! complete.
//!
//! If every slot has its own table, SCAN goes slot by slot, and hash tags put related keys into one
//! slot. A part of a sweep is then not a sample. RANDOMKEY selects a slot in proportion to its keys
//! and then a random key of it, so every key has the same chance.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::cost_of_trips;
use super::key_reader::{KeyReader, WantedKey};
use super::{Sweeper, to_float};
use crate::clock::now;
use crate::connection::{PairedReplies, Spacing, refused};
use crate::failure::Failure;
use crate::keyspace::keys::query::Lookups;
use crate::keyspace::pace::{Batch, SMALL_PARTS, keys_to_draw};
use crate::keyspace::queries::RANDOM_KEY;
use crate::keyspace::segment::has_table_per_slot;
use crate::reply::{ErrorKind, Refusal, Reply, ReplyBytes};

/// Cost of RANDOMKEY, in microseconds of server time. Measured on Redis 8.10 and Valkey 9.1.
pub(super) const RANDOM_KEY_MICROSECONDS: f64 = 5.0;

/// At most a tenth of the server's time, in parts as short as a SCAN.
const RANDOM_KEYS_SPACING: Spacing = Spacing {
    commands: 40,
    gap: Duration::from_millis(2),
};

/// Time between two draws before the first pass is complete, once the budget has caught up with
/// the commands of the last one.
const DRAW_EVERY: Duration = Duration::from_secs(30);

impl KeyReader {
    /// Draws distinct random keys of the selected database, or returns why the server refuses that.
    /// A refused command is not sent again over this connection.
    pub(super) async fn random_keys(
        &mut self,
        most: usize,
    ) -> Result<Result<BTreeSet<ReplyBytes>, Refusal>, Failure> {
        let (mut keys, mut rejected) = (BTreeSet::new(), None);
        let commands = (0..most).map(|at| RANDOM_KEY.ticket(at).into()).collect();
        let read = |reader: &mut Self, replies: PairedReplies, _: &mut Lookups| {
            for (ticket, reply) in replies {
                match reply {
                    Reply::Error(refusal) => match refusal.kind() {
                        ErrorKind::TooLarge => {}
                        ErrorKind::Passing => return Err(refused(&refusal)),
                        _ => {
                            reader.session.reject(ticket, &refusal);
                            rejected = Some(refusal);
                        }
                    },
                    Reply::Bytes(key) => {
                        keys.insert(key);
                    }
                    Reply::Nil | Reply::Integer(_) | Reply::List(_) => {}
                }
            }
            Ok(())
        };
        self.query(commands, RANDOM_KEYS_SPACING, |_, _| true, read)
            .await?;
        Ok(rejected.map_or(Ok(keys), Err))
    }
}

/// The server time that a draw took. The sweep pauses for it once the estimate is published.
#[derive(Debug)]
pub(super) struct Debt {
    started: Instant,
    microseconds: f64,
}

impl Sweeper<'_> {
    /// Returns whether to draw random keys: a part of the sweep is not a sample, and no pass is
    /// complete yet.
    pub(super) fn draw_is_due(&self) -> bool {
        let is_recent = self.drawn.is_some_and(|at| at.elapsed() < DRAW_EVERY);
        let is_wanted = has_table_per_slot(self.reader.server()) && !self.census.is_whole(0);
        is_wanted && !is_recent && !self.pace.owes() && self.reader.selected() == 0
    }

    /// Draws random keys if they are due.
    pub(super) async fn draw_if_due(&mut self) -> Result<Option<Debt>, Failure> {
        if !self.draw_is_due() {
            return Ok(None);
        }
        let (started, time) = (Instant::now(), now());
        self.drawn = Some(started);
        let all = self.vitals.keys.get(&0).copied().unwrap_or(0);
        let most = keys_to_draw(all, self.census.has_draws());
        let keys = self.reader.random_keys(most).await?.unwrap_or_default();
        if keys.is_empty() {
            // Refused, or already drawn from a small keyspace. An empty draw must not replace one
            // with keys.
            return Ok(None);
        }
        let wanted: Vec<WantedKey<'_>> = keys.iter().map(|key| self.wanted(key)).collect();
        let details = self.reader.details(&wanted, None, SMALL_PARTS).await?;
        self.census.open_draw(time);
        let mut microseconds = RANDOM_KEY_MICROSECONDS * to_float(keys.len() as u64);
        microseconds += cost_of_trips(&wanted, false, SMALL_PARTS);
        for (wanted, found) in wanted.iter().zip(&details.0) {
            microseconds += self.cost(wanted);
            self.census.see_drawn(wanted.key, found);
        }
        self.census.close_draw(now());
        Ok(Some(Debt {
            started,
            microseconds,
        }))
    }

    /// Pauses for the server's time. The commands are charged to the budget later, because there
    /// are many of them and the first estimate depends on them.
    pub(super) async fn pay(&mut self, debt: Debt) -> Result<(), Failure> {
        self.census.record_batch(0, debt.microseconds);
        let sent = self.reader.take_sent();
        self.pace.owe(sent);
        let pause = self.pace.pause(&Batch {
            keys: 0,
            commands: 0,
            microseconds: self.census.take_unpaid(),
            round_trip: self.reader.take_round_trip(),
            took: debt.started.elapsed(),
        });
        self.paused = Instant::now() + pause;
        self.wait_unpublished(pause).await
    }
}
