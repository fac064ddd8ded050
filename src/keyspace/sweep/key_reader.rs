//! Sends the queries of a sweep: SCAN, MEMORY USAGE, PTTL, TYPE and some sections of INFO.
//!
//! This is the only I/O of the module; others interpret the replies.

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

/// The result of a SCAN: the next cursor and the keys.
pub type Step = (u64, Vec<Vec<u8>>);

/// Number of elements of a large aggregate to sample, the most that costs a server about as much as
/// one SCAN. By default, MEMORY USAGE samples five.
const ELEMENTS: &[u8] = b"4000";

/// Maximum number of keys queried in one pipeline. More would delay other clients.
pub const KEYS_PER_PIPELINE: usize = 100;

/// Intended maximum size of a reply to SCAN, in bytes. Long names reduce COUNT accordingly.
const SCAN_BYTES: usize = 1 << 20;

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
    answered: Vec<SweepQuery>,
    round_trip: Duration,
    /// The role of the server, such as `master`.
    role: Option<String>,
    /// Maximum COUNT of SCAN that the length of the names allows.
    count_max: u32,
    /// Commands sent since this was last taken.
    sent: u32,
    /// Single keys and databases that are not queried again.
    pub(super) refusals: Refusals,
    /// How INFO is requested.
    pub(super) sections: Sections,
}

/// A key with the queries to send for it.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Whether to send MEMORY USAGE.
    pub memory: bool,
    /// Whether to send PTTL.
    pub expiry: bool,
    /// Whether to send TYPE.
    pub data_type: bool,
}

/// The replies to the queries about a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The details of the key.
    pub details: Details,
    /// Whether the key no longer existed when it was queried.
    pub is_gone: bool,
    /// Lookups that the server counted as hits.
    pub hits: u32,
    /// Lookups that the server counted as misses.
    pub misses: u32,
}

impl Wanted<'_> {
    /// Returns the queries one by one.
    pub fn queries(self) -> impl Iterator<Item = SweepQuery> {
        // A truncated name is not the name of any key.
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
    /// Dials the server whose keyspace is swept, and detects its kind.
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
            answered: Vec::new(),
            round_trip: Duration::ZERO,
            role: None,
            count_max: u32::MAX,
            sent: 0,
            refusals: Refusals::default(),
            sections: Sections::of(&server),
        };
        if !reader.setup.commands.is_empty() {
            // A user without permission for these commands can still sweep.
            let commands = reader.setup.commands.clone();
            reader.ask(&commands).await?;
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
        let of_walk = refused.filter_map(|rejected| {
            Some((SweepQuery::of(rejected.query)?, rejected.refusal.clone()))
        });
        of_walk.collect()
    }

    /// Returns whether a query is still sent over this connection.
    #[must_use]
    pub fn asks(&self, query: SweepQuery) -> bool {
        !self.session.rejections().covers(query.query().into())
    }

    /// Returns whether the server replies to a query; `None` if it was not sent over this
    /// connection.
    #[must_use]
    pub fn replies_to(&self, query: SweepQuery) -> Option<bool> {
        if self.asks(query) {
            self.answered.contains(&query).then_some(true)
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

    /// Sends commands that may be repeated. If the connection breaks, reconnects to the same server
    /// and selects the same database, so that the sweep continues.
    pub(super) async fn ask<Argument: AsRef<[u8]>>(
        &mut self,
        commands: &[impl AsRef<[Argument]>],
    ) -> Result<Vec<Reply>, Failure> {
        let replies = self.look_up(commands, Spacing::NONE).await?;
        self.settle(0, 0);
        Ok(replies)
    }

    /// Counts the lookups that the last commands caused on the server, and lets the poll continue.
    pub(super) fn settle(&mut self, hits: u64, misses: u64) {
        self.footprint.settle(hits, misses);
        self.passage = None;
    }

    /// Sends commands that the server counts as lookups. They must be counted with
    /// [`KeyReader::settle`].
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

    /// Sends commands in one pipeline. Those that the server counts as lookups must be counted with
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
        // Drop the passage that a failed command left, or entering would wait for it forever.
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
        // The time of a dial does not reflect the server's load.
        if !is_new {
            let round_trip = started
                .elapsed()
                .saturating_sub(self.session.link().spread());
            self.round_trip = self.round_trip.max(round_trip);
        }
        self.passage = Some(passage);
    }

    /// Removes the commands that the server rejects.
    pub(super) fn retain_open(&self, commands: &mut Vec<Command<'_>>) {
        commands.retain(|command| !self.session.rejections().covers(command.ticket));
    }

    /// Redials if the role of the server changed, because a name or virtual address may now lead to
    /// another server.
    ///
    /// # Errors
    ///
    /// Another server replies, and the sweep must begin again over its keys.
    pub(super) async fn note_role(&mut self, role: Option<&str>) -> Result<(), Failure> {
        let before = std::mem::replace(&mut self.role, role.map(str::to_owned));
        if before.is_none() || before == self.role {
            return Ok(());
        }
        let deadline = Instant::now() + self.timeout;
        let cause = Cause::RoleChanged;
        self.session.redial(&self.setup, cause, deadline).await
    }

    /// Counts the keys of the selected database, for servers whose INFO does not report them.
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

    /// Returns the selected database.
    pub(super) const fn selected(&self) -> u32 {
        self.setup.database
    }

    /// Selects a database. Returns the refusal if the server refuses it.
    pub(super) async fn try_select(&mut self, database: u32) -> Result<Option<Refusal>, Failure> {
        // Database 0 is selected from the start, and nodes of older clusters know no other.
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

    /// Sends one SCAN. Returns the next cursor and the keys.
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

    /// Parses a reply to SCAN. Returns `None` if the reply was too large and SCAN must be sent
    /// again with a smaller COUNT.
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
                let detail = "SCAN returned no cursor and keys";
                self.note_answered(SweepQuery::Scan);
                let step = step(reply).ok_or_else(|| Failure::new(Reason::Protocol, detail));
                step.map(Some)
            }
        }
    }

    /// Queries keys in one pipeline. If a cursor and a COUNT are given, ends it with the SCAN for
    /// the next keys.
    ///
    /// A query that was not sent before is first sent for one key alone. If the server rejects it,
    /// that counts as one error and not as hundreds.
    ///
    /// # Errors
    ///
    /// The connection failed, or the server cannot reply now.
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

    /// Queries the memory of a key with many sampled elements. Returns `None` if the key is gone,
    /// or if the server refuses SAMPLES, which is then not sent again over this connection.
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

    /// Stops sending a query that the server rejects permanently, because every rejection counts as
    /// an error of the server. A redirection of a moving key is not a rejection.
    fn reject(&mut self, ticket: Ticket, refusal: &Refusal) {
        if !matches!(refusal.kind(), ErrorKind::Passing | ErrorKind::Redirect) {
            self.session.rejections_mut().reject(ticket, refusal);
        }
    }
}

/// Returns whether every command would now receive this error.
fn concerns_connection(refusal: &Refusal) -> bool {
    refusal.is_passing() || refusal.kind() == ErrorKind::Authentication
}

/// Returns the commands that reduce the impact of the sweep. The sweep leaves the LRU clock alone,
/// is not disconnected when clients take too much memory, and may read from a cluster replica.
/// Omits commands unknown to the server: they would count as errors.
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

/// Returns the total hits and misses of the queried keys.
fn lookups(found: &[Found]) -> (u64, u64) {
    found.iter().fold((0, 0), |(hits, misses), found| {
        (
            hits + u64::from(found.hits),
            misses + u64::from(found.misses),
        )
    })
}

/// Returns the next maximum COUNT of SCAN. Reduces it to fit [`SCAN_BYTES`] after a larger reply,
/// and doubles it after a much smaller one.
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

/// Parses the next cursor and the keys of a reply to SCAN.
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

    /// Returns whether this may be an aggregate of which only a few of many elements were sampled.
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
    fn truncated_name_is_not_queried() {
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
    fn existing_key_counts_its_hits() {
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
    fn vanished_key_counts_its_misses() {
        let found = found(&[
            (SweepQuery::Memory, Reply::Nil),
            (SweepQuery::Expiry, Reply::Integer(-2)),
            (SweepQuery::Type, Reply::Bytes(b"none".to_vec())),
        ]);
        assert_eq!(found.details, Details::default());
        assert_eq!((found.is_gone, found.hits, found.misses), (true, 0, 2));
    }

    #[test]
    fn key_without_ttl_never_expires() {
        assert_eq!(
            found(&[(SweepQuery::Expiry, Reply::Integer(-1))])
                .details
                .expiry,
            Some(Expiry::Never)
        );
    }
}
