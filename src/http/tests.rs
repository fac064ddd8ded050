//! The server on real sockets, with clients that write raw bytes.

mod entrance;
mod limits;
mod responses;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::connections::ConnectionLimits;
use super::deadline::PhaseTimeouts;
use super::{Gate, Rate, Readers, ReloadRequest, Services, bind, serve_within};
use crate::config::{Paths, Web};
use crate::encode::{Form, Format, Page};
use crate::publish::{Board, Publication, Slot};
use crate::requested::Requested;
use crate::telemetry::Telemetry;

/// Longer than any test takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Limits that are short enough for tests.
fn short_limits() -> ConnectionLimits {
    ConnectionLimits {
        times: PhaseTimeouts {
            idle: Duration::from_secs(10),
            request: Duration::from_millis(200),
            response: Duration::from_millis(300),
            hang_up: Duration::from_millis(100),
        },
        drain: Duration::from_millis(500),
        ..ConnectionLimits::default()
    }
}

struct Server {
    address: SocketAddr,
    board: Board,
    telemetry: Telemetry,
    reloads: mpsc::Receiver<ReloadRequest>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn start(limits: ConnectionLimits) -> Server {
    start_behind(limits, Gate::new(&Web::default()).unwrap()).await
}

async fn start_behind(limits: ConnectionLimits, gate: Gate) -> Server {
    start_at(limits, gate, Paths::default()).await
}

async fn start_at(limits: ConnectionLimits, gate: Gate, paths: Paths) -> Server {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let board = Board::default();
    let telemetry = Telemetry::new(false).unwrap();
    let (reload, reloads) = mpsc::channel(1);
    let services = Services {
        board: board.clone(),
        requested: Requested::default(),
        names: Arc::default(),
        reload,
        gate,
        paths,
        telemetry: telemetry.clone(),
        readers: Readers::default(),
        reload_rate: Rate::default(),
    };
    let (stop, stopped) = oneshot::channel();
    let shutdown = async {
        let _ = stopped.await;
    };
    let task = tokio::spawn(serve_within(limits, listener, services, shutdown));
    Server {
        address,
        board,
        telemetry,
        reloads,
        stop,
        task,
    }
}

/// The two versions of a page.
#[derive(Clone, Debug)]
struct Versions {
    text: Bytes,
    /// Empty if it cannot be compressed.
    gzip: Bytes,
}

fn page(text: &'static str, gzip: &'static str) -> Versions {
    Versions {
        text: Bytes::from_static(text.as_bytes()),
        gzip: Bytes::from_static(gzip.as_bytes()),
    }
}

/// Returns the same page in every format.
fn always(page: Versions) -> impl Fn(Form) -> Page + Clone + Send + 'static {
    in_format(move |_| page.clone())
}

/// Returns the page of each format.
fn in_format(
    page: impl Fn(Format) -> Versions + Clone + Send + 'static,
) -> impl Fn(Form) -> Page + Clone + Send + 'static {
    move |form| {
        let Versions { text, gzip } = page(form.format);
        let is_compressed = form.is_compressed && !gzip.is_empty();
        Page {
            body: if is_compressed { gzip } else { text },
            is_compressed,
        }
    }
}

fn publish(slot: &Slot, page: Versions) {
    slot.set_page(always(page));
    slot.publish(Publication::empty());
}

/// A parsed response.
#[derive(Debug)]
struct Received {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs
            .into_iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

fn parse(bytes: &[u8]) -> Received {
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a whole head");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Received {
        status,
        head,
        body: bytes[end + 4..].to_vec(),
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Reads until the server closes the connection.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset ends the connection too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("an end in time");
    bytes
}

/// Sends bytes on a new connection and returns everything that comes back.
async fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = connect(address).await;
    let _ = stream.write_all(request).await;
    rest(&mut stream).await
}

/// Sends one request with extra header lines, each with its line end.
async fn request(address: SocketAddr, method: &str, path: &str, headers: &str) -> Received {
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n");
    parse(&exchange(address, request.as_bytes()).await)
}

async fn get(address: SocketAddr, path: &str) -> Received {
    request(address, "GET", path, "").await
}

/// Sends one request on a connection that stays open. Bodies here are short.
async fn get_and_keep(stream: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = [0; 4096];
    let count = timeout(PATIENCE, stream.read(&mut bytes))
        .await
        .expect("in time")
        .unwrap();
    String::from_utf8(bytes[..count].to_vec()).unwrap()
}
