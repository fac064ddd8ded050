//! Remembers the other sentinels of a group, so that it is followed if the configured ones are down.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Knowledge, SPARES, may_be_dialed};
use crate::config::{Address, Discover, Endpoint, TargetSource};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::reply::Refusal;
use crate::topology::{HostPort, sentinel};

/// The sentinels that monitor the same primary.
#[derive(Debug, Default)]
pub(super) struct OtherSentinels {
    addresses: Vec<HostPort>,
    /// Whether a sentinel rejects the command for them.
    is_denied: bool,
}

impl OtherSentinels {
    /// Queries which others the connected sentinel knows. A rejected command is not sent again.
    ///
    /// # Errors
    ///
    /// The connection failed.
    pub(super) async fn learn(
        &mut self,
        connection: &mut Connection,
        discover: &Discover,
        primary: &str,
        deadline: Instant,
    ) -> Result<(), Failure> {
        if self.is_denied {
            return Ok(());
        }
        let command = ["SENTINEL", "SENTINELS", primary];
        let replies = connection.request(&[command], deadline).await?;
        match replies.first().map(|reply| (reply, reply.refusal())) {
            Some((reply, None)) => self.addresses = sentinel::others(reply, &discover.map),
            Some((_, Some(refusal))) => self.is_denied = !Refusal::is_passing(refusal),
            None => {}
        }
        Ok(())
    }
}

/// Returns how to connect to sentinels that are not configured. They get the credentials of the
/// configured ones, unless credentials are chosen by host.
pub(super) fn spares(
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
    let addresses = known.sentinels.addresses.iter();
    let endpoints = addresses.map(|at| {
        let HostPort { host, port } = at.clone();
        let address = Address::Tcp { host, port, tls };
        let allowed = Some(Arc::clone(&known.allowed));
        let endpoint = Endpoint {
            address,
            allowed,
            ..seed.clone()
        };
        (endpoint, at)
    });
    let is_seed = |endpoint: &Endpoint| {
        let mut seeds = discover.seeds.iter();
        seeds.any(|seed| seed.address == endpoint.address)
    };
    endpoints
        .filter(|(endpoint, at)| !is_seed(endpoint) && may_be_dialed(endpoint, at))
        .map(|(endpoint, _)| endpoint)
        .take(SPARES)
        .collect()
}
