//! Tracks the role of a server. When it changes, the name or virtual address may lead to another
//! server, so that a new connection is due.

use std::time::Duration;

use tokio::time::Instant;

use super::whereabouts::Whereabouts;

/// Pause between the first two new connections after a primary was lost. It doubles.
const SEARCH_FIRST: Duration = Duration::from_secs(2);

/// Maximum pause between two such connections.
const SEARCH_EVERY: Duration = Duration::from_secs(30);

/// Time after which a server that is no longer a primary is accepted. Proxies, DNS and Services
/// take up to a few minutes to follow a failover.
const SEARCH_FOR: Duration = Duration::from_secs(5 * 60);

/// The role of the server over one connection.
#[derive(Debug)]
pub struct ConnectedRole {
    /// The role, such as `master`, once INFO has shown it.
    role: Option<String>,
    whereabouts: Whereabouts,
}

impl ConnectedRole {
    /// Returns the role of a server that is not yet known.
    #[must_use]
    pub const fn new(whereabouts: Whereabouts) -> Self {
        Self {
            role: None,
            whereabouts,
        }
    }

    /// Forgets the role, because of a new connection.
    pub fn reconnect(&mut self) {
        self.role = None;
    }

    /// Records the role if INFO contains it. Returns whether a new connection may lead to another
    /// server: the role has changed, or the address led to a primary not long ago.
    pub fn record(&mut self, role: Option<&str>, now: Instant) -> bool {
        let Some(role) = role else { return false };
        let has_changed = self.role.as_ref().is_some_and(|before| before != role);
        if self.role.is_none() || has_changed {
            self.role = Some(role.to_owned());
        }
        let is_search_due = self.whereabouts.observe(role == "master", now);
        has_changed || is_search_due
    }
}

/// The search for a primary that an address no longer leads to. It goes on over all connections of
/// one user to this address: a failover often closes them before the address leads to the new
/// primary.
#[derive(Debug, Default)]
pub(super) struct PrimarySearch {
    was_primary: bool,
    /// Present while the primary is searched for.
    plan: Option<SearchPlan>,
}

#[derive(Debug)]
struct SearchPlan {
    until: Instant,
    next: Instant,
    pause: Duration,
}

impl PrimarySearch {
    /// Records whether the server is a primary. Returns whether the next connection is due.
    pub(super) fn observe(&mut self, is_primary: bool, now: Instant) -> bool {
        if is_primary {
            self.plan = None;
        } else if self.was_primary {
            self.plan = Some(SearchPlan {
                until: now + SEARCH_FOR,
                next: now + SEARCH_FIRST,
                pause: SEARCH_FIRST,
            });
        }
        self.was_primary = is_primary;
        let Some(plan) = &mut self.plan else {
            return false;
        };
        if now >= plan.until {
            self.plan = None;
            return false;
        }
        let is_due = now >= plan.next;
        if is_due {
            plan.pause = (plan.pause * 2).min(SEARCH_EVERY);
            plan.next = now + plan.pause;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records one role per second over a connection each. Returns the seconds at which a new
    /// connection was due.
    fn due_at(roles: impl IntoIterator<Item = &'static str>) -> Vec<usize> {
        let whereabouts = Whereabouts::default();
        let start = Instant::now();
        let due = roles.into_iter().enumerate().filter(|(second, role)| {
            let mut connected = ConnectedRole::new(whereabouts.clone());
            connected.record(Some(role), start + Duration::from_secs(*second as u64))
        });
        due.map(|(second, _)| second).collect()
    }

    fn demoted_for(seconds: usize) -> impl Iterator<Item = &'static str> {
        std::iter::once("master").chain(std::iter::repeat_n("slave", seconds))
    }

    #[test]
    fn change_over_one_connection_needs_another_one_at_once() {
        let mut role = ConnectedRole::new(Whereabouts::default());
        let now = Instant::now();
        assert!(!role.record(Some("slave"), now));
        assert!(!role.record(None, now));
        assert!(!role.record(Some("slave"), now));
        assert!(role.record(Some("master"), now));
        assert!(!role.record(Some("master"), now));
        assert!(role.record(Some("slave"), now));
        role.reconnect();
        assert!(!role.record(Some("master"), now));
    }

    #[test]
    fn lost_primary_is_searched_for_with_growing_pauses_and_then_given_up() {
        let due = due_at(demoted_for(1_000));
        assert_eq!(due[..6], [3, 7, 15, 31, 61, 91]);
        assert_eq!(due.last(), Some(&271));
    }

    #[test]
    fn found_primary_ends_the_search() {
        let mut roles: Vec<_> = demoted_for(10).collect();
        roles.extend(["master"; 400]);
        assert_eq!(due_at(roles), [3, 7]);
    }

    #[test]
    fn replicas_and_sentinels_are_not_searched_for_a_primary() {
        assert_eq!(due_at(["slave"; 400]), [0; 0]);
        assert_eq!(due_at(["sentinel"; 400]), [0; 0]);
    }
}
