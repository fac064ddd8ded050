//! Queries one server for its view of the group.

use std::sync::Arc;

use tokio::time::Instant;

use super::Knowledge;
use super::members::{address_of, endpoint, first_seed};
use crate::config::{Discover, Endpoint, GroupKind, TargetSource};
use crate::connection::{Connection, refused};
use crate::failure::{Failure, Reason};
use crate::reply::{ErrorKind, Refusal, Reply};
use crate::topology::cluster::{self, Authority};
use crate::topology::preferred::{PreferredHosts, from_shards, from_slots};
use crate::topology::replication::{self, Replication};
use crate::topology::{AddressMap, HostPort, TopologyMember};

/// A server's view of its group.
type View = (Authority, Vec<TopologyMember>);

/// The command for how nodes want to be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DetailCommand {
    #[default]
    Shards,
    Slots,
    Unavailable,
}

/// Connects to one server, and returns its view of the group.
pub(super) async fn view(
    source: &TargetSource,
    discover: &Discover,
    known: &mut Knowledge,
    contact: &Endpoint,
    is_seed: bool,
    deadline: Instant,
) -> Result<View, Failure> {
    let mut connection = Connection::dial(contact, Arc::default(), deadline).await?;
    if let Some(peer) = connection.peer().filter(|_| is_seed) {
        let allowed = known.allowed.as_ref().clone().with_configured(peer.ip());
        known.allowed = Arc::new(allowed);
    }
    let dialed = address_of(contact);
    let dialed = dialed.ok_or_else(|| Failure::new(Reason::Other, "a group needs a host name"))?;
    match &discover.kind {
        GroupKind::Cluster => {
            cluster_view(&mut connection, discover, known, &dialed, deadline).await
        }
        // Sentinels are queried in another way: see `sentinels`.
        GroupKind::Replicas | GroupKind::Sentinel(_) => {
            let members =
                match replication_view(&mut connection, &discover.map, &dialed, deadline).await? {
                    Replication::Members(members) => members,
                    Replication::ReplicaOf(primary) => {
                        drop(connection);
                        primary_view(source, discover, known, &primary, deadline).await?
                    }
                };
            Ok((replication_authority(discover, known, &members), members))
        }
    }
}

/// Returns the authority of a primary. At the start, a primary without replicas is compared with the
/// other seeds.
fn replication_authority(
    discover: &Discover,
    known: &Knowledge,
    members: &[TopologyMember],
) -> Authority {
    let first_seed = first_seed(discover);
    let authority = replication::authority(members, known.settled.members(), first_seed.as_ref());
    let is_compared = members.len() == 1 && discover.seeds.len() > 1;
    Authority {
        is_ok: authority.is_ok && !is_compared,
        ..authority
    }
}

async fn cluster_view(
    connection: &mut Connection,
    discover: &Discover,
    known: &mut Knowledge,
    dialed: &HostPort,
    deadline: Instant,
) -> Result<View, Failure> {
    let commands = [["CLUSTER", "NODES"], ["CLUSTER", "INFO"]];
    let replies = connection.request(&commands, deadline).await?;
    let [nodes, info] = replies.as_slice() else {
        return Err(Failure::new(Reason::Protocol, "a reply is missing"));
    };
    let nodes = accepted(nodes).map_err(explain)?;
    let nodes = nodes.text().unwrap_or_default();
    let mut details = details(connection, known, deadline).await?;
    if discover.with_hostnames {
        cluster::prefer_hostnames(&nodes, &mut details);
    }
    let members = cluster::members(&nodes, &details, dialed, &discover.map, &mut known.shards);
    if members.is_empty() {
        return Err(Failure::new(
            Reason::Protocol,
            "CLUSTER NODES lists no usable node",
        ));
    }
    // Without the permission, every view is equally good.
    let authority = Authority::from_info(&info.text().unwrap_or_default());
    Ok((authority, members))
}

/// Queries how nodes want to be reached. A rejected command is not sent again.
async fn details(
    connection: &mut Connection,
    known: &mut Knowledge,
    deadline: Instant,
) -> Result<PreferredHosts, Failure> {
    loop {
        let (word, read, next): (_, fn(&Reply) -> PreferredHosts, _) = match known.details {
            DetailCommand::Shards => ("SHARDS", from_shards, DetailCommand::Slots),
            DetailCommand::Slots => ("SLOTS", from_slots, DetailCommand::Unavailable),
            DetailCommand::Unavailable => return Ok(PreferredHosts::new()),
        };
        let replies = connection.request(&[["CLUSTER", word]], deadline).await?;
        match replies.first() {
            Some(reply) if reply.refusal().is_none() => return Ok(read(reply)),
            Some(reply) if reply.refusal().is_some_and(Refusal::is_passing) => {
                return Ok(PreferredHosts::new());
            }
            _ => known.details = next,
        }
    }
}

pub(super) async fn replication_view(
    connection: &mut Connection,
    map: &AddressMap,
    dialed: &HostPort,
    deadline: Instant,
) -> Result<Replication, Failure> {
    let replies = connection
        .request(&[["INFO", "replication"]], deadline)
        .await?;
    let info = accepted(replies.first().unwrap_or(&Reply::Nil)).map_err(explain)?;
    let text = info.text().unwrap_or_default();
    let missing = || Failure::new(Reason::Protocol, "INFO has no section `replication`");
    replication::read(&text, dialed, map).ok_or_else(missing)
}

/// Queries the primary that a replica has named. A replica of a replica has none of its own.
async fn primary_view(
    source: &TargetSource,
    discover: &Discover,
    known: &Knowledge,
    primary: &HostPort,
    deadline: Instant,
) -> Result<Vec<TopologyMember>, Failure> {
    let endpoint = endpoint(source, discover, known, primary, "");
    let mut connection = Connection::dial(&endpoint, Arc::default(), deadline).await?;
    match replication_view(&mut connection, &discover.map, primary, deadline).await? {
        Replication::Members(members) => Ok(members),
        Replication::ReplicaOf(_) => {
            let detail = format!("{primary} is a replica too, so the primary is unknown");
            Err(Failure::new(Reason::Other, detail).with_remedy("use the URL of the primary"))
        }
    }
}

pub(super) fn accepted(reply: &Reply) -> Result<&Reply, Failure> {
    reply.refusal().map_or(Ok(reply), |refusal| {
        let failure = refused(refusal);
        Err(match refusal.kind() {
            // Old servers do not know the subcommands of permissions.
            ErrorKind::Permission => failure.with_remedy(PERMISSIONS),
            _ => failure,
        })
    })
}

/// The permissions for all kinds of groups.
const PERMISSIONS: &str = "grant the user +cluster|nodes +cluster|shards +cluster|slots \
     +cluster|info +cluster|myid, for sentinels +sentinel|get-master-addr-by-name +sentinel|replicas \
     +sentinel|master +sentinel|sentinels";

/// Adds the remedy for a server of another kind.
pub(super) fn explain(failure: Failure) -> Failure {
    let detail = failure.detail.to_ascii_lowercase();
    if detail.contains("cluster support disabled") {
        return failure.with_remedy("the server is not a cluster node: change `discover.kind`");
    }
    if detail.contains("unknown command") {
        return failure.with_remedy("the server is not a sentinel: change `discover.kind`");
    }
    failure
}
