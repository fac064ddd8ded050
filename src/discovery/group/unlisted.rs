//! Known members of a replication group that its primary does not list: they are down, have left the
//! group, or wait for a primary that restarts. Only they themselves know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Knowledge;
use super::members::{endpoint, may_be_dialed};
use super::view::replication_view;
use crate::config::{Discover, Endpoint, TargetSource};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::topology::replication::{Replication, unlisted, waiting};
use crate::topology::{AddressMap, HostPort, MemberRole, TopologyMember};

/// How long a member that does not reply stays a target.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// Maximum number of members that are queried.
const QUERIED_MAX: usize = 16;

/// The members that do not reply, each with the time since when.
#[derive(Debug, Default)]
pub(super) struct SilentMembers(BTreeMap<HostPort, Instant>);

/// Adds the known members that the primary does not list but that still belong to the group.
pub(super) async fn complete(
    source: &TargetSource,
    discover: &Discover,
    known: &mut Knowledge,
    mut members: Vec<TopologyMember>,
) -> Vec<TopologyMember> {
    let is_listed = |at: &HostPort| members.iter().any(|member| member.at == *at);
    let missing = known.settled.members().iter().map(|member| &member.at);
    let missing = missing.filter(|at| !is_listed(at)).take(QUERIED_MAX);
    let missing = missing.map(|at| (at.clone(), endpoint(source, discover, known, at, "")));
    let missing = missing.filter(|(_, endpoint)| may_be_dialed(endpoint));
    let missing: Vec<(HostPort, Endpoint)> = missing.collect();
    let mut primaries = members.iter();
    let primary = primaries.find(|member| member.role == MemberRole::Primary);
    let primary = primary.map(|member| member.at.clone());
    let deadline = Instant::now() + source.template.poll.timeout;
    let replies = replies(missing, &discover.map, deadline).await;
    members.extend(
        known
            .silent
            .judge(replies, primary.as_ref(), Instant::now()),
    );
    members
}

/// Queries the place of each member in its group, all at once.
async fn replies(
    missing: Vec<(HostPort, Endpoint)>,
    map: &AddressMap,
    deadline: Instant,
) -> Vec<(HostPort, Option<Replication>)> {
    let mut tasks = JoinSet::new();
    for (at, endpoint) in missing {
        let map = map.clone();
        tasks.spawn(async move {
            let place = place(&endpoint, &at, &map, deadline).await.ok();
            (at, place)
        });
    }
    // A panic goes on here, and the supervisor of the source counts it.
    tasks.join_all().await
}

async fn place(
    endpoint: &Endpoint,
    at: &HostPort,
    map: &AddressMap,
    deadline: Instant,
) -> Result<Replication, Failure> {
    let mut connection = Connection::dial(endpoint, Arc::default(), deadline).await?;
    replication_view(&mut connection, map, at, deadline).await
}

impl SilentMembers {
    /// Returns the members that still belong to the group: replicas of its primary, and those that have
    /// not replied for less than an hour.
    fn judge(
        &mut self,
        replies: Vec<(HostPort, Option<Replication>)>,
        primary: Option<&HostPort>,
        now: Instant,
    ) -> Vec<TopologyMember> {
        let before = std::mem::take(&mut self.0);
        let judged = replies.into_iter().filter_map(|(at, place)| match place {
            Some(Replication::ReplicaOf(of)) if Some(&of) == primary => Some(waiting(at)),
            Some(_) => None,
            None => {
                let since = before.get(&at).copied().unwrap_or(now);
                self.0.insert(at.clone(), since);
                (now.saturating_duration_since(since) < KEPT).then(|| unlisted(at))
            }
        });
        judged.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_members_stay_for_an_hour_and_others_as_long_as_they_belong_to_the_group() {
        let at = |port| HostPort::new("h", port).unwrap();
        let mut silent = SilentMembers::default();
        let started = Instant::now();
        let mut judge = |minutes: u64, replies: &[(u16, Option<Replication>)]| {
            let replies = replies
                .iter()
                .map(|(port, place)| (at(*port), place.clone()));
            let now = started + Duration::from_secs(60 * minutes);
            let kept = silent.judge(replies.collect(), Some(&at(1)), now);
            let kept = kept
                .iter()
                .map(|member| (member.at.port, member.is_failing));
            kept.collect::<Vec<_>>()
        };
        let of = |port| Some(Replication::ReplicaOf(at(port)));
        let alone = Some(Replication::Members(Vec::new()));
        let replies = [(2, None), (3, of(1)), (4, of(9)), (5, alone)];
        assert_eq!(judge(0, &replies), [(2, true), (3, false)]);
        assert_eq!(judge(59, &[(2, None)]), [(2, true)]);
        assert_eq!(judge(60, &[(2, None)]), []);
        // Silent again, after it was listed.
        assert_eq!(judge(61, &[]), []);
        assert_eq!(judge(90, &[(2, None)]), [(2, true)]);
    }
}
