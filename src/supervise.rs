//! Runs a task that must never end, and restarts it if it panics.
//!
//! A panic is a defect, so it is logged and counted. This module does not know what the task does.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::thread;

use tokio::time::sleep;
use tracing::error;

use crate::backoff;

/// Runs the future that `task` returns until it completes. After a panic, calls `on_break` and
/// restarts it with a delay of one second, so that a task that panics at once does not keep a core
/// busy. The argument of `task` is true for a restart.
pub async fn supervise<Task: Future<Output = ()>>(
    name: String,
    on_break: impl Fn(),
    task: impl Fn(bool) -> Task,
) {
    let mut is_restart = false;
    while let Err(panic) = run_once(&task, is_restart).await {
        // Isolated from the restart: the task continues even if the report panics.
        let report = || {
            on_break();
            error!(
                name,
                broken = message(&*panic),
                "a task panicked; it restarts"
            );
        };
        let _ = catch_unwind(AssertUnwindSafe(report));
        sleep(backoff::FIRST).await;
        is_restart = true;
    }
}

/// Runs a task until it completes or panics. It does not become another task of the runtime, because
/// thousands of targets have several.
async fn run_once<Task: Future<Output = ()>>(
    task: impl Fn(bool) -> Task,
    is_restart: bool,
) -> thread::Result<()> {
    let mut running = pin!(async { task(is_restart).await });
    poll_fn(|context| {
        // After a panic, the future is not polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context)));
        polled.map_or_else(|panic| Poll::Ready(Err(panic)), |polled| polled.map(Ok))
    })
    .await
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref().copied())
        .unwrap_or("unknown panic")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
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
