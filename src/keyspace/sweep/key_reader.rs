//! The questions of a walk: SCAN, MEMORY USAGE, PTTL, TYPE and a little INFO. The only I/O of the
//! module; what the answers amount to is decided elsewhere.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::inspect::Refusals;
use super::vitals::{Sections, text};
use crate::collector::{Mode, Server};
use crate::config::Target;
use crate::connection::{Answered, KEY_NAME_BYTES, OnReconnect, Session, Setup, Spacing, refused};
use crate::failure::{Cause, Failure, Reason};
use crate::footprint::{Caused, Footprint, Passage};
use crate::info::Info;
use crate::keyspace::cost::SweepQuery;
use crate::keyspace::queries::{SAMPLED_MEMORY, SCAN};
use crate::keyspace::tally::{DataType, Details, Expiry, LARGE_AGGREGATE};
use crate::query::{Command, Ticket};
use crate::reply::{ErrorKind, Refusal, Reply};

/// What a SCAN returns: the next cursor, and the keys that it passed.
pub type Step = (u64, Vec<Vec<u8>>);

/// How many elements of a large aggregate are measured: the most that takes a server about as long
/// as one SCAN. By default MEMORY USAGE measures five.
const ELEMENTS: &[u8] = b"4000";

/// The most keys that are asked about in one pipeline: more would make other clients wait.
pub const KEYS_PER_PIPELINE: usize = 100;

/// Bytes that a reply to SCAN is meant to have at most; COUNT is made smaller while names are long.
const SCAN_BYTES: usize = 1 << 20;

/// A connection for walking, with what the server refuses over it.
#[derive(Debug)]
pub struct KeyReader {
    pub(super) session: Session,
    footprint: Arc<Footprint>,
    /// What keeps the poll from INFO while lookups are not counted yet.
    passage: Option<Passage>,
    /// What a connection needs that takes the place of this one.
    setup: Setup,
    server: Server,
    timeout: Duration,
    /// The queries that were answered for some key.
    answered: Vec<SweepQuery>,
    round_trip: Duration,
    /// The role of the server, such as `master`.
    role: Option<String>,
    /// Largest COUNT of SCAN, as long names allow.
    count_max: u32,
    /// Commands that were sent since this was last taken.
    sent: u32,
    /// What is not asked again about single keys.
    pub(super) refusals: Refusals,
    /// How INFO is asked for.
    pub(super) sections: Sections,
}

/// A key with the questions that are asked about it.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Whether MEMORY USAGE is asked.
    pub memory: bool,
    /// Whether PTTL is asked.
    pub expiry: bool,
    /// Whether TYPE is asked.
    pub data_type: bool,
}

/// What came of a key's questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What is known of it.
    pub details: Details,
    /// Whether it was gone when it was asked about.
    pub is_gone: bool,
    /// Lookups that the server counted as hits.
    pub hits: u32,
    /// Lookups that it counted as misses.
    pub misses: u32,
}

impl Wanted<'_> {
    /// The questions, one by one.
    pub fn queries(self) -> impl Iterator<Item = SweepQuery> {
        // A name that was cut is that of no key.
        let is_whole = self.key.len() < KEY_NAME_BYTES;
        let queries = [
            (is_whole && self.memory, SweepQuery::Memory),
            (is_whole && self.expiry, SweepQuery::Expiry),
            (is_whole && self.data_type, SweepQuery::Type),
        ];
        let wanted = queries.into_iter().filter(|(is_wanted, _)| *is_wanted);
        wanted.map(|(_, query)| query)
    }
}

impl KeyReader {
    /// Dials the server whose keyspace is swept, and queries what kind it is.
    ///
    /// # Errors
    ///
    /// The dial failed, or the server refused INFO.
    pub async fn open(
        target: &Target,
        on_reconnect: OnReconnect,
        footprint: Arc<Footprint>,
    ) -> Result<Self, Failure> {
        let timeout = target.poll.timeout;
        let deadline = Instant::now() + timeout;
        let counted = Arc::clone(&footprint);
        let passage = footprint.enter().await;
        let (name, endpoint) = (&target.name, target.sweep_endpoint());
        let mut session = Session::open(name, &endpoint, on_reconnect, counted, deadline).await?;
        let replies = session
            .link()
            .ask_once(&[["INFO", "server"], ["INFO", "cluster"]], deadline)
            .await?;
        drop(passage);
        let texts: Result<Vec<_>, _> = replies.iter().map(text).collect();
        let texts = texts?.concat();
        let info = Info::parse(texts);
        let server = Server::from_info(&info);
        let setup = Setup {
            commands: unobtrusive(&server),
            database: 0,
            // Cursors mean nothing to another server, nor to this one after a restart.
            run_id: info.get("run_id").map(str::to_owned),
        };
        let mut reader = Self {
            session,
            footprint,
            passage: None,
            setup,
            server,
            timeout,
            answered: Vec::new(),
            round_trip: Duration::ZERO,
            role: None,
            count_max: u32::MAX,
            sent: 0,
            refusals: Refusals::default(),
            sections: Sections::of(&server),
        };
        if !reader.setup.commands.is_empty() {
            // A user who may not do this walks all the same.
            let commands = reader.setup.commands.clone();
            reader.ask(&commands).await?;
        }
        Ok(reader)
    }

    /// What kind of server answers.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// What the server refused over this connection.
    #[must_use]
    pub fn refused(&self) -> Vec<(SweepQuery, Refusal)> {
        let refused = self.session.rejections().all().iter();
        let of_walk = refused.filter_map(|rejected| {
            Some((SweepQuery::of(rejected.query)?, rejected.refusal.clone()))
        });
        of_walk.collect()
    }

    /// Whether a question is still asked over this connection.
    #[must_use]
    pub fn asks(&self, query: SweepQuery) -> bool {
        !self.session.rejections().covers(query.query().into())
    }

    /// Whether the server replies to a query, as far as it was sent over this connection.
    #[must_use]
    pub fn replies_to(&self, query: SweepQuery) -> Option<bool> {
        if self.asks(query) {
            self.answered.contains(&query).then_some(true)
        } else {
            Some(false)
        }
    }

    /// Whether a question was asked about some key over this connection.
    #[must_use]
    pub fn has_tried(&self, query: SweepQuery) -> bool {
        self.session.rejections().has_tried(query.query())
    }

    /// The longest round trip since this was last asked.
    pub fn take_round_trip(&mut self) -> Duration {
        std::mem::take(&mut self.round_trip)
    }

    /// How many commands were sent since this was last asked.
    pub fn take_sent(&mut self) -> u32 {
        std::mem::take(&mut self.sent)
    }

    /// What the exporter has caused on the server.
    #[must_use]
    pub fn caused(&self) -> Caused {
        self.footprint.caused()
    }

    /// Asks what may be asked twice. Over another connection, if this one broke: with the same
    /// server and the same database selected, so that the walk goes on where it was.
    pub(super) async fn ask<Argument: AsRef<[u8]>>(
        &mut self,
        commands: &[impl AsRef<[Argument]>],
    ) -> Result<Vec<Reply>, Failure> {
        let replies = self.look_up(commands, Spacing::NONE).await?;
        self.settle(0, 0);
        Ok(replies)
    }

    /// Counts the lookups that the server has done for the last commands; the poll may go on.
    pub(super) fn settle(&mut self, hits: u64, misses: u64) {
        self.footprint.settle(hits, misses);
        self.passage = None;
    }

    /// Asks what the server counts as lookups. They must be counted with [`KeyReader::settle`].
    pub(super) async fn look_up<Argument: AsRef<[u8]>>(
        &mut self,
        commands: &[impl AsRef<[Argument]>],
        spacing: Spacing,
    ) -> Result<Vec<Reply>, Failure> {
        let (passage, started) = self.begin(commands.len()).await;
        let deadline = started + self.timeout;
        let link = self.session.link();
        let received = link
            .ask_spaced(commands, spacing, &self.setup, deadline)
            .await?;
        self.session.forget_if_due();
        self.end(passage, started, received.is_new);
        Ok(received.replies)
    }

    /// Sends commands in one pipeline. What the server counts as lookups must be counted with
    /// [`KeyReader::settle`].
    pub(super) async fn send(
        &mut self,
        commands: &[Command<'_>],
        spacing: Spacing,
    ) -> Result<Answered, Failure> {
        let (passage, started) = self.begin(commands.len()).await;
        let deadline = started + self.timeout;
        let sent = self
            .session
            .query_first(commands, spacing, &self.setup, deadline);
        let (answered, is_new) = sent.await?;
        self.end(passage, started, is_new);
        Ok(answered)
    }

    async fn begin(&mut self, commands: usize) -> (Passage, Instant) {
        // What an error left must not wait for itself.
        self.passage = None;
        let passage = self.footprint.enter().await;
        self.session.link().release();
        let sent = u32::try_from(commands).unwrap_or(u32::MAX);
        self.sent = self.sent.saturating_add(sent);
        (passage, Instant::now())
    }

    fn end(&mut self, passage: Passage, started: Instant, is_new: bool) {
        if self.session.take_is_forgotten() {
            self.answered.clear();
            self.refusals = Refusals::default();
        }
        // A dial says nothing of the server's load.
        if !is_new {
            let round_trip = started
                .elapsed()
                .saturating_sub(self.session.link().spread());
            self.round_trip = self.round_trip.max(round_trip);
        }
        self.passage = Some(passage);
    }

    /// Leaves out the commands that the server rejects.
    pub(super) fn retain_open(&self, commands: &mut Vec<Command<'_>>) {
        commands.retain(|command| !self.session.rejections().covers(command.ticket));
    }

    /// Dials again if the server has changed its role: behind a name or a virtual address another
    /// one may have its place.
    ///
    /// # Errors
    ///
    /// Another server answers, over whose keys the walk must begin again.
    pub(super) async fn note_role(&mut self, role: Option<&str>) -> Result<(), Failure> {
        let before = std::mem::replace(&mut self.role, role.map(str::to_owned));
        if before.is_none() || before == self.role {
            return Ok(());
        }
        let deadline = Instant::now() + self.timeout;
        let cause = Cause::RoleChanged;
        self.session.redial(&self.setup, cause, deadline).await
    }

    /// Counts the keys of the selected database. For servers whose INFO does not report them.
    pub(super) async fn size(&mut self) -> Result<u64, Failure> {
        let replies = self.ask(&[["DBSIZE"]]).await?;
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

    /// The database that is selected.
    pub(super) const fn selected(&self) -> u32 {
        self.setup.database
    }

    /// Selects a database; gives the refusal where the server refuses it.
    pub(super) async fn try_select(&mut self, database: u32) -> Result<Option<Refusal>, Failure> {
        // The first is selected from the start, and nodes of older clusters know only that one.
        if database == self.setup.database {
            return Ok(None);
        }
        let number = database.to_string();
        let replies = self.ask(&[["SELECT", &number]]).await?;
        let refusal = replies.first().and_then(Reply::refusal).cloned();
        if refusal.is_none() {
            self.setup.database = database;
        }
        Ok(refusal)
    }

    /// One step of a walk: the next cursor, and the keys that it passed.
    ///
    /// # Errors
    ///
    /// The connection failed, or the server refused SCAN.
    pub async fn scan(&mut self, cursor: u64, count: u32) -> Result<Step, Failure> {
        let cursor = cursor.to_string();
        loop {
            let asked = count.min(self.count_max).max(1);
            let words = ["SCAN", &cursor, "COUNT", &asked.to_string()];
            let replies = self.ask(&[words]).await?;
            if let Some(step) = self.take_step(replies.into_iter().next(), asked)? {
                return Ok(step);
            }
        }
    }

    /// What a reply to SCAN contains; none if it was too large, and a smaller COUNT is to be sent.
    fn take_step(&mut self, reply: Option<Reply>, asked: u32) -> Result<Option<Step>, Failure> {
        let reply = reply.unwrap_or(Reply::Nil);
        self.count_max = count_max(self.count_max, asked, self.session.link().wire_bytes());
        match reply.refusal() {
            Some(refusal) if refusal.kind() == ErrorKind::TooLarge && asked > 1 => {
                self.count_max = self.count_max.min(asked / 2).max(1);
                Ok(None)
            }
            Some(refusal) => Err(refused(refusal)),
            None => {
                let detail = "SCAN gave no cursor and keys";
                self.note_answered(SweepQuery::Scan);
                let step = step(reply).ok_or_else(|| Failure::new(Reason::Protocol, detail));
                step.map(Some)
            }
        }
    }

    /// Asks about keys, in one pipeline, and at its end for the next keys where a cursor and a COUNT
    /// are given. A question that was not asked before goes ahead for one key alone: where it is
    /// refused, that counts as one error of the server and not as hundreds.
    ///
    /// # Errors
    ///
    /// The connection failed, or the server cannot answer now.
    pub async fn details(
        &mut self,
        wanted: &[Wanted<'_>],
        scan: Option<(u64, u32)>,
        spacing: Spacing,
    ) -> Result<(Vec<Found>, Option<Step>), Failure> {
        let mut found = vec![Found::default(); wanted.len()];
        let mut commands: Vec<Command<'_>> = Vec::new();
        for (at, wanted) in wanted.iter().enumerate() {
            let queries = wanted.queries();
            commands.extend(queries.map(|query| query.query().with(at, [wanted.key])));
        }
        self.retain_open(&mut commands);
        let first = self.session.rejections_mut().take_first(&mut commands);
        self.answer(&first, Spacing::NONE, &mut found).await?;
        self.retain_open(&mut commands);
        let count = scan.map(|(_, count)| count.min(self.count_max).max(1));
        if let Some(((cursor, _), count)) = scan.zip(count) {
            let [cursor, count] = [cursor.to_string(), count.to_string()].map(String::into_bytes);
            commands.push(SCAN.with(0, [cursor, b"COUNT".to_vec(), count]));
        }
        let scanned = self.answer(&commands, spacing, &mut found).await?;
        match (scanned, count) {
            (Some(reply), Some(count)) => Ok((found, self.take_step(Some(reply), count)?)),
            _ => Ok((found, None)),
        }
    }

    /// Queries the memory of a key by many of its elements. Returns `None` if the key is gone, or
    /// if the server refuses SAMPLES, which is then not sent again over this connection.
    ///
    /// # Errors
    ///
    /// The connection failed.
    pub async fn memory_of_many_elements(&mut self, key: &[u8]) -> Result<Option<u64>, Failure> {
        let mut commands = vec![SAMPLED_MEMORY.with(0, [key, b"SAMPLES", ELEMENTS])];
        self.retain_open(&mut commands);
        if commands.is_empty() {
            return Ok(None);
        }
        let answered = self.send(&commands, Spacing::NONE).await?;
        self.settle(0, 0);
        self.take_round_trip();
        let reply = answered.first().map(|(_, reply)| reply);
        if let Some(refusal) = reply.and_then(Reply::refusal) {
            self.reject(SAMPLED_MEMORY.ticket(0), refusal);
        }
        let bytes = reply.and_then(Reply::integer);
        Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()))
    }

    /// Sends commands about keys, and records the replies. Returns the reply to a SCAN among them.
    async fn answer(
        &mut self,
        commands: &[Command<'_>],
        spacing: Spacing,
        found: &mut [Found],
    ) -> Result<Option<Reply>, Failure> {
        if commands.is_empty() {
            return Ok(None);
        }
        let before = lookups(found);
        let (mut failure, mut scanned) = (None, None);
        for (ticket, reply) in self.send(commands, spacing).await? {
            match (SweepQuery::of(ticket.query), reply.refusal()) {
                (Some(SweepQuery::Scan), _) => scanned = Some(reply),
                // It applies to every key, and each further one would count as an error.
                (_, Some(refusal)) if concerns_connection(refusal) => {
                    failure = Some(refused(refusal));
                }
                (_, Some(refusal)) => self.reject(ticket, refusal),
                (Some(query), None) => {
                    self.note_answered(query);
                    if let Some(found) = found.get_mut(ticket.at) {
                        found.take(query, &reply);
                    }
                }
                (None, None) => {}
            }
        }
        let after = lookups(found);
        self.settle(after.0 - before.0, after.1 - before.1);
        failure.map_or(Ok(scanned), Err)
    }

    fn note_answered(&mut self, query: SweepQuery) {
        if !self.answered.contains(&query) {
            self.answered.push(query);
        }
    }

    /// A query that is refused for good is not sent again: every refusal counts as an error of the
    /// server. What is said of a key that moves to another node is no refusal.
    fn reject(&mut self, ticket: Ticket, refusal: &Refusal) {
        if !matches!(refusal.kind(), ErrorKind::Passing | ErrorKind::Redirect) {
            self.session.rejections_mut().reject(ticket, refusal);
        }
    }
}

/// Returns whether an error would be the reply to every command now.
fn concerns_connection(refusal: &Refusal) -> bool {
    refusal.is_passing() || refusal.kind() == ErrorKind::Authentication
}

/// What asks the server to leave the walk out of its LRU clock and not to end it when clients take
/// too much memory, and, on a replica in a cluster, to answer it. Only commands that it knows: an
/// unknown one would count as an error.
fn unobtrusive(server: &Server) -> Vec<Vec<String>> {
    let mut commands: Vec<&[&str]> = Vec::new();
    if server.knows_no_evict() {
        commands.push(&["CLIENT", "NO-EVICT", "on"]);
    }
    if server.knows_no_touch() {
        commands.push(&["CLIENT", "NO-TOUCH", "on"]);
    }
    if server.mode == Mode::Cluster {
        commands.push(&["READONLY"]);
    }
    let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    commands.into_iter().map(owned).collect()
}

/// The hits and misses of keys that were asked about.
fn lookups(found: &[Found]) -> (u64, u64) {
    found.iter().fold((0, 0), |(hits, misses), found| {
        (
            hits + u64::from(found.hits),
            misses + u64::from(found.misses),
        )
    })
}

/// Returns the next largest COUNT of SCAN: small enough for replies of [`SCAN_BYTES`] after one
/// that was larger, and twice as large after one that was far smaller.
fn count_max(count_max: u32, asked: u32, bytes: usize) -> u32 {
    if bytes > SCAN_BYTES {
        let share = u64::from(asked) * SCAN_BYTES as u64 / bytes as u64;
        u32::try_from(share).unwrap_or(asked).max(1)
    } else if bytes < SCAN_BYTES / 4 {
        count_max.saturating_mul(2)
    } else {
        count_max
    }
}

/// The next cursor and the keys in a reply to SCAN.
fn step(reply: Reply) -> Option<Step> {
    let Reply::List(parts) = reply else {
        return None;
    };
    let mut parts = parts.into_iter();
    let cursor = parts.next()?.text()?.parse().ok()?;
    let Reply::List(keys) = parts.next()? else {
        return None;
    };
    let names = keys.into_iter().filter_map(|key| match key {
        Reply::Bytes(name) => Some(name),
        Reply::Nil | Reply::Integer(_) | Reply::List(_) | Reply::Error(_) => None,
    });
    Some((cursor, names.collect()))
}

impl Found {
    fn take(&mut self, query: SweepQuery, reply: &Reply) {
        match (query, reply) {
            (SweepQuery::Memory, Reply::Integer(bytes)) => {
                self.details.memory = u64::try_from(*bytes).ok();
            }
            (SweepQuery::Memory, Reply::Nil) => self.is_gone = true,
            (SweepQuery::Expiry, Reply::Integer(-2)) => self.miss(),
            (SweepQuery::Expiry, Reply::Integer(left)) => {
                self.hits += 1;
                let left = u64::try_from(*left).ok();
                self.details.expiry = Some(left.map_or(Expiry::Never, Expiry::In));
            }
            (SweepQuery::Type, Reply::Bytes(name)) if name == b"none" => self.miss(),
            (SweepQuery::Type, Reply::Bytes(name)) => {
                self.hits += 1;
                self.details.data_type = Some(DataType::from_reply(name));
            }
            _ => {}
        }
    }

    /// Whether this may be an aggregate with many elements, of which only a few were measured.
    pub(super) fn may_be_large_aggregate(&self) -> bool {
        let is_large = self
            .details
            .memory
            .is_some_and(|bytes| bytes >= LARGE_AGGREGATE);
        is_large && self.details.data_type != Some(DataType::String)
    }

    const fn miss(&mut self) {
        self.misses += 1;
        self.is_gone = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(replies: &[(SweepQuery, Reply)]) -> Found {
        let mut found = Found::default();
        for (query, reply) in replies {
            found.take(*query, reply);
        }
        found
    }

    #[test]
    fn count_follows_the_size_of_replies() {
        assert_eq!(count_max(u32::MAX, 100, 10_000), u32::MAX);
        assert_eq!(count_max(u32::MAX, 100, 40 << 20), 2);
        assert_eq!(count_max(100, 1, 900 << 20), 1);
        assert_eq!(count_max(2, 2, 100), 4);
        assert_eq!(count_max(2, 2, SCAN_BYTES / 2), 2);
    }

    #[test]
    fn a_name_that_was_cut_is_not_asked_about() {
        let long = vec![b'k'; KEY_NAME_BYTES];
        let wanted = |key| Wanted {
            key,
            memory: true,
            expiry: true,
            data_type: true,
        };
        assert_eq!(wanted(&long).queries().count(), 0);
        assert_eq!(wanted(&long[1..]).queries().count(), 3);
    }

    #[test]
    fn a_key_that_is_there_counts_its_hits() {
        let found = found(&[
            (SweepQuery::Memory, Reply::Integer(72)),
            (SweepQuery::Expiry, Reply::Integer(1500)),
            (SweepQuery::Type, Reply::Bytes(b"hash".to_vec())),
        ]);
        assert_eq!(found.details.memory, Some(72));
        assert_eq!(found.details.expiry, Some(Expiry::In(1500)));
        assert_eq!((found.is_gone, found.hits, found.misses), (false, 2, 0));
    }

    #[test]
    fn a_key_that_is_gone_counts_its_misses() {
        let found = found(&[
            (SweepQuery::Memory, Reply::Nil),
            (SweepQuery::Expiry, Reply::Integer(-2)),
            (SweepQuery::Type, Reply::Bytes(b"none".to_vec())),
        ]);
        assert_eq!(found.details, Details::default());
        assert_eq!((found.is_gone, found.hits, found.misses), (true, 0, 2));
    }

    #[test]
    fn a_key_without_ttl_never_expires() {
        assert_eq!(
            found(&[(SweepQuery::Expiry, Reply::Integer(-1))])
                .details
                .expiry,
            Some(Expiry::Never)
        );
    }
}
