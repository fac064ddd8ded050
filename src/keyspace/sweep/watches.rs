//! Watches the messages of a target about its keys for a part of the time, over a connection for each
//! stream.
//!
//! A connection is a subscriber during a watch, so the server closes it once its output buffer
//! reaches the limit of subscribers. INFO before and after a watch is in order with the messages.

mod stream;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::flags::FlagKeeper;
use super::listen::ExaminedEvents;
use super::lull::Lull;
use super::ordered::StreamEnd;
use crate::backoff;
use crate::config::{EventUse, Namespace, Sweep, Target};
use crate::connection::{Whereabouts, refused};
use crate::failure::Reason;
use crate::footprint::Footprint;
use crate::keyspace::event_flags::sends_misses;
use crate::keyspace::events::Break;
use crate::keyspace::matcher::Grouping;
use crate::keyspace::watches::{NewWatched, WatchState, WatchedStream, Watches};
use stream::WatchConnection;

/// The permissions that key events and watches of misses need.
pub const EVENT_PERMISSIONS: &str = "+info +subscribe +unsubscribe &__keyevent@*__:*";
/// The permissions that watches of changes need.
pub const CHANGES_PERMISSIONS: &str =
    "+info +client|tracking +subscribe +unsubscribe &redis-namespace-exporter:*";

/// Maximum delay after a failure.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Delay after the exporter was behind, so that the server recovers.
const RETRY_BEHIND: Duration = Duration::from_secs(10);

/// Delay after a rejected command. Each attempt counts as an error of the server.
const RETRY_DENIED: Duration = Duration::from_secs(60 * 60);

/// The watched streams of a target, shared by the task that watches and the sweep.
#[derive(Clone, Debug)]
pub struct WatchFeed {
    watches: Arc<Mutex<Watches>>,
    lull: Lull,
}

impl WatchFeed {
    /// Returns a feed if these settings enable it.
    pub fn of(sweep: &Sweep, namespaces: &[Namespace]) -> Option<Self> {
        let grouping = Grouping {
            delimiter: sweep.delimiter.clone().into_bytes(),
            namespaces_max: sweep.max_groups as usize,
        };
        let streams = WatchedStream::enabled(sweep);
        (!streams.is_empty()).then(|| Self {
            watches: Arc::new(Mutex::new(Watches::new(&streams, namespaces, grouping))),
            lull: Lull::default(),
        })
    }

    /// Returns the counts of each stream since the last call.
    pub fn take(&self) -> Vec<(WatchedStream, NewWatched)> {
        self.with(Watches::take)
    }

    /// Returns the times in which the sweep must not query keys.
    pub fn lull(&self) -> Lull {
        self.lull.clone()
    }

    fn with<T>(&self, change: impl FnOnce(&mut Watches) -> T) -> T {
        change(&mut self.watches.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Watches the enabled streams of a target forever, if there is a feed for them.
pub async fn watch(
    target: &Target,
    feed: Option<&WatchFeed>,
    keeper: &FlagKeeper,
    footprint: Arc<Footprint>,
) {
    let Some(feed) = feed else { return };
    let of = |stream| {
        let footprint = Arc::clone(&footprint);
        async move {
            if WatchedStream::enabled(&target.sweep).contains(&stream) {
                watch_stream(target, feed, stream, keeper, footprint).await;
            }
        }
    };
    let [misses, changes] = WatchedStream::ALL.map(of);
    // Boxed: the task would keep a copy of each while it waits for both.
    tokio::join!(Box::pin(misses), Box::pin(changes));
}

/// Watches one stream forever, over a connection of its own. If the user must not watch it, or if it
/// breaks off, the other one goes on.
async fn watch_stream(
    target: &Target,
    feed: &WatchFeed,
    stream: WatchedStream,
    keeper: &FlagKeeper,
    footprint: Arc<Footprint>,
) {
    let whereabouts = Whereabouts::default();
    let mut failures = 0;
    let mut state = WatchState::Disconnected;
    loop {
        let started = Instant::now();
        let counted = Arc::clone(&footprint);
        let Err(end) =
            WatchConnection::follow(target, feed, stream, keeper, &whereabouts, counted).await;
        // A connection that is cut soon after each begin must not be opened again at once.
        let has_lasted = started.elapsed() >= RETRY_MAX;
        failures = if has_lasted { 1 } else { failures + 1 };
        let (after, cause, delay) = outcome(&end, failures);
        log(&target.name, stream, &end, state == after && failures > 1);
        state = after;
        feed.with(|watches| watches.disconnect(stream, after, cause));
        sleep(delay).await;
    }
}

/// Watches lookups that find no key for a moment, if that is enabled. It changes nothing on the
/// server.
pub async fn examine_misses(target: &Target) -> Option<ExaminedEvents> {
    if target.sweep.misses == EventUse::Off {
        return None;
    }
    let feed = WatchFeed::of(&target.sweep, &[])?;
    let flags = WatchConnection::examine(target, &feed).await;
    Some(match flags {
        Ok(flags) => ExaminedEvents::of(&target.sweep, flags, sends_misses),
        Err(end) => ExaminedEvents::from(end),
    })
}

/// Watches changes of keys for a moment, if that is enabled.
pub async fn examine_changes(target: &Target) -> Option<ExaminedEvents> {
    if !target.sweep.changes {
        return None;
    }
    let feed = WatchFeed::of(&target.sweep, &[])?;
    let examined = async {
        let (stream, whereabouts) = (WatchedStream::Changes, Whereabouts::default());
        let opened =
            WatchConnection::open(target, &feed, stream, &whereabouts, Arc::default()).await;
        opened?.track(true).await
    };
    let examined = examined.await.map(|_| ExaminedEvents::Work);
    Some(examined.unwrap_or_else(ExaminedEvents::from))
}

/// Returns the permissions that a stream needs.
const fn permissions(stream: WatchedStream) -> &'static str {
    match stream {
        WatchedStream::Misses => EVENT_PERMISSIONS,
        WatchedStream::Changes => CHANGES_PERMISSIONS,
    }
}

/// Returns the state after the end of a connection, what counts as its cause, and the delay before
/// the next one.
fn outcome(end: &StreamEnd, failures: u32) -> (WatchState, Option<Break>, Duration) {
    let retry = backoff::delay(failures, RETRY_MAX);
    let denied = backoff::jittered(RETRY_DENIED);
    match end {
        StreamEnd::Behind => (WatchState::Disconnected, Some(Break::Behind), RETRY_BEHIND),
        StreamEnd::RoleChanged | StreamEnd::Moved => {
            (WatchState::Disconnected, None, backoff::FIRST)
        }
        StreamEnd::Denied(_) => (WatchState::Denied, None, denied),
        StreamEnd::Unsupported => (WatchState::Unsupported, None, denied),
        StreamEnd::Failed(failure) => match failure.reason {
            Reason::Closed => (WatchState::Disconnected, Some(Break::Closed), retry),
            Reason::Denied | Reason::Auth => (WatchState::Denied, None, retry),
            _ => (WatchState::Disconnected, Some(Break::Other), retry),
        },
    }
}

/// Logs the end of a connection, at the level debug if it is a repetition.
fn log(name: &str, stream: WatchedStream, end: &StreamEnd, is_known: bool) {
    let of = stream.as_str();
    match end {
        StreamEnd::Failed(failure) if is_known => {
            debug!(name, stream = of, %failure, "no watches again");
        }
        StreamEnd::Failed(failure) => warn!(name, stream = of, %failure, "no watches"),
        StreamEnd::Behind => {
            warn!(
                name,
                stream = of,
                "hung up: the exporter is behind with a watch"
            );
        }
        StreamEnd::RoleChanged if is_known => {
            debug!(name, stream = of, "no primary to watch again");
        }
        StreamEnd::RoleChanged => {
            info!(
                name,
                stream = of,
                "the role of the watched server has changed"
            );
        }
        StreamEnd::Moved => info!(name, stream = of, "the watched server has another address"),
        StreamEnd::Denied(_) | StreamEnd::Unsupported if is_known => {}
        StreamEnd::Denied(refusal) => {
            let failure = refused(refusal);
            let remedy = format!("grant the user {}", permissions(stream));
            warn!(name, stream = of, %failure, remedy, "no watches: the user lacks a permission");
        }
        StreamEnd::Unsupported => {
            info!(
                name,
                stream = of,
                "no watches: the server does not support RESP3, or has no keys"
            );
        }
    }
}
