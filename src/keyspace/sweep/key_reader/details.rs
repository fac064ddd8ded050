//! Queries the details of keys: MEMORY USAGE, PTTL and TYPE.

use super::{KeyReader, Step};
use crate::clock::now;
use crate::connection::{KEY_NAME_BYTES, PairedReplies, Spacing, refused};
use crate::failure::Failure;
use crate::keyspace::cost::SweepQuery;
use crate::keyspace::keys::query::Lookups;
use crate::keyspace::queries::SAMPLED_MEMORY;
use crate::keyspace::tally::{DataType, Details, Expiry, LARGE_AGGREGATE};
use crate::query::{Command, Ticket};
use crate::reply::{ErrorKind, Refusal, Reply};

/// Number of elements of a large aggregate to sample, the most that costs a server about as much as
/// one SCAN. By default, MEMORY USAGE samples five.
const ELEMENTS: &[u8] = b"4000";

/// Maximum number of keys queried in one pipeline. More would delay other clients.
pub const KEYS_PER_PIPELINE: usize = 100;

/// A key with the queries to send for it.
#[derive(Clone, Copy, Debug)]
pub struct WantedKey<'a> {
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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KeyDetails {
    /// Time of the replies, in seconds since the epoch.
    pub at: f64,
    /// The details of the key.
    pub details: Details,
    /// Whether the key no longer existed when it was queried.
    pub is_gone: bool,
    /// Lookups that the server counted as hits.
    pub hits: u32,
    /// Lookups that the server counted as misses.
    pub misses: u32,
}

impl<'a> WantedKey<'a> {
    /// Returns a key for which nothing is queried.
    #[must_use]
    pub const fn nothing_of(key: &'a [u8]) -> Self {
        Self {
            key,
            memory: false,
            expiry: false,
            data_type: false,
        }
    }

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

impl KeyDetails {
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
            (SweepQuery::Type, Reply::Bytes(name)) if name.as_slice() == b"none" => self.miss(),
            (SweepQuery::Type, Reply::Bytes(name)) => {
                self.hits += 1;
                self.details.data_type = Some(DataType::from_reply(name));
            }
            _ => {}
        }
    }

    /// Returns whether this may be an aggregate of which only a few of many elements were sampled.
    #[must_use]
    pub fn may_be_large_aggregate(&self) -> bool {
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

impl KeyReader {
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
        wanted: &[WantedKey<'_>],
        scan: Option<(u64, u32)>,
        spacing: Spacing,
    ) -> Result<(Vec<KeyDetails>, Option<Step>), Failure> {
        let mut found = vec![KeyDetails::default(); wanted.len()];
        let mut commands: Vec<Command<'_>> = Vec::new();
        for (at, wanted) in wanted.iter().enumerate() {
            let queries = wanted.queries();
            commands.extend(queries.map(|query| query.query().with(at, [wanted.key])));
        }
        let count = scan.map(|(_, count)| count.min(self.count_max).max(1));
        if let Some(((cursor, _), count)) = scan.zip(count) {
            commands.push(super::scan::scan(cursor, count));
        }
        let mut scanned = None;
        let read = |reader: &mut Self, replies: PairedReplies, lookups: &mut Lookups| {
            let reply = reader.read_details(replies, &mut found, lookups)?;
            scanned = reply.or(scanned.take());
            Ok(())
        };
        self.query(commands, spacing, |_, _| true, read).await?;
        let at = now();
        for found in &mut found {
            found.at = at;
        }
        match count {
            Some(count) => Ok((found, self.take_step(scanned, count)?)),
            None => Ok((found, None)),
        }
    }

    /// Queries the memory of a key with many sampled elements. Returns `None` if the key is gone,
    /// or if the server refuses SAMPLES, which is then not sent again over this connection.
    ///
    /// # Errors
    ///
    /// The connection failed.
    pub async fn memory_of_many_elements(&mut self, key: &[u8]) -> Result<Option<u64>, Failure> {
        let commands = vec![SAMPLED_MEMORY.with(0, [key, b"SAMPLES", ELEMENTS])];
        let mut bytes = None;
        let read = |reader: &mut Self, replies: PairedReplies, _: &mut Lookups| {
            for (ticket, reply) in replies {
                match reply.refusal() {
                    Some(refusal) => reader.reject(ticket, refusal),
                    None => bytes = reply.integer(),
                }
            }
            Ok(())
        };
        self.query(commands, Spacing::NONE, |_, _| true, read)
            .await?;
        self.take_round_trip();
        Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()))
    }

    /// Records the replies about keys, and adds the lookups that they counted. Returns the reply to a
    /// SCAN among them.
    fn read_details(
        &mut self,
        replies: PairedReplies,
        found: &mut [KeyDetails],
        counted: &mut Lookups,
    ) -> Result<Option<Reply>, Failure> {
        let before = lookups(found);
        let (mut failure, mut scanned) = (None, None);
        for (ticket, reply) in replies {
            match (SweepQuery::of(ticket.query), reply.refusal()) {
                (Some(SweepQuery::Scan), _) => scanned = Some(reply),
                // It applies to every key, and each further one would count as an error.
                (_, Some(refusal)) if concerns_connection(refusal) => {
                    failure = Some(refused(refusal));
                }
                (_, Some(refusal)) => self.reject(ticket, refusal),
                (Some(query), None) => {
                    self.record_reply(query);
                    if let Some(found) = found.get_mut(ticket.at) {
                        found.take(query, &reply);
                    }
                }
                (None, None) => {}
            }
        }
        counted.add(lookups(found).since(before));
        failure.map_or(Ok(scanned), Err)
    }

    /// Stops sending a query that the server rejects permanently, because every rejection counts as
    /// an error of the server. A redirection of a moving key is not a rejection.
    fn reject(&mut self, ticket: Ticket, refusal: &Refusal) {
        if !matches!(refusal.kind(), ErrorKind::Passing | ErrorKind::Redirect) {
            self.session.reject(ticket, refusal);
        }
    }
}

/// Returns whether every command would now receive this error.
fn concerns_connection(refusal: &Refusal) -> bool {
    refusal.is_passing() || refusal.kind() == ErrorKind::Authentication
}

/// Returns the total lookups of the queried keys.
fn lookups(found: &[KeyDetails]) -> Lookups {
    let mut lookups = Lookups::default();
    for found in found {
        lookups.add(Lookups {
            hits: found.hits.into(),
            misses: found.misses.into(),
        });
    }
    lookups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(replies: &[(SweepQuery, Reply)]) -> KeyDetails {
        let mut found = KeyDetails::default();
        for (query, reply) in replies {
            found.take(*query, reply);
        }
        found
    }

    #[test]
    fn truncated_name_is_not_queried() {
        let long = vec![b'k'; KEY_NAME_BYTES];
        let wanted = |key| WantedKey {
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
            (SweepQuery::Type, Reply::Bytes(b"hash"[..].into())),
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
            (SweepQuery::Type, Reply::Bytes(b"none"[..].into())),
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
