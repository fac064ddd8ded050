//! Checks which key events the server sends, and configures it if that is wanted.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::EventStream;
use crate::config::EventUse;
use crate::keyspace::events::{missing_flags, sends};
use crate::keyspace::sweep::ordered::{StreamEnd, command, parameter};
use crate::reply::{Refusal, Reply};

/// Interval between checks of `notify-keyspace-events`, and the minimum if events are missing.
const FLAGS_EVERY: Duration = Duration::from_secs(30);
const FLAGS_EVERY_MIN: Duration = Duration::from_secs(5);

const FLAGS: &str = "notify-keyspace-events";

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
        if self.hides_flags {
            return Ok(());
        }
        self.checked_flags = Some(Instant::now());
        let Some(known) = self.flags().await? else {
            return Ok(());
        };
        let Some(flags) = known else {
            self.hides_flags = true;
            let name = &self.target.name;
            info!(
                name,
                "the server hides notify-keyspace-events; events will show it"
            );
            return Ok(());
        };
        let configures = self.target.sweep.events == EventUse::Configure && !self.keeps_flags;
        let wanted = missing_flags(&flags).filter(|_| configures);
        let flags = match wanted {
            Some(wanted) => self.configure(flags, wanted).await?,
            None => flags,
        };
        self.feed.with(|events| events.record_flags(sends(&flags)));
        Ok(())
    }

    /// Returns the flags, `Some(None)` if the server hides them, or `None` if it cannot reply now.
    pub(in super::super) async fn flags(&mut self) -> Result<Option<Option<String>>, StreamEnd> {
        let replies = self
            .request(&[command(["CONFIG", "GET", FLAGS])], 1)
            .await?;
        let refusal = replies.first().and_then(Reply::refusal);
        if refusal.is_some_and(Refusal::is_passing) {
            return Ok(None);
        }
        Ok(Some(parameter(&replies, FLAGS)))
    }

    /// Adds the missing flags. Returns those that are set then.
    async fn configure(&mut self, before: String, wanted: String) -> Result<String, StreamEnd> {
        let set = command(["CONFIG", "SET", FLAGS, &wanted]);
        let replies = self.request(&[set], 1).await?;
        let name = &self.target.name;
        if let Some(refusal) = replies.first().and_then(Reply::refusal) {
            // Each attempt counts as an error of the server.
            self.keeps_flags = !refusal.is_passing();
            let code = &refusal.code;
            let remedy = "grant the user +config|set, or set the flags Eex yourself";
            warn!(
                name,
                code, remedy, "notify-keyspace-events could not be set"
            );
            return Ok(before);
        }
        info!(
            name,
            before,
            after = wanted,
            "notify-keyspace-events was set"
        );
        Ok(wanted)
    }
}
