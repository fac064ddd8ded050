//! Counts the commands and key lookups that the exporter causes on one server.
//!
//! The poll reads INFO while the sweep has no command in flight, so the counts as of that INFO are
//! exact. Neither waits for the other beyond a limit. Beyond the limit, and for pipelines without a
//! reply, INFO's own counts of calls show what was executed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::timeout;

use crate::info::Info;

/// Commands and lookups that the exporter caused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caused {
    /// Commands that the server executed.
    pub commands: u64,
    /// Lookups that found a key.
    pub hits: u64,
    /// Lookups that found no key.
    pub misses: u64,
}

impl Caused {
    /// Returns the commands and lookups since an earlier time.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            commands: self.commands.saturating_sub(earlier.commands),
            hits: self.hits.saturating_sub(earlier.hits),
            misses: self.misses.saturating_sub(earlier.misses),
        }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            commands: self.commands.saturating_add(other.commands),
            hits: self.hits.saturating_add(other.hits),
            misses: self.misses.saturating_add(other.misses),
        }
    }
}

/// Commands of the sweep whose calls are tracked by name: SCAN, and the commands that the server
/// counts as lookups.
const FOLLOWED: [&str; 13] = [
    "scan", "pttl", "type", "strlen", "llen", "scard", "zcard", "hlen", "xlen", "arcount",
    "getrange", "xinfo", "object",
];

/// Index of SCAN, which is not a lookup.
const SCAN: usize = 0;

/// Number of polls within which a pipeline without a reply may still be executed.
const LOST_POLLS: u32 = 3;

/// The number of calls of each tracked command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls([u64; FOLLOWED.len()]);

impl Calls {
    /// Returns the calls of a pipeline, by the names of its commands.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut calls = Self::default();
        for name in names {
            let known = |followed: &&str| followed.as_bytes().eq_ignore_ascii_case(name);
            let place = FOLLOWED.iter().position(known);
            if let Some(count) = place.and_then(|place| calls.0.get_mut(place)) {
                *count += 1;
            }
        }
        calls
    }

    /// Returns all calls since the server started, from INFO commandstats, or `None` if it is
    /// missing.
    fn read(info: &Info) -> Option<Self> {
        let mut calls = Self::default();
        let mut is_there = false;
        for (name, field) in info.named("cmdstat_") {
            is_there = true;
            let name = name.split_once('|').map_or(name, |(name, _)| name);
            let place = FOLLOWED.iter().position(|followed| *followed == name);
            let count = field
                .in_record("calls")
                .and_then(|count| count.parse().ok());
            if let Some((sum, count)) = place
                .and_then(|place| calls.0.get_mut(place))
                .zip::<u64>(count)
            {
                *sum = sum.saturating_add(count);
            }
        }
        is_there.then_some(calls)
    }

    fn zip(self, other: Self, join: impl Fn(u64, u64) -> u64) -> Self {
        let mut joined = self;
        for (mine, its) in joined.0.iter_mut().zip(other.0) {
            *mine = join(*mine, its);
        }
        joined
    }

    fn plus(self, other: Self) -> Self {
        self.zip(other, u64::saturating_add)
    }

    fn minus(self, other: Self) -> Self {
        self.zip(other, u64::saturating_sub)
    }

    fn at_most(self, other: Self) -> Self {
        self.zip(other, u64::min)
    }

    /// Returns the calls, and the lookups among them.
    ///
    /// Lookups count as hits, because a key that SCAN returned rarely disappears.
    fn caused(self) -> Caused {
        let commands = self.0.iter().sum();
        Caused {
            commands,
            hits: commands - self.0.get(SCAN).copied().unwrap_or(0),
            misses: 0,
        }
    }
}

/// The commands and lookups of all tasks of one target.
#[derive(Debug, Default)]
pub struct Footprint {
    gate: Arc<RwLock<()>>,
    ledger: Mutex<CallLedger>,
}

#[derive(Debug, Default)]
struct CallLedger {
    /// Everything with a reply.
    caused: Caused,
    /// Lookups with a reply that are not yet in `caused`.
    due: u64,
    /// Calls with a reply, or that are known to have been executed.
    executed: Calls,
    /// Calls of pipelines in flight.
    open: Calls,
    /// Calls of pipelines that never got a reply.
    lost: Calls,
    polls_since_loss: u32,
    /// The counts in INFO at the last poll, and the exporter's part of them.
    last: Option<(Calls, Calls)>,
}

/// Commands, lookups and calls with a reply at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Replied {
    caused: Caused,
    calls: Calls,
}

/// A pipeline in flight. If it ends without a reply, it may still have been executed.
#[derive(Debug)]
pub struct Pipeline {
    footprint: Arc<Footprint>,
    calls: Calls,
}

impl Pipeline {
    /// Starts a pipeline.
    #[must_use]
    pub fn begin(footprint: &Arc<Footprint>, calls: Calls) -> Self {
        let mut ledger = footprint.ledger();
        ledger.open = ledger.open.plus(calls);
        drop(ledger);
        Self {
            footprint: Arc::clone(footprint),
            calls,
        }
    }

    /// Ends the pipeline. The server has executed `commands` commands, including the calls
    /// `executed`.
    pub fn end(mut self, commands: u64, executed: Calls) {
        let mut ledger = self.footprint.ledger();
        ledger.open = ledger.open.minus(self.calls);
        ledger.executed = ledger.executed.plus(executed);
        ledger.caused.commands = ledger.caused.commands.saturating_add(commands);
        ledger.due = ledger.due.saturating_add(executed.caused().hits);
        drop(ledger);
        self.calls = Calls::default();
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if self.calls != Calls::default() {
            let mut ledger = self.footprint.ledger();
            ledger.open = ledger.open.minus(self.calls);
            ledger.lost = ledger.lost.plus(self.calls);
            ledger.polls_since_loss = 0;
        }
    }
}

/// Permission to send commands. They are counted before it is dropped.
#[derive(Debug)]
pub struct Passage(#[expect(dead_code, reason = "held, not read")] OwnedRwLockReadGuard<()>);

/// The exclusive right to send commands.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "held, not read")] OwnedRwLockWriteGuard<()>);

impl Footprint {
    /// Waits until no poll has the exclusive right.
    pub async fn enter(&self) -> Passage {
        Passage(Arc::clone(&self.gate).read_owned().await)
    }

    /// Waits until the commands of all others are counted, and blocks new ones.
    ///
    /// Returns `None` if that takes longer than `longest`, for example because the server hangs.
    pub async fn hold(&self, longest: Duration) -> Option<Hold> {
        let gate = Arc::clone(&self.gate).write_owned();
        timeout(longest, gate).await.ok().map(Hold)
    }

    /// Adds commands.
    pub fn add(&self, commands: u64) {
        let mut ledger = self.ledger();
        ledger.caused.commands = ledger.caused.commands.saturating_add(commands);
    }

    /// Counts the lookups of pipelines with a reply.
    pub fn settle(&self, hits: u64, misses: u64) {
        let mut ledger = self.ledger();
        ledger.caused.hits = ledger.caused.hits.saturating_add(hits);
        ledger.caused.misses = ledger.caused.misses.saturating_add(misses);
        ledger.due = 0;
    }

    /// Returns everything that is counted.
    #[must_use]
    pub fn caused(&self) -> Caused {
        self.ledger().caused
    }

    /// Returns everything with a reply, right before INFO is sent.
    #[must_use]
    pub fn replied(&self) -> Replied {
        let ledger = self.ledger();
        let mut caused = ledger.caused;
        caused.hits = caused.hits.saturating_add(ledger.due);
        Replied {
            caused,
            calls: ledger.executed,
        }
    }

    /// Returns everything that the exporter caused as of an INFO.
    ///
    /// `before` has the counts with a reply before INFO was sent. For pipelines in flight, and for
    /// those without a reply, the calls in INFO show how much of them was executed.
    #[must_use]
    pub fn as_of(&self, before: Replied, info: &Info) -> Caused {
        let mut ledger = self.ledger();
        let counted = Calls::read(info);
        let unknown = ledger.executed.minus(before.calls).plus(ledger.open);
        let most = unknown.plus(ledger.lost);
        let executed = match (counted, ledger.last) {
            (Some(now), Some((then, ours))) => {
                // A count that has decreased was reset.
                let growth = now.zip(then, |now, then| now.checked_sub(then).unwrap_or(now));
                ours.plus(growth).minus(before.calls).at_most(most)
            }
            // Without counts, everything that was sent counts as executed.
            _ => most,
        };
        ledger.last = counted.map(|now| (now, before.calls.plus(executed)));
        let caused = before.caused.plus(executed.caused());
        if ledger.lost != Calls::default() && unknown == Calls::default() {
            ledger.polls_since_loss += 1;
            if ledger.polls_since_loss >= LOST_POLLS {
                ledger.lost = Calls::default();
                ledger.executed = ledger.executed.plus(executed);
                ledger.caused = ledger.caused.plus(executed.caused());
            }
        }
        caused
    }

    fn ledger(&self) -> MutexGuard<'_, CallLedger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn hold_waits_for_passages_and_blocks_new_ones() {
        let footprint = Footprint::default();
        let passage = footprint.enter().await;
        let other = footprint.enter().await;
        assert!(footprint.hold(SHORT).await.is_none());
        drop((passage, other));
        let hold = footprint.hold(SHORT).await;
        assert!(hold.is_some());
        assert!(timeout(SHORT, footprint.enter()).await.is_err());
        drop(hold);
        assert!(timeout(SHORT, footprint.enter()).await.is_ok());
    }

    #[tokio::test]
    async fn waiting_hold_precedes_new_passages() {
        let footprint = Arc::new(Footprint::default());
        let passage = footprint.enter().await;
        let holding = Arc::clone(&footprint);
        let hold = tokio::spawn(async move { holding.hold(Duration::from_secs(5)).await });
        tokio::task::yield_now().await;
        assert!(timeout(SHORT, footprint.enter()).await.is_err());
        drop(passage);
        assert!(hold.await.unwrap().is_some());
    }

    const PIPELINE: [&[u8]; 4] = [b"PTTL", b"TYPE", b"MEMORY", b"SCAN"];

    fn begin(footprint: &Arc<Footprint>) -> Pipeline {
        Pipeline::begin(footprint, Calls::of(PIPELINE))
    }

    fn complete(footprint: &Arc<Footprint>) {
        begin(footprint).end(4, Calls::of(PIPELINE));
        footprint.settle(1, 1);
    }

    /// Returns the counts as of an INFO with this number of calls of PTTL, TYPE and SCAN each.
    fn as_of(footprint: &Footprint, before: Replied, calls: u64) -> (u64, u64, u64) {
        let lines = ["pttl", "type", "scan"].map(|name| format!("cmdstat_{name}:calls={calls}\n"));
        let text = format!("# Commandstats\n{}", lines.concat());
        let caused = footprint.as_of(before, &Info::parse(&text));
        (caused.commands, caused.hits, caused.misses)
    }

    fn poll(footprint: &Footprint, calls: u64) -> (u64, u64, u64) {
        as_of(footprint, footprint.replied(), calls)
    }

    #[test]
    fn counts_add_up() {
        let footprint = Arc::default();
        complete(&footprint);
        footprint.add(3);
        complete(&footprint);
        assert_eq!(poll(&footprint, 70), (11, 2, 2));
        assert_eq!(
            footprint.caused().since(footprint.caused()),
            Caused::default()
        );
    }

    #[test]
    fn pipeline_in_flight_counts_its_executed_part() {
        let footprint = Arc::default();
        assert_eq!(poll(&footprint, 70), (0, 0, 0));
        let pipeline = begin(&footprint);
        assert_eq!(poll(&footprint, 70), (0, 0, 0));
        assert_eq!(poll(&footprint, 71), (3, 2, 0));
        pipeline.end(4, Calls::of(PIPELINE));
        footprint.settle(1, 1);
        assert_eq!(poll(&footprint, 71), (4, 1, 1));
    }

    #[test]
    fn reply_before_info_counts_its_executed_part() {
        let footprint = Arc::default();
        assert_eq!(poll(&footprint, 70), (0, 0, 0));
        let before = footprint.replied();
        complete(&footprint);
        assert_eq!(as_of(&footprint, before, 70), (0, 0, 0));
        assert_eq!(poll(&footprint, 71), (4, 1, 1));
    }

    #[test]
    fn lost_pipeline_counts_once_executed() {
        let footprint = Arc::default();
        assert_eq!(poll(&footprint, 70), (0, 0, 0));
        drop(begin(&footprint));
        assert_eq!(poll(&footprint, 70), (0, 0, 0));
        assert_eq!(poll(&footprint, 71), (3, 2, 0));
        for _ in 0..LOST_POLLS {
            assert_eq!(poll(&footprint, 71), (3, 2, 0));
        }
        // From here on, the calls are those of other clients.
        assert_eq!(poll(&footprint, 90), (3, 2, 0));
        complete(&footprint);
        assert_eq!(poll(&footprint, 91), (7, 3, 1));
    }

    #[test]
    fn unexecuted_lost_pipeline_counts_nothing() {
        let footprint = Arc::default();
        for _ in 0..3 {
            assert_eq!(poll(&footprint, 70), (0, 0, 0));
            drop(begin(&footprint));
            for _ in 0..LOST_POLLS {
                assert_eq!(poll(&footprint, 70), (0, 0, 0));
            }
            assert_eq!(poll(&footprint, 75), (0, 0, 0));
            // After CONFIG RESETSTAT.
            assert_eq!(poll(&footprint, 0), (0, 0, 0));
        }
    }

    #[test]
    fn calls_of_others_do_not_exceed_our_pipelines() {
        let footprint = Arc::default();
        assert_eq!(poll(&footprint, 70), (0, 0, 0));
        drop(begin(&footprint));
        assert_eq!(poll(&footprint, 900), (3, 2, 0));
    }
}
