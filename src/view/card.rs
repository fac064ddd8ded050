//! The summary of a target: its state, its main figures, and its problems. Pure.

use serde::Serialize;

use super::condition::{AlertSeverity, TargetProblem, problems};
use super::facts::Seen;
use super::namespace_row::{NamespaceRow, namespaces};
use super::rejected::{MissingPermissions, grant};
use super::trends::Trends;
use crate::history::Increase;

/// Whether a target can be polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetState {
    /// The last poll succeeded.
    Up,
    /// The last poll failed.
    Down,
    /// There was no poll yet.
    Waiting,
}

/// Why a poll failed.
#[derive(Debug, Serialize)]
pub struct PollFailure {
    /// The label `reason` of `redis_exporter_poll_failures_total`.
    pub reason: &'static str,
    /// The reason in words.
    pub meaning: &'static str,
    /// More about this failure, which contains no secret; null if nothing more is known.
    pub detail: Option<String>,
    /// The next step.
    pub remedy: String,
}

/// A value with its limit.
#[derive(Debug, Serialize)]
pub struct LimitUse {
    /// The value: bytes of memory, or clients.
    pub used: Option<f64>,
    /// The limit; null without a limit, or if the limit is unknown.
    pub limit: Option<f64>,
    /// The value as a share of the limit.
    pub ratio: Option<f64>,
}

impl LimitUse {
    fn new(used: Option<f64>, limit: Option<f64>) -> Self {
        let limit = limit.filter(|limit| *limit > 0.0);
        let ratio = used.zip(limit).map(|(used, limit)| used / limit);
        Self { used, limit, ratio }
    }
}

/// Recent latencies, in seconds.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// Round trip of a PING from the exporter.
    pub ping_seconds: Option<f64>,
    /// Mean time that the server took for a command in the last five minutes.
    pub command_seconds: Option<f64>,
}

/// The summary of a target.
#[derive(Debug, Serialize)]
pub struct Card {
    /// The name.
    pub name: String,
    /// The address, without credentials.
    pub address: String,
    /// Whether it can be polled.
    pub state: TargetState,
    /// The most severe problem; null without problems.
    pub severity: Option<AlertSeverity>,
    /// Why the last poll failed; null if it did not.
    pub failure: Option<PollFailure>,
    /// The kind of server, such as `redis 7.0 standalone`.
    pub server: Option<String>,
    /// The version of the server.
    pub version: Option<String>,
    /// The role: `primary` or `replica`, or another role that the server reports.
    pub role: Option<String>,
    /// The cluster or group of a discovered target.
    pub cluster: Option<String>,
    /// Its shard.
    pub shard: Option<String>,
    /// The eviction policy.
    pub maxmemory_policy: Option<String>,
    /// Time since the server started, in seconds.
    pub uptime_seconds: Option<f64>,
    /// End of the last poll, in seconds since the epoch.
    pub polled_at: Option<f64>,
    /// Time since then.
    pub age_seconds: Option<f64>,
    /// Configured poll interval, in seconds.
    pub poll_interval_seconds: Option<f64>,
    /// Keys of all databases.
    pub keys: Option<f64>,
    /// Memory and its limit, in bytes.
    pub memory: LimitUse,
    /// Commands per second between the last two polls, without those of the exporter.
    pub commands_per_second: Option<f64>,
    /// Share of lookups that found a key in the last five minutes, without those of the exporter.
    pub hit_ratio: Option<f64>,
    /// Keys evicted per second in the last minute.
    pub evictions_per_second: Option<f64>,
    /// Keys expired per second in the last minute.
    pub expirations_per_second: Option<f64>,
    /// Clients and their maximum number.
    pub clients: LimitUse,
    /// Latencies.
    pub latency: Latency,
    /// Problems, the most severe first.
    pub problems: Vec<TargetProblem>,
    /// Namespaces with keys, those with most memory first; empty unless there are few targets.
    #[serde(skip)]
    pub namespaces: Vec<NamespaceRow>,
    /// What grants the missing permissions; null unless there are few targets.
    #[serde(skip)]
    pub grant: Option<MissingPermissions>,
    /// The last hour, for the graphs.
    #[serde(skip)]
    pub trends: Trends,
}

/// The window of the recording rules, in seconds.
pub(super) const FIVE_MINUTES: f64 = 300.0;

/// The window of rates of keys, in seconds.
const SHORT: f64 = 60.0;

impl Card {
    /// Summarizes a target.
    #[must_use]
    pub fn of(seen: &Seen<'_>) -> Self {
        let (history, now) = (seen.history, seen.now);
        let is_up = seen.samples_of_poll().is_some();
        let known = |rate: Option<f64>| rate.filter(|_| is_up);
        let rate = |count, seconds| known(history.rate(count, seconds, now));
        let problems = problems(seen);
        let text = |label| seen.instance(label).map(str::to_owned);
        let server = seen.poll.map(|poll| poll.server.clone());
        let polled_at = seen.polled_at();
        Self {
            name: seen.name.to_owned(),
            address: seen.address.to_owned(),
            state: state(seen),
            severity: problems.first().map(|problem| problem.severity),
            failure: failure(seen),
            server: server.filter(|server| !server.is_empty()),
            version: text("redis_version"),
            role: seen.instance("role").map(role),
            cluster: seen.member("redis_cluster").map(str::to_owned),
            shard: seen.member("shard").map(str::to_owned),
            maxmemory_policy: text("maxmemory_policy"),
            uptime_seconds: seen.number("redis_uptime_in_seconds"),
            polled_at,
            age_seconds: polled_at.map(|at| (now - at).max(0.0)),
            poll_interval_seconds: interval(seen),
            keys: seen.sum("redis_db_keys"),
            memory: LimitUse::new(
                seen.number("redis_memory_used_bytes"),
                seen.number("redis_memory_limit_bytes"),
            ),
            commands_per_second: known(history.rate_now(Increase::Commands)),
            hit_ratio: known(hit_ratio(seen)),
            evictions_per_second: rate(Increase::Evicted, SHORT),
            expirations_per_second: rate(Increase::Expired, SHORT),
            clients: LimitUse::new(seen.number("redis_connected_clients"), max_clients(seen)),
            latency: Latency {
                ping_seconds: seen.number("redis_exporter_last_scrape_ping_time_seconds"),
                command_seconds: known(command_seconds(seen)),
            },
            problems,
            namespaces: Vec::new(),
            grant: None,
            trends: Trends::of(seen),
        }
    }

    /// Summarizes one of few targets, with its namespaces and missing permissions.
    #[must_use]
    pub fn of_few(seen: &Seen<'_>) -> Self {
        Self {
            namespaces: held(namespaces(seen)),
            grant: grant(seen),
            ..Self::of(seen)
        }
    }
}

/// Leaves out namespaces of which no key was found.
fn held(mut rows: Vec<NamespaceRow>) -> Vec<NamespaceRow> {
    rows.retain(|row| row.keys.is_some_and(|keys| keys >= 0.5));
    rows
}

/// Returns the word for a role. INFO still contains the old words, and so do the labels that
/// `redis_exporter` has.
fn role(reported: &str) -> String {
    let role = match reported {
        "master" => "primary",
        "slave" => "replica",
        other => other,
    };
    role.to_owned()
}

fn state(seen: &Seen<'_>) -> TargetState {
    match seen.poll {
        None => TargetState::Waiting,
        Some(poll) if poll.failure.is_some() => TargetState::Down,
        Some(_) => TargetState::Up,
    }
}

/// Returns why the last poll failed. The remedy is that of this failure if there is one, otherwise that
/// of its reason.
fn failure(seen: &Seen<'_>) -> Option<PollFailure> {
    let poll = seen.poll?;
    let reason = poll.failure?;
    let failure = poll.trace.failure.as_ref();
    let remedy = failure.and_then(|failure| failure.remedy.as_deref());
    Some(PollFailure {
        reason: reason.as_str(),
        meaning: reason.meaning(),
        detail: failure.map(|failure| failure.detail.clone()),
        remedy: remedy.unwrap_or(reason.remedy()).to_owned(),
    })
}

/// Returns the configured poll interval. Failed polls report it too.
fn interval(seen: &Seen<'_>) -> Option<f64> {
    let snapshot = &seen.poll?.snapshot;
    snapshot.number("redis_exporter_poll_interval_seconds")
}

/// Returns the maximum number of clients. INFO contains it too, if CONFIG is denied.
pub(super) fn max_clients(seen: &Seen<'_>) -> Option<f64> {
    let configured = seen.number("redis_config_maxclients");
    configured.or_else(|| seen.number("redis_max_clients"))
}

/// Returns the hit ratio of the last five minutes; `None` without lookups.
pub(super) fn hit_ratio(seen: &Seen<'_>) -> Option<f64> {
    let increase = |count| seen.history.increase(count, FIVE_MINUTES, seen.now);
    let (hits, misses) = (increase(Increase::Hits)?, increase(Increase::Misses)?);
    (hits + misses > 0.0).then(|| hits / (hits + misses))
}

/// Returns the mean time of a command in the last five minutes; `None` without commands.
pub(super) fn command_seconds(seen: &Seen<'_>) -> Option<f64> {
    let increase = |count| seen.history.increase(count, FIVE_MINUTES, seen.now);
    let (busy, calls) = (increase(Increase::Busy)?, increase(Increase::Calls)?);
    (calls > 0.0).then(|| busy / calls)
}
