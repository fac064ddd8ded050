//! Polls one target: wait, query, read, publish. Each target has one task and one connection.
//!
//! `plan` decides what to query, and `collector` interprets the replies. This module owns the
//! clock, the connection, and the order of steps.

mod pace;
mod parameters;
mod plan;
mod poller;
mod rdb_file;
mod reading;
mod report;
mod rest;
mod schedule;
mod scrapers;
mod sections;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::access_rule;
use crate::backoff;
use crate::clock;
use crate::collector::function_stats::RunningFunction;
use crate::collector::{ALL, Circumstances, Collector, Remembered};
use crate::config::Target;
use crate::connection::{OnReconnect, Whereabouts};
use crate::failure::{Failure, Reason};
use crate::footprint::Footprint;
use crate::metric::Snapshot;
use crate::outcome::{self, PollTiming, Success};
use crate::publish::Slot;
use crate::telemetry::{Counter, Durations, Telemetry};
use crate::trace::{AccessGrant, Trace};

use rdb_file::RdbFile;

pub use poller::{Poller, Round};
pub use report::publish_break;
pub use schedule::describe as describe_pace;

#[cfg(test)]
mod tests;

use pace::PollPace;
use reading::read_beside;
use report::publish;
use rest::Rests;
use schedule::Heartbeat;

const POLLS: Counter<1> = Counter::named("redis_exporter_polls_total");
const POLL_DURATION: Durations = Durations::named("redis_exporter_poll_duration_seconds");
const POLL_FAILURES: Counter<2> = Counter::named("redis_exporter_poll_failures_total");
const CONNECTS: Counter<1> = Counter::named("redis_exporter_connects_total");

/// Connections that replaced an earlier one.
pub const RECONNECTS: Counter<2> = Counter::named("redis_exporter_reconnects_total");

/// State kept between polls.
#[derive(Debug, Default)]
struct PollMemory {
    /// Load that the exporter causes on the server; `None` for a single poll.
    footprint: Option<Arc<Footprint>>,
    poller: Option<Poller>,
    whereabouts: Whereabouts,
    remembered: Remembered,
    rdb_file: RdbFile,
    rests: Rests,
    server: String,
    /// The record of the current poll.
    trace: Trace,
    /// Whether the server rejects queries of the sweep.
    is_sweep_rejected: bool,
    failures_in_a_row: u32,
    /// The thread that reads large replies.
    reading: Option<JoinHandle<()>>,
    /// Whether the server has FUNCTION STATS and has not rejected it.
    knows_function_stats: bool,
    /// The function that kept the server busy at the last poll.
    busy_with: Option<RunningFunction>,
    /// Result of the last poll; `None` before the first.
    state: Option<Result<(), Reason>>,
    /// Start of the current failures; `None` while polls succeed.
    failing_since: Option<Instant>,
}

/// Times of a target's first two polls. All later polls follow at the interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    /// Delay of the first poll. Short, so that results appear soon.
    pub first: Duration,
    /// Delay from the first poll to the second, as a share of the interval, if the first succeeded.
    /// Spreads the polls of many targets over the interval.
    pub second: f64,
}

/// Polls a target forever.
pub async fn run(
    target: Arc<Target>,
    slot: Arc<Slot>,
    telemetry: Telemetry,
    footprint: Arc<Footprint>,
    start: Start,
) {
    let mut memory = PollMemory {
        footprint: Some(footprint),
        ..PollMemory::default()
    };
    let mut pace = PollPace::new(target.poll, start.first);
    let mut share = start.second;
    sleep(start.first).await;
    loop {
        let started = Instant::now();
        memory.is_sweep_rejected = report::is_sweep_rejected(&slot);
        // On the heap, so that a target takes no memory for its poll between two polls.
        let result = Box::pin(poll(&target, &mut memory, &telemetry)).await;
        telemetry.count(POLLS, [&target.name]);
        telemetry.observe(POLL_DURATION, started.elapsed());
        publish(&target, &slot, &telemetry, &mut memory, started, result);
        pace.polled(started, Instant::now());
        // A failed poll may have used all of its time: the delay before a retry starts at its end.
        let from = if memory.failures_in_a_row > 0 {
            Instant::now()
        } else {
            started
        };
        let regular = from + regular_delay(&target, memory.failures_in_a_row, share);
        share = 1.0;
        let due = (started, regular);
        wait(&target, &slot, &telemetry, &mut memory, &mut pace, due).await;
    }
}

/// Waits until the next poll is due: at the regular time, or when the scrapes require it. In
/// between, checks that the server still replies.
async fn wait(
    target: &Target,
    slot: &Slot,
    telemetry: &Telemetry,
    memory: &mut PollMemory,
    pace: &mut PollPace,
    (polled, mut regular): (Instant, Instant),
) {
    let mut check = check_after(target, memory, polled);
    loop {
        pace.scraped(slot.scrapes().take(), &target.name, telemetry);
        let next = if memory.failures_in_a_row > 0 {
            regular
        } else {
            pace.next(regular, slot.page_lag())
        };
        tokio::select! {
            () = sleep_until(next) => return,
            // Disabled without a check, regardless of its time.
            () = sleep_until(check.map_or(next, |check| check.at.into())), if check.is_some() => {
                let started = Instant::now();
                let deadline = check.map_or(next, |check| check.deadline.into());
                if let Err(failure) = Box::pin(check_session(memory, deadline)).await {
                    publish(target, slot, telemetry, memory, started, Err(failure));
                    let delay = regular_delay(target, memory.failures_in_a_row, 1.0);
                    regular = Instant::now() + delay;
                }
                check = check_after(target, memory, started);
            }
            () = slot.scrapes().changed() => {}
        }
    }
}

/// Returns the time from one poll to the next: this share of the interval or, after failures, a
/// growing delay of up to the interval. The share spreads the second polls of many targets and must
/// not move a retry forward.
fn regular_delay(target: &Target, failures_in_a_row: u32, share: f64) -> Duration {
    let interval = target.poll.interval;
    match failures_in_a_row {
        0 => interval.mul_f64(share),
        failures => backoff::delay(failures, interval),
    }
}

/// Returns the check after a poll or check that started at this time. Returns `None` without a
/// connection, or if it is too late.
fn check_after(target: &Target, memory: &PollMemory, replied: Instant) -> Option<Heartbeat> {
    memory.poller.as_ref()?;
    let check = schedule::check(replied.into_std(), target.poll)?;
    (check.at > Instant::now().into_std()).then_some(check)
}

/// Checks that the server still replies.
async fn check_session(memory: &mut PollMemory, deadline: Instant) -> Result<(), Failure> {
    match &mut memory.poller {
        Some(poller) => poller.check(deadline).await,
        None => Ok(()),
    }
}

/// Performs one poll: connects if necessary, queries, and reads.
async fn poll(
    target: &Target,
    memory: &mut PollMemory,
    telemetry: &Telemetry,
) -> Result<(Snapshot, Success), Failure> {
    let deadline = Instant::now() + target.poll.timeout;
    let poller = match &mut memory.poller {
        Some(poller) => poller,
        empty => {
            let counter = reconnect_counter(target, telemetry);
            let footprint = memory.footprint.clone().unwrap_or_default();
            let opened = Poller::open(target, counter, footprint, deadline).await?;
            telemetry.count(CONNECTS, [&target.name]);
            empty.insert(opened.remembering(&memory.whereabouts))
        }
    };
    let mut circumstances = circumstances(target);
    circumstances.remembered = memory.remembered.clone();
    circumstances.resting = memory.rests.resting(Instant::now());
    let round = poller.poll(target, &circumstances, deadline).await;
    memory.trace.pipelines = poller.take_pipelines();
    for script in poller.take_broken_by() {
        let interval = target.poll.interval;
        memory.rests.begin(script, interval, Instant::now());
    }
    let mut round = match round {
        Ok(round) => round,
        Err(failure) => return Err(with_function(failure, memory, deadline).await),
    };
    memory.knows_function_stats |= poller.knows_function_stats();
    memory
        .rests
        .end(|script| round.replies.received(script).is_some());
    memory.server = poller.server_text();
    memory.trace.rejected = poller.rejected_by(&round.collectors);
    if memory.is_sweep_rejected || !memory.trace.rejected.is_empty() {
        memory.trace.grant = grant(target, &round, poller);
    }
    let mut on = round.collectors.iter();
    let file = on.find_map(|collector| (collector.file)(&round.replies));
    let circumstances = &mut round.replies.circumstances;
    if let Some(path) = file {
        circumstances.file_size = memory.rdb_file.size(path).await;
    }
    circumstances.polled_at = clock::now();
    circumstances.caused = round.caused.filter(|_| memory.footprint.is_some());
    let (connect, ping) = (poller.connect_time(), round.ping);
    let read = read_beside(round, &mut memory.reading, deadline).await?;
    poller.release();
    for memo in read.memos {
        memory.remembered.record(memo);
    }
    let success = Success {
        connect,
        ping,
        collectors: read.outcomes,
    };
    Ok((read.snapshot, success))
}

/// Returns the command that gives the user of a target the permissions for its queries.
fn grant(target: &Target, round: &Round, poller: &Poller) -> Option<AccessGrant> {
    access_rule::grant(target, &round.replies, &round.collectors, poller.rejected())
}

/// Adds the function that keeps the server busy to a failure. Does not query it again after one
/// rejection.
async fn with_function(failure: Failure, memory: &mut PollMemory, deadline: Instant) -> Failure {
    let poller = memory.poller.as_mut();
    let Some(poller) = poller.filter(|_| memory.knows_function_stats) else {
        return failure;
    };
    match poller.running_function(deadline).await {
        Ok(running) => memory.busy_with = running,
        Err(_) => memory.knows_function_stats = false,
    }
    match &memory.busy_with {
        Some(RunningFunction { name, milliseconds }) => {
            let seconds = milliseconds / 1e3;
            let detail = format!(
                "function {name} has been running for {seconds:.1} s: {}",
                failure.detail
            );
            Failure {
                remedy: failure.remedy,
                ..Failure::new(failure.reason, detail)
            }
        }
        None => failure,
    }
}

/// Returns a counter of connections that replace earlier ones.
fn reconnect_counter(target: &Target, telemetry: &Telemetry) -> OnReconnect {
    let (name, telemetry) = (target.name.clone(), telemetry.clone());
    Arc::new(move |cause| {
        telemetry.count(CONNECTS, [&name]);
        telemetry.count(RECONNECTS, [&name, cause.as_str()]);
    })
}

/// Returns the known facts about a target before its first poll.
#[must_use]
pub fn circumstances(target: &Target) -> Circumstances {
    Circumstances {
        declared_memory_limit: target.memory_limit,
        expect_full: target.expect_full,
        polled_at: clock::now(),
        caused: None,
        database: target.endpoint.database.unwrap_or(0),
        options: Arc::clone(&target.options),
        file_size: None,
        resting: Vec::new(),
        remembered: Remembered::default(),
    }
}

/// Returns the collectors that are enabled for a target.
#[must_use]
pub fn collectors(target: &Target) -> Vec<&'static Collector> {
    let on = |collector: &&Collector| {
        let default = (collector.default)(&target.options);
        target.collectors.is_on(collector.name, default)
    };
    ALL.iter().copied().filter(on).collect()
}

/// Polls a target once over a separate connection.
///
/// # Errors
///
/// Returns the failure if the poll fails.
pub async fn once(target: &Target, telemetry: &Telemetry) -> Result<Snapshot, Failure> {
    let started = Instant::now();
    let (snapshot, success) = poll(target, &mut PollMemory::default(), telemetry).await?;
    let ended_at = clock::now();
    let times = PollTiming {
        duration: started.elapsed(),
        ended_at,
        interval: target.poll.interval,
    };
    Ok(outcome::succeeded(snapshot, &success, times))
}
