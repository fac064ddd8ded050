//! A TCP proxy that treats idle connections as servers, load balancers and firewalls do.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

/// Interval between two checks of a connection.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// The fate of a connection that was idle for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides are closed.
    Close,
    /// Both sides are reset.
    Reset,
    /// Nothing happens at first. The next packet causes a reset.
    ResetLater,
    /// Nothing happens at first. All further packets are dropped.
    Vanish,
}

/// A proxy. Dropping it closes all its connections.
#[derive(Debug)]
pub struct Cutter {
    /// Its port on 127.0.0.1.
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    end: End,
    after: Duration,
    /// The server's port on 127.0.0.1.
    server: AtomicU16,
    /// Number of connections that were ended.
    ended: AtomicU64,
    is_over: AtomicBool,
}

impl Cutter {
    /// Starts a proxy for a port on 127.0.0.1, which ends connections that are idle for `after`.
    pub fn start(server: u16, end: End, after: Duration) -> Self {
        Self::listen((Ipv4Addr::LOCALHOST, 0), server, end, after)
    }

    /// Starts a proxy at another address, which ends no connections.
    pub fn at(address: Ipv4Addr, port: u16, server: u16) -> Self {
        Self::listen((address, port), server, End::Close, Duration::MAX)
    }

    fn listen(address: (Ipv4Addr, u16), server: u16, end: End, after: Duration) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            end,
            after,
            server: AtomicU16::new(server),
            ended: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &accepting));
        Self { port, shared }
    }

    /// Returns its URL without credentials.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Directs new connections to another server.
    pub fn lead_to(&self, server: u16) {
        self.shared.server.store(server, Ordering::Relaxed);
    }

    /// Returns the number of connections that it has ended.
    pub fn ended(&self) -> u64 {
        self.shared.ended.load(Ordering::Relaxed)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.is_over.load(Ordering::Relaxed) {
        let Ok((client, _)) = listener.accept() else {
            thread::sleep(CHECK_INTERVAL);
            continue;
        };
        let server = shared.server.load(Ordering::Relaxed);
        // If the server is down, the connection ends immediately.
        if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) {
            let shared = Arc::clone(shared);
            // The connection ends when this returns, whatever the error.
            thread::spawn(move || carry(&client, &server, &shared));
        }
    }
}

/// Forwards bytes until either side closes or the connection is ended.
fn carry(client: &TcpStream, server: &TcpStream, shared: &Shared) -> io::Result<()> {
    for stream in [client, server] {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
    }
    let mut active = Instant::now();
    let mut is_ended = false;
    while !shared.is_over.load(Ordering::Relaxed) {
        for (from, to) in [(client, server), (server, client)] {
            let Some(bytes) = received(from)? else {
                continue;
            };
            if !is_ended {
                active = Instant::now();
                send(to, &bytes)?;
            } else if shared.end == End::ResetLater {
                return reset(client);
            }
        }
        if !is_ended && active.elapsed() > shared.after {
            is_ended = true;
            shared.ended.fetch_add(1, Ordering::Relaxed);
            match shared.end {
                End::Close => return Ok(()),
                End::Reset => return reset(client),
                End::ResetLater | End::Vanish => {}
            }
        }
        thread::sleep(CHECK_INTERVAL);
    }
    Ok(())
}

/// Makes dropping the stream reset it instead of closing it.
fn reset(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

/// Returns the received bytes, or `None` if there are none.
fn received(mut from: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; 64 << 10];
    match from.read(&mut buffer) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(length) => {
            buffer.truncate(length);
            Ok(Some(buffer))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn send(mut to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::sleep(CHECK_INTERVAL);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
