//! The data that a source of targets reports about a server, beyond its address.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::encode::label_text;

/// The place of a server in a cluster, as the cluster reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterMember {
    /// The name of the cluster.
    pub cluster: String,
    /// The shard.
    pub shard: String,
    /// The role, such as `primary` or `replica`.
    pub role: String,
    /// The ID of the node.
    pub node_id: String,
}

/// Wakes the source of a target. Clones wake the same one, and only clones are equal.
#[derive(Clone, Debug)]
pub struct SourceWake(pub Arc<Notify>);

impl PartialEq for SourceWake {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SourceWake {}

/// The data that a source reports about a server. They may change while the server is polled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Labels of all series of the target, with valid names and unique.
    pub labels: Vec<(String, String)>,
    /// The place in its cluster, if it has one.
    pub member: Option<ClusterMember>,
    /// Whether requests name it, and not the configuration. It is on a page of its own only.
    pub is_requested: bool,
    /// Woken when the server goes down, if its source wants to know.
    pub on_failure: Option<SourceWake>,
    /// The labels as text.
    text: String,
}

impl Attributes {
    /// Returns the data about one server.
    #[must_use]
    pub fn new(labels: Vec<(String, String)>, member: Option<ClusterMember>) -> Self {
        Self {
            text: label_text(&labels),
            labels,
            member,
            is_requested: false,
            on_failure: None,
        }
    }

    /// Sets what is woken when the server goes down.
    #[must_use]
    pub fn waking(self, on_failure: Option<SourceWake>) -> Self {
        Self { on_failure, ..self }
    }

    /// Sets whether requests name the server.
    #[must_use]
    pub fn requested(self, is_requested: bool) -> Self {
        Self {
            is_requested,
            ..self
        }
    }

    /// Returns the labels as they appear in each line, without braces.
    #[must_use]
    pub fn label_text(&self) -> &str {
        &self.text
    }
}
