//! The members of a group: how to connect to them, which are swept, and their list.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Knowledge;
use crate::config::{Address, Discover, Endpoint, ExpectedNode, GroupKind, TargetSource};
use crate::discovery::{ListedServer, Listing};
use crate::publish::{ClusterMember, SourceWake};
use crate::topology::{HostPort, MemberRole, ONLY_SHARD, TopologyMember, replication, swept};

/// Returns how to connect to known members, in random order. Members that are down come last.
pub(super) fn endpoints(
    source: &TargetSource,
    discover: &Discover,
    known: &Knowledge,
) -> Vec<Endpoint> {
    let mut members: Vec<_> = known.settled.members().iter().collect();
    fastrand::shuffle(&mut members);
    members.sort_by_key(|member| member.is_failing);
    let endpoints = members
        .into_iter()
        .map(|member| endpoint(source, discover, known, &member.at, &member.node_id));
    endpoints.collect()
}

/// Returns how to connect to a member. Configured addresses are always allowed. In a cluster, the
/// server must have the id of the node.
pub(super) fn endpoint(
    source: &TargetSource,
    discover: &Discover,
    known: &Knowledge,
    at: &HostPort,
    node_id: &str,
) -> Endpoint {
    let HostPort { host, port } = at.clone();
    let tls = source.template.endpoint.address.has_tls();
    let address = Address::Tcp { host, port, tls };
    // Credentials by host apply to their hosts only, those of the target to all members.
    let endpoint = if source.credentials.is_empty() {
        Endpoint {
            address,
            ..source.template.endpoint.clone()
        }
    } else {
        source.endpoint_at(address, None)
    };
    // A sentinel is not a member: it must not get the credentials of the servers.
    let has_member_seeds = !matches!(discover.kind, GroupKind::Sentinel(_));
    let is_configured = (has_member_seeds && is_seed(discover, &endpoint))
        || discover.map.values().any(|to| to == at);
    let expected = || ExpectedNode {
        id: node_id.to_owned(),
        on_mismatch: Arc::clone(&known.wake),
    };
    Endpoint {
        allowed: (!is_configured).then(|| Arc::clone(&known.allowed)),
        node: (!node_id.is_empty()).then(expected),
        ..endpoint
    }
}

/// Returns whether an endpoint is configured as a seed.
pub(super) fn is_seed(discover: &Discover, endpoint: &Endpoint) -> bool {
    let mut seeds = discover.seeds.iter();
    seeds.any(|seed| seed.address == endpoint.address)
}

/// Returns whether an endpoint may be dialed, as far as that is known before its name is resolved.
pub(super) fn may_be_dialed(endpoint: &Endpoint) -> bool {
    let allowed = endpoint.allowed.as_ref();
    allowed.is_none_or(|allowed| match &endpoint.address {
        Address::Tcp { host, port, .. } => allowed.may_allow(host, *port),
        Address::Unix(_) => false,
    })
}

/// Takes the members of a view, and chooses those that are swept. Returns whether something changed.
pub(super) fn take(
    source: &TargetSource,
    discover: &Discover,
    known: &mut Knowledge,
    reported: Vec<TopologyMember>,
) -> bool {
    let before = known.settled.members().to_vec();
    known.settled.take(with_seed(discover, reported));
    let polled: Vec<_> = polled(discover, known).cloned().collect();
    if source.is_shared {
        // Processes with different memories would sweep two members of a shard, or none.
        known.swept.clear();
    }
    known.swept = swept::choose(&polled, discover.sweep, &known.swept);
    before != known.settled.members()
}

/// Adds the configured server of a replication group that its primary does not list, because it is
/// down.
fn with_seed(discover: &Discover, mut reported: Vec<TopologyMember>) -> Vec<TopologyMember> {
    if let (GroupKind::Replicas, Some(at)) = (&discover.kind, first_seed(discover))
        && !reported.iter().any(|member| member.at == at)
    {
        reported.push(replication::unlisted(at));
    }
    reported
}

/// Returns the address of the configured server.
pub(super) fn first_seed(discover: &Discover) -> Option<HostPort> {
    address_of(discover.seeds.first()?)
}

/// Returns the address of a server; `None` for a socket.
pub(super) fn address_of(endpoint: &Endpoint) -> Option<HostPort> {
    match &endpoint.address {
        Address::Tcp { host, port, .. } => HostPort::new(host, *port),
        Address::Unix(_) => None,
    }
}

/// Returns whether a node has moved to another cluster: it has none of the known nodes beside itself. It
/// must not replace the cluster if other nodes still reply.
pub(super) fn is_other_cluster(
    known: &[TopologyMember],
    view: &[TopologyMember],
    contact: &Endpoint,
) -> bool {
    let own = address_of(contact);
    let others = known
        .iter()
        .filter(|member| own.as_ref() != Some(&member.at));
    let others: BTreeSet<&str> = others.map(|member| member.node_id.as_str()).collect();
    let own_id = view.iter().find(|member| own.as_ref() == Some(&member.at));
    let own_id = own_id.map(|member| member.node_id.as_str());
    let is_known = |member: &TopologyMember| {
        let id = member.node_id.as_str();
        own_id != Some(id) && others.contains(id)
    };
    !others.is_empty() && !view.iter().any(is_known)
}

fn polled<'a>(
    discover: &Discover,
    known: &'a Knowledge,
) -> impl Iterator<Item = &'a TopologyMember> {
    let has_primaries_only = discover.has_primaries_only;
    let members = known.settled.members().iter();
    members.filter(move |member| !has_primaries_only || member.role == MemberRole::Primary)
}

pub(super) fn listing(source: &TargetSource, discover: &Discover, known: &Knowledge) -> Listing {
    let mut listing = Listing {
        source: source.name.clone(),
        ..Listing::default()
    };
    for member in polled(discover, known) {
        let endpoint = endpoint(source, discover, known, &member.at, &member.node_id);
        if !may_be_dialed(&endpoint) {
            let text = format!(
                "{} is a member that `discover.allow` does not permit; add it there",
                member.at
            );
            listing.refused.record(&text);
            continue;
        }
        // Primaries with different names have nothing to do with each other.
        let (cluster, shard) = if discover.kind == GroupKind::Sentinel(None) {
            let cluster = format!("{}/{}", source.name, member.shard);
            (cluster, ONLY_SHARD.to_owned())
        } else {
            (source.name.clone(), member.shard.clone())
        };
        let is_swept = known.swept.get(&member.shard) == Some(&member.at);
        listing.servers.push(ListedServer {
            name: format!("{}/{}", source.name, member.at),
            endpoint,
            labels: Arc::default(),
            member: Some(ClusterMember {
                cluster,
                shard,
                role: member.role.as_str().to_owned(),
                node_id: member.node_id.clone(),
            }),
            is_swept,
            // Then another member is swept.
            on_failure: is_swept.then(|| SourceWake(Arc::clone(&known.wake))),
        });
    }
    listing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Arguments, SourceKind, load};

    /// Returns the endpoint of a member of the group in a file.
    fn endpoint_of(discover: &str, member: &str) -> Endpoint {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        let target = format!("name: s, url: 'redis://u:p@10.0.0.1:1', discover: {{{discover}}}");
        std::fs::write(&path, format!("targets: [{{{target}}}]")).unwrap();
        let arguments = Arguments {
            config: Some(path),
            ..Arguments::default()
        };
        let config = load(&arguments, &|_| None, &[]);
        let config = config.unwrap_or_else(|problems| panic!("{problems:?}"));
        let source = config.sources.last().unwrap();
        let SourceKind::Group(discover) = &source.kind else {
            panic!("{source:?}");
        };
        let known = Knowledge::of(discover);
        let at = HostPort::parse(member).unwrap();
        endpoint(source, discover, &known, &at, "")
    }

    #[test]
    fn node_that_has_moved_knows_no_other_node_of_the_cluster() {
        let of = |text: &str| -> Vec<TopologyMember> {
            let nodes = text.split_whitespace().map(|node| {
                let (id, port) = node.split_once('=').unwrap();
                let at = HostPort::new("10.0.0.1", port.parse().unwrap()).unwrap();
                TopologyMember {
                    node_id: id.to_owned(),
                    ..replication::unlisted(at)
                }
            });
            nodes.collect()
        };
        let contact = endpoint_of("kind: cluster", "10.0.0.1:1");
        let is_other = |known: &str, view: &str| is_other_cluster(&of(known), &of(view), &contact);
        let known = "a=1 b=2 c=3";
        assert!(is_other(known, "a=1 x=8 y=9"));
        assert!(is_other(known, "a=1"));
        // Another node at this address, a smaller cluster, a moved node, and the first view.
        assert!(!is_other(known, "x=1 b=2"));
        assert!(!is_other(known, "a=1 c=3"));
        assert!(!is_other(known, "a=1 b=7"));
        assert!(!is_other("", "a=1 b=2"));
        assert!(!is_other("a=1", "a=1 b=2"));
    }

    #[test]
    fn only_configured_members_are_always_allowed() {
        let cluster = "kind: cluster, seeds: ['10.0.0.2:1'], map: ['10.0.0.9:1=10.0.0.3:1']";
        for member in ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"] {
            assert!(endpoint_of(cluster, member).allowed.is_none(), "{member}");
        }
        assert!(endpoint_of(cluster, "10.0.0.4:1").allowed.is_some());
    }

    // A sentinel could otherwise name itself as the primary to get its credentials.
    #[test]
    fn sentinel_is_no_configured_member() {
        let sentinel = "kind: sentinel, primary: m, seeds: ['10.0.0.2:1'], allow: ['10.1.0.0/16']";
        for member in ["10.0.0.1:1", "10.0.0.2:1"] {
            let allowed = endpoint_of(sentinel, member).allowed.unwrap();
            assert!(!allowed.may_allow("10.0.0.1", 1), "{member}");
        }
    }
}
