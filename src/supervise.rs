//! Runs a task that must never end, and starts it again should it ever break off.
//!
//! Breaking off is a defect, so it is logged and counted; it knows nothing of what the task does.

use std::time::Duration;

use tokio::task::JoinSet;
use tracing::error;

/// The pause before a task that broke off is made anew: one that breaks off at once must not keep
/// a core busy.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs what `task` makes until it ends by itself. When it panics, `on_break` is called and it is
/// made anew; `task` is told whether this is such a restart.
pub async fn supervise<Task>(name: String, on_break: impl Fn(), task: impl Fn(bool) -> Task)
where
    Task: Future<Output = ()> + Send + 'static,
{
    let mut is_restart = false;
    loop {
        // A set ends its task when it is dropped, and so when this supervision is ended.
        let mut running = JoinSet::new();
        running.spawn(task(is_restart));
        let Some(Err(broken)) = running.join_next().await else {
            return;
        };
        error!(name, %broken, "a task broke off; it starts again");
        on_break();
        tokio::time::sleep(PAUSE).await;
        is_restart = true;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
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
}
