//! Checks regularly which key events the server sends.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use super::{EventStream, record};
use crate::keyspace::event_flags::sends_lost;
use crate::keyspace::sweep::flags::KnownFlags;
use crate::keyspace::sweep::ordered::StreamEnd;
use crate::reply::Reply;

/// Interval between checks of `notify-keyspace-events`, and the minimum if events are missing.
const FLAGS_EVERY: Duration = Duration::from_secs(30);
const FLAGS_EVERY_MIN: Duration = Duration::from_secs(5);

impl EventStream<'_> {
    pub(super) async fn check_flags_if_due(&mut self) -> Result<(), StreamEnd> {
        let are_missing = self.feed.with(|events| events.are_missing());
        let every = if are_missing {
            FLAGS_EVERY_MIN
        } else {
            FLAGS_EVERY
        };
        match self.checked_flags {
            Some(checked) if checked.elapsed() >= every => self.check_flags().await,
            _ => Ok(()),
        }
    }

    /// Checks which events the server sends, and configures it if that is wanted.
    pub(super) async fn check_flags(&mut self) -> Result<(), StreamEnd> {
        if self.access.hides {
            return Ok(());
        }
        self.checked_flags = Some(Instant::now());
        let feed = self.feed;
        let mut record = |message: Option<&Reply>| record(feed, message);
        let (target, access) = (self.target, &mut self.access);
        let checked = self
            .keeper
            .check(target, &mut self.ordered, access, &mut record);
        match checked.await? {
            KnownFlags::Passing => {}
            KnownFlags::Hidden => {
                let name = &self.target.name;
                info!(
                    name,
                    "the server hides notify-keyspace-events; events will show it"
                );
            }
            KnownFlags::Known(flags) => {
                let sends = sends_lost(&flags);
                self.feed.with(|events| events.record_flags(sends));
            }
        }
        Ok(())
    }
}
