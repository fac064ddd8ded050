//! The streams of messages about keys that a sweep shares with the tasks that receive them.

use super::census::Census;
use super::listen::EventFeed;
use super::lull::Lull;
use super::watches::WatchFeed;
use crate::config::{Namespace, Sweep};

/// The streams that are configured.
#[derive(Clone, Debug, Default)]
pub struct Feeds {
    /// Evicted and expired keys.
    pub events: Option<EventFeed>,
    /// Messages that are watched for a part of the time.
    pub watches: Option<WatchFeed>,
}

impl Feeds {
    /// Returns the streams that these settings enable.
    pub fn of(sweep: &Sweep, namespaces: &[Namespace]) -> Self {
        Self {
            events: EventFeed::of(sweep, namespaces),
            watches: WatchFeed::of(sweep, namespaces),
        }
    }

    /// Returns whether no stream is configured.
    pub const fn are_none(&self) -> bool {
        self.events.is_none() && self.watches.is_none()
    }

    /// Passes on what was counted since the last time.
    pub fn pass_on(&self, census: &mut Census) {
        if let Some(events) = &self.events {
            census.record_events(events.take());
        }
        if let Some(watches) = &self.watches {
            census.record_watched(watches.take());
        }
    }

    /// Returns the times in which the sweep must not query keys.
    pub fn lull(&self) -> Lull {
        let watches = self.watches.as_ref();
        watches.map_or_else(Lull::default, WatchFeed::lull)
    }
}
