//! The sources of kind `Group`: queries one server of a group for all its members.
//!
//! Credentials go to the configured seeds, and to allowed addresses that a server has named after it
//! accepted them. Each query has a connection of its own, which is closed afterwards.

mod failovers;
mod sentinels;
mod view;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use super::{ListedServer, Listing, Reporter, SourceError, pause};
use crate::config::{
    Address, AllowedAddresses, Discover, Endpoint, ExpectedNode, GroupKind, TargetSource,
};
use crate::failure::{Failure, Reason};
use crate::publish::ClusterMember;
use crate::topology::cluster::{Authority, KnownShards};
use crate::topology::settled::Settled;
use crate::topology::swept::{self, SweptMembers};
use crate::topology::{HostPort, MemberRole, ONLY_SHARD, TopologyMember, replication};
use failovers::FailoverFeed;
use sentinels::OtherSentinels;
use view::{DetailCommand, view};

/// Maximum number of members that are queried if no seed replies.
const SPARES: usize = 5;

/// Number of queries in quick succession after a change. A failover takes several steps.
const QUICK_QUERIES: u32 = 10;

/// The interval of quick queries, as a part of the usual one.
const QUICK_PART: u32 = 10;
const QUICK_LEAST: Duration = Duration::from_secs(1);

/// Number of intervals until a denied query is sent again: each attempt counts as an error of the
/// server, and permissions rarely change.
const DENIED_INTERVALS: u32 = 10;

/// Everything that is known about a group.
#[derive(Debug, Default)]
struct Knowledge {
    settled: Settled,
    shards: KnownShards,
    swept: SweptMembers,
    /// The command that returns how nodes want to be reached.
    details: DetailCommand,
    /// Whether a sentinel rejects the command for the state of the primary.
    is_state_denied: bool,
    sentinels: OtherSentinels,
    allowed: Arc<AllowedAddresses>,
    quick_left: u32,
    /// The server that has replied to the last query.
    contact: Option<Endpoint>,
    /// Notified if the group has changed, so that it is queried at once.
    wake: Arc<Notify>,
}

/// Queries a group again and again. Never returns.
pub(super) async fn run(source: &TargetSource, discover: &Discover, reporter: Reporter) {
    let known = Knowledge::of(discover);
    let wake = Arc::clone(&known.wake);
    let (contact, sentinel) = watch::channel(None);
    let queries = query_repeatedly(source, discover, known, &contact, reporter);
    let GroupKind::Sentinel(primary) = &discover.kind else {
        return queries.await;
    };
    let feed = FailoverFeed {
        source: &source.name,
        primary: primary.as_deref(),
        timeout: source.template.poll.timeout,
        wake: &wake,
    };
    // In one task, so that the subscription ends with the source.
    tokio::select! {
        () = queries => {}
        () = Box::pin(feed.follow(sentinel)) => {}
    }
}

async fn query_repeatedly(
    source: &TargetSource,
    discover: &Discover,
    mut known: Knowledge,
    contact: &watch::Sender<Option<Endpoint>>,
    mut reporter: Reporter,
) {
    loop {
        match query(source, discover, &mut known).await {
            Ok(members) => {
                contact.send_if_modified(|before| {
                    let is_other = *before != known.contact;
                    before.clone_from(&known.contact);
                    is_other
                });
                take(source, discover, &mut known, members);
                reporter.list(listing(source, discover, &known)).await;
                let interval = known.pause(source.interval);
                known.rest(interval).await;
            }
            Err(failure) => {
                let reason = failure.reason;
                reporter.fail(&failure.into());
                match reason {
                    Reason::Denied => {
                        pause(source.interval.saturating_mul(DENIED_INTERVALS)).await;
                    }
                    _ => known.rest(source.interval).await,
                }
            }
        }
    }
}

/// Queries a group once.
///
/// # Errors
///
/// Returns the first problem if no server has replied.
pub(super) async fn read(
    source: &TargetSource,
    discover: &Discover,
) -> Result<Listing, SourceError> {
    let mut known = Knowledge::of(discover);
    let members = query(source, discover, &mut known).await?;
    take(source, discover, &mut known, members);
    Ok(listing(source, discover, &known))
}

impl Knowledge {
    fn of(discover: &Discover) -> Self {
        Self {
            allowed: Arc::new(discover.allow.clone()),
            ..Self::default()
        }
    }

    fn pause(&mut self, interval: Duration) -> Duration {
        if self.quick_left == 0 {
            return interval;
        }
        self.quick_left -= 1;
        (interval / QUICK_PART).max(QUICK_LEAST).min(interval)
    }

    /// Waits until the next query: for the interval, or until something has changed.
    async fn rest(&self, interval: Duration) {
        let woken = async {
            // Many messages must not become many queries.
            sleep(QUICK_LEAST).await;
            self.wake.notified().await;
        };
        tokio::select! {
            () = pause(interval) => {}
            () = woken => {}
        }
    }
}

/// Queries the seeds and then a few known members, until one reports a healthy group. Otherwise,
/// returns the latest view of those that replied.
async fn query(
    source: &TargetSource,
    discover: &Discover,
    known: &mut Knowledge,
) -> Result<Vec<TopologyMember>, Failure> {
    let mut best: Option<(Authority, Vec<TopologyMember>, &Endpoint)> = None;
    let mut first_failure: Option<Failure> = None;
    let spares = spares(source, discover, known);
    let contacts = discover.seeds.iter().chain(&spares).enumerate();
    for (at, contact) in contacts {
        let deadline = Instant::now() + source.template.poll.timeout;
        let is_seed = at < discover.seeds.len();
        match view(source, discover, known, contact, is_seed, deadline).await {
            Ok((authority, members)) if authority.is_ok => {
                known.contact = Some(contact.clone());
                return Ok(members);
            }
            Ok((authority, members)) => {
                if best.as_ref().is_none_or(|best| best.0 < authority) {
                    best = Some((authority, members, contact));
                }
            }
            Err(failure) => {
                let detail = format!("{}: {}", contact.address.default_name(), failure.detail);
                // A server that replied explains more than one that is down.
                let failure = Failure { detail, ..failure };
                if first_failure.as_ref().is_none_or(is_unreached) && !is_unreached(&failure) {
                    first_failure = Some(failure);
                } else {
                    first_failure.get_or_insert(failure);
                }
            }
        }
    }
    match (best, first_failure) {
        (Some((_, members, contact)), _) => {
            known.contact = Some(contact.clone());
            Ok(members)
        }
        (None, Some(failure)) => Err(failure),
        (None, None) => Err(Failure::new(Reason::Other, "there is no server to query")),
    }
}

/// Returns whether a server was not reached at all.
const fn is_unreached(failure: &Failure) -> bool {
    matches!(
        failure.reason,
        Reason::Dns | Reason::Refused | Reason::Timeout | Reason::Closed
    )
}

/// Returns known members, or sentinels, that are not seeds. Members that are down come last.
fn spares(source: &TargetSource, discover: &Discover, known: &Knowledge) -> Vec<Endpoint> {
    if matches!(discover.kind, GroupKind::Sentinel(_)) {
        return sentinels::spares(source, discover, known);
    }
    let mut members: Vec<_> = known.settled.members().iter().collect();
    fastrand::shuffle(&mut members);
    members.sort_by_key(|member| member.is_failing);
    let endpoints = members.into_iter().filter_map(|member| {
        let endpoint = endpoint(source, discover, known, &member.at, &member.node_id);
        may_be_dialed(&endpoint, &member.at).then_some(endpoint)
    });
    let is_seed = |endpoint: &Endpoint| {
        discover
            .seeds
            .iter()
            .any(|seed| seed.address == endpoint.address)
    };
    endpoints
        .filter(|endpoint| !is_seed(endpoint))
        .take(SPARES)
        .collect()
}

/// Returns how to connect to a member. Configured addresses are always allowed. In a cluster, the
/// server must have the id of the node.
fn endpoint(
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
    let is_seed = |seed: &Endpoint| seed.address == endpoint.address;
    // A sentinel is not a member: it must not get the credentials of the servers.
    let has_member_seeds = !matches!(discover.kind, GroupKind::Sentinel(_));
    let is_configured = (has_member_seeds && discover.seeds.iter().any(is_seed))
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

/// Returns whether the endpoint of a member may be dialed, as far as that is known before its name is
/// resolved.
fn may_be_dialed(endpoint: &Endpoint, at: &HostPort) -> bool {
    let allowed = endpoint.allowed.as_ref();
    allowed.is_none_or(|allowed| allowed.may_allow(&at.host, at.port))
}

/// Takes the members of a view, and chooses those that are swept.
fn take(
    source: &TargetSource,
    discover: &Discover,
    known: &mut Knowledge,
    reported: Vec<TopologyMember>,
) {
    let before = known.settled.members().to_vec();
    known.settled.take(with_seed(discover, reported));
    let is_same = before == known.settled.members();
    if !is_same {
        known.quick_left = QUICK_QUERIES;
    }
    let polled: Vec<_> = polled(discover, known).cloned().collect();
    if source.is_shared {
        // Processes with different memories would sweep two members of a shard, or none.
        known.swept.clear();
    }
    known.swept = swept::choose(&polled, discover.sweep, &known.swept);
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
fn first_seed(discover: &Discover) -> Option<HostPort> {
    match &discover.seeds.first()?.address {
        Address::Tcp { host, port, .. } => HostPort::new(host, *port),
        Address::Unix(_) => None,
    }
}

fn polled<'a>(
    discover: &Discover,
    known: &'a Knowledge,
) -> impl Iterator<Item = &'a TopologyMember> {
    let has_primaries_only = discover.has_primaries_only;
    let members = known.settled.members().iter();
    members.filter(move |member| !has_primaries_only || member.role == MemberRole::Primary)
}

fn listing(source: &TargetSource, discover: &Discover, known: &Knowledge) -> Listing {
    let mut listing = Listing {
        source: source.name.clone(),
        ..Listing::default()
    };
    for member in polled(discover, known) {
        let endpoint = endpoint(source, discover, known, &member.at, &member.node_id);
        if !may_be_dialed(&endpoint, &member.at) {
            listing.refused += 1;
            continue;
        }
        // Primaries with different names have nothing to do with each other.
        let (cluster, shard) = if discover.kind == GroupKind::Sentinel(None) {
            let cluster = format!("{}/{}", source.name, member.shard);
            (cluster, ONLY_SHARD.to_owned())
        } else {
            (source.name.clone(), member.shard.clone())
        };
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
            is_swept: known.swept.get(&member.shard) == Some(&member.at),
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
