//! When a target was scraped, and which poll each scrape showed. The poller learns the pace of the
//! scrapers from it; nothing is decided here.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

/// Scrapes that are kept: enough to know the pace of ten scrapers.
const KEPT: usize = 64;

/// A scrape that follows another one this soon is not recorded, which bounds the work of a flood.
const APART: Duration = Duration::from_millis(10);

/// One scrape of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scrape {
    /// When it came.
    pub at: Instant,
    /// When the poll that it showed ended, which tells polls apart.
    pub poll: SystemTime,
}

/// The latest scrapes of a target, oldest first.
#[derive(Debug, Default)]
pub struct Scrapes {
    latest: Mutex<VecDeque<Scrape>>,
    changed: Notify,
}

impl Scrapes {
    /// Records a scrape.
    pub fn record(&self, scrape: Scrape) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let is_flood = |last: &Scrape| scrape.at.saturating_duration_since(last.at) < APART;
        if latest.back().is_some_and(is_flood) {
            return;
        }
        if latest.len() == KEPT {
            latest.pop_front();
        }
        latest.push_back(scrape);
        drop(latest);
        self.changed.notify_one();
    }

    /// Returns the latest scrapes, oldest first.
    #[must_use]
    pub fn latest(&self) -> Vec<Scrape> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.iter().copied().collect()
    }

    /// Waits for a scrape since the last call. One task at a time may wait.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_leaves_few_scrapes_and_old_ones_go() {
        let scrapes = Scrapes::default();
        let start = Instant::now();
        let poll = SystemTime::now();
        for millisecond in 0..2_000 {
            let at = start + Duration::from_millis(millisecond);
            scrapes.record(Scrape { at, poll });
        }
        let latest = scrapes.latest();
        assert_eq!(latest.len(), KEPT);
        assert!(latest.is_sorted_by_key(|scrape| scrape.at));
        let last = latest.last().unwrap();
        assert_eq!(last.at, start + Duration::from_millis(1_990));
    }
}
