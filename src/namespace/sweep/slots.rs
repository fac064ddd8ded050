//! Drawing slots of a cluster node, so that there is an estimate long before a pass is whole.

use std::collections::BTreeMap;
use std::time::Duration;

use super::prober::{Prober, Wanted};
use super::{Walker, to_float};
use crate::failure::Failure;
use crate::namespace::pace::Batch;
use crate::namespace::slots::{Glimpse, KEYS_PER_DRAW, draw, owned, slot_of};
use crate::namespace::walk::has_table_per_slot;
use crate::namespace::window::Tallies;
use crate::reply::{Refusal, Reply};

/// The permissions for drawing slots.
const NODES: &str = "+cluster|nodes";
const COUNT: &str = "+cluster|countkeysinslot";

/// What the server refuses of the commands for drawing slots.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Permissions that the user needs.
    pub permission: &'static str,
    /// What the server said; none where it was not asked again.
    pub refusal: Option<Refusal>,
}

/// The number of keys of so many slots is asked for in one pipeline.
const SLOTS_PER_PIPELINE: usize = 100;

/// What COUNTKEYSINSLOT costs the server, in microseconds.
const COUNT_MICROSECONDS: f64 = 1.0;

/// A glimpse is taken this often until the first pass is whole, once the commands of the one before
/// are made up for.
const GLIMPSE_EVERY: Duration = Duration::from_secs(30);

/// Keys that are asked about in one pipeline.
const KEYS_PER_PIPELINE: usize = 25;

impl Prober {
    /// The slots of the node, once the server lets them and their keys be counted; else the
    /// permission that is missing. What it refuses is not asked again over this connection.
    pub(super) async fn slots(&mut self) -> Result<Result<Vec<u16>, Refused>, Failure> {
        let nodes = match self.ask_of_slots(NODES, &["CLUSTER", "NODES"]).await? {
            Ok(reply) => reply.text().unwrap_or_default().into_owned(),
            Err(refused) => return Ok(Err(refused)),
        };
        let slots = owned(&nodes);
        if let Some(slot) = slots.first() {
            let words = ["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()];
            if let Err(refused) = self.ask_of_slots(COUNT, &words).await? {
                return Ok(Err(refused));
            }
        }
        Ok(Ok(slots))
    }

    async fn ask_of_slots(
        &mut self,
        permission: &'static str,
        words: &[&str],
    ) -> Result<Result<Reply, Refused>, Failure> {
        if !self.refusals.allow(permission) {
            return Ok(Err(Refused {
                permission,
                refusal: None,
            }));
        }
        let reply = self.ask(&[words]).await?.into_iter().next();
        let reply = reply.unwrap_or(Reply::Nil);
        let Some(refusal) = reply.refusal().cloned() else {
            return Ok(Ok(reply));
        };
        self.refusals.note_command(&refusal, permission);
        let refusal = Some(refusal);
        Ok(Err(Refused {
            permission,
            refusal,
        }))
    }
}

impl Walker<'_> {
    /// Draws slots, where every slot has a table of its own and no pass is whole yet.
    pub(super) async fn glimpse_if_due(&mut self) -> Result<(), Failure> {
        let is_recent = self.glimpsed.is_some_and(|at| at.elapsed() < GLIMPSE_EVERY);
        let is_wanted = has_table_per_slot(self.prober.server()) && !self.record.is_whole(0);
        if is_recent || !is_wanted || self.pace.owes() || self.prober.selected() != 0 {
            return Ok(());
        }
        let generation = self.record.generation();
        // Counting all slots takes thousands of small commands: once is enough for a pass.
        if self.slot_sizes.is_empty() {
            let sizes = self.count_slots().await?;
            if self.record.generation() != generation {
                return Ok(());
            }
            self.slot_sizes = sizes;
        }
        let drawn = draw(&self.slot_sizes, fastrand::f64());
        self.glimpsed = Some(tokio::time::Instant::now());
        let mut glimpse = Glimpse::default();
        for (slot, times) in drawn {
            self.draw(slot, times, &mut glimpse).await?;
            if self.record.generation() != generation {
                return Ok(());
            }
        }
        self.record.note_glimpse(glimpse);
        Ok(())
    }

    /// The keys of each slot of the node; none where the server does not tell.
    async fn count_slots(&mut self) -> Result<BTreeMap<u16, u64>, Failure> {
        let mut sizes = BTreeMap::new();
        let Ok(slots) = self.prober.slots().await? else {
            return Ok(sizes);
        };
        for slots in slots.chunks(SLOTS_PER_PIPELINE) {
            let slots: Vec<(u16, String)> =
                slots.iter().map(|slot| (*slot, slot.to_string())).collect();
            let commands = slots.iter();
            let commands: Vec<_> = commands
                .map(|(_, slot)| ["CLUSTER", "COUNTKEYSINSLOT", slot.as_str()])
                .collect();
            let replies = self.prober.ask(&commands).await?;
            if replies.iter().any(|reply| reply.refusal().is_some()) {
                return Ok(BTreeMap::new());
            }
            for ((slot, _), reply) in slots.iter().zip(&replies) {
                let keys = reply.integer().and_then(|keys| u64::try_from(keys).ok());
                sizes.insert(*slot, keys.unwrap_or(0));
            }
            let count = slots.len();
            self.rest(0, to_float(count as u64) * COUNT_MICROSECONDS)
                .await?;
        }
        Ok(sizes)
    }

    /// Takes some draws of one slot, one after the other through its table.
    async fn draw(&mut self, slot: u16, times: u32, glimpse: &mut Glimpse) -> Result<(), Failure> {
        let start = u64::from(slot);
        let mut cursor = start;
        for _ in 0..times {
            let (next, mut keys) = self.prober.scan(cursor, KEYS_PER_DRAW).await?;
            self.record.note_scan(keys.len());
            keys.retain(|key| slot_of(key) == slot);
            let mut microseconds = self.cost_of_scan(keys.len());
            let mut draw = Tallies::new();
            for keys in keys.chunks(KEYS_PER_PIPELINE) {
                let wanted: Vec<Wanted<'_>> = keys.iter().map(|key| self.wanted(key)).collect();
                let (found, _) = self.prober.details(&wanted, None).await?;
                for (wanted, found) in wanted.iter().zip(&found) {
                    microseconds += self.cost(wanted);
                    self.record.glimpse(wanted.key, found, &mut draw);
                }
            }
            glimpse.add(&draw);
            self.rest(keys.len(), microseconds).await?;
            // The low bits of a cursor are its slot. A slot that is through is drawn again.
            let goes_on =
                next != 0 && next & u64::from(crate::namespace::slots::SLOTS - 1) == start;
            cursor = if goes_on { next } else { start };
        }
        Ok(())
    }

    /// Pays for the server's time. The commands are made up for later: there are many of them, and
    /// the first estimate stands on them.
    async fn rest(&mut self, keys: usize, microseconds: f64) -> Result<(), Failure> {
        self.record.note_batch(0, microseconds);
        let sent = self.prober.take_sent();
        self.pace.owe(sent);
        let batch = Batch {
            keys: u32::try_from(keys).unwrap_or(u32::MAX),
            commands: 0,
            microseconds,
            round_trip: self.prober.take_round_trip(),
            took: Duration::ZERO,
        };
        let pause = self.pace.pause(&batch);
        self.wait_unpublished(pause).await
    }
}
