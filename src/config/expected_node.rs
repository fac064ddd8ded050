//! The cluster node that must reply at an address which its cluster has listed.

use std::sync::Arc;

use tokio::sync::Notify;

/// A cluster node.
#[derive(Clone, Debug)]
pub struct ExpectedNode {
    /// The id that CLUSTER MYID returns.
    pub id: String,
    /// Notified if another server replied, so that the cluster is queried again.
    pub on_mismatch: Arc<Notify>,
}

/// Only the id counts.
impl PartialEq for ExpectedNode {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for ExpectedNode {}
