//! Checks which key events the server sends, and configures it if that is wanted.

use std::sync::Arc;

use tokio::sync::Mutex;
use tracing::{info, warn};

use super::ordered::{OrderedStream, Record, StreamEnd, command, parameter};
use crate::config::{Sweep, Target};
use crate::keyspace::event_flags::NeededFlags;
use crate::reply::{Refusal, Reply};

const FLAGS: &str = "notify-keyspace-events";

/// The flags of `notify-keyspace-events` that the exporter sets. Clones share it.
///
/// The server can only replace all flags. Each stream sets those of all streams, one at a time, so
/// that none removes what another one has added.
#[derive(Clone, Debug)]
pub struct FlagKeeper {
    wanted: NeededFlags,
    /// Locked from reading the flags until they are set.
    turn: Arc<Mutex<()>>,
}

/// The access of one connection to the flags.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlagAccess {
    /// Whether the server rejects CONFIG GET.
    pub hides: bool,
    /// Whether the server rejects CONFIG SET. Each attempt counts as an error of the server.
    pub keeps: bool,
}

/// The flags of a server, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownFlags {
    /// The flags.
    Known(String),
    /// The server hides them.
    Hidden,
    /// The server cannot reply now.
    Passing,
}

impl FlagKeeper {
    /// Returns the keeper for these settings.
    pub fn of(sweep: &Sweep) -> Self {
        Self {
            wanted: NeededFlags::of_configured(sweep),
            turn: Arc::default(),
        }
    }

    /// Returns the flags of the server. Adds the missing ones before, if that is wanted.
    pub async fn check(
        &self,
        target: &Target,
        stream: &mut OrderedStream,
        access: &mut FlagAccess,
        record: &mut Record<'_>,
    ) -> Result<KnownFlags, StreamEnd> {
        if access.hides {
            return Ok(KnownFlags::Hidden);
        }
        let read = read_flags(stream, record).await?;
        access.hides = read == KnownFlags::Hidden;
        let is_complete = |flags: &str| access.keeps || self.wanted.completed(flags).is_none();
        match &read {
            KnownFlags::Known(flags) if !is_complete(flags) => {}
            _ => return Ok(read),
        }
        let _turn = self.turn.lock().await;
        // Another stream may have set them in the meantime.
        let read = read_flags(stream, record).await?;
        let KnownFlags::Known(before) = &read else {
            return Ok(read);
        };
        let Some(after) = self.wanted.completed(before) else {
            return Ok(read);
        };
        let set = command(["CONFIG", "SET", FLAGS, &after]);
        let replies = stream.request(&[set], 1, record).await?;
        let name = &target.name;
        if let Some(refusal) = replies.first().and_then(Reply::refusal) {
            access.keeps = !refusal.is_passing();
            let code = &refusal.code;
            let flags = self.wanted.text();
            let remedy = format!("grant the user +config|set, or set the flags {flags} yourself");
            warn!(
                name,
                code, remedy, "notify-keyspace-events could not be set"
            );
            return Ok(read);
        }
        info!(name, before, after, "notify-keyspace-events was set");
        Ok(KnownFlags::Known(after))
    }
}

/// Returns the flags of the server.
pub async fn read_flags(
    stream: &mut OrderedStream,
    record: &mut Record<'_>,
) -> Result<KnownFlags, StreamEnd> {
    let get = command(["CONFIG", "GET", FLAGS]);
    let replies = stream.request(&[get], 1, record).await?;
    let refusal = replies.first().and_then(Reply::refusal);
    if refusal.is_some_and(Refusal::is_passing) {
        return Ok(KnownFlags::Passing);
    }
    let known = parameter(&replies, FLAGS);
    Ok(known.map_or(KnownFlags::Hidden, KnownFlags::Known))
}
