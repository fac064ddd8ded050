//! Reads the replies of a poll. Large ones are read on a thread of their own.

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::Round;
use crate::collector::Memo;
use crate::failure::{Failure, Reason};
use crate::metric::Snapshot;
use crate::outcome::CollectorOutcome;

/// Runs the collectors on a set of replies. Reads large replies on a separate thread, so that
/// neither scrapes nor other targets wait.
pub(super) async fn read_beside(
    round: Round,
    reading: &mut Option<JoinHandle<()>>,
    deadline: Instant,
) -> Result<PollReading, Failure> {
    if !round.is_large() {
        return Ok(read(&round));
    }
    let late = || Failure::new(Reason::Timeout, "timed out while reading the replies");
    // A late read keeps its thread and must end before the next one starts.
    if let Some(earlier) = reading {
        let ended = tokio::time::timeout_at(deadline, earlier).await;
        // If it panicked, it has ended too, and the next read reports it.
        let _ = ended.map_err(|_| late())?;
        *reading = None;
    }
    let (sender, receiver) = oneshot::channel();
    *reading = Some(spawn_blocking(move || {
        // There is no receiver after the deadline.
        let _ = sender.send(read(&round));
    }));
    match tokio::time::timeout_at(deadline, receiver).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(_)) => Err(Failure::new(
            Reason::Other,
            "the task that reads the replies panicked",
        )),
        Err(_) => Err(late()),
    }
}

/// Samples and memos that the collectors read from the replies of one poll.
pub(super) struct PollReading {
    pub(super) snapshot: Snapshot,
    pub(super) outcomes: Vec<CollectorOutcome>,
    /// State to remember until the next poll.
    pub(super) memos: Vec<Memo>,
}

/// Runs every collector on the replies of one poll.
fn read(round: &Round) -> PollReading {
    let mut reading = PollReading {
        snapshot: Snapshot::default(),
        outcomes: Vec::new(),
        memos: Vec::new(),
    };
    for collector in &round.collectors {
        let started = Instant::now();
        let memo = collector.read(&round.replies, &mut reading.snapshot);
        let mut queries = collector.queries.iter();
        let is_refused = round.refused.contains(&collector.name);
        reading.outcomes.push(CollectorOutcome {
            name: collector.name,
            success: !is_refused && queries.all(|query| round.replies.reply(*query).is_some()),
            duration: started.elapsed(),
        });
        reading.memos.extend(memo);
    }
    reading
}
