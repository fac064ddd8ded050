//! Sends the queries of a sweep: SCAN, MEMORY USAGE, PTTL, TYPE and some sections of INFO.
//!
//! This is the only I/O of the module; others interpret the replies.

mod details;
mod scan;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::inspect::Refusals;
use super::lull::Lull;
use super::vitals::{InfoForm, text};
use crate::collector::{Mode, Server};
use crate::config::Target;
use crate::connection::{
    ConnectedRole, OnReconnect, PairedReplies, Session, Setup, Spacing, Whereabouts, refused,
};
use crate::failure::{Cause, Failure, Reason};
use crate::footprint::{Caused, Footprint, Passage};
use crate::info::Info;
use crate::keyspace::cost::SweepQuery;
use crate::keyspace::keys::query::Lookups;
use crate::keyspace::queries::{NO_EVICT, NO_TOUCH, READ_ONLY, SELECT, SIZE};
use crate::query::{Command, Query, Ticket};
use crate::reply::{Refusal, Reply};
pub use details::{KEYS_PER_PIPELINE, KeyDetails, WantedKey};
pub use scan::Step;

/// A connection for sweeping, with the queries that the server rejects over it.
#[derive(Debug)]
pub struct KeyReader {
    pub(super) session: Session,
    footprint: Arc<Footprint>,
    /// Keeps the poll from reading INFO until the lookups are counted.
    passage: Option<Passage>,
    /// The setup of a connection that replaces this one.
    setup: Setup,
    server: Server,
    timeout: Duration,
    /// The queries that received a reply for some key.
    replied: Vec<SweepQuery>,
    round_trip: Duration,
    role: ConnectedRole,
    /// Maximum COUNT of SCAN that the length of the names allows.
    count_max: u32,
    /// Commands sent since this was last taken.
    sent: u32,
    /// Single keys and databases that are not queried again.
    pub(super) refusals: Refusals,
    /// How INFO is requested.
    pub(super) sections: InfoForm,
    /// Times without queries for keys.
    pub(super) lull: Lull,
}

impl KeyReader {
    /// Dials the server whose keyspace is swept, and detects its kind.
    ///
    /// # Errors
    ///
    /// The dial failed, or the server refused INFO.
    pub async fn open(
        target: &Target,
        whereabouts: &Whereabouts,
        on_reconnect: OnReconnect,
        footprint: Arc<Footprint>,
    ) -> Result<Self, Failure> {
        let timeout = target.poll.timeout;
        let deadline = Instant::now() + timeout;
        let counted = Arc::clone(&footprint);
        let passage = footprint.enter().await;
        let (name, endpoint) = (&target.name, target.sweep_endpoint());
        let mut session = Session::open(name, &endpoint, on_reconnect, counted, deadline).await?;
        session.link().remember(whereabouts);
        let replies = session
            .link()
            .request_once(&[["INFO", "server"], ["INFO", "cluster"]], deadline)
            .await?;
        drop(passage);
        let texts: Result<Vec<_>, _> = replies.iter().map(text).collect();
        let texts = texts?.concat();
        let info = Info::parse(texts);
        let server = Server::from_info(&info);
        let unobtrusive = unobtrusive(&server);
        let words = unobtrusive
            .iter()
            .filter_map(|query| query.commands.first());
        let owned = |words: &&[&str]| words.iter().map(ToString::to_string).collect();
        let setup = Setup {
            commands: words.map(owned).collect(),
            database: 0,
            // Cursors are invalid on another server, and on this one after a restart.
            run_id: info.get("run_id").map(str::to_owned),
        };
        let mut reader = Self {
            session,
            footprint,
            passage: None,
            setup,
            server,
            timeout,
            replied: Vec::new(),
            round_trip: Duration::ZERO,
            role: ConnectedRole::new(whereabouts.clone()),
            count_max: u32::MAX,
            sent: 0,
            refusals: Refusals::default(),
            sections: InfoForm::of(&server),
            lull: Lull::default(),
        };
        if !unobtrusive.is_empty() {
            // A user without permission for these commands can still sweep.
            let commands: Vec<_> = unobtrusive.into_iter().map(Command::from).collect();
            reader.request(&commands).await?;
        }
        Ok(reader)
    }

    /// Returns the kind of the server.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// Returns what the server rejected over this connection.
    #[must_use]
    pub fn refused(&self) -> Vec<(SweepQuery, Refusal)> {
        let refused = self.session.rejections().all().iter();
        let of_sweep = refused.filter_map(|rejected| {
            Some((SweepQuery::of(rejected.query)?, rejected.refusal.clone()))
        });
        of_sweep.collect()
    }

    /// Returns whether a query is still sent over this connection.
    #[must_use]
    pub fn sends(&self, query: SweepQuery) -> bool {
        !self.session.rejections().covers(query.query().into())
    }

    /// Returns whether the server replies to a query; `None` if it was not sent over this
    /// connection.
    #[must_use]
    pub fn replies_to(&self, query: SweepQuery) -> Option<bool> {
        if self.sends(query) {
            self.replied.contains(&query).then_some(true)
        } else {
            Some(false)
        }
    }

    /// Returns whether a query was sent for some key over this connection.
    #[must_use]
    pub fn has_tried(&self, query: SweepQuery) -> bool {
        self.session.rejections().has_tried(query.query())
    }

    /// Returns the longest round trip since the last call.
    pub fn take_round_trip(&mut self) -> Duration {
        std::mem::take(&mut self.round_trip)
    }

    /// Returns the number of commands sent since the last call.
    pub fn take_sent(&mut self) -> u32 {
        std::mem::take(&mut self.sent)
    }

    /// Returns the effects of the exporter on the server's counters.
    #[must_use]
    pub fn caused(&self) -> Caused {
        self.footprint.caused()
    }

    /// Sends commands that the server does not count as lookups, and that may be repeated. Returns
    /// the replies in the order of the commands.
    ///
    /// If the connection breaks, reconnects to the same server and selects the same database, so
    /// that the sweep continues.
    pub(super) async fn request(
        &mut self,
        commands: &[Command<'_>],
    ) -> Result<Vec<Reply>, Failure> {
        let replied = self.send(commands, Spacing::NONE).await?;
        self.settle(0, 0);
        Ok(replied.into_iter().map(|(_, reply)| reply).collect())
    }

    /// Counts the lookups that the last commands caused on the server, and lets the poll continue.
    fn settle(&mut self, hits: u64, misses: u64) {
        self.footprint.settle(hits, misses);
        self.passage = None;
    }

    /// Sends commands in one pipeline. Those that the server counts as lookups must be counted with
    /// [`KeyReader::settle`].
    async fn send(
        &mut self,
        commands: &[Command<'_>],
        spacing: Spacing,
    ) -> Result<PairedReplies, Failure> {
        // Drop the passage that a failed command left, or entering would wait for it forever.
        self.passage = None;
        let passage = self.footprint.enter().await;
        self.session.link().release();
        let sent = u32::try_from(commands.len()).unwrap_or(u32::MAX);
        self.sent = self.sent.saturating_add(sent);
        let started = Instant::now();
        let deadline = started + self.timeout;
        let sent = self
            .session
            .query_first(commands, spacing, &self.setup, deadline);
        // On the heap, so that a sweep that waits for its next query takes no memory for it.
        let (replied, is_new) = Box::pin(sent).await?;
        self.end(passage, started, is_new);
        Ok(replied)
    }

    /// Sends commands, those of each query that was never sent before with one of them first, so that
    /// a denial costs one error instead of hundreds. Omits the commands that are rejected, and those
    /// that are not `wanted` any more.
    ///
    /// `read` receives the replies of each part, and adds the lookups that the server counted.
    pub(super) async fn query(
        &mut self,
        mut commands: Vec<Command<'_>>,
        spacing: Spacing,
        wanted: impl Fn(&Self, Ticket) -> bool,
        mut read: impl FnMut(&mut Self, PairedReplies, &mut Lookups) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let is_open = |reader: &Self, ticket: Ticket| {
            !reader.session.rejections().covers(ticket) && wanted(reader, ticket)
        };
        commands.retain(|command| is_open(self, command.ticket));
        let first = self.session.take_first(&mut commands);
        for mut commands in [first, commands] {
            commands.retain(|command| is_open(self, command.ticket));
            if commands.is_empty() {
                continue;
            }
            // Held until the lookups are counted.
            let _passage = self.lull.pass().await;
            let replies = self.send(&commands, spacing).await?;
            let mut lookups = Lookups::default();
            let result = read(self, replies, &mut lookups);
            self.settle(lookups.hits, lookups.misses);
            result?;
        }
        Ok(())
    }

    fn end(&mut self, passage: Passage, started: Instant, is_new: bool) {
        if self.session.take_is_forgotten() {
            self.replied.clear();
            self.refusals = Refusals::default();
        }
        // The time of a dial does not reflect the server's load.
        if !is_new {
            let round_trip = started
                .elapsed()
                .saturating_sub(self.session.link().spread());
            self.round_trip = self.round_trip.max(round_trip);
        }
        self.passage = Some(passage);
    }

    /// Redials if a new connection may lead to another server. See [`ConnectedRole::record`].
    ///
    /// # Errors
    ///
    /// Another server replies, and the sweep must begin again over its keys.
    pub(super) async fn record_role(&mut self, role: Option<&str>) -> Result<(), Failure> {
        if !self.role.record(role, Instant::now()) {
            return Ok(());
        }
        let deadline = Instant::now() + self.timeout;
        let cause = Cause::RoleChanged;
        self.session.redial(&self.setup, cause, deadline).await
    }

    /// Counts the keys of the selected database, for servers whose INFO does not report them.
    pub(super) async fn size(&mut self) -> Result<u64, Failure> {
        let replies = self.request(&[(&SIZE).into()]).await?;
        let reply = replies.first().unwrap_or(&Reply::Nil);
        if let Some(refusal) = reply.refusal() {
            return Err(refused(refusal));
        }
        let size = reply.integer().and_then(|size| u64::try_from(size).ok());
        size.ok_or_else(|| Failure::new(Reason::Protocol, "the reply to DBSIZE is not a number"))
    }

    /// Selects a database.
    ///
    /// # Errors
    ///
    /// The connection failed, or there is no such database.
    pub async fn select(&mut self, database: u32) -> Result<(), Failure> {
        match self.try_select(database).await? {
            Some(refusal) => Err(refused(&refusal)),
            None => Ok(()),
        }
    }

    /// Returns the selected database.
    pub(super) const fn selected(&self) -> u32 {
        self.setup.database
    }

    /// Selects a database. Returns the refusal if the server refuses it, now or before over this
    /// connection.
    pub(super) async fn try_select(&mut self, database: u32) -> Result<Option<Refusal>, Failure> {
        // Database 0 is selected from the start, and nodes of older clusters know no other.
        if database == self.setup.database {
            return Ok(None);
        }
        if let Some(refusal) = self.refusals.databases.get(&database) {
            return Ok(Some(refusal.clone()));
        }
        let number = database.to_string().into_bytes();
        let replies = self.request(&[SELECT.with(0, [number])]).await?;
        let refusal = replies.first().and_then(Reply::refusal).cloned();
        match &refusal {
            Some(refusal) => {
                let refusals = &mut self.refusals.databases;
                refusals.insert(database, refusal.clone());
            }
            None => self.setup.database = database,
        }
        Ok(refusal)
    }

    /// Returns whether the server has refused this database over this connection.
    pub(super) fn has_refused(&self, database: u32) -> bool {
        self.refusals.databases.contains_key(&database)
    }

    pub(super) fn record_reply(&mut self, query: SweepQuery) {
        if !self.replied.contains(&query) {
            self.replied.push(query);
        }
    }
}

/// Returns the commands that reduce the impact of the sweep. The sweep leaves the LRU clock alone,
/// is not disconnected when clients take too much memory, and may read from a cluster replica.
/// Omits commands unknown to the server: they would count as errors.
fn unobtrusive(server: &Server) -> Vec<&'static Query> {
    let queries = [
        (server.knows_no_evict(), &NO_EVICT),
        (server.knows_no_touch(), &NO_TOUCH),
        (server.mode == Mode::Cluster, &READ_ONLY),
    ];
    let wanted = queries.into_iter().filter(|(is_wanted, _)| *is_wanted);
    wanted.map(|(_, query)| query).collect()
}
