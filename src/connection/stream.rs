//! A connection over which the server also sends messages on its own, with RESP3.
//!
//! Messages and replies are in the order in which the server sent them.

use std::fmt;
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::time::Instant;

use super::resp::ReplyLimits;
use super::role::ConnectedRole;
use super::whereabouts::Whereabouts;
use super::{
    Connection, Packed, READ_BYTES, READS_PER_TURN, budget, closed, decode, refused, within,
};
use crate::config::{Address, Endpoint};
use crate::failure::{Failure, Reason};
use crate::footprint::Footprint;
use crate::info::Info;
use crate::reply::{Refusal, Reply};

/// Maximum memory of a message or a reply. The largest name the keys that changed within one turn of
/// the server; each takes about 120 bytes more than its name.
const MESSAGE_BYTES: usize = 4 << 20;

/// Maximum length of a string. The longest are replies to INFO.
const STRING_BYTES: usize = 256 << 10;

/// Data from the server.
#[derive(Debug, PartialEq)]
pub enum Message {
    /// A message that no command requested.
    Push(Reply),
    /// The reply to the oldest command without one.
    Reply(Reply),
}

/// An open connection with RESP3.
pub struct MessageStream {
    connection: Connection,
    address: Address,
    whereabouts: Whereabouts,
    role: ConnectedRole,
}

impl fmt::Debug for MessageStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(formatter)
    }
}

impl MessageStream {
    /// Connects to a target, and switches to RESP3. Returns the error reply of a server that does
    /// not support it. Pass the same `whereabouts` for each connection that replaces another one.
    ///
    /// # Errors
    ///
    /// See [`Connection::dial`].
    pub async fn dial(
        endpoint: &Endpoint,
        whereabouts: &Whereabouts,
        footprint: Arc<Footprint>,
        deadline: Instant,
    ) -> Result<Result<Self, Refusal>, Failure> {
        let mut connection = Box::pin(Connection::dial(endpoint, footprint, deadline)).await?;
        let replies = connection.request(&[["HELLO", "3"]], deadline).await?;
        if let Some(Reply::Error(refusal)) = replies.into_iter().next() {
            let failure = refused(&refusal);
            let is_unsupported = !refusal.is_passing()
                && refusal.code != "DENIED"
                && !matches!(failure.reason, Reason::MaxClients | Reason::Auth);
            return if is_unsupported {
                Ok(Err(refusal))
            } else {
                Err(failure)
            };
        }
        connection.release();
        connection.decoder.accept_pushes();
        connection.decoder.set_limits(ReplyLimits {
            reply_bytes: MESSAGE_BYTES,
            string_bytes: STRING_BYTES,
            // The name of a key can have 512 MB.
            wire_limit: budget::wire_bytes(b"SCAN"),
        });
        Ok(Ok(Self {
            connection,
            address: endpoint.address.clone(),
            whereabouts: whereabouts.clone(),
            role: ConnectedRole::new(whereabouts.clone()),
        }))
    }

    /// Returns whether the host name no longer resolves to the connected address. Call it regularly:
    /// it starts lookups and processes their results. Once it has, use another connection.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        let peer = self.connection.peer();
        let has_moved = self.whereabouts.has_moved(&self.address, peer);
        if has_moved {
            self.whereabouts.leave();
        }
        has_moved
    }

    /// Records the role of the server. Returns whether a new connection may lead to another server.
    /// See [`ConnectedRole::record`].
    pub fn has_changed_role(&mut self, info: &Info) -> bool {
        self.role.record(info.get("role"), Instant::now())
    }

    /// Sends commands without waiting for replies.
    ///
    /// # Errors
    ///
    /// The connection broke, or the server does not read before `deadline`.
    pub async fn send<Word: AsRef<[u8]>>(
        &mut self,
        commands: &[impl AsRef<[Word]>],
        deadline: Instant,
    ) -> Result<(), Failure> {
        let packed = Packed::new(commands);
        let stream = &mut self.connection.stream;
        let write = async {
            let written = stream.write_all(packed.bytes()).await;
            written.map_err(|_| closed())?;
            stream.flush().await.map_err(|_| closed())
        };
        within(deadline, "the server to read", write).await
    }

    /// Records that the server executed this many commands.
    pub fn count(&self, commands: u64) {
        self.connection.footprint.add(commands);
    }

    /// Lets data arrive without waking up the process, until the next read that has to wait. A server
    /// that sends each message on its own would wake it up a thousand times per second.
    pub fn quiet(&mut self) {
        self.connection.stream.quiet();
    }

    /// Waits for data, and passes on everything that has arrived, up to a limit. Returns whether that
    /// was all. Nothing is lost if the wait is canceled.
    ///
    /// # Errors
    ///
    /// The connection broke, or the server does not speak the protocol.
    pub async fn read(
        &mut self,
        handle: &mut (dyn FnMut(Message) + Send),
    ) -> Result<bool, Failure> {
        poll_fn(|context| {
            for read in 0..READS_PER_TURN {
                match self.read_once(context, handle) {
                    // There was something to read before.
                    Poll::Pending if read > 0 => return Poll::Ready(Ok(true)),
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                    Poll::Ready(Ok(())) => {}
                }
            }
            Poll::Ready(Ok(false))
        })
        .await
    }

    fn read_once(
        &mut self,
        context: &mut Context<'_>,
        handle: &mut (dyn FnMut(Message) + Send),
    ) -> Poll<Result<(), Failure>> {
        let mut bytes = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        let read = Pin::new(&mut self.connection.stream).poll_read(context, &mut buffer);
        let mut bytes = match read {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(_)) => return Poll::Ready(Err(closed())),
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                return Poll::Ready(Err(closed()));
            }
            Poll::Ready(Ok(())) => buffer.filled(),
        };
        while !bytes.is_empty() {
            match self.connection.decoder.decode(&mut bytes) {
                Err(_) => return Poll::Ready(Err(decode::not_the_protocol())),
                Ok(None) => {}
                Ok(Some(reply)) if self.connection.decoder.is_push() => {
                    handle(Message::Push(reply));
                }
                Ok(Some(reply)) => handle(Message::Reply(reply)),
            }
        }
        Poll::Ready(Ok(()))
    }
}
