//! A TCP proxy that delays traffic and closes connections.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Interval at which an idle proxy checks whether it must end.
const CHECK_EVERY: Duration = Duration::from_millis(5);

/// Maximum number of bytes that are forwarded at a time.
const CHUNK: usize = 64 << 10;

/// A proxy. Dropping it closes all its connections.
#[derive(Debug)]
pub struct Proxy {
    /// Its port on 127.0.0.1.
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Delay in each direction, in microseconds.
    delay: AtomicU64,
    accepted: AtomicU64,
    bytes: AtomicU64,
    refuses: AtomicBool,
    is_over: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

/// Bytes, and the time at which to forward them.
type Piece = (Instant, Vec<u8>);

impl Proxy {
    /// Starts a proxy for a port on 127.0.0.1, without delay.
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, server, &accepting));
        Self { port, shared }
    }

    /// Returns its URL without credentials.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Delays every round trip from now on, half of it in each direction.
    pub fn delay(&self, round_trip: Duration) {
        let each_way = u64::try_from(round_trip.as_micros() / 2).unwrap();
        self.shared.delay.store(each_way, Ordering::Relaxed);
    }

    /// Closes all open connections, as a load balancer does with idle ones.
    pub fn cut(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            // It fails if the stream is already closed.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Sets whether new connections are closed immediately.
    pub fn refuse(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::Relaxed);
    }

    /// Returns the number of forwarded bytes, in both directions.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Returns the number of accepted connections.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.cut();
    }
}

fn accept(listener: &TcpListener, server: u16, shared: &Arc<Shared>) {
    while !shared.is_over.load(Ordering::Relaxed) {
        let Ok((client, _)) = listener.accept() else {
            thread::sleep(CHECK_EVERY);
            continue;
        };
        shared.accepted.fetch_add(1, Ordering::Relaxed);
        if shared.refuses.load(Ordering::Relaxed) {
            continue;
        }
        // If the server is down, the connection ends immediately.
        if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) {
            client.set_nonblocking(false).unwrap();
            join(&client, &server, shared);
        }
    }
}

/// Forwards bytes in both directions until either side closes.
fn join(client: &TcpStream, server: &TcpStream, shared: &Arc<Shared>) {
    for stream in [client, server] {
        // It fails if the other side is gone, which reading detects too.
        let _ = stream.set_nodelay(true);
        let handle = stream.try_clone().unwrap();
        shared.open.lock().unwrap().push(handle);
    }
    for (from, to) in [(client, server), (server, client)] {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let (sender, pieces) = mpsc::channel();
        let delays = Arc::clone(shared);
        thread::spawn(move || read(from, &sender, &delays));
        thread::spawn(move || write(to, &pieces));
    }
}

fn read(mut from: TcpStream, sender: &Sender<Piece>, shared: &Shared) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        shared.bytes.fetch_add(length as u64, Ordering::Relaxed);
        let delay = Duration::from_micros(shared.delay.load(Ordering::Relaxed));
        let piece = (Instant::now() + delay, buffer[..length].to_vec());
        if sender.send(piece).is_err() {
            return;
        }
    }
}

fn write(mut to: TcpStream, pieces: &Receiver<Piece>) {
    for (due, bytes) in pieces {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
