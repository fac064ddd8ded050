//! How to connect to a server.

use std::sync::Arc;

use super::address::Address;
use super::allowed::AllowedAddresses;
use super::expected_node::ExpectedNode;
use super::target::Password;
use super::tls::Tls;

/// The name of poll connections in CLIENT LIST. Those of other connections begin with it.
pub const CLIENT_NAME: &str = "redis-namespace-exporter";

/// The name of sweep connections in CLIENT LIST.
const SWEEP_NAME: &str = "redis-namespace-exporter-sweep";

/// The name of connections for key events in CLIENT LIST.
const EVENTS_NAME: &str = "redis-namespace-exporter-events";

/// The name of connections of the canary in CLIENT LIST.
const CANARY_NAME: &str = "redis-namespace-exporter-canary";

/// How to connect to one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub address: Address,
    /// The TLS settings. They are used if the address requires TLS.
    pub tls: Tls,
    /// The ACL user, if one is configured.
    pub username: Option<String>,
    /// The password, if one is configured.
    pub password: Option<Password>,
    /// The database to select, if one is configured.
    pub database: Option<u32>,
    /// The name of the connection, or `None` to send no CLIENT SETNAME.
    pub client_name: Option<&'static str>,
    /// The addresses that may be dialed, if a server has named this one and not the configuration.
    pub allowed: Option<Arc<AllowedAddresses>>,
    /// The cluster node that must reply, if a cluster has named the address.
    pub node: Option<ExpectedNode>,
}

impl Endpoint {
    /// Returns the endpoint of a sweep, which selects databases itself.
    #[must_use]
    pub fn for_sweep(mut self) -> Self {
        self.database = None;
        self.client_name = self.client_name.map(|_| SWEEP_NAME);
        self
    }

    /// Returns the endpoint of a stream of key events, which come from all databases.
    #[must_use]
    pub fn for_events(mut self) -> Self {
        self.database = None;
        self.client_name = self.client_name.map(|_| EVENTS_NAME);
        self
    }

    /// Returns the endpoint of the pub/sub canary, whose messages belong to no database.
    #[must_use]
    pub fn for_canary(mut self) -> Self {
        self.database = None;
        self.client_name = self.client_name.map(|_| CANARY_NAME);
        self
    }
}
