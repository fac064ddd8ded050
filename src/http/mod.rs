//! Serves what was polled last, and asks for a reload.
//!
//! It never asks Redis anything and never waits for a poll: a scrape hands out bytes that are
//! ready. `routes` answers requests, `connections` and `deadline` keep clients within limits,
//! `gate` holds what they must pass: `encryption` and `access`.

mod access;
mod connections;
mod deadline;
mod encryption;
mod gate;
mod health;
mod index;
mod negotiation;
mod readers;
mod reload;
mod response;
mod routes;
mod running;
mod target;
mod turns;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use prometheus::IntCounter;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::config::Paths;
use crate::publish::Board;

pub use gate::{Gate, Prepared};
pub use health::health;
pub use readers::Readers;
pub use reload::Rate;
pub use running::address as running_address;

use connections::Limits;

/// A wish to read the configuration again. The answer goes back through it: what changed, or the
/// problems for which the configuration before stays in force. Neither may hold a secret.
pub type ReloadRequest = oneshot::Sender<Result<String, String>>;

/// What the routes need.
#[derive(Debug)]
pub struct Services {
    /// The pages, and the targets that they came from.
    pub board: Board,
    /// Where reloads are asked for.
    pub reload: mpsc::Sender<ReloadRequest>,
    /// What clients must pass.
    pub gate: Gate,
    /// What is served, and where.
    pub paths: Paths,
    /// What is counted while serving.
    pub counters: Counters,
    /// The pages that clients read now.
    pub readers: Readers,
    /// How often a reload may be asked for.
    pub reload_rate: Rate,
}

/// Counters of the exporter about itself that belong to serving.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Pages handed out at `/metrics`, `/probe` and `/scrape`.
    pub scrapes: IntCounter,
    /// Requests at `/probe` and `/scrape` that got an error in the place of a page.
    pub scrape_request_errors: IntCounter,
    /// Requests that came without the right name and password.
    pub unauthorized_requests: IntCounter,
}

/// Connections that the system keeps until they are accepted, as tokio has it.
const BACKLOG: i32 = 1024;

/// Listens at an address.
///
/// # Errors
///
/// What the system says, as that the address is in use.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    if address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        return TcpListener::bind(address).await;
    }
    match bind_everywhere(address) {
        // A machine without IPv6 still has every IPv4 address.
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            let fallback = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            TcpListener::bind(fallback).await.map_err(|_| error)
        }
        bound => bound,
    }
}

/// Listens at every address of IPv6 and IPv4, whatever the system does of its own accord.
fn bind_everywhere(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_only_v6(false)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves until `shutdown` is done, then lets requests that are under way finish, for 4 seconds at
/// most.
pub async fn serve(listener: TcpListener, services: Services, shutdown: impl Future<Output = ()>) {
    serve_within(Limits::default(), listener, services, shutdown).await;
}

async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    services: Services,
    shutdown: impl Future<Output = ()>,
) {
    let (gate, board) = (services.gate.clone(), services.board.clone());
    let services = Arc::new(services);
    let handle = move |request| routes::answer(Arc::clone(&services), request);
    let handle_plain = move |request| {
        let answer = encryption::answer_plain(&board, &request);
        async { answer }
    };
    connections::run(listener, limits, &gate, (handle, handle_plain), shutdown).await;
}

#[cfg(test)]
mod tests;
