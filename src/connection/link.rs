//! A connection that reconnects if it broke while idle. Only a failed reconnect is a failure.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::whereabouts::Whereabouts;
use super::{Connection, Packed, closed, refused};
use crate::config::Endpoint;
use crate::failure::{Cause, Failure, Reason};
use crate::footprint::Footprint;
use crate::info::Info;
use crate::reply::Reply;

/// Called for each connection that replaced another one.
pub type OnReconnect = Arc<dyn Fn(Cause) + Send + Sync>;

/// The state to restore on a new connection before it replaces another one.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Commands to send first. Error replies are ignored.
    pub commands: Vec<Vec<String>>,
    /// The database to select.
    pub database: u32,
    /// The `run_id` that the server must have, or `None` if any server will do.
    pub run_id: Option<String>,
}

/// Minimum time between retries of rejected queries over new connections. A connection that is
/// closed whenever it is idle must not cause an error each time.
const RETRY_REJECTED_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// A connection to one target, with everything that is needed to reconnect.
pub struct Link {
    endpoint: Endpoint,
    footprint: Arc<Footprint>,
    connection: Connection,
    whereabouts: Whereabouts,
    /// Whether a reply has arrived over the connection. If none ever has, a reconnect is pointless.
    has_replied: bool,
    on_reconnect: OnReconnect,
    /// The time when rejected queries were last retried.
    retried_rejected: Option<Instant>,
    retries_rejected: bool,
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Link")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

/// The replies to a pipeline.
#[derive(Debug)]
pub struct Received {
    /// One reply for each command.
    pub replies: Vec<Reply>,
    /// Whether they arrived over a new connection.
    pub is_new: bool,
}

impl Link {
    /// Connects to a target. Executed commands are counted in `footprint`.
    ///
    /// # Errors
    ///
    /// See [`Connection::dial`].
    pub async fn dial(
        endpoint: &Endpoint,
        on_reconnect: OnReconnect,
        footprint: Arc<Footprint>,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let counted = Arc::clone(&footprint);
        let connection = Box::pin(Connection::dial(endpoint, counted, deadline)).await?;
        Ok(Self {
            endpoint: endpoint.clone(),
            footprint,
            connection,
            whereabouts: Whereabouts::default(),
            has_replied: false,
            on_reconnect,
            retried_rejected: None,
            retries_rejected: false,
        })
    }

    /// Uses what earlier links to this address have remembered about it.
    pub fn remember(&mut self, whereabouts: &Whereabouts) {
        self.whereabouts = whereabouts.clone();
    }

    /// Returns what is remembered about the address.
    pub(super) const fn whereabouts(&self) -> &Whereabouts {
        &self.whereabouts
    }

    /// Returns the time that it took to establish the current connection.
    #[must_use]
    pub const fn connect_time(&self) -> Duration {
        self.connection.connect_time()
    }

    /// Returns the size of the replies to the last pipeline, in bytes.
    #[must_use]
    pub const fn wire_bytes(&self) -> usize {
        self.connection.wire_bytes()
    }

    /// Returns the time between the first and the last part of the last pipeline.
    #[must_use]
    pub const fn spread(&self) -> Duration {
        self.connection.spread()
    }

    /// Records that all replies so far are dropped. See [`Connection::release`].
    pub fn release(&mut self) {
        self.connection.release();
    }

    /// Sends commands once, over the current connection. See [`Connection::request`].
    ///
    /// # Errors
    ///
    /// The connection broke, no reply came before `deadline`, or the server does not speak the
    /// protocol.
    pub async fn request_once<Word: AsRef<[u8]>>(
        &mut self,
        commands: &[impl AsRef<[Word]>],
        deadline: Instant,
    ) -> Result<Vec<Reply>, Failure> {
        self.send_once(&Packed::new(commands), deadline).await
    }

    /// Does the same with an encoded pipeline.
    pub(super) async fn send_once(
        &mut self,
        packed: &Packed,
        deadline: Instant,
    ) -> Result<Vec<Reply>, Failure> {
        let replies = self.connection.send(packed, deadline).await?;
        self.has_replied = true;
        Ok(replies)
    }

    /// Sends commands that may run twice.
    ///
    /// If the connection is broken, reconnects and sends them again. If there is no reply for half
    /// of the time, a second connection is tried in parallel. Packets of an idle connection may be
    /// dropped silently, but a server that is only slow must not be disconnected.
    ///
    /// # Errors
    ///
    /// The new connection failed too, no reply came before `deadline`, or the server does not speak
    /// the protocol.
    pub async fn request<Word: AsRef<[u8]>>(
        &mut self,
        commands: &[impl AsRef<[Word]>],
        setup: &Setup,
        deadline: Instant,
    ) -> Result<Received, Failure> {
        self.send(&Packed::new(commands), setup, deadline).await
    }

    /// Does the same with an encoded pipeline.
    pub(super) async fn send(
        &mut self,
        packed: &Packed,
        setup: &Setup,
        deadline: Instant,
    ) -> Result<Received, Failure> {
        let moved = self.has_moved().then_some(Cause::Moved);
        if let Some(cause) = self.connection.broken().await?.or(moved) {
            return Box::pin(self.resend(packed, setup, cause, deadline)).await;
        }
        let half = deadline.saturating_duration_since(Instant::now()) / 2;
        let patience = deadline.checked_sub(half).unwrap_or(deadline);
        let endpoint = &self.endpoint;
        let footprint = Arc::clone(&self.footprint);
        let may_redial = self.has_replied;
        let second = async {
            sleep_until(patience).await;
            if !may_redial {
                return Err(closed());
            }
            let fresh = dial_prepared(endpoint, footprint, setup, deadline);
            let mut fresh = Box::pin(fresh).await?;
            let replies = Box::pin(fresh.send(packed, deadline)).await?;
            Ok((fresh, replies))
        };
        let outcome = tokio::select! {
            biased;
            replies = self.connection.send(packed, deadline) => Err(replies),
            Ok(fresh) = second => Ok(fresh),
        };
        match outcome {
            Ok((fresh, replies)) => {
                self.replace(fresh, Cause::Unanswered);
                Ok(Received {
                    replies,
                    is_new: true,
                })
            }
            Err(Ok(replies)) => {
                self.has_replied = true;
                Ok(Received {
                    replies,
                    is_new: false,
                })
            }
            Err(Err(failure)) => match self.connection.broken().await? {
                Some(cause) if self.has_replied => {
                    Box::pin(self.resend(packed, setup, cause, deadline)).await
                }
                _ => Err(failure),
            },
        }
    }

    async fn resend(
        &mut self,
        packed: &Packed,
        setup: &Setup,
        cause: Cause,
        deadline: Instant,
    ) -> Result<Received, Failure> {
        let mut fresh = self.dial_fresh(setup, deadline).await?;
        let replies = fresh.send(packed, deadline).await?;
        self.replace(fresh, cause);
        Ok(Received {
            replies,
            is_new: true,
        })
    }

    async fn dial_fresh(
        &mut self,
        setup: &Setup,
        deadline: Instant,
    ) -> Result<Connection, Failure> {
        let footprint = Arc::clone(&self.footprint);
        // Rare, and large: on the heap, it takes no memory in the task of a target that is connected.
        Box::pin(dial_prepared(&self.endpoint, footprint, setup, deadline)).await
    }

    /// Reconnects. Keeps the current connection if that fails.
    ///
    /// # Errors
    ///
    /// See [`Connection::dial`].
    pub async fn redial(
        &mut self,
        setup: &Setup,
        cause: Cause,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let fresh = self.dial_fresh(setup, deadline).await?;
        self.replace(fresh, cause);
        self.has_replied = false;
        Ok(())
    }

    /// Returns why the current connection can no longer be used, if another one may replace it.
    pub async fn broken(&mut self) -> Option<Cause> {
        let cause = self.connection.broken().await.ok().flatten();
        cause.filter(|_| self.has_replied)
    }

    /// Returns whether rejected queries are to be retried, once after a reconnect.
    pub const fn take_retries_rejected(&mut self) -> bool {
        std::mem::replace(&mut self.retries_rejected, false)
    }

    fn has_moved(&self) -> bool {
        let peer = self.connection.peer();
        self.whereabouts.has_moved(&self.endpoint.address, peer)
    }

    fn replace(&mut self, fresh: Connection, cause: Cause) {
        if cause == Cause::Moved {
            self.whereabouts.leave();
        }
        let retried = self.retried_rejected;
        if retried.is_none_or(|retried| retried.elapsed() >= RETRY_REJECTED_INTERVAL) {
            self.retried_rejected = Some(Instant::now());
            self.retries_rejected = true;
        }
        let (address, cause_text) = (self.endpoint.address.to_string(), cause.as_str());
        debug!(address, cause = cause_text, "reconnected");
        self.connection = fresh;
        self.has_replied = true;
        (self.on_reconnect)(cause);
    }
}

/// Opens a connection that may replace another one.
async fn dial_prepared(
    endpoint: &Endpoint,
    footprint: Arc<Footprint>,
    setup: &Setup,
    deadline: Instant,
) -> Result<Connection, Failure> {
    let mut connection = Connection::dial(endpoint, footprint, deadline).await?;
    prepare(&mut connection, setup, deadline).await?;
    Ok(connection)
}

/// Brings a new connection to the state of the previous one.
async fn prepare(
    connection: &mut Connection,
    setup: &Setup,
    deadline: Instant,
) -> Result<(), Failure> {
    let mut packed = Packed::new(&setup.commands);
    let database = setup.database.to_string();
    if setup.database != 0 {
        packed.push(["SELECT", &database].into_iter());
    }
    if setup.run_id.is_some() {
        packed.push(["INFO", "server"].into_iter());
    }
    if packed.is_empty() {
        return Ok(());
    }
    let replies = connection.send(&packed, deadline).await?;
    let selected = replies.get(setup.commands.len());
    let refusal = selected.and_then(Reply::refusal);
    if let Some(refusal) = refusal.filter(|_| setup.database != 0) {
        return Err(refused(refusal));
    }
    let Some(run_id) = &setup.run_id else {
        return Ok(());
    };
    let info = replies.last();
    if let Some(refusal) = info.and_then(Reply::refusal) {
        return Err(refused(refusal));
    }
    let text = info.and_then(Reply::text).unwrap_or_default();
    if Info::parse(text).get("run_id") == Some(run_id) {
        Ok(())
    } else {
        let detail = "the server was restarted, or another server responded";
        Err(Failure::new(Reason::Closed, detail))
    }
}
