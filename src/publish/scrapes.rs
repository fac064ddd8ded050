//! Records the scrapes of a target: time, client, and the poll that each showed. The poller derives
//! the pace of the scrapers from them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

/// Maximum number of scrapes kept for the poller. Enough for several scrapers with one scrape per
/// second during a poll of five seconds.
const PENDING_MAX: usize = 64;

/// Minimum time between recorded scrapes of one client, which bounds the work of a flood.
const APART: Duration = Duration::from_millis(10);

/// Maximum number of recorded scrapes within that time, regardless of the number of clients.
const AT_ONCE_MAX: usize = 4;

/// One scrape of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scrape {
    /// Time of the scrape.
    pub at: Instant,
    /// End of the poll that it showed, which identifies the poll.
    pub poll: SystemTime,
    /// Identifies the client, as far as its requests allow.
    pub client: u64,
}

/// Scrapes that the poller has not read yet.
#[derive(Debug, Default)]
pub struct Scrapes {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    pending: Vec<Scrape>,
    /// The last scrapes, including those already read.
    recent: Vec<Scrape>,
}

impl Scrapes {
    /// Records a scrape.
    pub fn record(&self, scrape: Scrape) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { pending, recent } = &mut *state;
        recent.retain(|other| scrape.at.saturating_duration_since(other.at) < APART);
        let is_flood = recent.iter().any(|other| other.client == scrape.client);
        if is_flood || recent.len() >= AT_ONCE_MAX || !make_room(pending, scrape.client) {
            return;
        }
        recent.push(scrape);
        pending.push(scrape);
        drop(state);
        self.changed.notify_one();
    }

    /// Takes the scrapes since the last call, oldest first.
    #[must_use]
    pub fn take(&self) -> Vec<Scrape> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.pending)
    }

    /// Waits for a scrape since the last call. Only one task at a time may wait.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// Returns whether a scrape of this client may be added. Drops the oldest scrape of a client with
/// many, so that a flood leaves room for others.
fn make_room(pending: &mut Vec<Scrape>, client: u64) -> bool {
    let is_same = |scrape: &Scrape| scrape.client == client;
    let own = pending.iter().filter(|scrape| is_same(scrape)).count();
    if own >= PENDING_MAX / 4
        && let Some(oldest) = pending.iter().position(is_same)
    {
        pending.remove(oldest);
    }
    pending.len() < PENDING_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flood(scrapes: &Scrapes, start: Instant, client: impl Fn(u64) -> u64) {
        let poll = SystemTime::now();
        for millisecond in 0..2_000 {
            scrapes.record(Scrape {
                at: start + Duration::from_millis(millisecond),
                poll,
                client: client(millisecond),
            });
        }
    }

    #[test]
    fn flood_leaves_few_scrapes_and_hides_no_client() {
        let scrapes = Scrapes::default();
        let start = Instant::now();
        let other = Scrape {
            at: start,
            poll: SystemTime::now(),
            client: 2,
        };
        scrapes.record(other);
        flood(&scrapes, start, |_| 1);
        let taken = scrapes.take();
        assert_eq!(taken.len(), 1 + PENDING_MAX / 4);
        assert!(taken.contains(&other));
        assert!(taken.is_sorted_by_key(|scrape| scrape.at));
        let last = taken.last().unwrap();
        assert_eq!(last.at, start + Duration::from_millis(1_990));
        assert!(scrapes.take().is_empty());
    }

    #[test]
    fn flood_of_many_clients_is_bounded() {
        let scrapes = Scrapes::default();
        flood(&scrapes, Instant::now(), |number| number);
        assert_eq!(scrapes.take().len(), PENDING_MAX);
    }
}
