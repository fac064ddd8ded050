//! Queries one sentinel for the groups that it monitors, and for the other sentinels.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::view::{accepted, explain};
use crate::config::Endpoint;
use crate::connection::Connection;
use crate::failure::{Failure, Reason};
use crate::reply::{ErrorKind, Refusal, Reply};
use crate::topology::cluster::Authority;
use crate::topology::monitored::ReportedGroup;
use crate::topology::{AddressMap, HostPort, MEMBERS_MAX, ONLY_SHARD, sentinel};

/// Number of primaries whose replicas are queried at once.
const PRIMARIES_AT_A_TIME: usize = 32;

/// The authority of a sentinel that rejects the command for it: every view is equally good.
const UNKNOWN: Authority = Authority {
    is_ok: true,
    epoch: 0,
};

/// A query of a sentinel.
#[derive(Clone, Debug)]
pub(super) struct SentinelQuery {
    /// The name of the primary, or `None` for all.
    pub primary: Option<String>,
    /// Addresses to use instead of reported ones.
    pub map: AddressMap,
    /// Commands that this sentinel has rejected, which are not sent again.
    pub denied: DeniedCommands,
}

/// Commands that a sentinel rejects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DeniedCommands {
    /// SENTINEL MASTER.
    pub state: bool,
    /// SENTINEL SENTINELS.
    pub others: bool,
}

/// The report of a sentinel.
#[derive(Debug, Default)]
pub(super) struct SentinelView {
    /// The groups that it monitors.
    pub groups: Vec<ReportedGroup>,
    /// The other sentinels, those that are down last.
    pub others: Vec<HostPort>,
    /// Commands that it has rejected, now or before.
    pub denied: DeniedCommands,
    /// Its address.
    pub peer: Option<IpAddr>,
}

impl SentinelQuery {
    /// Connects to a sentinel, and returns its view.
    pub(super) async fn send(
        self,
        sentinel: &Endpoint,
        deadline: Instant,
    ) -> Result<SentinelView, Failure> {
        let mut connection = Connection::dial(sentinel, Arc::default(), deadline).await?;
        let mut view = SentinelView {
            denied: self.denied,
            peer: connection.peer().map(|peer| peer.ip()),
            ..SentinelView::default()
        };
        match &self.primary {
            Some(name) => {
                let group = self.group(&mut connection, name, &mut view, deadline);
                let group = group.await?;
                view.groups.push(group);
            }
            None => view.groups = self.all_groups(&mut connection, deadline).await?,
        }
        let first = view.groups.first().map(|group| group.name.clone());
        if let Some(name) = self.primary.or(first).filter(|_| !view.denied.others) {
            let command = ["SENTINEL", "SENTINELS", &name];
            let replies = connection.request(&[command], deadline).await?;
            match replies.first().map(|reply| (reply, reply.refusal())) {
                Some((reply, None)) => view.others = sentinel::others(reply, &self.map),
                Some((_, Some(refusal))) => view.denied.others = is_permanent(refusal),
                None => {}
            }
        }
        Ok(view)
    }

    async fn group(
        &self,
        connection: &mut Connection,
        name: &str,
        view: &mut SentinelView,
        deadline: Instant,
    ) -> Result<ReportedGroup, Failure> {
        let commands = [
            ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name],
            ["SENTINEL", "REPLICAS", name],
            ["SENTINEL", "MASTER", name],
        ];
        // First alone: an unknown name is an error for the other commands only.
        let (first, mut others) = commands.split_at(1);
        if view.denied.state {
            others = others.split_at(1).0;
        }
        let replies = connection.request(first, deadline).await?;
        let primary = replies.first().unwrap_or(&Reply::Nil);
        let Some(primary) = sentinel::primary(accepted(primary).map_err(explain)?) else {
            let detail = format!("the sentinel monitors no primary with the name {name}");
            return Err(Failure::new(Reason::Other, detail).with_remedy("check `discover.primary`"));
        };
        let replies = connection.request(others, deadline).await?;
        let replicas = accepted(replies.first().unwrap_or(&Reply::Nil)).map_err(explain)?;
        let authority = match replies.get(1) {
            Some(state) if state.refusal().is_none() => sentinel::authority(state),
            Some(state) => {
                view.denied.state = state.refusal().is_some_and(is_permanent);
                UNKNOWN
            }
            None => UNKNOWN,
        };
        Ok(ReportedGroup {
            name: ONLY_SHARD.to_owned(),
            authority,
            members: sentinel::members(ONLY_SHARD, &primary, replicas, &self.map),
        })
    }

    /// Reads all primaries that the sentinel monitors. The shard of each member is the name of its
    /// primary.
    async fn all_groups(
        &self,
        connection: &mut Connection,
        deadline: Instant,
    ) -> Result<Vec<ReportedGroup>, Failure> {
        let replies = connection
            .request(&[["SENTINEL", "MASTERS"]], deadline)
            .await?;
        let reply = accepted(replies.first().unwrap_or(&Reply::Nil)).map_err(explain)?;
        let primaries = sentinel::primaries(reply);
        if primaries.is_empty() {
            let detail = "the sentinel monitors no primary";
            return Err(Failure::new(Reason::Other, detail).with_remedy("check its configuration"));
        }
        // The first one alone: a denial then costs one error.
        let (first, others) = primaries.split_at(1);
        let (mut groups, mut count) = (Vec::with_capacity(primaries.len()), 0);
        for some in [first]
            .into_iter()
            .chain(others.chunks(PRIMARIES_AT_A_TIME))
        {
            if count >= MEMBERS_MAX {
                break;
            }
            let commands: Vec<_> = some
                .iter()
                .map(|primary| ["SENTINEL", "REPLICAS", &primary.name])
                .collect();
            let replies = connection.request(&commands, deadline).await?;
            for (primary, replicas) in some.iter().zip(&replies) {
                // A primary that was removed since the first reply is an error; the next query lacks it.
                let replicas = accepted(replicas).map_err(explain)?;
                let members = sentinel::members(&primary.name, &primary.at, replicas, &self.map);
                count += members.len();
                groups.push(ReportedGroup {
                    name: primary.name.clone(),
                    authority: primary.authority,
                    members,
                });
            }
        }
        Ok(groups)
    }
}

/// Returns whether a sentinel rejects a command each time. Other errors may concern a primary that was
/// removed in between.
fn is_permanent(refusal: &Refusal) -> bool {
    matches!(
        refusal.kind(),
        ErrorKind::Permission | ErrorKind::UnknownCommand
    )
}
