//! The sources of kind `Group`: queries one server of a group, or all its sentinels, for its members.
//!
//! Credentials go to the configured seeds, and to allowed addresses that a server has named after it
//! accepted them. Each query has a connection of its own, which is closed afterwards.

mod failovers;
mod members;
mod seed_failures;
mod sentinel_view;
mod sentinels;
mod unlisted;
mod view;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use super::{Listing, Reporter, SourceError, pause};
use crate::config::{AllowedAddresses, Discover, Endpoint, GroupKind, TargetSource};
use crate::failure::{Failure, Reason};
use crate::topology::TopologyMember;
use crate::topology::cluster::{Authority, KnownShards};
use crate::topology::settled::Settled;
use crate::topology::swept::SweptMembers;
use failovers::FailoverFeed;
use members::{is_other_cluster, is_seed, listing, may_be_dialed, take};
use seed_failures::SeedFailures;
use sentinels::Sentinels;
use unlisted::SilentMembers;
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
    /// The authority of the cluster node that has replied to the last query.
    authority: Authority,
    sentinels: Sentinels,
    silent: SilentMembers,
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
                if take(source, discover, &mut known, members) {
                    known.quick_left = QUICK_QUERIES;
                }
                reporter.list(listing(source, discover, &known)).await;
                let interval = known.pause(source.interval);
                if known.rest(interval).await {
                    known.quick_left = QUICK_QUERIES;
                }
            }
            Err(failure) => {
                let reason = failure.reason;
                reporter.fail(&failure.into());
                match reason {
                    Reason::Denied => {
                        pause(source.interval.saturating_mul(DENIED_INTERVALS)).await;
                    }
                    _ => {
                        known.rest(source.interval).await;
                    }
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

    /// Returns whether a cluster node has missed a failover that is known.
    const fn is_outdated(&self, authority: Authority) -> bool {
        authority.epoch < self.authority.epoch
    }

    fn pause(&mut self, interval: Duration) -> Duration {
        if self.quick_left == 0 {
            return interval;
        }
        self.quick_left -= 1;
        (interval / QUICK_PART).max(QUICK_LEAST).min(interval)
    }

    /// Waits until the next query: for the interval, or until something has changed. Returns whether
    /// something has.
    async fn rest(&self, interval: Duration) -> bool {
        let woken = async {
            // Many messages must not become many queries.
            sleep(QUICK_LEAST).await;
            self.wake.notified().await;
        };
        tokio::select! {
            () = pause(interval) => false,
            () = woken => true,
        }
    }
}

async fn query(
    source: &TargetSource,
    discover: &Discover,
    known: &mut Knowledge,
) -> Result<Vec<TopologyMember>, Failure> {
    match &discover.kind {
        GroupKind::Sentinel(primary) => {
            sentinels::query(source, discover, primary.as_deref(), known).await
        }
        GroupKind::Cluster => query_in_turn(source, discover, known).await,
        GroupKind::Replicas => {
            let members = query_in_turn(source, discover, known).await?;
            Ok(unlisted::complete(source, discover, known, members).await)
        }
    }
}

/// Queries the seeds and then a few known members, until one reports a healthy group. Otherwise,
/// returns the latest view of those that replied.
async fn query_in_turn(
    source: &TargetSource,
    discover: &Discover,
    known: &mut Knowledge,
) -> Result<Vec<TopologyMember>, Failure> {
    let mut best: Option<((bool, Authority), Vec<TopologyMember>, &Endpoint)> = None;
    let mut failures = SeedFailures::default();
    let spares = spares(source, discover, known);
    let contacts = discover.seeds.iter().chain(&spares).enumerate();
    for (at, contact) in contacts {
        let deadline = Instant::now() + source.template.poll.timeout;
        let is_seed = at < discover.seeds.len();
        match view(source, discover, known, contact, is_seed, deadline).await {
            Ok((authority, members)) => {
                let is_foreign = discover.kind == GroupKind::Cluster
                    && is_other_cluster(known.settled.members(), &members, contact);
                let is_current = authority.is_ok && !known.is_outdated(authority) && !is_foreign;
                let rank = (!is_foreign, authority);
                if best.as_ref().is_none_or(|best| best.0 < rank) {
                    best = Some((rank, members, contact));
                }
                if is_current {
                    break;
                }
            }
            Err(failure) => failures.record(contact, is_seed, failure),
        }
    }
    let Some(((_, authority), members, contact)) = best else {
        return Err(failures.into_failure());
    };
    if discover.kind == GroupKind::Cluster {
        known.authority = authority;
    }
    known.contact = Some(contact.clone());
    Ok(members)
}

/// Returns how to connect to a few known members, or sentinels, that are not seeds.
fn spares(source: &TargetSource, discover: &Discover, known: &Knowledge) -> Vec<Endpoint> {
    let mut endpoints = if matches!(discover.kind, GroupKind::Sentinel(_)) {
        sentinels::endpoints(source, discover, known)
    } else {
        members::endpoints(source, discover, known)
    };
    endpoints.retain(|endpoint| !is_seed(discover, endpoint) && may_be_dialed(endpoint));
    endpoints.truncate(SPARES);
    endpoints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_wakes_are_one_query_a_second() {
        let known = Knowledge::default();
        let started = Instant::now();
        for query in 1..=5_u32 {
            for _ in 0..100 {
                known.wake.notify_one();
            }
            assert!(known.rest(Duration::from_secs(3600)).await);
            assert_eq!(started.elapsed().as_secs(), u64::from(query));
        }
        assert!(!known.rest(Duration::from_secs(60)).await);
    }
}
