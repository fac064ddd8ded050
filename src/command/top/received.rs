//! The JSON of an exporter: the part of it that is shown. Pure.
//!
//! Exporters of other versions may lack fields. Everything that is missing or null is unknown.

use serde::Deserialize;

/// The response of `/api/v1/targets`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TargetList {
    /// Version of the exporter.
    pub exporter_version: String,
    /// Numbers of targets.
    pub summary: ListedCounts,
    /// Targets that match the filter.
    pub matching: usize,
    /// Targets, the worst first.
    pub targets: Vec<ListedTarget>,
}

/// Numbers of targets, whatever the filter is.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ListedCounts {
    /// All targets.
    pub total: usize,
    /// Those whose last poll succeeded.
    pub up: usize,
    /// Those whose last poll failed.
    pub down: usize,
    /// Those without a poll.
    pub waiting: usize,
}

/// A target, in the list and in its report.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ListedTarget {
    /// The name.
    pub name: String,
    /// The address.
    pub address: String,
    /// `up`, `down` or `waiting`.
    pub state: String,
    /// Severity of the worst problem: `critical`, `warning` or `info`.
    pub severity: Option<String>,
    /// The kind of server.
    pub server: Option<String>,
    /// The role.
    pub role: Option<String>,
    /// The eviction policy.
    pub maxmemory_policy: Option<String>,
    /// Time since the server started.
    pub uptime_seconds: Option<f64>,
    /// Time since the last poll, at the time of the response.
    pub age_seconds: Option<f64>,
    /// Keys of all databases.
    pub keys: Option<f64>,
    /// Memory in bytes.
    pub memory: UsedPart,
    /// Clients.
    pub clients: UsedPart,
    /// Commands per second.
    pub commands_per_second: Option<f64>,
    /// Share of lookups that found a key.
    pub hit_ratio: Option<f64>,
    /// Keys evicted per second.
    pub evictions_per_second: Option<f64>,
    /// Keys expired per second.
    pub expirations_per_second: Option<f64>,
    /// Latencies.
    pub latency: ListedLatency,
    /// Problems, the most severe first.
    pub problems: Vec<ListedProblem>,
}

/// A value with its limit.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct UsedPart {
    /// The value.
    pub used: Option<f64>,
    /// The limit.
    pub limit: Option<f64>,
    /// The value as a share of the limit.
    pub ratio: Option<f64>,
}

/// Latencies in seconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ListedLatency {
    /// Round trip of a PING from the exporter.
    pub ping_seconds: Option<f64>,
    /// Mean time of a command.
    pub command_seconds: Option<f64>,
}

/// A problem of a target.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ListedProblem {
    /// The alert with the same condition.
    pub alert: String,
    /// `critical`, `warning` or `info`.
    pub severity: String,
    /// The problem in words.
    pub text: String,
}

/// The response of `/api/v1/targets/NAME`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SelectedTarget {
    /// The target.
    pub target: ListedTarget,
    /// Namespaces, those with most memory first.
    pub namespaces: Vec<ReportedNamespace>,
    /// Sentences about namespaces.
    pub highlights: Vec<String>,
    /// The last hour.
    pub history: TargetHistory,
}

/// A namespace of a target. Numbers are estimates.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ReportedNamespace {
    /// The name.
    pub name: String,
    /// The database.
    pub db: String,
    /// Keys.
    pub keys: Option<f64>,
    /// Half the width of the confidence interval of the keys.
    pub keys_error: Option<f64>,
    /// Memory of the keys.
    pub memory_bytes: Option<f64>,
    /// Memory as a share of that of all namespaces.
    pub memory_share: Option<f64>,
    /// Keys that never expire.
    pub keys_without_ttl: Option<f64>,
    /// Remaining TTLs, shortest first.
    pub ttl: Vec<ReportedTtl>,
    /// Keys evicted since the exporter started.
    pub evicted_keys: Option<f64>,
    /// Keys evicted per second in the last five minutes.
    pub evictions_per_second: Option<f64>,
}

/// A part of the keys with a TTL.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ReportedTtl {
    /// Longest remaining TTL of the range; unknown if it is unlimited.
    pub at_most_seconds: Option<f64>,
    /// Keys in the range.
    pub keys: f64,
}

/// The last hour. The last value of each list is the newest.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TargetHistory {
    /// Memory in bytes.
    pub memory_bytes: Vec<Option<f64>>,
    /// Commands per second.
    pub commands_per_second: Vec<Option<f64>>,
    /// Share of lookups that found a key.
    pub hit_ratio: Vec<Option<f64>>,
    /// Keys evicted per second.
    pub evictions_per_second: Vec<Option<f64>>,
}

/// Reads a document. Returns `None` if it is not one of an exporter.
#[must_use]
pub fn read<T: for<'a> Deserialize<'a>>(document: &[u8]) -> Option<T> {
    serde_json::from_slice(document).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn missing_and_unknown_fields_are_no_error() {
        let document = json!({
            "summary": { "total": 2, "up": 1, "more": true },
            "targets": [{
                "name": "cache",
                "memory": { "used": 5.0, "limit": null },
                "role": null,
                "new_field": [1],
            }],
        });
        let list: TargetList = read(document.to_string().as_bytes()).unwrap();
        assert_eq!(list.summary.total, 2);
        let cache = list.targets.first().unwrap();
        assert_eq!(cache.memory.used, Some(5.0));
        assert_eq!(cache.memory.limit, None);
        assert_eq!(cache.hit_ratio, None);
    }

    #[test]
    fn other_documents_are_refused() {
        for document in ["", "<html>", "[1", "3", "\"up\""] {
            assert!(
                read::<TargetList>(document.as_bytes()).is_none(),
                "{document}"
            );
        }
    }
}
