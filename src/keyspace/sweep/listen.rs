//! Receives the key events of a target over a connection of its own.
//!
//! The connection is a subscriber, so the server closes it once its output buffer reaches the limit
//! of subscribers. INFO is sent over the same connection, and its reply is in order with the events.

mod examine;
mod stream;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::flags::FlagKeeper;
use super::ordered::StreamEnd;
use crate::backoff;
use crate::clock::monotonic;
use crate::config::{EventUse, Namespace, Sweep, Target};
use crate::connection::{Whereabouts, refused};
use crate::failure::Reason;
use crate::footprint::Footprint;
use crate::keyspace::events::{Break, Duty, KeyEvents, NewCounts, StreamState};
use crate::keyspace::matcher::Grouping;
pub use examine::{ExaminedEvents, examine_events};
use stream::EventStream;

/// Maximum delay after a failure.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Delay after the exporter was behind, so that the server recovers.
const RETRY_BEHIND: Duration = Duration::from_secs(10);

/// Delay after a rejected command. Each attempt counts as an error of the server.
const RETRY_DENIED: Duration = Duration::from_secs(60 * 60);

/// The events of a target, shared by the task that receives them and the sweep.
#[derive(Clone, Debug)]
pub struct EventFeed(Arc<Mutex<KeyEvents>>);

impl EventFeed {
    /// Returns a feed if these settings enable it.
    pub fn of(sweep: &Sweep, namespaces: &[Namespace]) -> Option<Self> {
        let grouping = Grouping {
            delimiter: sweep.delimiter.clone().into_bytes(),
            namespaces_max: sweep.max_groups as usize,
        };
        let is_on = sweep.events != EventUse::Off;
        is_on.then(|| Self(Arc::new(Mutex::new(KeyEvents::new(namespaces, grouping)))))
    }

    /// Returns the counts since the last call.
    pub fn take(&self) -> NewCounts {
        self.with(KeyEvents::take)
    }

    fn with<T>(&self, change: impl FnOnce(&mut KeyEvents) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Receives the events of a target forever, if there is a feed for them.
pub async fn listen(
    target: &Target,
    feed: Option<&EventFeed>,
    keeper: &FlagKeeper,
    footprint: Arc<Footprint>,
) {
    let Some(feed) = feed else { return };
    let whereabouts = Whereabouts::default();
    let mut failures = 0;
    let mut state = StreamState::Disconnected;
    let mut duty = Duty::default();
    loop {
        let started = Instant::now();
        let counted = Arc::clone(&footprint);
        let Err(end) =
            EventStream::follow(target, feed, keeper, &whereabouts, counted, &mut duty).await;
        let had_begun = feed.with(|events| {
            events.detach(monotonic());
            events.state() != state
        });
        // A stream that is cut soon after each begin must not be opened again at once.
        let has_lasted = had_begun && started.elapsed() >= RETRY_MAX;
        failures = if has_lasted { 1 } else { failures + 1 };
        let (after, cause, delay) = outcome(&end, failures);
        log(&target.name, &end, state == after && failures > 1);
        state = after;
        feed.with(|events| {
            events.set_state(after);
            if let Some(cause) = cause {
                events.record_break(cause);
            }
        });
        sleep(delay).await;
    }
}

/// Returns the state after the end of a stream, what counts as its cause, and the delay before the
/// next one.
fn outcome(end: &StreamEnd, failures: u32) -> (StreamState, Option<Break>, Duration) {
    let retry = backoff::delay(failures, RETRY_MAX);
    let denied = backoff::jittered(RETRY_DENIED);
    match end {
        StreamEnd::Behind => (StreamState::Disconnected, Some(Break::Behind), RETRY_BEHIND),
        StreamEnd::RoleChanged | StreamEnd::Moved => {
            (StreamState::Disconnected, None, backoff::FIRST)
        }
        StreamEnd::Denied(_) => (StreamState::Denied, None, denied),
        StreamEnd::Unsupported => (StreamState::Unsupported, None, denied),
        StreamEnd::Failed(failure) => match failure.reason {
            Reason::Closed => (StreamState::Disconnected, Some(Break::Closed), retry),
            Reason::Denied | Reason::Auth => (StreamState::Denied, None, retry),
            _ => (StreamState::Disconnected, Some(Break::Other), retry),
        },
    }
}

/// Logs the end of a stream, at the level debug if it is a repetition.
fn log(name: &str, end: &StreamEnd, is_known: bool) {
    match end {
        StreamEnd::Failed(failure) if is_known => debug!(name, %failure, "no key events again"),
        StreamEnd::Failed(failure) => warn!(name, %failure, "no key events"),
        StreamEnd::Behind => warn!(name, "hung up: the exporter is behind with key events"),
        StreamEnd::RoleChanged if is_known => debug!(name, "no primary for key events again"),
        StreamEnd::RoleChanged => info!(name, "the role of the server of key events has changed"),
        StreamEnd::Moved => info!(name, "the server of key events has another address"),
        StreamEnd::Denied(_) | StreamEnd::Unsupported if is_known => {}
        StreamEnd::Denied(refusal) => {
            let failure = refused(refusal);
            let remedy = "grant the user +info +subscribe +unsubscribe &__keyevent@*__:*";
            warn!(name, %failure, remedy, "no key events: the user lacks a permission");
        }
        StreamEnd::Unsupported => {
            info!(
                name,
                "no key events: the server does not support RESP3, or has no keys"
            );
        }
    }
}
