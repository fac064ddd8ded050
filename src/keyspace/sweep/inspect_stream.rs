//! Queries streams: first the type, because stream commands on other keys are errors, then the
//! stream, its groups, and the consumers of each group.
//!
//! `keys::stream` parses the replies.

use std::collections::BTreeSet;

use super::inspect::Inspection;
use super::key_reader::KeyReader;
use crate::config::KeyName;
use crate::failure::Failure;
use crate::keyspace::keys::query::Lookups;
use crate::keyspace::keys::stream::{StreamLimits, StreamReplies};
use crate::keyspace::queries::{CONSUMERS, GROUPS, KEY_TYPE, STREAM};
use crate::keyspace::tally::DataType;
use crate::query::{Query, Ticket};
use crate::reply::Reply;

/// Maximum number of streams queried in one pipeline. It is small because a reply contains two
/// whole entries of the stream.
const STREAMS_PER_PIPELINE: usize = 10;

/// Maximum number of groups whose consumers are queried in one pipeline.
const GROUPS_PER_PIPELINE: usize = 25;

/// A query, and where its reply belongs.
#[derive(Clone, Copy, Debug)]
struct StreamQuery {
    query: &'static Query,
    /// Index of the stream.
    stream: usize,
    /// Index of the group, if the query is about one.
    group: usize,
}

impl KeyReader {
    /// Queries those of the keys that are streams.
    pub(super) async fn inspect_streams(
        &mut self,
        names: &BTreeSet<KeyName>,
        limits: StreamLimits,
        inspection: &mut Inspection,
    ) -> Result<(), Failure> {
        let names = names.iter().filter(|name| !self.refusals.leaves_out(name));
        let names: Vec<_> = names.collect();
        for names in names.chunks(STREAMS_PER_PIPELINE) {
            let mut streams = self.streams_among(names, inspection).await?;
            self.query_streams(&mut streams, limits, inspection).await?;
            inspection.streams.append(&mut streams);
        }
        Ok(())
    }

    /// Queries the types of keys.
    async fn streams_among(
        &mut self,
        names: &[&KeyName],
        inspection: &mut Inspection,
    ) -> Result<Vec<StreamReplies>, Failure> {
        let commands = names.iter().enumerate();
        let commands = commands
            .map(|(at, name)| KEY_TYPE.with(at, [&*name.key]))
            .collect();
        let mut streams = Vec::new();
        let Inspection {
            lookups, others, ..
        } = inspection;
        let take = |ticket: Ticket, reply: Reply| {
            let mut counted = Lookups::default();
            if let (Some(name), Some(kind)) = (names.get(ticket.at), reply.bytes()) {
                counted.count(kind != b"none");
                if DataType::from_reply(kind) == DataType::Stream {
                    streams.push(StreamReplies::new((*name).clone()));
                } else if kind != b"none" {
                    others.push((*name).clone());
                }
            }
            lookups.add(counted);
            counted
        };
        self.query_keys(commands, |at| names.get(at).copied(), take)
            .await?;
        if self.session.rejections().covers((&KEY_TYPE).into()) {
            inspection.denied.extend(names.iter().copied().cloned());
        }
        Ok(streams)
    }

    /// Sends all queries about keys that are streams. Each step needs the replies of the previous
    /// one.
    async fn query_streams(
        &mut self,
        streams: &mut [StreamReplies],
        limits: StreamLimits,
        inspection: &mut Inspection,
    ) -> Result<(), Failure> {
        let all = of_each(streams, &STREAM, |_| true);
        self.send_queries(&all, streams, limits, inspection).await?;
        if self.session.rejections().covers((&STREAM).into()) {
            let names = streams.iter().map(|stream| stream.name.clone());
            inspection.denied.extend(names);
        }
        let groups = of_each(streams, &GROUPS, StreamReplies::queries_groups);
        self.send_queries(&groups, streams, limits, inspection)
            .await?;
        let consumers = of_each_group(streams);
        for consumers in consumers.chunks(GROUPS_PER_PIPELINE) {
            self.send_queries(consumers, streams, limits, inspection)
                .await?;
        }
        Ok(())
    }

    /// Sends the same query for all given streams or groups in one pipeline.
    async fn send_queries(
        &mut self,
        sent: &[StreamQuery],
        streams: &mut [StreamReplies],
        limits: StreamLimits,
        inspection: &mut Inspection,
    ) -> Result<(), Failure> {
        let key_and_group = |sent: &StreamQuery| {
            let stream = streams.get(sent.stream)?;
            Some((stream.name.clone(), stream.group_name(sent.group).to_vec()))
        };
        let names: Vec<_> = sent.iter().filter_map(key_and_group).collect();
        let command =
            |(at, (sent, (name, group))): (usize, (&StreamQuery, &'_ (KeyName, Vec<u8>)))| {
                let is_of_group = sent.query == &CONSUMERS;
                let words = [name.key.clone()].into_iter();
                let group = is_of_group.then(|| group.clone());
                sent.query.with(at, words.chain(group))
            };
        let commands = sent.iter().zip(&names).enumerate().map(command).collect();
        let (lookups, items) = (&mut inspection.lookups, &mut inspection.items);
        let take = |ticket: Ticket, reply: Reply| {
            let place = sent.get(ticket.at);
            let stream = place.and_then(|sent| streams.get_mut(sent.stream));
            if let (Some(sent), Some(stream)) = (place, stream) {
                lookups.hits += 1;
                if sent.query == &STREAM {
                    stream.take_stream(&reply);
                } else {
                    *items += reply.items().len() as u64;
                    if sent.query == &GROUPS {
                        stream.take_groups(&reply, limits);
                    } else {
                        stream.take_consumers(sent.group, &reply);
                    }
                }
            }
            Lookups { hits: 1, misses: 0 }
        };
        let name = |at: usize| names.get(at).map(|(name, _)| name);
        self.query_keys(commands, name, take).await
    }
}

/// Returns a query for each stream that needs it.
fn of_each(
    streams: &[StreamReplies],
    query: &'static Query,
    is_chosen: impl Fn(&StreamReplies) -> bool,
) -> Vec<StreamQuery> {
    let streams = streams.iter().enumerate();
    streams
        .filter(|(_, stream)| is_chosen(stream))
        .map(|(stream, _)| StreamQuery {
            query,
            stream,
            group: 0,
        })
        .collect()
}

/// Returns the query about the consumers of each group that needs it.
fn of_each_group(streams: &[StreamReplies]) -> Vec<StreamQuery> {
    let streams = streams.iter().enumerate();
    streams
        .flat_map(|(stream, about)| {
            about.queries_consumers().map(move |group| StreamQuery {
                query: &CONSUMERS,
                stream,
                group,
            })
        })
        .collect()
}
