//! Random keys of the census, before the sweep is a sample. Pure.

use super::{Census, DRAWS};
use crate::keyspace::sweep::key_reader::KeyDetails;

impl Census {
    /// Begins a draw of random keys.
    pub fn open_draw(&mut self, now: f64) {
        self.draws.open(self.drawn % DRAWS, now);
        self.drawn = self.drawn.wrapping_add(1);
    }

    /// Records a random key. It counts for the draw only, because the sweep will visit it too.
    pub fn see_drawn(&mut self, key: &[u8], found: &KeyDetails) {
        let namespace = self.matcher.classify(0, key);
        let policy = self.policy(namespace).ttl;
        self.record_lookups(u64::from(found.hits), u64::from(found.misses));
        let Some(tally) = self.draws.tally(namespace) else {
            return;
        };
        if found.is_gone {
            tally.see_vanished();
        } else {
            tally.see(found.details, policy);
        }
    }

    /// Ends a draw.
    pub fn close_draw(&mut self, now: f64) {
        self.draws.close_part(now);
    }

    /// Returns whether there are draws.
    #[must_use]
    pub fn has_draws(&self) -> bool {
        !self.draws.is_empty()
    }
}
