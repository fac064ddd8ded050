//! Queries single keys: type and memory, then the size by the command for the type, then the value.
//!
//! `keys::query` chooses the queries and parses the replies. `inspect_stream` queries streams.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::key_reader::{KEYS_PER_PIPELINE, KeyReader};
use crate::config::{KeyName, ShownValues};
use crate::connection::{PairedReplies, Spacing};
use crate::failure::Failure;
use crate::keyspace::keys::Inquiry;
use crate::keyspace::keys::query::{self, Inspected, Lookups, Refused, words};
use crate::keyspace::keys::stream::StreamReplies;
use crate::keyspace::queries::{KEY_MEMORY, KEY_TYPE};
use crate::query::{Command, Query, Ticket};
use crate::reply::{Refusal, Reply};

/// Interval between queries of a key that is on another node of the cluster. Slots move, but each
/// attempt counts as an error of the server.
const QUERY_ELSEWHERE_AGAIN: Duration = Duration::from_secs(10 * 60);

/// Keys and databases that are not queried again over a connection, because every rejection counts
/// as an error of the server.
#[derive(Debug, Default)]
pub struct Refusals {
    keys: BTreeSet<KeyName>,
    /// Keys of other nodes, with the time of the redirection.
    elsewhere: BTreeMap<KeyName, Instant>,
    pub(super) databases: BTreeMap<u32, Refusal>,
}

/// The results of an inspection.
#[derive(Debug, Default)]
pub struct Inspection {
    /// The inspected keys.
    pub keys: Vec<Inspected>,
    /// The inspected streams.
    pub streams: Vec<StreamReplies>,
    /// Keys configured as streams that have another type.
    pub others: Vec<KeyName>,
    /// Keys that are not queried because the server rejected them.
    pub denied: BTreeSet<KeyName>,
    /// Lookups of keys that the inspection caused.
    pub lookups: Lookups,
    /// Number of MEMORY USAGE commands sent, which are not lookups.
    pub sizes: u64,
    /// Stream groups and consumers in the replies.
    pub items: u64,
}

impl Refusals {
    /// Returns whether a key is not queried.
    pub fn leaves_out(&self, name: &KeyName) -> bool {
        let redirected = self.elsewhere.get(name);
        let is_elsewhere =
            redirected.is_some_and(|redirected| redirected.elapsed() < QUERY_ELSEWHERE_AGAIN);
        self.denies(name) || is_elsewhere
    }

    fn denies(&self, name: &KeyName) -> bool {
        self.keys.contains(name)
    }
}

impl KeyReader {
    /// Queries keys, database by database, and selects the original database again.
    ///
    /// # Errors
    ///
    /// The connection failed, or the database of the sweep could not be selected again.
    pub async fn inspect(&mut self, inquiry: Inquiry) -> Result<Inspection, Failure> {
        let Inquiry {
            mut keys,
            shown_values,
            mut streams,
            stream_limits,
        } = inquiry;
        let mut inspection = Inspection::default();
        let home = self.selected();
        let databases: BTreeSet<u32> = keys.keys().chain(streams.keys()).copied().collect();
        for database in databases {
            let keys = keys.remove(&database).unwrap_or_default();
            let streams = streams.remove(&database).unwrap_or_default();
            if self.try_select(database).await?.is_some() {
                inspection.denied.extend(keys.into_iter().chain(streams));
                continue;
            }
            self.inspect_keys(&keys, shown_values, &mut inspection)
                .await?;
            self.inspect_streams(&streams, stream_limits, &mut inspection)
                .await?;
            let refused = keys.into_iter().chain(streams);
            let refused = refused.filter(|name| self.refusals.denies(name));
            inspection.denied.extend(refused);
        }
        self.select(home).await?;
        Ok(inspection)
    }

    async fn inspect_keys(
        &mut self,
        names: &BTreeSet<KeyName>,
        shown: ShownValues,
        inspection: &mut Inspection,
    ) -> Result<(), Failure> {
        let names = names.iter().filter(|name| !self.refusals.leaves_out(name));
        let mut keys: Vec<_> = names.cloned().map(Inspected::new).collect();
        for keys in keys.chunks_mut(KEYS_PER_PIPELINE) {
            self.inspect_together(keys, shown, inspection).await?;
        }
        inspection.keys.append(&mut keys);
        Ok(())
    }

    /// Queries the keys of one pipeline. Each step needs the replies of the previous one.
    async fn inspect_together(
        &mut self,
        keys: &mut [Inspected],
        shown: ShownValues,
        inspection: &mut Inspection,
    ) -> Result<(), Failure> {
        self.query_each(keys, |_| vec![&KEY_TYPE, &KEY_MEMORY], shown, inspection)
            .await?;
        let size = |key: &Inspected| key.size_query().into_iter().collect();
        self.query_each(keys, size, shown, inspection).await?;
        if shown != ShownValues::Off {
            let value = |key: &Inspected| key.value_query().into_iter().collect();
            self.query_each(keys, value, shown, inspection).await?;
        }
        Ok(())
    }

    async fn query_each(
        &mut self,
        keys: &mut [Inspected],
        queries: impl Fn(&Inspected) -> Vec<&'static Query>,
        shown: ShownValues,
        inspection: &mut Inspection,
    ) -> Result<(), Failure> {
        let names: Vec<KeyName> = keys.iter().map(|key| key.name.clone()).collect();
        let mut commands = Vec::new();
        for (at, (key, name)) in keys.iter().zip(&names).enumerate() {
            let queries = queries(key).into_iter();
            commands.extend(queries.map(|query| query.with(at, words(query, &name.key))));
        }
        let lookups = &mut inspection.lookups;
        let sizes = &mut inspection.sizes;
        let take = |ticket: Ticket, reply: Reply| {
            *sizes += u64::from(ticket.query == &KEY_MEMORY);
            let before = *lookups;
            if let Some(key) = keys.get_mut(ticket.at) {
                key.take(ticket.query, &reply, shown, lookups);
            }
            lookups.since(before)
        };
        self.query_keys(commands, |at| names.get(at), take).await
    }

    /// Sends commands about keys. `take` receives the replies, and returns the lookups that the
    /// server counted for each.
    pub(super) async fn query_keys<'a>(
        &mut self,
        commands: Vec<Command<'a>>,
        name: impl Fn(usize) -> Option<&'a KeyName>,
        mut take: impl FnMut(Ticket, Reply) -> Lookups,
    ) -> Result<(), Failure> {
        let wanted = |reader: &Self, ticket: Ticket| {
            name(ticket.at).is_none_or(|name| !reader.refusals.leaves_out(name))
        };
        let read = |reader: &mut Self, replies: PairedReplies, lookups: &mut Lookups| {
            for (ticket, reply) in replies {
                match (reply.refusal(), name(ticket.at)) {
                    (Some(refusal), Some(name)) => reader.record_refusal(refusal, ticket, name),
                    _ => lookups.add(take(ticket, reply)),
                }
            }
            Ok(())
        };
        self.query(commands, Spacing::NONE, wanted, read).await
    }

    /// Records the rejection of a command about a key.
    fn record_refusal(&mut self, refusal: &Refusal, ticket: Ticket, name: &KeyName) {
        match query::refused(refusal) {
            Refused::Now => {}
            Refused::Elsewhere => {
                self.refusals.elsewhere.insert(name.clone(), Instant::now());
            }
            Refused::Command => self.session.reject(ticket, refusal),
            Refused::Key => {
                self.refusals.keys.insert(name.clone());
            }
        }
    }
}
