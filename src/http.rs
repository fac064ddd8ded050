//! Serves the latest pages, and accepts requests for a reload.
//!
//! It never queries Redis, and a scrape of a configured target never waits for a poll: it returns bytes
//! that are ready. Only the first request for a requested target waits: see `on_request`.
//! `routes` handles requests. `connections` and `deadline` enforce limits on clients. `gate` has
//! the access rules: `encryption` and `access`.

pub(crate) mod access;
mod connections;
mod deadline;
mod encryption;
mod gate;
mod health;
pub(crate) mod live;
pub(crate) mod negotiation;
mod on_request;
pub(crate) mod parameters;
mod readers;
mod reload;
mod response;
mod routes;
mod running;
mod sd;
pub(crate) mod target;
mod turns;
mod unpack;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::config::Paths;
use crate::metric::Names;
use crate::publish::Board;
use crate::requested::Requested;
use crate::telemetry::Telemetry;

pub use gate::{Gate, GateError, Prepared};
pub use health::{HealthError, health};
pub use readers::Readers;
pub use reload::Rate;
pub use running::address as running_address;

use connections::ConnectionLimits;

/// A request to reload the configuration.
///
/// The result is sent back through it.
pub type ReloadRequest = oneshot::Sender<ReloadResult>;

/// The result of a reload, as the text of the response. It contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// The configuration is in effect: a summary of the changes.
    Applied(String),
    /// The previous configuration stays in effect: the problems of the new one.
    Rejected(String),
}

/// The state that the routes use.
#[derive(Debug)]
pub struct Services {
    /// The pages, and the targets that they come from.
    pub board: Board,
    /// The addresses that requests name.
    pub requested: Requested,
    /// The spelling of metric names.
    pub names: Arc<ArcSwap<Names>>,
    /// The channel for reload requests.
    pub reload: mpsc::Sender<ReloadRequest>,
    /// Access rules for clients.
    pub gate: Gate,
    /// The configured paths.
    pub paths: Paths,
    /// The exporter's own metrics.
    pub telemetry: Telemetry,
    /// The pages that clients are reading.
    pub readers: Readers,
    /// The rate limit of reload requests.
    pub reload_rate: Rate,
}

/// Connections that the system queues until they are accepted; the default of tokio.
const BACKLOG: i32 = 1024;

/// Listens at an address.
///
/// # Errors
///
/// The error of the system, such as an address that is in use.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    if address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        return TcpListener::bind(address).await;
    }
    match bind_everywhere(address) {
        // Without IPv6, listen at all IPv4 addresses.
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            let fallback = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            TcpListener::bind(fallback).await.map_err(|_| error)
        }
        bound => bound,
    }
}

/// Listens at all IPv6 and IPv4 addresses, regardless of the system's default.
fn bind_everywhere(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_only_v6(false)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves until `shutdown` completes, then lets open requests finish, for 4 seconds at most.
pub async fn serve(listener: TcpListener, services: Services, shutdown: impl Future<Output = ()>) {
    serve_within(ConnectionLimits::default(), listener, services, shutdown).await;
}

async fn serve_within(
    limits: ConnectionLimits,
    listener: TcpListener,
    services: Services,
    shutdown: impl Future<Output = ()>,
) {
    let (gate, board) = (services.gate.clone(), services.board.clone());
    let services = Arc::new(services);
    let handle = move |request| routes::respond(Arc::clone(&services), request);
    let handle_plain = move |request| {
        let response = encryption::respond_without_tls(&board, &request);
        async { response }
    };
    connections::run(listener, limits, &gate, (handle, handle_plain), shutdown).await;
}

#[cfg(test)]
mod tests;
