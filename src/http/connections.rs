//! Accepts connections within limits.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::deadline::{Deadline, PhaseTimeouts};
use super::encryption::{self, Spoken};
use super::gate::Gate;
use super::response::HttpResponse;

/// Limits for all clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    /// Maximum number of connections. A new one closes the oldest.
    pub(super) connections: usize,
    /// Maximum size of a request head, in bytes.
    pub(super) head_bytes: usize,
    /// Timeouts of each phase of a connection.
    pub(super) times: PhaseTimeouts,
    /// Longest time for open requests to finish after shutdown began.
    pub(super) drain: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            head_bytes: 16 * 1024,
            times: PhaseTimeouts {
                // Prometheus scrapes every 15 to 60 seconds, sometimes every few minutes.
                idle: Duration::from_secs(5 * 60),
                request: Duration::from_secs(10),
                response: Duration::from_secs(30),
                hang_up: Duration::from_secs(1),
            },
            drain: Duration::from_secs(4),
        }
    }
}

/// Pause after a failed accept. Closed connections release their resources in this time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Shortest time between two log lines about failed accepts.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Serves until `shutdown` completes, then drains. `handle_plain` handles requests without TLS on a
/// port with TLS.
pub(super) async fn run<H, F, P, G>(
    listener: TcpListener,
    limits: ConnectionLimits,
    gate: &Gate,
    (handle, handle_plain): (H, P),
    shutdown: impl Future<Output = ()>,
) where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = HttpResponse> + Send + 'static,
    P: Fn(Request<Incoming>) -> G + Clone + Send + Sync + 'static,
    G: Future<Output = HttpResponse> + Send + 'static,
{
    let mut shutdown = pin!(shutdown);
    let graceful = GracefulShutdown::new();
    let (closing, open) = watch::channel(());
    let mut tasks = VecDeque::new();
    let mut warned_at = None;
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                make_room(&mut tasks, limits.connections);
                let (handle, watcher) = (with_client(client, handle.clone()), graceful.watcher());
                // The connection works without it, only with more delay.
                let _ = stream.set_nodelay(true);
                let task = match gate.acceptor() {
                    None => tokio::spawn(connection(stream, limits, handle, watcher)),
                    Some(acceptor) => {
                        let stream = encryption::accept(acceptor, stream, limits.times.request);
                        let stream = before(open.clone(), stream);
                        let handles = (handle, handle_plain.clone());
                        tokio::spawn(encrypted(stream, limits, handles, watcher))
                    }
                };
                tasks.push_back(task.abort_handle());
            }
            Err(error) if concerns_one_client(&error) => {}
            Err(error) => {
                warn_at_times(&mut warned_at, &error);
                // The system lacks a resource, usually file descriptors. Connections to Redis need
                // them more than old clients do.
                let fewer = tasks.len() * 3 / 4;
                make_room(&mut tasks, fewer);
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    drop(closing);
    drain(graceful, tasks, limits.drain).await;
}

/// Handles requests and adds the address of the client to each as an extension.
fn with_client<F>(
    client: SocketAddr,
    handle: impl Fn(Request<Incoming>) -> F + Clone,
) -> impl Fn(Request<Incoming>) -> F + Clone {
    move |mut request| {
        request.extensions_mut().insert(client);
        handle(request)
    }
}

/// Closes the oldest connections until there is room for one more. A new scraper always gets in,
/// and one that was closed by mistake reconnects.
fn make_room(tasks: &mut VecDeque<AbortHandle>, limit: usize) {
    tasks.retain(|task| !task.is_finished());
    while tasks.len() >= limit.max(1) {
        if let Some(oldest) = tasks.pop_front() {
            oldest.abort();
        }
    }
}

fn warn_at_times(warned_at: &mut Option<Instant>, error: &io::Error) {
    if warned_at.is_none_or(|at| at.elapsed() >= WARNING_INTERVAL) {
        *warned_at = Some(Instant::now());
        tracing::warn!(
            %error,
            "cannot accept a connection, so the oldest ones are closed; raise the limit of open files"
        );
    }
}

/// Returns whether an error concerns one connection only.
fn concerns_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

/// Runs the handshake. It is canceled when shutdown begins: no request is waiting for a response
/// yet.
async fn before(
    mut open: watch::Receiver<()>,
    shake: impl Future<Output = io::Result<Spoken>>,
) -> io::Result<Spoken> {
    tokio::select! {
        spoken = shake => spoken,
        _ = open.changed() => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

async fn encrypted<H, F, P, G>(
    handshake: impl Future<Output = io::Result<Spoken>>,
    limits: ConnectionLimits,
    (handle, handle_plain): (H, P),
    watcher: Watcher,
) where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = HttpResponse> + Send + 'static,
    P: Fn(Request<Incoming>) -> G + Clone + Send + Sync + 'static,
    G: Future<Output = HttpResponse> + Send + 'static,
{
    match handshake.await {
        Ok(Spoken::Tls(stream)) => connection(stream, limits, handle, watcher).await,
        Ok(Spoken::Plain(stream)) => {
            connection(stream, limits, handle_plain, watcher).await;
        }
        Err(error) => tracing::debug!(%error, "the TLS handshake with a client failed"),
    }
}

async fn connection<S, H, F>(stream: S, limits: ConnectionLimits, handle: H, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = HttpResponse> + Send + 'static,
{
    let service = service_fn(move |request| {
        let response = handle(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // `Deadline` limits the time instead.
        .header_read_timeout(None)
        // A client may close its side after sending the request and still expect the response.
        .half_close(true)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(Deadline::new(stream, limits.times)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Lets requests finish, then closes the remaining connections.
async fn drain(graceful: GracefulShutdown, tasks: VecDeque<AbortHandle>, time: Duration) {
    if timeout(time, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
        tasks.iter().for_each(AbortHandle::abort);
    }
}
