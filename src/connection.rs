//! A connection to one target: connect, handshake, queries.
//!
//! A [`Connection`] is used until its first failure and then dropped. A [`Link`] reconnects if its
//! connection broke while idle. This module does not interpret replies.

mod budget;
mod decode;
mod dial;
mod handshake;
mod identity;
mod link;
mod logged;
mod login;
mod moves;
mod pack;
mod pool;
mod quiet;
mod read;
mod resolve;
pub(crate) mod resp;
mod role;
mod session;
mod stream;
mod tls;
mod whereabouts;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, sleep_until};

use crate::config::Endpoint;
use crate::failure::{Cause, Failure, Reason};
use crate::footprint::{Calls, Footprint, Pipeline};
use crate::reply::{Refusal, Reply};

pub use budget::KEY_NAME_BYTES;
use budget::PIPELINE_BYTES;
pub use decode::{decode, refused};
use dial::Stream;
pub use dial::open as open_stream;
pub use link::{Link, OnReconnect, Setup};
use pack::Packed;
pub use pack::Spacing;
use pool::MemoryShare;
use read::{ReadFault, read, unrequested};
pub use resolve::resolve;
use resp::Decoder;
pub use role::ConnectedRole;
pub use session::{PairedReplies, Session};
pub use stream::{Message, MessageStream};
pub use whereabouts::Whereabouts;

/// Bytes that are read at a time.
const READ_BYTES: usize = 16 << 10;

/// Reads before the task yields, so that an endless reply does not block other tasks.
const READS_PER_TURN: u32 = 16;

/// An open, authenticated connection. Dropping it closes it.
pub struct Connection {
    stream: Stream,
    /// The remote address.
    peer: Option<SocketAddr>,
    connect_time: Duration,
    decoder: Decoder,
    /// The memory of replies that were not released yet.
    share: MemoryShare,
    /// Whether every reply so far was read to its end.
    is_in_step: bool,
    /// Size of the replies to the last pipeline, in bytes.
    wire_bytes: usize,
    /// Time it took to send the parts of the last pipeline.
    spread: Duration,
    broken: Option<Cause>,
    /// The counter of executed commands.
    footprint: Arc<Footprint>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects, authenticates, selects the database, names itself, and checks the cluster node.
    ///
    /// All of it must complete before `deadline`. Executed commands are counted in `footprint`.
    ///
    /// # Errors
    ///
    /// The step that failed, with its reason.
    pub async fn dial(
        endpoint: &Endpoint,
        footprint: Arc<Footprint>,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let started = Instant::now();
        let (address, allowed) = (&endpoint.address, endpoint.allowed.as_deref());
        let opened = dial::open(address, &endpoint.tls, allowed, deadline).await?;
        let (mut stream, peer) = opened;
        // A file on a file system that hangs must not block the target.
        let commands = handshake::commands(endpoint);
        let commands = within(deadline, "the password file", commands).await?;
        let shake = handshake::perform(&mut stream, &commands, &endpoint.tls);
        within(deadline, "the handshake", shake).await?;
        footprint.add(commands.len() as u64);
        let connection = Self {
            stream,
            peer,
            connect_time: started.elapsed(),
            decoder: Decoder::new(budget::limits(b"", PIPELINE_BYTES)),
            share: MemoryShare::default(),
            is_in_step: true,
            wire_bytes: 0,
            spread: Duration::ZERO,
            broken: None,
            footprint,
        };
        identity::checked(connection, endpoint.node.as_ref(), deadline).await
    }

    /// Returns the remote address, or `None` for Unix sockets.
    #[must_use]
    pub const fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns how long connecting and the handshake took.
    #[must_use]
    pub const fn connect_time(&self) -> Duration {
        self.connect_time
    }

    /// Returns the size of the replies to the last pipeline, in bytes.
    #[must_use]
    pub const fn wire_bytes(&self) -> usize {
        self.wire_bytes
    }

    /// Returns the time between the first and the last part of the last pipeline.
    #[must_use]
    pub const fn spread(&self) -> Duration {
        self.spread
    }

    /// Records that all replies so far are dropped.
    pub fn release(&mut self) {
        self.share.set(0);
    }

    /// Sends commands in one pipeline.
    ///
    /// The replies, including error replies, are in the same order. A reply that exceeds the limit
    /// of its command becomes an error reply.
    ///
    /// # Errors
    ///
    /// The connection broke, no reply came before `deadline`, or the server does not speak the
    /// protocol. The connection must not be used again then: late replies would be paired with the
    /// wrong queries.
    pub async fn request<Argument: AsRef<[u8]>>(
        &mut self,
        commands: &[impl AsRef<[Argument]>],
        deadline: Instant,
    ) -> Result<Vec<Reply>, Failure> {
        self.send(&Packed::new(commands), deadline).await
    }

    /// Sends commands that are already encoded.
    async fn send(&mut self, packed: &Packed, deadline: Instant) -> Result<Vec<Reply>, Failure> {
        if !std::mem::replace(&mut self.is_in_step, false) {
            return Err(Failure::new(Reason::Closed, "the connection has failed"));
        }
        let names = |at| packed.name(at);
        let calls = Calls::of((0..packed.len()).map(names));
        let pipeline = Pipeline::begin(&self.footprint, calls);
        let replies = within(deadline, "the reply", self.exchange(packed)).await?;
        self.is_in_step = true;
        let refused = |reply: &Reply| reply.refusal().is_some_and(Refusal::is_before_execution);
        let executed = replies.iter().enumerate();
        let executed = executed.filter(|(_, reply)| !refused(reply));
        let executed: Vec<&[u8]> = executed.map(|(at, _)| packed.name(at)).collect();
        pipeline.end(executed.len() as u64, Calls::of(executed));
        Ok(replies)
    }

    async fn exchange(&mut self, packed: &Packed) -> Result<Vec<Reply>, Failure> {
        let (reader, mut writer) = tokio::io::split(&mut self.stream);
        let spread = &mut self.spread;
        let write = async {
            let started = Instant::now();
            let mut due = started;
            *spread = Duration::ZERO;
            for part in packed.parts() {
                if due > started {
                    sleep_until(due).await;
                    *spread = started.elapsed();
                }
                // If this fails, reading returns the reason. Anything that the server sent before
                // closing is read first.
                if writer.write_all(part).await.is_err() || writer.flush().await.is_err() {
                    break;
                }
                due += packed.gap();
            }
            Ok(())
        };
        let read = read(
            reader,
            &mut self.decoder,
            packed,
            &mut self.wire_bytes,
            &mut self.share,
        );
        let result = tokio::try_join!(write, read).map(|((), replies)| replies);
        result.map_err(|fault| match fault {
            ReadFault::Broken(cause) => {
                self.broken = Some(cause);
                closed()
            }
            ReadFault::Failed(failure) => failure,
        })
    }

    /// Returns why the connection can no longer be used, or `None` if it can.
    ///
    /// # Errors
    ///
    /// The server sent a reply to no query.
    async fn broken(&mut self) -> Result<Option<Cause>, Failure> {
        if self.broken.is_some() || !self.is_in_step {
            return Ok(self.broken);
        }
        let mut bytes = [0; 64];
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = poll_fn(|context| {
            // Reads only what is already there, without waiting.
            Poll::Ready(
                match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                    Poll::Pending => None,
                    Poll::Ready(result) => Some(result),
                },
            )
        });
        match read.await {
            None => {}
            Some(Ok(())) => match buffer.filled().first() {
                // Some proxies send an error before they close an idle connection.
                None | Some(b'-') => self.broken = Some(Cause::Closed),
                Some(_) => return Err(unrequested()),
            },
            Some(Err(error)) => self.broken = Some(cause(&error)),
        }
        Ok(self.broken)
    }
}

fn closed() -> Failure {
    Failure::new(Reason::Closed, "the server closed the connection")
}

fn cause(error: &io::Error) -> Cause {
    match error.kind() {
        // The server closed the connection without a TLS close_notify.
        io::ErrorKind::UnexpectedEof => Cause::Closed,
        io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable => Cause::Unanswered,
        _ => Cause::Reset,
    }
}

/// Waits for a step until the deadline.
async fn within<T>(
    deadline: Instant,
    step: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout_at(deadline, work).await {
        Ok(result) => result,
        Err(_) => Err(Failure::new(
            Reason::Timeout,
            format!("timed out waiting for {step}"),
        )),
    }
}
