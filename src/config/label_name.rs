//! Names of labels that sources of targets may add to series.

use std::collections::BTreeSet;

use super::context::Context;
use super::problem::Invalid;
use super::row::FromText;
use super::written_keys::WrittenKeys;

/// Labels that the exporter, Prometheus or their conventions use. A test compares them with the
/// labels of all metrics.
pub static RESERVED_LABELS: &[&str] = &[
    "actions",
    "address",
    "api",
    "build_date",
    "cause",
    "certificate",
    "change",
    "channel_group",
    "class",
    "client_group",
    "cmd",
    "collector",
    "commit_sha",
    "consumer",
    "context",
    "db",
    "direction",
    "discovery",
    "engine",
    "err",
    "event",
    "event_name",
    "filename",
    "filters",
    "flags",
    "function",
    "group",
    "health",
    "host",
    "id",
    "idle",
    "index_name",
    "instance",
    "ip",
    "job",
    "key",
    "key_group",
    "key_namespace",
    "le",
    "lib_name",
    "lib_ver",
    "limit",
    "master_address",
    "master_host",
    "master_name",
    "master_port",
    "master_replid",
    "master_status",
    "maxmemory_policy",
    "memory",
    "message",
    "module",
    "name",
    "node",
    "node_id",
    "on_eviction",
    "os",
    "policy",
    "port",
    "primary",
    "process_id",
    "quantile",
    "question",
    "read_only",
    "reason",
    "redis_build_id",
    "redis_cluster",
    "redis_mode",
    "redis_version",
    "resp",
    "result",
    "role",
    "run_id",
    "runid",
    "shard",
    "slave_ip",
    "slave_port",
    "slave_state",
    "slot",
    "source",
    "state",
    "stream",
    "target",
    "task",
    "tcp_port",
    "thread",
    "type",
    "usedby",
    "user",
    "using",
    "val",
    "valkey_release_stage",
    "valkey_version",
    "value",
    "ver",
    "version",
    "when",
    "within",
];

/// A label name that is valid in Prometheus.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelName(String);

impl LabelName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromText for LabelName {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let starts_well = !text.starts_with(|first: char| first.is_ascii_digit());
        if text.is_empty() || !text.bytes().all(is_letter) || !starts_well {
            return Err(Invalid::new(
                "is not a label name",
                "use letters, digits and underscores, such as env",
            ));
        }
        if text.starts_with("__") || text.len() > 60 {
            return Err(Invalid::new(
                "cannot be a label of series",
                "use at most 60 characters that do not start with two underscores",
            ));
        }
        if RESERVED_LABELS.contains(&text) {
            return Err(Invalid::new(
                "is a label that the exporter or Prometheus uses",
                "rename it in the source",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Reports a label that is declared twice, which no scraper accepts.
pub(super) fn check_labels(labels: &[LabelName], written: &WrittenKeys, context: &mut Context<'_>) {
    let mut seen = BTreeSet::new();
    let is_new = |label: &LabelName| seen.insert(label.as_str().to_owned());
    if let (false, Some(place)) = (labels.iter().all(is_new), written.place_of("labels")) {
        context.report(place, "has a label twice", "remove one of them");
    }
}
