//! Runs a task that must never end, and starts it again should it ever break off.
//!
//! Breaking off is a defect, so it is logged and counted; it knows nothing of what the task does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::error;

/// Delay before a panicked task is restarted: one that panics at once must not keep a core busy.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs what `task` makes until it ends by itself. When it panics, it is restarted after a second,
/// then `on_break` is called; `task` is told whether this is such a restart.
pub async fn supervise<Task>(
    name: String,
    on_break: impl Fn(),
    task: impl Fn(bool) -> Task + Send + Sync + 'static,
) where
    Task: Future<Output = ()> + Send + 'static,
{
    let task = Arc::new(task);
    // A set ends its task when it is dropped, and so when this supervision is ended.
    let mut running = JoinSet::new();
    let first = Arc::clone(&task);
    running.spawn(async move { first(false).await });
    while let Some(Err(broken)) = running.join_next().await {
        let again = Arc::clone(&task);
        running.spawn(async move {
            tokio::time::sleep(PAUSE).await;
            again(true).await;
        });
        // After the restart, and apart from it: whatever a report does, the task goes on.
        let report = || {
            on_break();
            error!(name, %broken, "a task broke off; it starts again");
        };
        let _ = catch_unwind(AssertUnwindSafe(report));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_reported_and_started_again() {
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
    async fn a_report_that_panics_does_not_stop_the_restart() {
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
}
