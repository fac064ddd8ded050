//! The data that a source of targets reports about a server, beyond its address.

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

/// The data that a source reports about a server. They may change while the server is polled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Labels of all series of the target, with valid names and unique.
    pub labels: Vec<(String, String)>,
    /// The place in its cluster, if it has one.
    pub member: Option<ClusterMember>,
}
