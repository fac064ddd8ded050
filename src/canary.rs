//! Publishes messages to a channel of the exporter's own, and measures when they are back.
//!
//! One connection with RESP3 subscribes and publishes, so a message takes one round trip. It tests
//! the server and the path to it. It knows nothing about the subscribers of applications.

mod connection;
pub mod families;
mod tally;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use crate::backoff;
use crate::config::Target;
use crate::connection::{Whereabouts, refused};
use crate::failure::{Failure, Reason};
use crate::footprint::Footprint;
use crate::publish::Slot;
use crate::reply::Refusal;
use connection::CanaryConnection;
use families::CanaryState;
use tally::CanaryTally;

/// The permissions that the canary needs.
pub const PERMISSIONS: &str = "+subscribe +publish &redis-namespace-exporter:*";

/// Maximum delay after a failure.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Maximum random delay of the first connection.
const SPREAD_MAX: Duration = Duration::from_secs(5);

/// Delay after a rejected command. Each attempt counts as an error of the server.
const RETRY_DENIED: Duration = Duration::from_secs(60 * 60);

/// Distinguishes the channels of processes that watch the same server.
static PROCESS: LazyLock<String> = LazyLock::new(|| format!("{:016x}", fastrand::u64(..)));

/// Why a connection ended.
#[derive(Debug)]
enum CanaryEnd {
    /// The connection failed, or messages do not come back.
    Failed(Failure),
    /// The server rejected a command.
    Rejected(Refusal),
    /// The server does not support RESP3.
    Unsupported,
    /// A new connection may lead to another server: the role has changed, or the host name belongs to
    /// another address.
    Replaced(&'static str),
}

impl From<Failure> for CanaryEnd {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The messages of a target, and the slot for their counts.
struct CanaryFeed {
    slot: Arc<Slot>,
    /// `None` until the first subscription.
    tally: Option<CanaryTally>,
    whereabouts: Whereabouts,
}

impl CanaryFeed {
    fn show(&self, state: CanaryState) {
        let snapshot = families::snapshot(state, self.tally.as_ref());
        self.slot.set_canary(snapshot);
    }
}

/// Returns the channel for a target.
fn channel(target: &Target) -> String {
    format!("redis-namespace-exporter:{}:{}", *PROCESS, target.name)
}

/// Publishes and receives messages forever, after `delay`, if the target has a canary.
pub async fn run(target: Arc<Target>, slot: Arc<Slot>, footprint: Arc<Footprint>, delay: Duration) {
    if !target.canary.enabled {
        return;
    }
    let mut feed = CanaryFeed {
        slot,
        tally: None,
        whereabouts: Whereabouts::default(),
    };
    feed.show(CanaryState::Disconnected);
    // Thousands of targets must not publish at the same moments.
    let spread = target.canary.interval.min(SPREAD_MAX);
    sleep(delay + spread.mul_f64(fastrand::f64())).await;
    let mut failures = 0;
    let mut state = CanaryState::Disconnected;
    loop {
        let started = Instant::now();
        let counted = Arc::clone(&footprint);
        let Err(end) = CanaryConnection::follow(&target, &mut feed, counted).await;
        // A connection that is cut soon after each begin must not be opened again at once.
        let has_lasted = started.elapsed() >= RETRY_MAX;
        failures = if has_lasted { 1 } else { failures + 1 };
        let (after, delay) = outcome(&end, failures);
        log(&target.name, &end, state == after && failures > 1);
        state = after;
        match &mut feed.tally {
            Some(tally) if after == CanaryState::Disconnected => tally.disconnect(),
            tally => *tally = None,
        }
        feed.show(after);
        sleep(delay).await;
    }
}

/// Returns the state after the end of a connection, and the delay before the next one.
fn outcome(end: &CanaryEnd, failures: u32) -> (CanaryState, Duration) {
    let denied = backoff::jittered(RETRY_DENIED);
    match end {
        CanaryEnd::Unsupported => (CanaryState::Unsupported, denied),
        CanaryEnd::Rejected(refusal) => match refused(refusal).reason {
            Reason::Denied | Reason::Auth => (CanaryState::Denied, denied),
            // Sentinels reject PUBLISH.
            _ => (CanaryState::Unsupported, denied),
        },
        CanaryEnd::Replaced(_) => (CanaryState::Disconnected, backoff::FIRST),
        CanaryEnd::Failed(_) => (
            CanaryState::Disconnected,
            backoff::delay(failures, RETRY_MAX),
        ),
    }
}

/// Logs the end of a connection, at the level debug if it is a repetition.
fn log(name: &str, end: &CanaryEnd, is_known: bool) {
    match end {
        CanaryEnd::Failed(failure) if is_known => debug!(name, %failure, "no canary again"),
        CanaryEnd::Failed(failure) => warn!(name, %failure, "no canary"),
        CanaryEnd::Rejected(_) | CanaryEnd::Unsupported if is_known => {}
        CanaryEnd::Rejected(refusal) => {
            let failure = refused(refusal);
            let remedy = format!("grant the user {PERMISSIONS}");
            warn!(name, %failure, remedy, "no canary: the server rejected a command");
        }
        CanaryEnd::Unsupported => info!(name, "no canary: the server does not support RESP3"),
        CanaryEnd::Replaced(reason) if is_known => {
            debug!(name, reason, "the canary connects again");
        }
        CanaryEnd::Replaced(reason) => info!(name, reason, "the canary connects again"),
    }
}

/// Whether the canary works.
#[derive(Debug)]
pub enum ExaminedCanary {
    /// A message came back, after this time.
    Works(Duration),
    /// The server does not support RESP3.
    Unsupported,
    /// The server rejected a command.
    Rejected(Refusal),
    /// The connection failed.
    Failed(Failure),
    /// The message did not come back in time.
    Lost,
}

/// Sends one message to a target, if it has a canary.
pub async fn examine(target: &Target) -> Option<ExaminedCanary> {
    if !target.canary.enabled {
        return None;
    }
    Some(match CanaryConnection::examine(target).await {
        Ok(Some(latency)) => ExaminedCanary::Works(latency),
        // One message does not take long enough to notice a replacement.
        Ok(None) | Err(CanaryEnd::Replaced(_)) => ExaminedCanary::Lost,
        Err(CanaryEnd::Unsupported) => ExaminedCanary::Unsupported,
        Err(CanaryEnd::Rejected(refusal)) => ExaminedCanary::Rejected(refusal),
        Err(CanaryEnd::Failed(failure)) => ExaminedCanary::Failed(failure),
    })
}
