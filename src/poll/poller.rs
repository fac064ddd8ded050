//! Sends the polls of one session: which commands, in which order.

mod further;
mod info;
mod traced;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use self::traced::tickets;
use super::parameters::Parameters;
use super::plan::Plan;
use super::sections::Sections;
use crate::collector::function_stats::{self, RunningFunction};
use crate::collector::{Circumstances, Collector, INFO, Replies, Server};
use crate::config::Target;
use crate::connection::{
    ConnectedRole, OnReconnect, Session, Setup, Spacing, Whereabouts, refused,
};
use crate::failure::{Cause, Failure, Reason};
use crate::footprint::{Caused, Footprint, Replied};
use crate::query::{Command, Query, Rejected, Ticket};
use crate::reply::{Refusal, Reply};
use crate::trace::SentPipeline;

/// Minimum size of large replies. Ordinary polls have 30 to 200 KB, which are read in a few
/// milliseconds.
const LARGE_BYTES: usize = 512 << 10;

/// Divisor of the timeout: the maximum wait for sweep commands in flight.
const HOLD_SHARE: u32 = 4;

/// Maximum number of polls in a row, after the first, whose exporter traffic may be unknown because
/// sweep commands were in flight. After that, INFO's call counts are used.
const UNHELD_POLLS: u32 = 3;

static PING: Query = Query::new(&[&["PING"]], "+ping");

/// Polls one server over one session.
#[derive(Debug)]
pub struct Poller {
    session: Session,
    /// Load that the exporter causes on the server, including the sweep.
    footprint: Arc<Footprint>,
    /// Number of polls in a row whose INFO was sent while sweep commands were in flight.
    unheld: u32,
    plan: Plan,
    sections: Sections,
    parameters: Parameters,
    /// Whether PING was rejected for now. It is sent again once INFO reports that the cause has
    /// ended, because the server counts every rejection as an error.
    ping_rests: bool,
    /// Round trip of a PING since the last poll.
    pinged: Option<Duration>,
    /// Whether the server rejected INFO because it is busy with a script.
    is_busy: bool,
    /// Scripts that broke the connection or timed out.
    broken_by: Vec<Ticket>,
    role: ConnectedRole,
    /// Whether a new connection may lead to another server.
    may_have_moved: bool,
    /// Replies to the scripts of this poll. A poll that is repeated over a new connection must not
    /// run them twice.
    script_replies: Vec<(Ticket, Reply)>,
    /// Size of all replies of this poll so far, in bytes.
    wire_bytes: usize,
    /// The pipelines of this poll.
    pipelines: Vec<SentPipeline>,
}

/// The replies of one poll.
#[derive(Debug)]
pub struct Round {
    /// Round trip of the last PING; `None` if the user may not send it.
    pub ping: Option<Duration>,
    /// Collectors whose queries were sent or are known to be rejected.
    pub collectors: Vec<&'static Collector>,
    /// Collectors with a rejected dependent query.
    pub refused: Vec<&'static str>,
    /// Commands and lookups of the exporter up to that INFO; `None` if sweep commands were in
    /// flight.
    pub caused: Option<Caused>,
    /// Replies by query.
    pub replies: Replies,
    /// Size of all replies, in bytes.
    wire_bytes: usize,
}

impl Round {
    /// Returns whether reading the replies takes too long for the main threads.
    #[must_use]
    pub const fn is_large(&self) -> bool {
        self.wire_bytes > LARGE_BYTES
    }
}

impl Poller {
    /// Uses what earlier pollers of the target have remembered about its address.
    #[must_use]
    pub fn remembering(mut self, whereabouts: &Whereabouts) -> Self {
        self.role = ConnectedRole::new(whereabouts.clone());
        self.session.link().remember(whereabouts);
        self
    }

    /// Connects to a target. Calls `on_reconnect` for each later connection.
    ///
    /// # Errors
    ///
    /// See [`Session::open`].
    pub async fn open(
        target: &Target,
        on_reconnect: OnReconnect,
        footprint: Arc<Footprint>,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let (counted, endpoint) = (Arc::clone(&footprint), &target.endpoint);
        Ok(Self {
            session: Session::open(&target.name, endpoint, on_reconnect, counted, deadline).await?,
            footprint,
            unheld: 0,
            plan: Plan::default(),
            sections: Sections::default(),
            ping_rests: false,
            pinged: None,
            parameters: Parameters::default(),
            is_busy: false,
            broken_by: Vec::new(),
            role: ConnectedRole::new(Whereabouts::default()),
            may_have_moved: false,
            script_replies: Vec::new(),
            wire_bytes: 0,
            pipelines: Vec::new(),
        })
    }

    /// Returns how long connecting took.
    pub const fn connect_time(&mut self) -> Duration {
        self.session.link().connect_time()
    }

    /// Records that the replies of the last poll were dropped.
    pub fn release(&mut self) {
        self.session.link().release();
    }

    /// Returns the scripts that broke the connection or timed out since the last call.
    pub fn take_broken_by(&mut self) -> Vec<Ticket> {
        std::mem::take(&mut self.broken_by)
    }

    /// Returns the kind of server, such as `redis 7.0 standalone`; empty if unknown.
    #[must_use]
    pub fn server_text(&self) -> String {
        let server = self.plan.server();
        server.map(Server::to_string).unwrap_or_default()
    }

    /// Queries the function that keeps the server busy, if it rejected INFO for that reason.
    ///
    /// # Errors
    ///
    /// Returns the rejection if it is permanent. The query must not be sent again.
    pub async fn running_function(
        &mut self,
        deadline: Instant,
    ) -> Result<Option<RunningFunction>, Refusal> {
        if !self.is_busy {
            return Ok(None);
        }
        let commands = vec![(&function_stats::QUERY).into()];
        let Ok(received) = self.session.query(commands, deadline).await else {
            return Ok(None);
        };
        match received.first().map(|(_, reply)| reply) {
            Some(Reply::Error(refusal)) if !refusal.is_passing() => Err(refusal.clone()),
            reply => Ok(reply.and_then(function_stats::running)),
        }
    }

    /// Returns whether the server has FUNCTION STATS.
    #[must_use]
    pub fn knows_function_stats(&self) -> bool {
        self.plan.server().is_some_and(function_stats::applies)
    }

    /// Returns the queries that the server rejected permanently in this session.
    #[must_use]
    pub fn rejected(&self) -> &[Rejected] {
        self.session.rejections().all()
    }

    /// Checks that the server still replies. Any reply is sufficient.
    ///
    /// # Errors
    ///
    /// Returns a failure if no reply arrives before the deadline.
    pub async fn check(&mut self, deadline: Instant) -> Result<(), Failure> {
        if self.may_ping() {
            let took = self.ping(deadline).await?;
            // The next poll needs no PING of its own, unless this one was rejected.
            self.pinged = Some(took).filter(|_| self.may_ping());
            return Ok(());
        }
        // Every user that can be polled may send INFO, and one section of it costs little.
        let (commands, setup) = ([["INFO", "server"]], Setup::default());
        let received = self.session.link().request(&commands, &setup, deadline);
        if received.await?.is_new {
            self.reconnect();
        }
        Ok(())
    }

    fn may_ping(&self) -> bool {
        !self.ping_rests && !self.session.rejections().covers((&PING).into())
    }

    /// Sends the first commands after a pause, during which the connection may have broken.
    async fn query_first(
        &mut self,
        commands: &[Command<'_>],
        deadline: Instant,
    ) -> Result<Vec<(Ticket, Reply)>, Failure> {
        let (sent, started) = (tickets(commands), Instant::now());
        let setup = Setup::default();
        let received = self
            .session
            .query_first(commands, Spacing::NONE, &setup, deadline)
            .await;
        let replies = received.as_ref().ok().map(|(replies, _)| &**replies);
        self.trace(sent, started, replies);
        let (received, is_new) = received?;
        if is_new {
            self.reconnect();
        }
        Ok(received)
    }

    async fn query(
        &mut self,
        commands: Vec<Command<'_>>,
        deadline: Instant,
    ) -> Result<Vec<(Ticket, Reply)>, Failure> {
        let (sent, started) = (tickets(&commands), Instant::now());
        let received = self.session.query(commands, deadline).await;
        self.trace(sent, started, received.as_deref().ok());
        received
    }

    async fn ping(&mut self, deadline: Instant) -> Result<Duration, Failure> {
        let started = Instant::now();
        let received = self.query_first(&[(&PING).into()], deadline).await?;
        let took = started.elapsed();
        let reply = received.first().map(|(_, reply)| reply);
        if let Some(refusal) = reply.and_then(Reply::refusal) {
            let failure = refused(refusal);
            if failure.reason == Reason::Auth {
                return Err(failure);
            }
            self.ping_rests = refusal.is_passing();
        }
        Ok(took)
    }

    /// Sends all queries for this server in one pipeline, dependent queries in a second and a
    /// third, and scripts separately.
    ///
    /// Over a new connection, sends INFO first, because it shows what the server supports. If the
    /// connection breaks, reconnects and resends everything except scripts, once. Does the same if
    /// the server's role changed, because the name or virtual address may now lead to another
    /// server.
    ///
    /// # Errors
    ///
    /// Returns a failure if the connection broke twice or could not be reopened, if the poll timed
    /// out, or if the server rejected INFO.
    pub async fn poll(
        &mut self,
        target: &Target,
        circumstances: &Circumstances,
        deadline: Instant,
    ) -> Result<Round, Failure> {
        self.script_replies.clear();
        self.pipelines.clear();
        let failure = match self.attempt(target, circumstances, deadline).await {
            Ok(round) if std::mem::take(&mut self.may_have_moved) => {
                if let Err(failure) = self.redial(Cause::RoleChanged, deadline).await {
                    let name = &target.name;
                    debug!(name, %failure, "the role of the server changed; cannot reconnect");
                    return Ok(round);
                }
                return self.attempt(target, circumstances, deadline).await;
            }
            Ok(round) => return Ok(round),
            Err(failure) => failure,
        };
        let Some(cause) = self.session.link().broken().await else {
            return Err(failure);
        };
        self.redial(cause, deadline).await?;
        self.attempt(target, circumstances, deadline).await
    }

    async fn redial(&mut self, cause: Cause, deadline: Instant) -> Result<(), Failure> {
        self.session
            .redial(&Setup::default(), cause, deadline)
            .await?;
        self.reconnect();
        Ok(())
    }

    fn reconnect(&mut self) {
        self.role.reconnect();
        self.may_have_moved = false;
        self.pinged = None;
        self.plan.reconnect();
        self.sections = Sections::default();
        self.parameters = Parameters::default();
    }

    async fn attempt(
        &mut self,
        target: &Target,
        circumstances: &Circumstances,
        deadline: Instant,
    ) -> Result<Round, Failure> {
        self.wire_bytes = 0;
        let (ping, mut is_first) = match self.pinged.take() {
            Some(took) => (Some(took), true),
            None if self.may_ping() => (Some(self.ping(deadline).await?), false),
            None => (None, true),
        };
        let has_replied = self.may_ping();
        let on = super::collectors(target);
        let mut replies = Replies::new("", circumstances.clone());
        let mut caused = None;
        let mut before = Replied::default();
        loop {
            let queries = self.plan.next(&on, &replies, self.session.rejections());
            if queries.is_empty() {
                break;
            }
            // No sweep command is in flight while INFO is sent.
            let reads_info = queries.contains(&&INFO);
            let commands = self.spelled(queries);
            let hold = if reads_info {
                let hold = self.footprint.hold(target.poll.timeout / HOLD_SHARE).await;
                before = self.footprint.replied();
                self.unheld = hold.as_ref().map_or(self.unheld.saturating_add(1), |_| 0);
                hold
            } else {
                None
            };
            let received = if std::mem::take(&mut is_first) {
                self.query_first(&commands, deadline).await?
            } else {
                self.query(commands, deadline).await?
            };
            self.record(received, &mut replies).await?;
            if reads_info && replies.received(&INFO).is_some() {
                let as_of = self.footprint.as_of(before, &replies.info);
                let must_do = circumstances.remembered.is_empty();
                let is_held = !(1..=UNHELD_POLLS).contains(&self.unheld);
                caused = (is_held || must_do).then_some(as_of);
            }
            drop(hold);
        }
        let refused = self
            .query_further(target, &on, &mut replies, deadline)
            .await?;
        Ok(Round {
            ping: ping.filter(|_| has_replied),
            collectors: self.plan.applicable(&on),
            refused,
            caused,
            replies,
            wire_bytes: self.wire_bytes,
        })
    }
}
