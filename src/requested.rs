//! The addresses that requests name: `http` adds them, and `discovery` makes them targets.
//!
//! It neither resolves nor dials them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::{Address, AllowedAddresses, Config, SourceKind};

/// What became of a request for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// The address is a target, or will be one at once.
    Yes,
    /// The configuration does not allow the address.
    Forbidden,
    /// There are as many targets as allowed.
    Full,
}

/// The addresses that requests name. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Requested(Arc<SharedRequests>);

#[derive(Debug, Default)]
struct SharedRequests {
    state: Mutex<Known>,
    /// Notified of each change of the addresses.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Known {
    /// `None` if requests may name no address.
    limits: Option<Limits>,
    /// The addresses by their text.
    asked: BTreeMap<String, RequestedAddress>,
}

#[derive(Debug)]
struct RequestedAddress {
    address: Address,
    /// The time of the last request, or of the end of its wait.
    last: Instant,
    /// Number of requests that wait for the first poll.
    waiting: usize,
}

/// A request that waits for the first poll of an address. The address is kept until this is dropped.
#[derive(Debug)]
pub struct WaitingRequest {
    requested: Requested,
    /// The address, unless it was forgotten.
    held: Option<String>,
}

impl Drop for WaitingRequest {
    fn drop(&mut self) {
        let mut known = self.requested.known();
        let held = self.held.as_ref();
        if let Some(one) = held.and_then(|name| known.asked.get_mut(name)) {
            one.waiting = one.waiting.saturating_sub(1);
            one.last = Instant::now();
        }
        drop(known);
        // When the address will be forgotten is known from now on.
        self.requested.0.changed.notify_one();
    }
}

#[derive(Debug)]
struct Limits {
    allowed: Arc<AllowedAddresses>,
    /// Maximum number of requested addresses.
    most: usize,
    /// Maximum number of targets of any kind.
    most_in_all: usize,
}

impl Limits {
    fn of(config: &Config) -> Option<Self> {
        config.sources.iter().find_map(|source| match &source.kind {
            SourceKind::Requests(allowed) => Some(Self {
                allowed: Arc::clone(allowed),
                most: source.max_targets,
                most_in_all: config.max_targets,
            }),
            _ => None,
        })
    }

    fn allows(&self, address: &Address) -> bool {
        match address {
            Address::Tcp { host, port, .. } => self.allowed.may_allow(host, *port),
            Address::Unix(_) => false,
        }
    }
}

impl Known {
    /// Forgets the least recently requested addresses, so that this many remain.
    fn shorten(&mut self, most: usize) {
        let excess = self.asked.len().saturating_sub(most);
        let times = self.asked.iter();
        let times = times.map(|(name, one)| (one.waiting > 0, one.last, name.clone()));
        let mut oldest: Vec<_> = times.collect();
        oldest.sort_unstable();
        for (_, _, name) in oldest.into_iter().take(excess) {
            self.asked.remove(&name);
        }
    }
}

impl Requested {
    /// Applies the limits of a configuration. Addresses that it does not allow are forgotten, and the
    /// least recently requested ones beyond the maximum number.
    pub fn configure(&self, config: &Config) {
        let limits = Limits::of(config);
        let mut known = self.known();
        let allows = |address: &Address| limits.as_ref().is_some_and(|one| one.allows(address));
        known.asked.retain(|_, one| allows(&one.address));
        known.shorten(limits.as_ref().map_or(0, |one| one.most));
        known.limits = limits;
        drop(known);
        self.0.changed.notify_one();
    }

    /// Records a request for an address. A new one is only accepted within the limits. `others` returns
    /// the number of targets that no request has named.
    #[must_use]
    pub fn ask(&self, address: &Address, others: impl FnOnce() -> usize) -> Admitted {
        let mut known = self.known();
        let Known { limits, asked } = &mut *known;
        let limits = limits.as_ref().filter(|limits| limits.allows(address));
        let Some(limits) = limits else {
            return Admitted::Forbidden;
        };
        let (name, now) = (address.to_string(), Instant::now());
        if let Some(one) = asked.get_mut(&name) {
            one.last = now;
            return Admitted::Yes;
        }
        let count = asked.len();
        if count >= limits.most || others().saturating_add(count) >= limits.most_in_all {
            return Admitted::Full;
        }
        let new = RequestedAddress {
            address: address.clone(),
            last: now,
            waiting: 0,
        };
        asked.insert(name, new);
        drop(known);
        self.0.changed.notify_one();
        Admitted::Yes
    }

    /// Keeps an address as long as a request for it waits. The end of the wait counts like another
    /// request.
    #[must_use]
    pub fn hold(&self, address: &Address) -> WaitingRequest {
        let name = address.to_string();
        let mut known = self.known();
        let held = known.asked.get_mut(&name);
        // It may have been forgotten after it was admitted, because of a reload.
        let held = held.map(|one| {
            one.waiting += 1;
            name
        });
        drop(known);
        let requested = self.clone();
        WaitingRequest { requested, held }
    }

    /// Decides about an address that has not become a target in time. Forgets it if others have taken
    /// its place since, so that the next request for it does not wait.
    #[must_use]
    pub fn is_crowded_out(&self, address: &Address, others: usize) -> bool {
        let mut known = self.known();
        let count = known.asked.len();
        let most = known.limits.as_ref().map(|limits| limits.most_in_all);
        let is_crowded_out = most.is_some_and(|most| others.saturating_add(count) > most);
        if is_crowded_out {
            known.asked.remove(&address.to_string());
        }
        is_crowded_out
    }

    /// Forgets addresses without a request for this long. Returns the others, and when the next one
    /// may be forgotten.
    #[must_use]
    pub fn current(&self, forget_after: Duration) -> (Vec<Address>, Option<Instant>) {
        let now = Instant::now();
        let mut known = self.known();
        let ends = |one: &RequestedAddress| (one.waiting == 0).then(|| one.last + forget_after);
        let is_due = |one: &RequestedAddress| ends(one).is_some_and(|end| end <= now);
        known.asked.retain(|_, one| !is_due(one));
        let next = known.asked.values().filter_map(ends).min();
        let addresses = known.asked.values().map(|one| one.address.clone());
        (addresses.collect(), next)
    }

    /// Waits for a change of the addresses since the last call.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{of_text, requested_address};

    fn ask(requested: &Requested, text: &str, others: usize) -> Admitted {
        requested.ask(&requested_address(text).unwrap(), || others)
    }

    const FORGET_AFTER: Duration = Duration::from_secs(60);

    fn names(requested: &Requested) -> Vec<String> {
        let (addresses, _) = requested.current(FORGET_AFTER);
        addresses.iter().map(Address::default_name).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_are_forgotten_without_requests() {
        let requested = Requested::default();
        assert_eq!(ask(&requested, "a", 0), Admitted::Forbidden);
        requested.configure(&of_text("scrape: { allow: [a, b] }"));
        assert_eq!(ask(&requested, "c", 0), Admitted::Forbidden);
        assert_eq!(ask(&requested, "a", 0), Admitted::Yes);
        requested.changed().await;
        tokio::time::advance(FORGET_AFTER / 2).await;
        assert_eq!(ask(&requested, "b", 0), Admitted::Yes);
        assert_eq!(names(&requested), ["a:6379", "b:6379"]);
        let (_, next) = requested.current(FORGET_AFTER);
        assert_eq!(next, Some(Instant::now() + FORGET_AFTER / 2));
        tokio::time::advance(FORGET_AFTER / 2).await;
        assert_eq!(names(&requested), ["b:6379"]);
        requested.configure(&of_text("scrape: { allow: [a] }"));
        assert_eq!(names(&requested), [""; 0]);
        requested.configure(&of_text("targets: [{url: h}]"));
        assert_eq!(ask(&requested, "a", 0), Admitted::Forbidden);
    }

    #[tokio::test(start_paused = true)]
    async fn address_is_kept_while_a_request_waits() {
        let requested = Requested::default();
        requested.configure(&of_text("scrape: { allow: [a] }"));
        let (address, wait) = (requested_address("a").unwrap(), 2 * FORGET_AFTER);
        drop(requested.hold(&address));
        assert_eq!(names(&requested), [""; 0]);
        assert_eq!(ask(&requested, "a", 0), Admitted::Yes);
        let (first, second) = (requested.hold(&address), requested.hold(&address));
        assert_eq!(ask(&requested, "a", 0), Admitted::Yes);
        drop(first);
        tokio::time::advance(wait).await;
        assert_eq!(names(&requested), ["a:6379"]);
        assert_eq!(requested.current(FORGET_AFTER).1, None);
        drop(second);
        let (_, next) = requested.current(FORGET_AFTER);
        assert_eq!(next, Some(Instant::now() + FORGET_AFTER));
        tokio::time::advance(FORGET_AFTER).await;
        assert_eq!(names(&requested), [""; 0]);
    }

    // The request has got its page long before the longest wait.
    #[tokio::test(start_paused = true)]
    async fn address_is_forgotten_on_time_after_a_short_wait() {
        let requested = Requested::default();
        requested.configure(&of_text("scrape: { allow: [a] }"));
        let address = requested_address("a").unwrap();
        assert_eq!(ask(&requested, "a", 0), Admitted::Yes);
        let waiting = requested.hold(&address);
        requested.changed().await;
        tokio::time::advance(Duration::from_millis(20)).await;
        drop(waiting);
        requested.changed().await;
        tokio::time::advance(FORGET_AFTER).await;
        assert_eq!(names(&requested), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn lower_maximum_forgets_the_oldest_addresses() {
        let requested = Requested::default();
        requested.configure(&of_text("scrape: { allow: ['*'] }"));
        for name in ["b", "a", "c"] {
            assert_eq!(ask(&requested, name, 0), Admitted::Yes);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        requested.configure(&of_text("scrape: { allow: ['*'], max_targets: 2 }"));
        assert_eq!(names(&requested), ["a:6379", "c:6379"]);
        assert_eq!(ask(&requested, "b", 0), Admitted::Full);
    }

    #[test]
    fn new_addresses_stay_within_both_limits() {
        let requested = Requested::default();
        let text = "max_targets: 4\nscrape: { allow: ['*'], max_targets: 2 }";
        requested.configure(&of_text(text));
        assert_eq!(ask(&requested, "a", 4), Admitted::Full);
        assert_eq!(ask(&requested, "a", 3), Admitted::Yes);
        assert_eq!(ask(&requested, "b", 3), Admitted::Full);
        assert_eq!(ask(&requested, "b", 2), Admitted::Yes);
        assert_eq!(ask(&requested, "c", 0), Admitted::Full);
        assert_eq!(ask(&requested, "a", 9), Admitted::Yes);
        let address = requested_address("a").unwrap();
        assert!(!requested.is_crowded_out(&address, 2));
        assert!(requested.is_crowded_out(&address, 3));
        assert_eq!(names(&requested), ["b:6379"]);
        assert_eq!(ask(&requested, "a", 3), Admitted::Full);
    }
}
