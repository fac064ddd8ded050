//! The source of requested targets: the addresses that requests have named lately.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::{ListedServer, Listing, RefusedServers, Reporter};
use crate::config::{Address, TargetSource};
use crate::requested::Requested;

/// Lists the addresses whenever they change. Never returns.
pub(super) async fn run(source: &TargetSource, requested: &Requested, mut reporter: Reporter) {
    loop {
        let (addresses, next) = requested.current(source.interval);
        reporter.list(listing(source, addresses)).await;
        let now = Instant::now();
        tokio::select! {
            () = requested.changed() => {}
            // Disabled without addresses, regardless of the time.
            () = sleep_until(next.unwrap_or(now)), if next.is_some() => {}
        }
    }
}

/// Returns the list of these addresses.
pub(super) fn listing(source: &TargetSource, addresses: Vec<Address>) -> Listing {
    let server = |address: Address| ListedServer {
        name: format!("{}/{}", source.name, name(&address)),
        endpoint: source.endpoint_at(address, None),
        labels: Arc::default(),
        member: None,
        is_swept: true,
        on_failure: None,
    };
    Listing {
        source: source.name.clone(),
        servers: addresses.into_iter().map(server).collect(),
        refused: RefusedServers::default(),
    }
}

/// Returns the last part of a target's name. A server may have the same port with and without TLS, if
/// requests name both.
fn name(address: &Address) -> String {
    if address.has_tls() {
        address.to_string()
    } else {
        address.default_name()
    }
}
