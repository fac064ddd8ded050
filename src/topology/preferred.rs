//! Reads from CLUSTER SHARDS or CLUSTER SLOTS how nodes want to be reached, their shards, and
//! whether they have the data of their shard. Pure.

use std::collections::BTreeMap;

use crate::reply::Reply;

/// The host that a node wants clients to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreferredHost {
    /// This host name or IP address.
    Named(String),
    /// The host that the client has dialed, with the port of the node.
    Dialed,
    /// A host name that is not set: use the IP address.
    Unknown,
}

/// The details of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferred {
    /// The host to use.
    pub host: PreferredHost,
    /// The id of its shard, or an empty text if the server does not report it.
    pub shard_id: String,
    /// Whether it is in sync: it is online, and neither failed nor loading.
    pub is_online: bool,
}

/// Details of nodes by their ids.
pub type PreferredHosts = BTreeMap<String, Preferred>;

/// Reads the reply to CLUSTER SHARDS.
#[must_use]
pub fn from_shards(reply: &Reply) -> PreferredHosts {
    let mut found = PreferredHosts::new();
    for shard in reply.items() {
        let shard_id = text(shard, "id");
        let nodes = shard.value_of("nodes").map(Reply::items);
        for node in nodes.unwrap_or_default() {
            let details = Preferred {
                host: host(node.value_of("endpoint")),
                shard_id: shard_id.clone(),
                is_online: text(node, "health") == "online",
            };
            found.insert(text(node, "id"), details);
        }
    }
    found
}

/// Reads the reply to CLUSTER SLOTS: `[first, last, [endpoint, port, id, …], …]` for each range. It
/// lists a replica once it has data.
#[must_use]
pub fn from_slots(reply: &Reply) -> PreferredHosts {
    let mut found = PreferredHosts::new();
    for range in reply.items() {
        for node in range.items().iter().skip(2) {
            let [endpoint, _, id, ..] = node.items() else {
                continue;
            };
            let Some(id) = id.text() else { continue };
            let details = Preferred {
                host: host(Some(endpoint)),
                shard_id: String::new(),
                is_online: true,
            };
            found.insert(id.into_owned(), details);
        }
    }
    found
}

fn host(endpoint: Option<&Reply>) -> PreferredHost {
    match endpoint.and_then(Reply::text).as_deref() {
        None | Some("") => PreferredHost::Dialed,
        Some("?") => PreferredHost::Unknown,
        Some(host) => PreferredHost::Named(host.to_owned()),
    }
}

fn text(pairs: &Reply, name: &str) -> String {
    let value = pairs.value_of(name).and_then(Reply::text);
    value.unwrap_or_default().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Reply {
        Reply::Bytes(text.as_bytes().into())
    }

    fn list(items: &[Reply]) -> Reply {
        Reply::List(items.to_vec())
    }

    /// Returns a node of CLUSTER SHARDS.
    fn node(id: &str, endpoint: Reply, health: &str) -> Reply {
        let pairs = [
            ("id", bytes(id)),
            ("port", Reply::Integer(7)),
            ("endpoint", endpoint),
            ("health", bytes(health)),
        ];
        list(
            &pairs
                .into_iter()
                .flat_map(|(name, value)| [bytes(name), value])
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn shards_have_hosts_health_and_ids() {
        let nodes = list(&[
            node("a", bytes("10.0.0.1"), "online"),
            node("b", Reply::Nil, "loading"),
            node("c", bytes("?"), "fail"),
            node("d", bytes(""), "online"),
        ]);
        let shard = list(&[
            bytes("slots"),
            list(&[]),
            bytes("nodes"),
            nodes,
            bytes("id"),
            bytes("247079a2"),
        ]);
        let found = from_shards(&list(&[shard, Reply::Nil, list(&[])]));
        let of = |id: &str| (found[id].host.clone(), found[id].is_online);
        assert_eq!(of("a"), (PreferredHost::Named("10.0.0.1".to_owned()), true));
        assert_eq!(of("b"), (PreferredHost::Dialed, false));
        assert_eq!(of("c"), (PreferredHost::Unknown, false));
        assert_eq!(of("d"), (PreferredHost::Dialed, true));
        assert_eq!(found["a"].shard_id, "247079a2");
    }

    #[test]
    fn slots_have_hosts() {
        let slot_node =
            |host: Reply, id: &str| list(&[host, Reply::Integer(7), bytes(id), list(&[])]);
        let range = list(&[
            Reply::Integer(0),
            Reply::Integer(5),
            slot_node(bytes("h"), "a"),
            slot_node(Reply::Nil, "b"),
            // Redis 3 lists no ids.
            list(&[bytes("h"), Reply::Integer(7)]),
        ]);
        let found = from_slots(&list(&[range, Reply::Integer(1)]));
        assert_eq!(found.len(), 2);
        assert_eq!(found["a"].host, PreferredHost::Named("h".to_owned()));
        assert_eq!(found["b"].host, PreferredHost::Dialed);
    }
}
