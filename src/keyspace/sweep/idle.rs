//! Samples how long keys were not used, with OBJECT IDLETIME for a few random keys at a time.
//!
//! It does not count as a use of the key, but most servers count it as a lookup, so the sweep's
//! allowance of lookups limits it.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::time::Instant;

use super::follow::SHARE_WITHOUT_TTLS;
use super::key_reader::KeyReader;
use super::vitals::Scope;
use super::{CHECK_EVERY, Event, Sweeper};
use crate::clock::monotonic;
use crate::collector::{Flavor, Server};
use crate::connection::{KEY_NAME_BYTES, PairedReplies, Spacing, refused};
use crate::failure::Failure;
use crate::keyspace::cost::SweepQuery;
use crate::keyspace::idle::{IdleSample, IdleTimes, seconds};
use crate::keyspace::keys::query::Lookups;
use crate::keyspace::pace::Batch;
use crate::keyspace::queries::{EXPIRY, IDLE, MEMORY};
use crate::keyspace::segment::has_table_per_slot;
use crate::keyspace::single_pass::idle_lookups;
use crate::number::length;
use crate::query::{Command, Query, Rejected, Ticket};
use crate::reply::{ErrorKind, Reply, ReplyBytes};

/// Maximum number of keys per second. More would not make the estimates much better.
const KEYS_PER_TURN: usize = 10;

/// Number of turns without a new key after which a single pass ends: it has sampled all keys.
const FRUITLESS_MAX: u32 = 20;

/// Share of the allowed lookups that is spent on idle times, while there are few of them and later.
/// The rest is left to TTLs and types.
const SHARE_AT_FIRST: f64 = 0.5;
const SHARE: f64 = 0.25;

/// The state of sampling over one connection.
#[derive(Debug, Default)]
pub(super) struct IdleTurn {
    at: Option<Instant>,
    /// The database and the cursor of the next SCAN on servers that accept only their own cursors.
    next: (u32, u64),
    /// Hashes of the keys that a single pass has sampled, so that each of few keys counts once.
    sampled: HashSet<u64>,
}

/// The replies about one key.
#[derive(Clone, Copy, Debug, Default)]
struct KeyReplies {
    idle: Option<f64>,
    bytes: Option<u64>,
    has_ttl: Option<bool>,
}

/// The idle times of some keys, in their order.
#[derive(Debug, Default)]
pub(super) struct IdleReplies {
    replies: Vec<KeyReplies>,
    /// The lookups that the server counted.
    lookups: Lookups,
    /// The queries that were sent, one for each command.
    sent: Vec<SweepQuery>,
    /// Whether the server refused for a reason other than a missing permission: its policy changed.
    is_refused: bool,
}

impl Sweeper<'_> {
    /// Queries the idle times of some random keys, once after each check: that allows lookups, which
    /// others would use up.
    pub(super) async fn sample_idle_if_due(&mut self) -> Result<(), Failure> {
        let is_due = |at: Instant| at < self.checked && at.elapsed() >= CHECK_EVERY / 2;
        let is_due = self.idle.at.is_none_or(is_due);
        // A single pass samples at its end, within its own limit.
        if !is_due || self.sample.is_some() || self.published.is_none() {
            return Ok(());
        }
        self.idle.at = Some(Instant::now());
        let wanted = self.idle_wanted();
        if wanted == 0 {
            return Ok(());
        }
        let database = self.reader.selected();
        let result = Box::pin(self.sample_idle(wanted)).await.map(|_| ());
        self.resume(database, result).await
    }

    /// Returns whether the server refuses idle times, or hides keys from the user. Each hidden key
    /// would be a further error.
    fn refuses_idle(&self) -> bool {
        let rejections = self.reader.session.rejections();
        let is_hidden = |rejected: &Rejected| rejected.refusal.kind() == ErrorKind::KeyPermission;
        rejections.covers((&IDLE).into()) || rejections.all().iter().any(is_hidden)
    }

    /// Returns how many of the lookups of a single pass query idle times: none if they cannot be
    /// queried.
    pub(super) fn lookups_for_idle(&mut self, lookups: u64) -> u64 {
        self.census.idle().map_or(0, |_| idle_lookups(lookups))
    }

    /// Queries the idle times of random keys at the end of a single pass, with this many lookups.
    pub(super) async fn sample_idle_of_pass(&mut self, lookups: u64) -> Result<(), Failure> {
        let (mut left, mut fruitless) = (lookups, 0);
        while fruitless < FRUITLESS_MAX && !self.refuses_idle() {
            let Some(idle) = self.census.idle() else {
                break;
            };
            let of_each = 1 + u64::from(idle.needs_ttls());
            let most = usize::try_from(left / of_each).unwrap_or(KEYS_PER_TURN);
            if most == 0 {
                break;
            }
            let (database, started) = (self.reader.selected(), Instant::now());
            let sampled = self.sample_idle(most.min(KEYS_PER_TURN)).await;
            fruitless = match sampled {
                Ok(keys) if keys > 0 => {
                    left = left.saturating_sub(of_each * keys as u64);
                    0
                }
                _ => fruitless + 1,
            };
            self.resume(database, sampled.map(|_| ())).await?;
            let pause = self.pace.pause(&Batch {
                keys: 0,
                commands: 0,
                microseconds: self.census.take_unpaid(),
                round_trip: Duration::ZERO,
                took: started.elapsed(),
            });
            self.wait_unpublished(pause).await?;
        }
        self.check(Scope::SHORT).await
    }

    /// Returns the number of keys to query in this turn.
    fn idle_wanted(&mut self) -> usize {
        if self.refuses_idle() {
            return 0;
        }
        let is_limited = self.limits_idle();
        let lacks_ttls = self.lacks_ttls();
        let Some(idle) = self.census.idle() else {
            return 0;
        };
        let share = match idle.are_few() {
            _ if lacks_ttls => SHARE_WITHOUT_TTLS,
            true => SHARE_AT_FIRST,
            false => SHARE,
        };
        let is_left_out = is_limited && fastrand::f64() >= share;
        if is_left_out || (is_limited && !self.allowance.has_some()) {
            0
        } else {
            KEYS_PER_TURN
        }
    }

    fn limits_idle(&self) -> bool {
        self.allowance.is_limited() && counts_as_lookup(self.reader.server())
    }

    /// Queries the idle times of at most this many keys. Returns how many were chosen.
    async fn sample_idle(&mut self, most: usize) -> Result<usize, Failure> {
        let Some((database, keys)) = self.choose_database() else {
            return Ok(0);
        };
        if self.reader.try_select(database).await?.is_some() {
            return Ok(0);
        }
        let (names, mut microseconds) = self.names_for_idle(database, keys, most).await?;
        let names = self.choose_for_idle(database, names, most);
        if names.is_empty() {
            return Ok(0);
        }
        let with_ttl = self.census.idle().is_some_and(|idle| idle.needs_ttls());
        let queried = self.reader.idle_times(&names, with_ttl).await?;
        for query in &queried.sent {
            microseconds += self.census.costs().of(*query);
            self.census.record_sent(*query);
        }
        self.record_idle(database, &names, &queried);
        self.census.record_batch(0, microseconds);
        Ok(names.len())
    }

    /// Returns random keys, and the cost to the server in microseconds.
    async fn names_for_idle(
        &mut self,
        database: u32,
        keys: u64,
        most: usize,
    ) -> Result<(Vec<ReplyBytes>, f64), Failure> {
        if has_table_per_slot(self.reader.server()) {
            let keys = self.reader.random_keys(most).await?.unwrap_or_default();
            let microseconds = length(keys.len()) * super::draw::RANDOM_KEY_MICROSECONDS;
            return Ok((keys.into_iter().collect(), microseconds));
        }
        let cursor = if self.sample.is_some() && keys <= u64::from(self.sweep.count) {
            0
        } else if self.census.sweeps_in_random_order() {
            fastrand::u64(..keys.checked_next_power_of_two().unwrap_or(u64::MAX))
        } else if self.idle.next.0 == database {
            self.idle.next.1
        } else {
            0
        };
        let (next, names) = self.scan(cursor).await?;
        self.idle.next = (database, next);
        let microseconds = self.cost_of_scan(names.len());
        Ok((names, microseconds))
    }

    /// Chooses keys within the allowance, at random. Those of namespaces with few samples come first.
    fn choose_for_idle(
        &mut self,
        database: u32,
        names: Vec<ReplyBytes>,
        most: usize,
    ) -> Vec<ReplyBytes> {
        let mut names = names;
        // A truncated name is not the name of any key.
        names.retain(|name| name.len() < KEY_NAME_BYTES);
        if self.sample.is_some() {
            names.retain(|name| !self.idle.sampled.contains(&hash(database, name)));
        }
        fastrand::shuffle(&mut names);
        names.sort_by_cached_key(|name| {
            let place = self.census.place(database, name);
            let idle = self.census.idle();
            !idle.is_some_and(|idle: &mut IdleTimes| idle.needs(place))
        });
        let is_limited = self.limits_idle();
        let with_ttl = self.census.idle().is_some_and(|idle| idle.needs_ttls());
        let mut chosen = 0;
        while chosen < most.min(names.len()) {
            // The lookup of the TTL is taken from the next ones.
            if is_limited && !self.allowance.take() {
                break;
            }
            if is_limited && with_ttl {
                self.allowance.take();
            }
            chosen += 1;
        }
        names.truncate(chosen);
        if self.sample.is_some() {
            let hashes = names.iter().map(|name| hash(database, name));
            self.idle.sampled.extend(hashes);
        }
        names
    }

    fn record_idle(&mut self, database: u32, names: &[ReplyBytes], queried: &IdleReplies) {
        if queried.is_refused
            && let Some(idle) = self.census.idle()
        {
            idle.record_refused();
        }
        let mut queried_keys = Vec::new();
        for (name, replies) in names.iter().zip(&queried.replies) {
            if let Some(idle) = replies.idle {
                let sample = IdleSample {
                    place: self.census.place(database, name),
                    idle,
                    bytes: replies.bytes,
                    has_ttl: replies.has_ttl,
                };
                queried_keys.push((name.as_slice(), sample));
            }
        }
        let samples: Vec<IdleSample> = queried_keys.iter().map(|(_, sample)| *sample).collect();
        let Lookups { hits, misses } = queried.lookups;
        self.census.record_idle(monotonic(), &samples, hits, misses);
        if self.sample.is_some() {
            (self.listener)(Event::Idle {
                keys: &queried_keys,
                lookups: hits + misses,
            });
        }
    }
}

impl KeyReader {
    /// Queries the idle times and the memory of keys in one pipeline, and their TTLs if wanted.
    ///
    /// # Errors
    ///
    /// The connection failed, or the server cannot reply now.
    pub(super) async fn idle_times(
        &mut self,
        names: &[ReplyBytes],
        with_ttl: bool,
    ) -> Result<IdleReplies, Failure> {
        let mut queried = IdleReplies {
            replies: vec![KeyReplies::default(); names.len()],
            ..IdleReplies::default()
        };
        // If the policy has changed since it was read, that costs one error instead of ten.
        let (first, others) = names.split_at(names.len().min(1));
        self.idle_times_of(first, 0, with_ttl, &mut queried).await?;
        if !queried.is_refused {
            self.idle_times_of(others, first.len(), with_ttl, &mut queried)
                .await?;
        }
        Ok(queried)
    }

    /// Queries keys, the first of which has this index.
    async fn idle_times_of(
        &mut self,
        names: &[ReplyBytes],
        at: usize,
        with_ttl: bool,
        queried: &mut IdleReplies,
    ) -> Result<(), Failure> {
        let counts = counts_as_lookup(self.server());
        let read = |reader: &mut Self, replies: PairedReplies, lookups: &mut Lookups| {
            let sent = replies.iter().map(|(ticket, _)| ticket.query);
            queried.sent.extend(sent.filter_map(SweepQuery::of));
            let mut failure = None;
            for (ticket, reply) in replies {
                match reply.refusal() {
                    Some(refusal) if refusal.is_passing() => failure = Some(refused(refusal)),
                    Some(refusal) if refusal.kind() == ErrorKind::KeyPermission => {
                        reader.session.reject(ticket, refusal);
                    }
                    Some(_) => queried.is_refused |= ticket.query == &IDLE,
                    None => {
                        if ticket.query == &IDLE {
                            reader.record_reply(SweepQuery::Idle);
                        }
                        lookups.add(queried.take(ticket, &reply, counts));
                    }
                }
            }
            queried.lookups.add(*lookups);
            failure.map_or(Ok(()), Err)
        };
        let commands = commands_for(names, at, with_ttl);
        self.query(commands, Spacing::NONE, |_, _| true, read).await
    }
}

impl IdleReplies {
    /// Records a reply. Returns the lookups that the server counted for it.
    fn take(&mut self, ticket: Ticket, reply: &Reply, counts: bool) -> Lookups {
        let mut lookups = Lookups::default();
        let Some(replies) = self.replies.get_mut(ticket.at) else {
            return lookups;
        };
        let number = reply.integer();
        if ticket.query == &MEMORY {
            replies.bytes = number.and_then(|bytes| u64::try_from(bytes).ok());
            return lookups;
        }
        let is_there = if ticket.query == &EXPIRY {
            replies.has_ttl = number.map(|left| left >= 0);
            number != Some(-2)
        } else {
            replies.idle = number.and_then(seconds);
            number.is_some()
        };
        if counts || ticket.query == &EXPIRY {
            lookups.count(is_there);
        }
        lookups
    }
}

fn hash(database: u32, name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (database, name).hash(&mut hasher);
    hasher.finish()
}

/// Returns the queries about keys, the first of which has this index.
fn commands_for(names: &[ReplyBytes], at: usize, with_ttl: bool) -> Vec<Command<'_>> {
    let ttl = with_ttl.then_some(&EXPIRY);
    let mut commands: Vec<Command<'_>> = Vec::new();
    for (at, name) in (at..).zip(names) {
        let each = [&IDLE, &MEMORY].into_iter().chain(ttl);
        commands.extend(each.map(|query: &'static Query| query.with(at, [&**name])));
    }
    commands
}

/// Returns whether the server counts OBJECT IDLETIME as a lookup of a key: Redis since 6.0.10, every
/// Valkey. The patch number of 6.0 is unknown.
fn counts_as_lookup(server: &Server) -> bool {
    match server.flavor {
        Flavor::Redis => server.version >= (6, 0),
        Flavor::Valkey => true,
        Flavor::KeyDb | Flavor::Tile38 => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queried(replies: &[(&'static Query, Reply)]) -> IdleReplies {
        let mut queried = IdleReplies {
            replies: vec![KeyReplies::default()],
            ..IdleReplies::default()
        };
        for (query, reply) in replies {
            let lookups = queried.take(query.ticket(0), reply, true);
            queried.lookups.add(lookups);
        }
        queried
    }

    #[test]
    fn idle_time_and_ttl_count_as_lookups() {
        let replies = [
            (&IDLE, Reply::Integer(9)),
            (&MEMORY, Reply::Integer(72)),
            (&EXPIRY, Reply::Integer(-1)),
        ];
        let there = queried(&replies);
        assert_eq!((there.lookups.hits, there.lookups.misses), (2, 0));
        assert_eq!(there.replies[0].idle, Some(9.0));
        assert_eq!(there.replies[0].bytes, Some(72));
        assert_eq!(there.replies[0].has_ttl, Some(false));
        let gone = queried(&[(&IDLE, Reply::Nil), (&EXPIRY, Reply::Integer(-2))]);
        assert_eq!((gone.lookups.hits, gone.lookups.misses), (0, 2));
        assert_eq!(gone.replies[0].idle, None);
    }
}
