//! Counts the panics of tasks, and remembers when each task panicked the last time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Counter, Telemetry};

const OF_TARGET: Counter<1> = Counter::named("redis_exporter_task_panics_total");
const OF_SERVICE: Counter<1> = Counter::named("redis_exporter_service_panics_total");

/// Maximum number of tasks whose panics are remembered.
const TASKS_MAX: usize = 100;

/// A task that can panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PanickedTask {
    /// A task of the target with this name.
    OfTarget(String),
    /// A task that serves all targets.
    Service(&'static str),
}

/// The last panic of each task, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct LastPanics(Arc<Mutex<Vec<(PanickedTask, Instant)>>>);

impl LastPanics {
    fn locked(&self) -> MutexGuard<'_, Vec<(PanickedTask, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Telemetry {
    /// Counts and remembers a panic.
    pub fn count_panic(&self, task: PanickedTask) {
        match &task {
            PanickedTask::OfTarget(target) => self.count(OF_TARGET, [target]),
            PanickedTask::Service(name) => self.count(OF_SERVICE, [name]),
        }
        let mut last = self.panics.locked();
        last.retain(|(known, _)| *known != task);
        if last.len() >= TASKS_MAX {
            last.remove(0);
        }
        last.push((task, Instant::now()));
    }

    /// Returns the tasks that panicked, and the time since the last panic of each.
    #[must_use]
    pub fn panics(&self) -> Vec<(PanickedTask, Duration)> {
        let last = self.panics.locked();
        let last = last.iter();
        last.map(|(task, at)| (task.clone(), at.elapsed()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_panic_of_each_task_is_counted_and_remembered() {
        let telemetry = Telemetry::new(false).unwrap();
        telemetry.start_target("cache");
        let task = || PanickedTask::OfTarget("cache".to_owned());
        telemetry.count_panic(task());
        telemetry.count_panic(PanickedTask::Service("pages"));
        telemetry.count_panic(task());
        let found: Vec<_> = telemetry
            .panics()
            .into_iter()
            .map(|(task, _)| task)
            .collect();
        assert_eq!(found, [PanickedTask::Service("pages"), task()]);
        assert_eq!(telemetry.counted(OF_TARGET, ["cache"]), 2);
        assert_eq!(telemetry.counted(OF_SERVICE, ["pages"]), 1);
        for at in 0..2 * TASKS_MAX {
            telemetry.count_panic(PanickedTask::OfTarget(at.to_string()));
        }
        assert_eq!(telemetry.panics().len(), TASKS_MAX);
    }
}
