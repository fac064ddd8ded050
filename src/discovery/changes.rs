//! Counts how the list of a source has changed. Pure.

use std::collections::{HashMap, HashSet};

use super::{ListedServer, Listing};

/// The role of a server that accepts writes.
const PRIMARY: &str = "primary";

/// Numbers of servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ListChanges {
    added: u64,
    removed: u64,
    /// Servers with the id of a known node and another address.
    moved: u64,
    /// Servers that became primaries.
    promoted: u64,
}

impl ListChanges {
    /// Yields the numbers with the label value of the change.
    pub(super) const fn counts(&self) -> [(&'static str, u64); 4] {
        [
            ("added", self.added),
            ("removed", self.removed),
            ("moved", self.moved),
            ("promoted", self.promoted),
        ]
    }

    /// Compares two lists of one source. A server that moved is neither added nor removed, even if
    /// its old address remains listed for a while.
    pub(super) fn between(before: &Listing, now: &Listing) -> Self {
        let (old, new) = (by_name(before), by_name(now));
        let (old_ids, new_ids) = (node_ids(before), node_ids(now));
        let mut changes = Self::default();
        for (name, server) in &new {
            match old.get(name) {
                Some(old) => changes.promoted += u64::from(is_promoted(old, server)),
                None if node_id(server).is_some_and(|id| old_ids.contains(id)) => {
                    changes.moved += 1;
                }
                None => changes.added += 1,
            }
        }
        let is_gone = |(name, server): &(&&str, &&ListedServer)| {
            let moved = || node_id(server).is_some_and(|id| new_ids.contains(id));
            !new.contains_key(**name) && !moved()
        };
        changes.removed = old.iter().filter(is_gone).count() as u64;
        changes
    }
}

fn by_name(list: &Listing) -> HashMap<&str, &ListedServer> {
    let servers = list.servers.iter();
    servers.map(|server| (&*server.name, server)).collect()
}

fn node_ids(list: &Listing) -> HashSet<&str> {
    list.servers.iter().filter_map(node_id).collect()
}

fn node_id(server: &ListedServer) -> Option<&str> {
    let id = &server.member.as_ref()?.node_id;
    (!id.is_empty()).then_some(id)
}

fn is_promoted(before: &ListedServer, now: &ListedServer) -> bool {
    let is_primary = |server: &ListedServer| {
        let member = server.member.as_ref();
        member.map(|member| member.role == PRIMARY)
    };
    is_primary(before) == Some(false) && is_primary(now) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Address, Endpoint, Tls};
    use crate::publish::ClusterMember;

    /// Returns a list with servers such as `name id role`; without an id, they are in no cluster.
    fn list(servers: &[&str]) -> Listing {
        let server = |text: &&str| {
            let mut words = text.split(' ');
            let name = words.next().unwrap_or_default().to_owned();
            let address = Address::Tcp {
                host: name.clone(),
                port: 1,
                tls: false,
            };
            ListedServer {
                name,
                endpoint: Endpoint {
                    address,
                    tls: Tls::default(),
                    username: None,
                    password: None,
                    database: None,
                    client_name: None,
                    allowed: None,
                    node: None,
                },
                labels: [].into(),
                member: words.next().map(|id| ClusterMember {
                    cluster: String::new(),
                    shard: String::new(),
                    node_id: id.to_owned(),
                    role: words.next().unwrap_or_default().to_owned(),
                }),
                is_swept: false,
                on_failure: None,
            }
        };
        Listing {
            servers: servers.iter().map(server).collect(),
            ..Listing::default()
        }
    }

    fn changes(before: &[&str], now: &[&str]) -> [u64; 4] {
        let changes = ListChanges::between(&list(before), &list(now));
        changes.counts().map(|(_, count)| count)
    }

    #[test]
    fn servers_are_added_and_removed_by_name() {
        assert_eq!(changes(&["a", "b"], &["b", "a"]), [0, 0, 0, 0]);
        assert_eq!(changes(&["a", "b"], &["b", "c", "d"]), [2, 1, 0, 0]);
        assert_eq!(changes(&[], &["a a primary"]), [1, 0, 0, 0]);
    }

    #[test]
    fn moved_node_is_neither_added_nor_removed() {
        let old = "a x replica";
        let (both, moved) = (&[old, "b x replica"], &["b x replica"]);
        assert_eq!(changes(&[old], both), [0, 0, 1, 0]);
        assert_eq!(changes(both, moved), [0, 0, 0, 0]);
        assert_eq!(changes(&[old], moved), [0, 0, 1, 0]);
    }

    #[test]
    fn promotion_needs_a_replica_before() {
        let before = ["a x primary", "b y replica"];
        assert_eq!(
            changes(&before, &["a x replica", "b y primary"]),
            [0, 0, 0, 1]
        );
        assert_eq!(changes(&["a"], &["a x primary"]), [0, 0, 0, 0]);
    }
}
