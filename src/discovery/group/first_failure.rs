//! Chooses the failure to report if no server of a group has replied. Pure.

use crate::config::Endpoint;
use crate::failure::{Failure, Reason};

/// The first failure, or the first one of a server that was reached: it explains more.
#[derive(Debug, Default)]
pub(super) struct FirstFailure(Option<Failure>);

impl FirstFailure {
    /// Records the failure of one server.
    pub(super) fn record(&mut self, contact: &Endpoint, failure: Failure) {
        let detail = format!("{}: {}", contact.address.default_name(), failure.detail);
        let failure = Failure { detail, ..failure };
        match &self.0 {
            Some(first) if !is_unreached(first) || is_unreached(&failure) => {}
            _ => self.0 = Some(failure),
        }
    }

    /// Returns the failure.
    pub(super) fn into_failure(self) -> Failure {
        let none = || Failure::new(Reason::Other, "there is no server to query");
        self.0.unwrap_or_else(none)
    }
}

/// Returns whether a server was not reached at all.
const fn is_unreached(failure: &Failure) -> bool {
    matches!(
        failure.reason,
        Reason::Dns | Reason::Refused | Reason::Timeout | Reason::Closed
    )
}
