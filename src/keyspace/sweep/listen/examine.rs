//! Subscribes to the key events of a target once, to find out whether the server permits and sends
//! them.

use std::sync::Arc;

use super::EventFeed;
use super::stream::EventStream;
use crate::config::{Sweep, Target};
use crate::connection::Whereabouts;
use crate::failure::Failure;
use crate::keyspace::event_flags::{NeededFlags, sends_lost};
use crate::keyspace::events::Duty;
use crate::keyspace::sweep::flags::{FlagKeeper, KnownFlags};
use crate::keyspace::sweep::ordered::StreamEnd;
use crate::reply::Refusal;

/// Whether the exporter can receive the key events of a target.
#[derive(Debug)]
pub enum ExaminedEvents {
    /// The server sends them, or hides whether it does.
    Work,
    /// These values of `notify-keyspace-events` would send them.
    Off(String),
    /// The server is a replica, which sends no such events.
    Replica,
    /// The server does not support RESP3.
    Unsupported,
    /// The server rejected a command.
    Denied(Refusal),
    /// The connection failed.
    Failed(Failure),
    /// INFO took too long.
    Slow,
}

/// Subscribes to the events of a target, if they are enabled. It changes nothing on the server.
pub async fn examine_events(target: &Target) -> Option<ExaminedEvents> {
    let feed = EventFeed::of(&target.sweep, &[])?;
    let examined = examine(target, &feed).await;
    Some(examined.unwrap_or_else(ExaminedEvents::from))
}

impl From<StreamEnd> for ExaminedEvents {
    fn from(end: StreamEnd) -> Self {
        match end {
            StreamEnd::Failed(failure) => Self::Failed(failure),
            StreamEnd::Denied(refusal) => Self::Denied(refusal),
            StreamEnd::Unsupported => Self::Unsupported,
            StreamEnd::RoleChanged => Self::Replica,
            // It takes longer than an examination to notice that.
            StreamEnd::Behind | StreamEnd::Moved => Self::Slow,
        }
    }
}

async fn examine(target: &Target, feed: &EventFeed) -> Result<ExaminedEvents, StreamEnd> {
    let mut duty = Duty::default();
    let keeper = FlagKeeper::of(&target.sweep);
    let whereabouts = Whereabouts::default();
    let opened = EventStream::open(
        target,
        feed,
        &keeper,
        &whereabouts,
        Arc::default(),
        &mut duty,
    )
    .await;
    let (mut stream, is_primary) = opened?;
    if !is_primary {
        return Ok(ExaminedEvents::Replica);
    }
    stream.subscribe(0..1).await?;
    let flags = stream.flags().await?;
    let is_sent = |flags: &str| sends_lost(flags) == [true, true];
    Ok(ExaminedEvents::of(&target.sweep, flags, is_sent))
}

impl ExaminedEvents {
    /// Returns whether the flags of a server include the events of a stream. Those that it should have
    /// include the flags of all streams, because the server can only replace all of them.
    pub(in super::super) fn of(
        sweep: &Sweep,
        flags: KnownFlags,
        is_sent: impl Fn(&str) -> bool,
    ) -> Self {
        match flags {
            KnownFlags::Known(flags) if !is_sent(&flags) => {
                let completed = NeededFlags::of_enabled(sweep).completed(&flags);
                completed.map_or(Self::Work, Self::Off)
            }
            _ => Self::Work,
        }
    }
}
