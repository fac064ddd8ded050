//! Runs a task that must never end, and restarts it if it panics.
//!
//! A panic is a defect, so it is logged and counted. This module does not know what the task does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::error;

use crate::backoff;

/// Runs the future that `task` returns until it completes. After a panic, restarts it with a delay
/// of one second, so that a task that panics at once does not keep a core busy. Then calls
/// `on_break`. The argument of `task` is true for a restart.
pub async fn supervise<Task>(
    name: String,
    on_break: impl Fn(),
    task: impl Fn(bool) -> Task + Send + Sync + 'static,
) where
    Task: Future<Output = ()> + Send + 'static,
{
    let task = Arc::new(task);
    // Dropping the set aborts the task, so aborting the supervision does too.
    let mut running = JoinSet::new();
    let first = Arc::clone(&task);
    running.spawn(async move { first(false).await });
    while let Some(Err(broken)) = running.join_next().await {
        let again = Arc::clone(&task);
        running.spawn(async move {
            tokio::time::sleep(backoff::FIRST).await;
            again(true).await;
        });
        // After the restart, and isolated from it: the task continues even if the report panics.
        let report = || {
            on_break();
            error!(name, %broken, "a task panicked; it restarts");
        };
        let _ = catch_unwind(AssertUnwindSafe(report));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn panicked_task_is_reported_and_restarted() {
        let breaks = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&breaks);
        let on_break = move || {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        let task = |is_restart: bool| async move {
            assert!(is_restart, "the first run breaks off");
        };
        supervise("test".to_owned(), on_break, task).await;
        assert_eq!(breaks.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn panicking_report_does_not_prevent_the_restart() {
        let restarts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&restarts);
        let task = move |is_restart: bool| {
            counted.fetch_add(u32::from(is_restart), Ordering::Relaxed);
            let times = counted.load(Ordering::Relaxed);
            async move { assert!(times >= 2, "breaks off") }
        };
        supervise("test".to_owned(), || panic!("no report"), task).await;
        assert_eq!(restarts.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn panicked_task_pauses_once() {
        let started = tokio::time::Instant::now();
        let task = |is_restart: bool| async move {
            assert!(is_restart, "the first run breaks off");
        };
        supervise("test".to_owned(), || (), task).await;
        let paused = started.elapsed();
        assert!(
            paused >= backoff::FIRST && paused < backoff::FIRST * 3 / 2,
            "{paused:?}"
        );
    }
}
