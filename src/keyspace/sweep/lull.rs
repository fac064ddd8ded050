//! Times in which the sweep sends no queries for keys, because the server reports each lookup.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Whether queries for keys may be sent. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Lull(Arc<RwLock<()>>);

impl Lull {
    /// Waits until queries may be sent. There is no lull until the guard is dropped.
    pub async fn pass(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.0).read_owned().await
    }

    /// Waits until no queries are in flight. There are none until the guard is dropped.
    pub async fn begin(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.0).write_owned().await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lull_waits_for_queries_and_delays_new_ones() {
        let lull = Lull::default();
        let short = Duration::from_millis(5);
        let query = lull.pass().await;
        assert!(timeout(short, lull.begin()).await.is_err());
        drop(query);
        let quiet = lull.begin().await;
        assert!(timeout(short, lull.pass()).await.is_err());
        drop(quiet);
        assert!(timeout(short, lull.pass()).await.is_ok());
    }
}
