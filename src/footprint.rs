//! What the exporter itself causes on one server: commands and lookups of keys.
//!
//! The poll reads INFO while no command of the sweep is under way, so that what was caused before
//! that INFO is known exactly. Neither waits for the other for longer than a bound.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::timeout;

/// What was caused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caused {
    /// Commands that the server executed.
    pub commands: u64,
    /// Lookups that found a key.
    pub hits: u64,
    /// Lookups that found none.
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
}

/// What the tasks of one target cause together.
#[derive(Debug, Default)]
pub struct Footprint {
    gate: Arc<RwLock<()>>,
    caused: Mutex<Caused>,
}

/// Permission to send commands; they are counted before it is dropped.
#[derive(Debug)]
pub struct Passage(#[expect(dead_code, reason = "held, not read")] OwnedRwLockReadGuard<()>);

/// While it exists, nobody else sends commands.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "held, not read")] OwnedRwLockWriteGuard<()>);

impl Footprint {
    /// Waits until the poll does not hold the gate.
    pub async fn enter(&self) -> Passage {
        Passage(Arc::clone(&self.gate).read_owned().await)
    }

    /// Waits until all commands of others are counted and holds up new ones; none when that takes
    /// longer than `longest`, as with a server that hangs.
    pub async fn hold(&self, longest: Duration) -> Option<Hold> {
        let gate = Arc::clone(&self.gate).write_owned();
        timeout(longest, gate).await.ok().map(Hold)
    }

    /// Counts what was caused.
    pub fn add(&self, more: Caused) {
        let mut caused = self.caused.lock().unwrap_or_else(PoisonError::into_inner);
        caused.commands = caused.commands.saturating_add(more.commands);
        caused.hits = caused.hits.saturating_add(more.hits);
        caused.misses = caused.misses.saturating_add(more.misses);
    }

    /// All that was caused and counted.
    #[must_use]
    pub fn caused(&self) -> Caused {
        *self.caused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn a_hold_waits_for_passages_and_holds_up_new_ones() {
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
    async fn a_waiting_hold_goes_ahead_of_new_passages() {
        let footprint = Arc::new(Footprint::default());
        let passage = footprint.enter().await;
        let holding = Arc::clone(&footprint);
        let hold = tokio::spawn(async move { holding.hold(Duration::from_secs(5)).await });
        tokio::task::yield_now().await;
        assert!(timeout(SHORT, footprint.enter()).await.is_err());
        drop(passage);
        assert!(hold.await.unwrap().is_some());
    }

    #[test]
    fn what_is_caused_adds_up() {
        let footprint = Footprint::default();
        let first = Caused {
            commands: 3,
            hits: 2,
            misses: 1,
        };
        footprint.add(first);
        footprint.add(first);
        assert_eq!(footprint.caused().since(first), first);
    }
}
