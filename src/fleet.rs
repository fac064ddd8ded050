//! Starts, supervises, and ends the tasks of all targets as configured.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::error;

use crate::canary;
use crate::config::{Namespace, Target};
use crate::connection::OnReconnect;
use crate::discovery::WatchedTarget;
use crate::footprint::Footprint;
use crate::keyspace::sweep;
use crate::number::length;
use crate::poll::{self, Start};
use crate::publish::{Attributes, Board, Slot};
use crate::supervise::supervise;
use crate::telemetry::{Gauge, PanickedTask, Telemetry};

const TARGETS: Gauge<0> = Gauge::named("redis_exporter_targets");

/// Interval between the first polls of two targets, so that hundreds are not dialed at once.
const FIRST_POLLS_APART: Duration = Duration::from_millis(10);

/// Factor by which first sweeps are further apart than first polls. The first keys of each take up to
/// a thousand commands.
const FIRST_SWEEPS_FURTHER: u32 = 3;

/// A poll ends within its timeout, and the next one starts within an interval. A target without a
/// publication for this many intervals, and at least [`OVERDUE_MIN`], is overdue.
const OVERDUE_INTERVALS: u32 = 3;

/// Minimum time before a target is overdue, for busy machines.
const OVERDUE_MIN: Duration = Duration::from_secs(10);

/// Interval between checks for overdue pollers.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// The polled targets.
#[derive(Debug)]
pub struct Fleet {
    board: Board,
    telemetry: Telemetry,
    namespaces: Arc<[Namespace]>,
    running: Vec<RunningTarget>,
}

#[derive(Debug)]
struct RunningTarget {
    target: Arc<Target>,
    slot: Arc<Slot>,
    footprint: Arc<Footprint>,
    poll: AbortHandle,
    /// `None` if it was not started.
    sweep: Option<AbortHandle>,
    /// `None` if it is disabled.
    canary: Option<AbortHandle>,
    is_swept: bool,
}

impl Drop for RunningTarget {
    fn drop(&mut self) {
        self.abort();
    }
}

impl RunningTarget {
    fn abort(&self) {
        self.poll.abort();
        self.sweep.iter().for_each(AbortHandle::abort);
        self.canary.iter().for_each(AbortHandle::abort);
    }

    fn end_sweep(&mut self) {
        if let Some(sweep) = self.sweep.take() {
            sweep.abort();
        }
    }
}

/// The effect of applying a configuration.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Targets that are new or have changed.
    pub started: usize,
    /// Targets that were removed or have changed.
    pub ended: usize,
    /// Unchanged targets, which keep their connections.
    pub kept: usize,
}

impl Fleet {
    /// Returns a fleet without targets.
    #[must_use]
    pub fn new(board: Board, telemetry: Telemetry) -> Self {
        Self {
            board,
            telemetry,
            namespaces: Arc::new([]),
            running: Vec::new(),
        }
    }

    /// Polls and sweeps exactly these targets. Unchanged targets keep their tasks and connections,
    /// except that the sweep restarts if its namespaces have changed. Targets, which have unique
    /// names, are listed in the given order.
    pub fn apply(&mut self, targets: Vec<WatchedTarget>, namespaces: &[Namespace]) -> Change {
        let are_new = *self.namespaces != *namespaces;
        self.namespaces = namespaces.into();
        let before = std::mem::take(&mut self.running);
        let order: Vec<String> = before.iter().map(|old| old.target.name.clone()).collect();
        let wanted: HashMap<&str, &Arc<Target>> = targets
            .iter()
            .map(|one| (one.target.name.as_str(), &one.target))
            .collect();
        let is_kept = |old: &RunningTarget| {
            let target = wanted.get(old.target.name.as_str());
            target.is_some_and(|target| **target == old.target)
        };
        let (kept, gone): (Vec<_>, Vec<_>) = before.into_iter().partition(is_kept);
        let change = Change {
            started: targets.len() - kept.len(),
            ended: gone.len(),
            kept: kept.len(),
        };
        // First, so that a changed target never has two connections.
        self.end(&gone, &wanted);
        drop(gone);
        let mut kept: HashMap<String, RunningTarget> = kept
            .into_iter()
            .map(|old| (old.target.name.clone(), old))
            .collect();
        let (mut started, mut resumed) = (0, 0);
        for watched in targets {
            let WatchedTarget {
                target,
                attributes,
                is_swept,
            } = watched;
            let running = if let Some(same) = kept.remove(&target.name) {
                let delay = FIRST_POLLS_APART * FIRST_SWEEPS_FURTHER * resumed;
                resumed += u32::from(is_swept && (are_new || !same.is_swept));
                self.keep(same, is_swept, are_new, delay)
            } else {
                started += 1;
                self.start_counters(&target.name, &attributes);
                self.start(target, is_swept, start_of(started - 1, change.started))
            };
            running.slot.describe(attributes);
            self.running.push(running);
        }
        let names = self.running.iter().map(|running| &running.target.name);
        if change.started == 0 && change.ended == 0 && names.eq(order.iter()) {
            return change;
        }
        self.telemetry.set(TARGETS, [], length(self.running.len()));
        self.board.list(
            self.running
                .iter()
                .map(|running| Arc::clone(&running.slot))
                .collect(),
        );
        change
    }

    fn start_counters(&self, name: &str, attributes: &Attributes) {
        if attributes.is_requested {
            self.telemetry.start_unlisted_target(name);
        } else {
            self.telemetry.start_target(name);
        }
    }

    /// Keeps a target. If its sweep has to start, it does so after `delay`.
    fn keep(
        &self,
        mut running: RunningTarget,
        is_swept: bool,
        are_new: bool,
        delay: Duration,
    ) -> RunningTarget {
        let was_swept = std::mem::replace(&mut running.is_swept, is_swept);
        if was_swept && !is_swept {
            running.end_sweep();
            running.slot.clear_namespaces();
        } else if is_swept && (are_new || !was_swept) {
            running.end_sweep();
            if are_new {
                running.slot.forget_sizes();
            }
            let (target, slot) = (&running.target, &running.slot);
            running.sweep = Some(self.start_sweep(target, slot, &running.footprint, delay));
        }
        running
    }

    fn start(&self, target: Arc<Target>, is_swept: bool, start: Start) -> RunningTarget {
        let slot = self
            .board
            .slot(&target.name, &target.endpoint.address.to_string());
        let footprint = Arc::default();
        let sweep = is_swept.then(|| {
            let delay = start.first * FIRST_SWEEPS_FURTHER;
            self.start_sweep(&target, &slot, &footprint, delay)
        });
        let canary = self.start_canary(&target, &slot, &footprint, start.first);
        let poll = self.start_poll(&target, &slot, &footprint, start);
        RunningTarget {
            target,
            slot,
            footprint,
            poll,
            sweep,
            canary,
            is_swept,
        }
    }

    fn start_poll(
        &self,
        target: &Arc<Target>,
        slot: &Arc<Slot>,
        footprint: &Arc<Footprint>,
        start: Start,
    ) -> AbortHandle {
        let footprint = Arc::clone(footprint);
        let (place, interval) = (Arc::clone(slot), target.poll.interval);
        let due = due_within(target).saturating_add(start.first);
        let (target, slot) = (Arc::clone(target), Arc::clone(slot));
        let (name, telemetry) = (target.name.clone(), self.telemetry.clone());
        let task = move |is_restart: bool| {
            let again = Start {
                first: Duration::ZERO,
                second: 1.0,
            };
            let start = if is_restart { again } else { start };
            poll::run(
                Arc::clone(&target),
                Arc::clone(&slot),
                telemetry.clone(),
                Arc::clone(&footprint),
                start,
            )
        };
        let (broken, telemetry, at) = (name.clone(), self.telemetry.clone(), Arc::clone(&place));
        let on_break = move || {
            telemetry.count_panic(PanickedTask::OfTarget(broken.clone()));
            // The last publication of the panicked task must not look fresh.
            poll::publish_break(&at, interval);
        };
        let poller = place.start_poller(interval, due);
        let supervised = async move {
            let _poller = poller;
            supervise(name, on_break, task).await;
        };
        tokio::spawn(supervised).abort_handle()
    }

    fn start_sweep(
        &self,
        target: &Arc<Target>,
        slot: &Arc<Slot>,
        footprint: &Arc<Footprint>,
        first: Duration,
    ) -> AbortHandle {
        let footprint = Arc::clone(footprint);
        let (target, slot) = (Arc::clone(target), Arc::clone(slot));
        let (name, namespaces) = (target.name.clone(), Arc::clone(&self.namespaces));
        let (counted, telemetry) = (name.clone(), self.telemetry.clone());
        let on_reconnect: OnReconnect =
            Arc::new(move |cause| telemetry.count(poll::RECONNECTS, [&counted, cause.as_str()]));
        let task = move |is_restart: bool| {
            let delay = if is_restart { Duration::ZERO } else { first };
            sweep::run(
                Arc::clone(&target),
                Arc::clone(&namespaces),
                Arc::clone(&slot),
                Arc::clone(&on_reconnect),
                Arc::clone(&footprint),
                delay,
            )
        };
        self.spawn(name, task)
    }

    fn start_canary(
        &self,
        target: &Arc<Target>,
        slot: &Arc<Slot>,
        footprint: &Arc<Footprint>,
        first: Duration,
    ) -> Option<AbortHandle> {
        if !target.canary.enabled {
            return None;
        }
        let footprint = Arc::clone(footprint);
        let (target, slot) = (Arc::clone(target), Arc::clone(slot));
        let name = target.name.clone();
        let task = move |is_restart: bool| {
            let delay = if is_restart { Duration::ZERO } else { first };
            let (target, slot) = (Arc::clone(&target), Arc::clone(&slot));
            canary::run(target, slot, Arc::clone(&footprint), delay)
        };
        Some(self.spawn(name, task))
    }

    /// Starts a supervised task of the target with this name, and counts its panics.
    fn spawn<Task>(
        &self,
        name: String,
        task: impl Fn(bool) -> Task + Send + Sync + 'static,
    ) -> AbortHandle
    where
        Task: Future<Output = ()> + Send + 'static,
    {
        let (broken, telemetry) = (name.clone(), self.telemetry.clone());
        let on_break = move || telemetry.count_panic(PanickedTask::OfTarget(broken.clone()));
        tokio::spawn(supervise(name, on_break, task)).abort_handle()
    }

    fn end(&self, gone: &[RunningTarget], wanted: &HashMap<&str, &Arc<Target>>) {
        for old in gone {
            old.abort();
            let name = &old.target.name;
            if !wanted.contains_key(name.as_str()) {
                self.telemetry.end_target(name);
            }
        }
    }
}

/// Marks targets as down whose poller no longer publishes, so that old publications do not look
/// fresh. Never returns.
pub async fn watch(board: Board) {
    let mut before: Vec<Arc<Slot>> = Vec::new();
    loop {
        tokio::time::sleep(WATCH_EVERY).await;
        let overdue = overdue(&board);
        // Requires two checks in a row: after a suspended process resumes, all targets are overdue
        // for a moment.
        for slot in overdue.iter().filter(|slot| contains(&before, slot)) {
            if slot.latest().is_none_or(|poll| poll.failure.is_none()) {
                poll::publish_break(slot, slot.poll_interval().unwrap_or_default());
                error!(name = slot.name, "polls are overdue");
            }
        }
        before = overdue;
    }
}

fn overdue(board: &Board) -> Vec<Arc<Slot>> {
    let now = Instant::now();
    let slots = board.slots();
    let overdue = slots.iter().filter(|slot| slot.is_overdue(now));
    overdue.cloned().collect()
}

fn contains(slots: &[Arc<Slot>], wanted: &Arc<Slot>) -> bool {
    slots.iter().any(|slot| Arc::ptr_eq(slot, wanted))
}

/// Returns the maximum time between two publications of a healthy target.
fn due_within(target: &Target) -> Duration {
    let times = target.poll;
    let intervals = times.interval.saturating_mul(OVERDUE_INTERVALS);
    intervals.max(OVERDUE_MIN).saturating_add(times.timeout)
}

/// Returns when the `at`-th of `count` new targets is polled first and second.
fn start_of(at: usize, count: usize) -> Start {
    let place = u32::try_from(at).unwrap_or(u32::MAX);
    let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
    let second = (f64::from(place) + 1.0) / f64::from(count);
    Start {
        first: FIRST_POLLS_APART.saturating_mul(place),
        second,
    }
}

#[cfg(test)]
mod tests;
