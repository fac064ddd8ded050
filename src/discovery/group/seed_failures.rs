//! Chooses what to report if no server of a group has replied. Pure.

use crate::config::Endpoint;
use crate::failure::{Failure, Reason};

/// Maximum number of servers that a failure names.
const NAMED_MAX: usize = 4;

/// The first failure, or the first one of a server that was reached: it explains more. Also the
/// failures of all configured servers.
#[derive(Debug, Default)]
pub(super) struct SeedFailures {
    first: Option<(String, Failure)>,
    /// Address and detail of each configured server that failed.
    seeds: Vec<(String, String)>,
}

impl SeedFailures {
    /// Records the failure of one server. A server that is not a configured one is only named if its
    /// failure is reported.
    pub(super) fn record(&mut self, contact: &Endpoint, is_seed: bool, failure: Failure) {
        let name = contact.address.default_name();
        if is_seed {
            self.seeds.push((name.clone(), failure.detail.clone()));
        }
        match &self.first {
            Some((_, first)) if !is_unreached(first) || is_unreached(&failure) => {}
            _ => self.first = Some((name, failure)),
        }
    }

    /// Returns the failure. Its detail names a few configured servers, always in the same order.
    pub(super) fn into_failure(self) -> Failure {
        let Self { first, mut seeds } = self;
        let Some((name, failure)) = first else {
            return Failure::new(Reason::Other, "there is no server to query");
        };
        seeds.retain(|(seed, _)| *seed != name);
        seeds.sort_unstable();
        let more = (seeds.len() + 1).saturating_sub(NAMED_MAX);
        seeds.truncate(NAMED_MAX - 1);
        let mut parts = vec![format!("{name}: {}", failure.detail)];
        parts.extend(seeds.iter().map(|(name, other)| format!("{name}: {other}")));
        if more > 0 {
            parts.push(format!("and {more} more"));
        }
        let detail = parts.join(", ");
        Failure { detail, ..failure }
    }
}

/// Returns whether a server was not reached at all.
const fn is_unreached(failure: &Failure) -> bool {
    matches!(
        failure.reason,
        Reason::Dns | Reason::Refused | Reason::Timeout | Reason::Closed
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::of_text;

    /// Returns the detail if these servers fail, each a host, a reason, and whether it is configured.
    fn detail(failed: &[(&str, Reason, bool)]) -> String {
        let config = of_text("targets_from: [{name: s, dns: 'h:1'}]\n");
        let mut failures = SeedFailures::default();
        for (host, reason, is_seed) in failed {
            let contact = config.sources[0].endpoint(host).unwrap();
            failures.record(&contact, *is_seed, Failure::new(*reason, "no"));
        }
        failures.into_failure().detail
    }

    #[test]
    fn all_configured_servers_are_named_up_to_a_limit() {
        use Reason::{Denied, Refused};
        let two = [("b:2", Refused, true), ("a:1", Refused, true)];
        assert_eq!(detail(&two), "b:2: no, a:1: no");
        let reached = [("b:2", Refused, true), ("a:1", Denied, true)];
        assert_eq!(detail(&reached), "a:1: no, b:2: no");
        let spare = [("b:2", Refused, true), ("c:3", Refused, false)];
        assert_eq!(detail(&spare), "b:2: no");
        let hosts = ["a:1", "b:1", "c:1", "d:1", "e:1", "f:1"];
        let many = hosts.map(|host| (host, Refused, true));
        assert_eq!(
            detail(&many),
            "a:1: no, b:1: no, c:1: no, d:1: no, and 2 more"
        );
        assert_eq!(detail(&[]), "there is no server to query");
    }
}
