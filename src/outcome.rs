//! Turns the exporter's own knowledge of a poll into samples. Pure.
//!
//! These samples are part of the target's snapshot because they have the same age.

use std::time::Duration;

use crate::failure::Reason;
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};
use crate::number::to_float;

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static UP: Family<0> = Family::gauge("redis_up", &[], source("the poll", ""), Unit::One, "Whether the last poll of the server succeeded (1) or not (0).");
    pub(super) static LAST_ERROR: Family<1> = Family::gauge("redis_exporter_last_scrape_error", &["err"], source("the poll", ""), Unit::One, "Whether the last poll failed (1), with the reason; err is empty after a success.");
    pub(super) static LAST_DURATION: Family<0> = Family::gauge("redis_exporter_last_scrape_duration_seconds", &[], source("the poll", ""), Unit::Seconds, "Duration of the last poll, from the first query to the last sample, in seconds.");
    pub(super) static LAST_POLL: Family<0> = Family::gauge("redis_exporter_last_poll_timestamp_seconds", &[], source("the poll", ""), Unit::Seconds, "End time of the last poll, in seconds since the epoch; all values of the target are from this time.");
    pub(super) static POLL_INTERVAL: Family<0> = Family::gauge("redis_exporter_poll_interval_seconds", &[], source("the poll", ""), Unit::Seconds, "Configured poll interval, in seconds.");
    pub(super) static CONNECT_TIME: Family<0> = Family::gauge("redis_exporter_last_scrape_connect_time_seconds", &[], source("the poll", ""), Unit::Seconds, "Time to open and authenticate the current connection, in seconds.");
    pub(super) static PING_TIME: Family<0> = Family::gauge("redis_exporter_last_scrape_ping_time_seconds", &[], source("PING", ""), Unit::Seconds, "Round-trip time of a PING since the previous poll, in seconds.");
    pub(super) static COLLECTOR_SUCCESS: Family<1> = Family::gauge("redis_exporter_collector_success", &["collector"], source("the poll", ""), Unit::One, "Whether the server accepted all queries of a collector (1) or rejected one (0).");
    pub(super) static COLLECTOR_DURATION: Family<1> = Family::gauge("redis_exporter_collector_duration_seconds", &["collector"], source("the poll", ""), Unit::Seconds, "Time to read the replies of a collector, in seconds.");
    pub(super) static FUNCTION_RUNNING: Family<1> = Family::gauge("redis_function_running_seconds", &["function"], source("FUNCTION STATS", "duration_ms"), Unit::Milliseconds, "Time for which a running function has blocked the server, in seconds; absent otherwise.");
    pub(super) static MEMBER: Family<4> = Family::gauge("redis_cluster_member_info", &["redis_cluster", "shard", "node_id", "role"], source("the discovery", ""), Unit::One, "Cluster, shard and role of a discovered target, as its cluster, sentinel or primary reports them; always 1.");
    pub(super) static DROPPED: Family<0> = Family::gauge("redis_exporter_dropped_samples", &[], source("the poll", ""), Unit::One, "Samples of the last poll that were dropped because their metric had too many.");
}

/// Returns the families that describe a poll.
#[must_use]
pub fn families() -> Vec<&'static Descriptor> {
    vec![
        rows::UP.descriptor(),
        rows::LAST_ERROR.descriptor(),
        rows::LAST_DURATION.descriptor(),
        rows::LAST_POLL.descriptor(),
        rows::POLL_INTERVAL.descriptor(),
        rows::CONNECT_TIME.descriptor(),
        rows::PING_TIME.descriptor(),
        rows::COLLECTOR_SUCCESS.descriptor(),
        rows::COLLECTOR_DURATION.descriptor(),
        rows::FUNCTION_RUNNING.descriptor(),
        rows::MEMBER.descriptor(),
        rows::DROPPED.descriptor(),
    ]
}

/// The outcome of one collector in one poll.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CollectorOutcome {
    /// The name of the collector.
    pub name: &'static str,
    /// Whether the server accepted all its queries.
    pub success: bool,
    /// Time spent reading its replies.
    pub duration: Duration,
}

/// The times of a poll.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PollTiming {
    /// From the first query to the last sample.
    pub duration: Duration,
    /// The end of the poll, in seconds since the epoch.
    pub ended_at: f64,
    /// The configured poll interval.
    pub interval: Duration,
}

/// The outcome of a successful poll, besides its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Success {
    /// Time it took to open the connection.
    pub connect: Duration,
    /// Round trip of a PING; `None` if the user has no permission for it.
    pub ping: Option<Duration>,
    /// The collectors that ran.
    pub collectors: Vec<CollectorOutcome>,
}

impl Success {
    /// Returns the collectors with a rejected query.
    #[must_use]
    pub fn refused(&self) -> Vec<&'static str> {
        let refused = self.collectors.iter().filter(|outcome| !outcome.success);
        refused.map(|outcome| outcome.name).collect()
    }
}

/// Adds the samples of a successful poll and seals the snapshot.
#[must_use]
pub fn succeeded(mut snapshot: Snapshot, success: &Success, times: PollTiming) -> Snapshot {
    push_common(&mut snapshot, None, times);
    snapshot.push(&rows::CONNECT_TIME, [], success.connect.as_secs_f64());
    let ping = success.ping.as_ref().map(Duration::as_secs_f64);
    snapshot.push(&rows::PING_TIME, [], ping);
    for collector in &success.collectors {
        let (labels, success) = ([collector.name], f64::from(collector.success));
        snapshot.push(&rows::COLLECTOR_SUCCESS, labels, success);
        let seconds = collector.duration.as_secs_f64();
        snapshot.push(&rows::COLLECTOR_DURATION, labels, seconds);
    }
    let mut snapshot = snapshot.finish();
    let dropped = snapshot.dropped();
    if dropped > 0 {
        // Sorting twice is acceptable because this is rare. A sample that is always 0 would cost
        // every target a series.
        snapshot.push(&rows::DROPPED, [], to_float(dropped));
        snapshot = snapshot.finish();
    }
    snapshot
}

/// Adds whether the server accepts the queries of a task that is not a collector of the poll.
pub fn push_success(name: &str, success: bool, snapshot: &mut Snapshot) {
    snapshot.push(&rows::COLLECTOR_SUCCESS, [name], f64::from(success));
}

/// The function that keeps the server busy: its name, and its duration so far in milliseconds.
pub type BusyWith<'a> = (&'a str, f64);

/// Returns the snapshot of a failed poll.
///
/// It contains the failure with its reason, and the function that keeps the server busy, if any.
#[must_use]
pub fn failed(reason: Reason, busy_with: Option<BusyWith<'_>>, times: PollTiming) -> Snapshot {
    let mut snapshot = Snapshot::default();
    push_common(&mut snapshot, Some(reason), times);
    if let Some((function, milliseconds)) = busy_with {
        snapshot.push(&rows::FUNCTION_RUNNING, [function], milliseconds);
    }
    snapshot.finish()
}

/// Adds the place of a target in its group: the names of group and shard, the node id, and the role.
#[must_use]
pub fn with_member(mut snapshot: Snapshot, place: [&str; 4]) -> Snapshot {
    snapshot.push(&rows::MEMBER, place, 1.0);
    snapshot.finish()
}

fn push_common(snapshot: &mut Snapshot, failure: Option<Reason>, times: PollTiming) {
    snapshot.push(&rows::UP, [], f64::from(failure.is_none()));
    let reason = failure.map(Reason::as_str).unwrap_or_default();
    snapshot.push(&rows::LAST_ERROR, [reason], f64::from(failure.is_some()));
    snapshot.push(&rows::LAST_DURATION, [], times.duration.as_secs_f64());
    snapshot.push(&rows::LAST_POLL, [], times.ended_at);
    snapshot.push(&rows::POLL_INTERVAL, [], times.interval.as_secs_f64());
}
