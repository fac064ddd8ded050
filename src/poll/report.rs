//! Publishes the result of a poll, and logs when a server goes down or is up again.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{POLL_FAILURES, PollMemory};
use crate::access_rule;
use crate::clock;
use crate::config::Target;
use crate::failure::{Failure, Reason};
use crate::logfmt;
use crate::metric::Snapshot;
use crate::outcome::{self, PollTiming, Success};
use crate::publish::{Publication, Slot};
use crate::telemetry::Telemetry;
use crate::trace::Trace;

/// Publishes the result of a poll, and logs changes.
pub(super) fn publish(
    target: &Target,
    slot: &Slot,
    telemetry: &Telemetry,
    memory: &mut PollMemory,
    started: Instant,
    result: Result<(Snapshot, Success), Failure>,
) {
    let polled_at = clock::time();
    let mut trace = std::mem::take(&mut memory.trace);
    trace.took = started.elapsed();
    trace.failure = result.as_ref().err().cloned();
    if trace
        .failure
        .as_ref()
        .is_some_and(Failure::lacks_permission)
    {
        trace.grant = Some(access_rule::first_grant(target));
    }
    let times = PollTiming {
        duration: started.elapsed(),
        ended_at: clock::seconds(polled_at),
        interval: target.poll.interval,
    };
    let (snapshot, failure, refused) = match result {
        Ok((snapshot, success)) => {
            record_success(target, memory);
            let snapshot = outcome::succeeded(snapshot, &success, times);
            let samples = snapshot.samples().count();
            let (name, seconds) = (&target.name, logfmt::seconds(times.duration));
            debug!(name, seconds, samples, "poll finished");
            (snapshot, None, success.refused())
        }
        Err(failure) => {
            record_failure(target, telemetry, memory, &failure);
            let busy_with = memory.busy_with.take();
            let busy_with = busy_with
                .as_ref()
                .map(|running| (running.name.as_str(), running.milliseconds));
            let snapshot = outcome::failed(failure.reason, busy_with, times);
            (snapshot, Some(failure.reason), Vec::new())
        }
    };
    let server = memory.server.clone();
    slot.publish(Publication {
        snapshot: with_member(slot, snapshot),
        failure,
        polled_at,
        server,
        refused,
        trace,
    });
}

/// Returns whether the server rejects queries of the sweep of a target.
pub(super) fn is_sweep_rejected(slot: &Slot) -> bool {
    let namespaces = slot.namespaces();
    let family = "redis_exporter_sweep_question_success";
    let run = namespaces.as_ref().and_then(|found| found.family(family));
    run.is_some_and(|run| run.samples().any(|sample| sample.number() == Some(0.0)))
}

/// Publishes a failed poll, for a task that panicked or hangs.
pub fn publish_break(slot: &Slot, interval: Duration) {
    let polled_at = clock::time();
    let times = PollTiming {
        duration: Duration::ZERO,
        ended_at: clock::seconds(polled_at),
        interval,
    };
    slot.publish_for_poller(Publication {
        snapshot: with_member(slot, outcome::failed(Reason::Other, None, times)),
        failure: Some(Reason::Other),
        polled_at,
        server: String::new(),
        refused: Vec::new(),
        trace: Trace::default(),
    });
}

/// Adds what the source of the target reports about its place in a cluster.
fn with_member(slot: &Slot, snapshot: Snapshot) -> Snapshot {
    match &slot.attributes().member {
        Some(member) => {
            let place = [
                &member.cluster,
                &member.shard,
                &member.node_id,
                &member.role,
            ];
            outcome::with_member(snapshot, place.map(String::as_str))
        }
        None => snapshot,
    }
}

/// Logs that a server replies for the first time, or again after an outage.
fn record_success(target: &Target, memory: &mut PollMemory) {
    let (name, address) = (&target.name, target.endpoint.address.to_string());
    let server = &memory.server;
    let failing_since = memory.failing_since.take();
    let failed_polls = std::mem::take(&mut memory.failures_in_a_row);
    let before = memory.state.replace(Ok(()));
    match failing_since {
        Some(since) => {
            let outage_seconds = logfmt::seconds(since.elapsed());
            info!(
                name,
                address, server, outage_seconds, failed_polls, "the server is up again"
            );
        }
        None if before.is_none() => info!(name, address, server, "the server is up"),
        None => {}
    }
}

/// Logs a failure and drops the connection, so that a late reply never meets another query.
fn record_failure(
    target: &Target,
    telemetry: &Telemetry,
    memory: &mut PollMemory,
    failure: &Failure,
) {
    memory.poller = None;
    memory.failures_in_a_row = memory.failures_in_a_row.saturating_add(1);
    memory.failing_since.get_or_insert_with(Instant::now);
    telemetry.count(POLL_FAILURES, [&target.name, failure.reason.as_str()]);
    let (name, address) = (&target.name, target.endpoint.address.to_string());
    if memory.state.replace(Err(failure.reason)) == Some(Err(failure.reason)) {
        debug!(name, address, %failure, "the poll failed again");
    } else {
        warn!(name, address, %failure, "the poll failed");
    }
}
