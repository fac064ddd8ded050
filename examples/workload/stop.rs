//! The signal that ends all tasks. Tasks check it themselves.
//!
//! An operation in flight is completed first, so that stopping never loses the EXPIRE that follows
//! an INCR.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// A flag that is set once. Clones share it.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// Returns whether the program is stopped.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the program is stopped.
    pub async fn wait(&self) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|set| *set).await;
    }

    /// Stops the program after a delay.
    pub fn set_after(&self, delay: Duration) {
        let stop = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            stop.0.send_replace(true);
        });
    }
}

/// Returns a stop that SIGINT and SIGTERM set. A second signal ends the process immediately.
///
/// # Errors
/// The signals cannot be watched.
pub fn on_signal() -> Result<Stop, String> {
    let watch = |kind| signal(kind).map_err(|error| format!("cannot watch signals: {error}"));
    let mut interrupt = watch(SignalKind::interrupt())?;
    let mut terminate = watch(SignalKind::terminate())?;
    let stop = Stop(Arc::new(watch::Sender::new(false)));
    let set = stop.clone();
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        set.0.send_replace(true);
        either(&mut interrupt, &mut terminate).await;
        std::process::exit(130);
    });
    Ok(stop)
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
