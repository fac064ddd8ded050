//! Asking about streams: the type, so that no key of another type is asked what would be an error
//! for it; then the stream, its groups, and the consumers of each group. What the replies say is
//! read in `keys::stream`.

use std::collections::BTreeSet;

use super::inspect::Inspection;
use super::prober::Prober;
use crate::config::KeyName;
use crate::connection::Spacing;
use crate::failure::Failure;
use crate::namespace::keys::stream::{Limits, Question, Stream};
use crate::namespace::tally::DataType;
use crate::reply::Reply;

/// Streams that are asked about in one pipeline. A reply holds two whole entries of its stream, so
/// there are not many.
const STREAMS_PER_PIPELINE: usize = 10;

/// Groups whose consumers are asked for in one pipeline.
const GROUPS_PER_PIPELINE: usize = 25;

const TYPE: &str = "TYPE";

/// A question, and where its answer belongs.
#[derive(Clone, Copy, Debug)]
struct Asked {
    question: Question,
    /// The place of the stream.
    stream: usize,
    /// The place of the group, where the question is about one.
    group: usize,
}

impl Prober {
    /// Asks about those of the keys that are streams.
    pub(super) async fn inspect_streams(
        &mut self,
        names: &BTreeSet<KeyName>,
        limits: Limits,
        inspection: &mut Inspection,
    ) -> Result<(), Failure> {
        let names = names.iter().filter(|name| !self.refusals.leaves_out(name));
        let names: Vec<_> = names.collect();
        for names in names.chunks(STREAMS_PER_PIPELINE) {
            let mut streams = self.streams_among(names, inspection).await?;
            self.ask_streams(&mut streams, limits, inspection).await?;
            inspection.streams.append(&mut streams);
        }
        Ok(())
    }

    /// Asks for the types of keys.
    async fn streams_among(
        &mut self,
        names: &[&KeyName],
        inspection: &mut Inspection,
    ) -> Result<Vec<Stream>, Failure> {
        let ahead = usize::from(self.refusals.is_first(TYPE)).min(names.len());
        let (first, rest) = names.split_at(ahead);
        let mut streams = Vec::new();
        for names in [first, rest] {
            if !self.refusals.allow(TYPE) {
                inspection.denied.extend(names.iter().copied().cloned());
                continue;
            }
            let commands: Vec<[&[u8]; 2]> = names
                .iter()
                .map(|name| [TYPE.as_bytes(), &name.key])
                .collect();
            if commands.is_empty() {
                continue;
            }
            let before = inspection.lookups;
            let replies = self.look_up(&commands, Spacing::NONE).await?;
            for (name, reply) in names.iter().copied().zip(&replies) {
                match reply {
                    Reply::Error(refusal) => self.refusals.note(refusal, TYPE, name),
                    Reply::Bytes(kind) if kind == b"none" => inspection.lookups.misses += 1,
                    Reply::Bytes(kind) => {
                        inspection.lookups.hits += 1;
                        if DataType::from_reply(kind) == DataType::Stream {
                            streams.push(Stream::new(name.clone()));
                        } else {
                            inspection.others.push(name.clone());
                        }
                    }
                    Reply::Nil | Reply::Integer(_) | Reply::List(_) => {}
                }
            }
            self.settle_since(before, inspection.lookups);
        }
        Ok(streams)
    }

    /// Asks all questions about keys that are streams: each round needs the answers before it.
    async fn ask_streams(
        &mut self,
        streams: &mut [Stream],
        limits: Limits,
        inspection: &mut Inspection,
    ) -> Result<(), Failure> {
        let all = of_each(streams, Question::Stream, |_| true);
        self.ask_about(&all, streams, limits, inspection).await?;
        if !self.refusals.allow(Question::Stream.command()) {
            let names = streams.iter().map(|stream| stream.name.clone());
            inspection.denied.extend(names);
        }
        let groups = of_each(streams, Question::Groups, Stream::asks_for_groups);
        self.ask_about(&groups, streams, limits, inspection).await?;
        let consumers = of_each_group(streams);
        for consumers in consumers.chunks(GROUPS_PER_PIPELINE) {
            self.ask_about(consumers, streams, limits, inspection)
                .await?;
        }
        Ok(())
    }

    /// One pipeline, of one kind of question. Where that was never asked before, it goes ahead for
    /// the first alone.
    async fn ask_about(
        &mut self,
        asked: &[Asked],
        streams: &mut [Stream],
        limits: Limits,
        inspection: &mut Inspection,
    ) -> Result<(), Failure> {
        let Some(first) = asked.first() else {
            return Ok(());
        };
        let command = first.question.command();
        let ahead = usize::from(self.refusals.is_first(command));
        let (first, rest) = asked.split_at(ahead);
        for asked in [first, rest] {
            let is_refused = |asked: &&Asked| {
                let stream = streams.get(asked.stream);
                stream.is_none_or(|stream| self.refusals.leaves_out(&stream.name))
            };
            let asked: Vec<&Asked> = asked.iter().filter(|asked| !is_refused(asked)).collect();
            if asked.is_empty() || !self.refusals.allow(command) {
                continue;
            }
            let words = |asked: &&Asked| {
                let stream = streams.get(asked.stream)?;
                Some(stream.words(asked.question, asked.group))
            };
            let commands: Vec<Vec<&[u8]>> = asked.iter().filter_map(words).collect();
            let before = inspection.lookups;
            let replies = self.look_up(&commands, Spacing::NONE).await?;
            for (asked, reply) in asked.into_iter().zip(&replies) {
                let Some(stream) = streams.get_mut(asked.stream) else {
                    continue;
                };
                if let Some(refusal) = reply.refusal() {
                    self.refusals.note(refusal, command, &stream.name);
                    continue;
                }
                inspection.lookups.hits += 1;
                inspection.items += match asked.question {
                    Question::Stream => 0,
                    Question::Groups | Question::Consumers => reply.items().len() as u64,
                };
                match asked.question {
                    Question::Stream => stream.take_stream(reply),
                    Question::Groups => stream.take_groups(reply, limits),
                    Question::Consumers => stream.take_consumers(asked.group, reply),
                }
            }
            self.settle_since(before, inspection.lookups);
        }
        Ok(())
    }
}

/// A question about each stream that it is to be asked of.
fn of_each(
    streams: &[Stream],
    question: Question,
    is_asked: impl Fn(&Stream) -> bool,
) -> Vec<Asked> {
    let streams = streams.iter().enumerate();
    streams
        .filter(|(_, stream)| is_asked(stream))
        .map(|(stream, _)| Asked {
            question,
            stream,
            group: 0,
        })
        .collect()
}

/// The question about the consumers of each group that it is to be asked of.
fn of_each_group(streams: &[Stream]) -> Vec<Asked> {
    let streams = streams.iter().enumerate();
    streams
        .flat_map(|(stream, about)| {
            about.asks_for_consumers().map(move |group| Asked {
                question: Question::Consumers,
                stream,
                group,
            })
        })
        .collect()
}
