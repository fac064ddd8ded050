//! Queries all sentinels of a source at once. Those that are not configured are remembered from the
//! replies of the others.
//!
//! One that was cut off may still report an old primary, so the first reply is not enough.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::members::is_seed;
use super::sentinel_view::{DeniedCommands, SentinelQuery, SentinelView};
use super::{DENIED_INTERVALS, Knowledge, SeedFailures, spares};
use crate::config::{Address, Discover, Endpoint, TargetSource};
use crate::failure::{Failure, Reason};
use crate::topology::monitored::MonitoredGroups;
use crate::topology::{HostPort, TopologyMember};

/// How long the reply of a sentinel that failed last time may come after those of the others.
const GRACE: Duration = Duration::from_millis(200);

/// The reports of the sentinels of a source.
#[derive(Debug, Default)]
pub(super) struct Sentinels {
    groups: MonitoredGroups,
    /// The sentinels that others have named, those that are down last.
    named: Vec<HostPort>,
    /// The commands that each sentinel has rejected.
    denied: BTreeMap<String, DeniedCommands>,
    /// Those that replied last time.
    replied: BTreeSet<String>,
    /// Those that failed last time.
    failed: BTreeMap<String, FailedSentinel>,
}

/// A sentinel that failed last time.
#[derive(Clone, Copy, Debug)]
struct FailedSentinel {
    /// Number of queries until one waits for its reply again. It may be too far away for the others.
    left: u32,
    /// Whether these queries leave it out.
    rests: bool,
}

/// The replies to one query of all sentinels.
#[derive(Debug, Default)]
struct SentinelRound {
    views: Vec<(Endpoint, SentinelView)>,
    failures: SeedFailures,
    queried: BTreeSet<String>,
}

/// Queries the configured sentinels, and those that they have named.
///
/// # Errors
///
/// Returns the first problem if no sentinel has replied.
pub(super) async fn query(
    source: &TargetSource,
    discover: &Discover,
    primary: Option<&str>,
    known: &mut Knowledge,
) -> Result<Vec<TopologyMember>, Failure> {
    let mut round = SentinelRound::default();
    // At first those that are known, then those that they have just named. Those that are left out
    // for a while come last, if no other one replied.
    let resting = known.sentinels.take_resting();
    for leaves_out in [true, true, false] {
        if !leaves_out && !round.views.is_empty() {
            break;
        }
        let contacts = discover.seeds.iter().cloned();
        let contacts = contacts.chain(spares(source, discover, known));
        let is_due = |contact: &Endpoint| {
            let name = contact.address.to_string();
            let is_left_out = leaves_out && resting.contains(&name);
            !is_left_out && !round.queried.contains(&name)
        };
        let contacts: Vec<_> = contacts.filter(is_due).collect();
        let query = SentinelQuery {
            primary: primary.map(str::to_owned),
            map: discover.map.clone(),
            denied: DeniedCommands::default(),
        };
        let timeout = source.template.poll.timeout;
        let results = gather(discover, &known.sentinels, contacts, &query, timeout).await;
        absorb(discover, known, &mut round, results);
    }
    let sentinels = &mut known.sentinels;
    let names = round.views.iter().map(|(one, _)| one.address.to_string());
    sentinels.replied = names.collect();
    let is_known = |name: &String| resting.contains(name) || round.queried.contains(name);
    sentinels.failed.retain(|name, _| is_known(name));
    sentinels.denied.retain(|name, _| is_known(name));
    if round.views.is_empty() {
        return Err(round.failures.into_failure());
    }
    let reports = round.views.iter_mut().map(|(sentinel, view)| {
        let groups = std::mem::take(&mut view.groups);
        (sentinel.address.to_string(), groups)
    });
    known.sentinels.groups.take(reports.collect());
    known.contact = most_current(&round, known);
    Ok(known.sentinels.groups.members())
}

/// Returns the sentinel with the latest configuration of most groups. The previous one stays if it is
/// as good as any other.
fn most_current(round: &SentinelRound, known: &Knowledge) -> Option<Endpoint> {
    let sentinels = round.views.iter().map(|(sentinel, _)| sentinel).rev();
    let best = sentinels.max_by_key(|sentinel| {
        let latest = known
            .sentinels
            .groups
            .latest_of(&sentinel.address.to_string());
        (latest, known.contact.as_ref() == Some(*sentinel))
    });
    best.cloned()
}

impl Sentinels {
    /// Returns those that are to be left out of this query.
    fn take_resting(&mut self) -> BTreeSet<String> {
        let waiting = self.failed.iter_mut().filter(|(_, failed)| failed.left > 0);
        let resting = waiting.filter_map(|(name, failed)| {
            failed.left -= 1;
            failed.rests.then(|| name.clone())
        });
        resting.collect()
    }

    /// Returns whether a query waits for the reply of a sentinel: it replied last time, or it is
    /// configured and has not failed, or it failed some queries ago.
    fn is_expected(&self, name: &str, is_seed: bool) -> bool {
        let failed = self.failed.get(name);
        self.replied.contains(name) || failed.map_or(is_seed, |failed| failed.left == 0)
    }

    /// Records that a sentinel failed. Each of the next queries leaves it out if it `rests`.
    fn record_failure(&mut self, name: String, rests: bool) {
        let before = self.failed.get(&name).map_or(0, |failed| failed.left);
        let left = if before > 0 { before } else { DENIED_INTERVALS };
        self.failed.insert(name, FailedSentinel { left, rests });
    }

    /// Records the reply of a sentinel, and the commands that it rejects.
    fn record_reply(&mut self, name: &str, denied: DeniedCommands) {
        self.failed.remove(name);
        self.denied.insert(name.to_owned(), denied);
    }
}

/// A sentinel with its view, or with `None` if the others have not waited for it.
type SentinelOutcome = (Endpoint, Option<Result<SentinelView, Failure>>);

/// Queries these sentinels at once, and returns the outcomes in the same order.
async fn gather(
    discover: &Discover,
    sentinels: &Sentinels,
    contacts: Vec<Endpoint>,
    query: &SentinelQuery,
    timeout: Duration,
) -> Vec<SentinelOutcome> {
    let (deadline, mut tasks) = (Instant::now() + timeout, JoinSet::new());
    let mut expected = BTreeSet::new();
    for (at, contact) in contacts.iter().enumerate() {
        let name = contact.address.to_string();
        if sentinels.is_expected(&name, is_seed(discover, contact)) {
            expected.insert(at);
        }
        let denied = sentinels.denied.get(&name).copied().unwrap_or_default();
        let (query, contact) = (
            SentinelQuery {
                denied,
                ..query.clone()
            },
            contact.clone(),
        );
        tasks.spawn(async move { (at, query.send(&contact, deadline).await) });
    }
    let mut outcomes: Vec<SentinelOutcome> = contacts.into_iter().map(|one| (one, None)).collect();
    let (mut has_view, mut end) = (false, None);
    loop {
        if has_view && expected.is_empty() && end.is_none() {
            end = Some(Instant::now() + GRACE);
        }
        let next = match end {
            Some(end) => timeout_at(end, tasks.join_next()).await.ok().flatten(),
            None => tasks.join_next().await,
        };
        match next {
            Some(Ok((at, result))) => {
                has_view |= result.is_ok();
                expected.remove(&at);
                if let Some(outcome) = outcomes.get_mut(at) {
                    outcome.1 = Some(result);
                }
            }
            // The supervisor of the source counts it.
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Some(Err(_)) => {}
            None => return outcomes,
        }
    }
}

/// Takes the outcomes of a query.
fn absorb(
    discover: &Discover,
    known: &mut Knowledge,
    round: &mut SentinelRound,
    outcomes: Vec<SentinelOutcome>,
) {
    let mut named: Vec<HostPort> = Vec::new();
    for (contact, outcome) in outcomes {
        let name = contact.address.to_string();
        let is_seed = is_seed(discover, &contact);
        round.queried.insert(name.clone());
        let reason = match outcome {
            Some(Ok(view)) => {
                if let Some(peer) = view.peer.filter(|_| is_seed) {
                    let allowed = known.allowed.as_ref().clone().with_configured(peer);
                    known.allowed = Arc::new(allowed);
                }
                known.sentinels.record_reply(&name, view.denied);
                named.extend(view.others.iter().cloned());
                round.views.push((contact, view));
                continue;
            }
            Some(Err(failure)) => {
                let reason = failure.reason;
                round.failures.record(&contact, is_seed, failure);
                Some(reason)
            }
            None => None,
        };
        // Each attempt with rejected credentials counts as an error of the sentinel, and the address
        // of one that is not configured may be unreachable.
        let rests = reason == Some(Reason::Denied) || !is_seed;
        known.sentinels.record_failure(name, rests);
    }
    if !named.is_empty() {
        let mut seen = BTreeSet::new();
        named.retain(|at| seen.insert(at.clone()));
        named.truncate(NAMED_MAX);
        known.sentinels.named = named;
    }
}

/// Maximum number of sentinels to remember.
const NAMED_MAX: usize = 16;

/// Returns how to connect to the sentinels that others have named. They get the credentials of the
/// configured ones, unless credentials are chosen by host.
pub(super) fn endpoints(
    source: &TargetSource,
    discover: &Discover,
    known: &Knowledge,
) -> Vec<Endpoint> {
    let Some(seed) = discover
        .seeds
        .first()
        .filter(|_| source.credentials.is_empty())
    else {
        return Vec::new();
    };
    let tls = seed.address.has_tls();
    let named = known.sentinels.named.iter().map(|at| {
        let HostPort { host, port } = at.clone();
        Endpoint {
            address: Address::Tcp { host, port, tls },
            allowed: Some(Arc::clone(&known.allowed)),
            ..seed.clone()
        }
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distant_sentinel_is_expected_again_after_some_queries() {
        let mut sentinels = Sentinels::default();
        assert!(sentinels.is_expected("seed", true) && !sentinels.is_expected("named", false));
        let mut expected = Vec::new();
        for query in 0..25 {
            assert!(sentinels.take_resting().is_empty());
            if sentinels.is_expected("seed", true) {
                expected.push(query);
            }
            // Its reply comes after those of the others.
            sentinels.record_failure("seed".to_owned(), false);
        }
        assert_eq!(expected, [0, 10, 20]);
        sentinels.record_reply("seed", DeniedCommands::default());
        assert!(sentinels.is_expected("seed", true));
    }

    #[test]
    fn unreachable_sentinel_rests_before_it_is_expected() {
        let mut sentinels = Sentinels::default();
        sentinels.record_failure("named".to_owned(), true);
        for _ in 0..DENIED_INTERVALS {
            assert!(sentinels.take_resting().contains("named"));
        }
        assert!(sentinels.take_resting().is_empty());
        assert!(sentinels.is_expected("named", false));
    }

    #[test]
    fn denial_of_one_sentinel_does_not_apply_to_others() {
        let mut sentinels = Sentinels::default();
        let denied = DeniedCommands {
            state: true,
            others: false,
        };
        sentinels.record_reply("strict", denied);
        sentinels.record_reply("open", DeniedCommands::default());
        assert_eq!(sentinels.denied.get("strict"), Some(&denied));
        assert_eq!(
            sentinels.denied.get("open"),
            Some(&DeniedCommands::default())
        );
    }
}
