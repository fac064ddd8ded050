//! What a connection is opened with. Not which server is polled, nor how often.

use super::address::Address;
use super::target::Password;
use super::tls::Tls;

/// The name under which CLIENT LIST shows a connection that polls.
pub(super) const POLL_NAME: &str = "redis-namespace-exporter";

/// The same for one that sweeps.
const SWEEP_NAME: &str = "redis-namespace-exporter-sweep";

/// How to reach one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it listens.
    pub address: Address,
    /// How TLS is spoken, if the address has it.
    pub tls: Tls,
    /// The ACL user, if one is configured.
    pub username: Option<String>,
    /// The password, if one is configured.
    pub password: Option<Password>,
    /// The database to select, if one is configured.
    pub database: Option<u32>,
    /// The name that the connection gives itself; none if it sends no CLIENT SETNAME.
    pub client_name: Option<&'static str>,
}

impl Endpoint {
    /// Returns the endpoint for a sweep, which selects databases itself.
    #[must_use]
    pub fn for_sweep(mut self) -> Self {
        self.database = None;
        self.client_name = self.client_name.map(|_| SWEEP_NAME);
        self
    }
}
