//! The list of targets for Prometheus's `http_sd_configs`. Pure.
//!
//! Prometheus gets everything that it needs from this list: no relabeling is necessary. Data that may
//! change, such as the role of a server, are only in labels that Prometheus does not keep.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use crate::publish::{ClusterMember, Slot};

/// Returns the list in JSON. It lacks requested targets: Prometheus would request them forever. `exporter` is the host and the port at which Prometheus reaches the
/// exporter.
pub(super) fn document(slots: &[Arc<Slot>], exporter: &str, is_encrypted: bool) -> String {
    let slots = || slots.iter().filter(|slot| !slot.is_requested());
    let mut addresses: HashMap<&str, usize> = HashMap::new();
    for slot in slots() {
        *addresses.entry(bare(&slot.address)).or_default() += 1;
        if slot.name != bare(&slot.address) {
            *addresses.entry(&slot.name).or_default() += 1;
        }
    }
    let groups = slots().map(|slot| {
        // Two targets with the same address must not have the same series.
        let is_alone = addresses.get(bare(&slot.address)) == Some(&1);
        let mut labels = labels(slot, is_alone);
        if is_encrypted {
            labels.insert("__scheme__".to_owned(), "https".into());
        }
        json!({ "targets": [exporter], "labels": labels })
    });
    Json::Array(groups.collect()).to_string()
}

/// Returns the addresses of all nodes of clusters in JSON, like `redis_exporter`; `None` if there are
/// none.
pub(super) fn cluster_nodes(slots: &[Arc<Slot>]) -> Option<String> {
    let is_node = |slot: &&Arc<Slot>| {
        let attributes = slot.attributes();
        let member = attributes.member.as_ref();
        // Members of other groups have no id.
        member.is_some_and(|member| !member.node_id.is_empty())
    };
    let nodes = slots.iter().filter(is_node);
    let nodes: Vec<&str> = nodes.map(|slot| slot.address.as_str()).collect();
    let list = json!([{ "targets": nodes, "labels": {} }]);
    (!nodes.is_empty()).then(|| format!("{list:#}"))
}

/// Returns an address without its scheme.
fn bare(address: &str) -> &str {
    address.rsplit("://").next().unwrap_or(address)
}

fn labels(slot: &Slot, is_alone: bool) -> Map<String, Json> {
    let instance = if is_alone {
        bare(&slot.address)
    } else {
        &slot.name
    };
    let mut labels = Map::new();
    let mut add = |name: &str, value: &str| {
        labels.insert(name.to_owned(), value.into());
    };
    add("__metrics_path__", "/probe");
    add("__param_target", &slot.name);
    add("instance", instance);
    add("__meta_redis_target", &slot.name);
    add("__meta_redis_address", &slot.address);
    let attributes = slot.attributes();
    for (name, value) in &attributes.labels {
        add(&format!("__meta_redis_label_{name}"), value);
    }
    if let Some(ClusterMember {
        cluster,
        shard,
        role,
        node_id,
    }) = &attributes.member
    {
        add("__meta_redis_cluster", cluster);
        add("__meta_redis_shard", shard);
        add("__meta_redis_role", role);
        add("__meta_redis_node_id", node_id);
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{Attributes, Board};

    #[test]
    fn only_nodes_of_clusters_are_listed() {
        let board = Board::default();
        let slots = ["redis://a:1", "redis://b:1", "redis://c:1"].map(|at| board.slot(at, at));
        assert_eq!(cluster_nodes(&slots), None);
        for (slot, node_id) in slots.iter().zip(["x", ""]) {
            let member = ClusterMember {
                cluster: "shop".to_owned(),
                shard: "0".to_owned(),
                role: "primary".to_owned(),
                node_id: node_id.to_owned(),
            };
            slot.describe(Attributes::new(Vec::new(), Some(member)));
        }
        let list: Json = serde_json::from_str(&cluster_nodes(&slots).unwrap()).unwrap();
        assert_eq!(list, json!([{ "targets": ["redis://a:1"], "labels": {} }]));
    }

    #[test]
    fn each_target_has_all_that_prometheus_needs() {
        let board = Board::default();
        let shop = board.slot("shop/10.0.0.1:6379", "redis://10.0.0.1:6379");
        let member = ClusterMember {
            cluster: "shop".to_owned(),
            shard: "0".to_owned(),
            role: "primary".to_owned(),
            node_id: "abc".to_owned(),
        };
        let label = ("env".to_owned(), "prod".to_owned());
        shop.describe(Attributes::new(vec![label], Some(member)));
        let twins = [
            board.slot("a", "redis://b:1"),
            board.slot("\"", "redis://b:1"),
            // The same address with TLS, and a name that is the address of another target.
            board.slot("c:1", "redis://d:1"),
            board.slot("e", "rediss://c:1"),
        ];
        let slots: Vec<_> = [shop].into_iter().chain(twins).collect();
        let document = document(&slots, "exporter:9121", true);
        let list: Json = serde_json::from_str(&document).unwrap();
        let expected = json!({
            "targets": ["exporter:9121"],
            "labels": {
                "__metrics_path__": "/probe",
                "__param_target": "shop/10.0.0.1:6379",
                "__scheme__": "https",
                "instance": "10.0.0.1:6379",
                "__meta_redis_target": "shop/10.0.0.1:6379",
                "__meta_redis_address": "redis://10.0.0.1:6379",
                "__meta_redis_label_env": "prod",
                "__meta_redis_cluster": "shop",
                "__meta_redis_shard": "0",
                "__meta_redis_role": "primary",
                "__meta_redis_node_id": "abc",
            },
        });
        assert_eq!(list[0], expected);
        assert_eq!(list[1]["labels"]["instance"], "a");
        assert_eq!(list[2]["labels"]["instance"], "\"");
        assert_eq!(list[3]["labels"]["instance"], "d:1");
        assert_eq!(list[4]["labels"]["instance"], "e");
    }
}
