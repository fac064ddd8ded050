//! Asking about single keys: type and memory, then the size by the command of the type, then the
//! value. What is asked and what it says is decided in `keys::question`. Streams are asked about in
//! `inspect_stream`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::prober::{KEYS_PER_PIPELINE, Prober};
use crate::config::{KeyName, ShownValues};
use crate::connection::Spacing;
use crate::failure::Failure;
use crate::namespace::keys::Inquiry;
use crate::namespace::keys::question::{self, Inspected, Lookups, Question, Refused};
use crate::namespace::keys::stream::Stream;
use crate::reply::Refusal;

/// A key of another node of the cluster is asked about so seldom: slots move, but each time counts
/// as an error of the server.
const ASK_ELSEWHERE_AGAIN: Duration = Duration::from_mins(10);

/// What is not asked again over a connection: every refusal counts as an error of the server.
#[derive(Debug, Default)]
pub struct Refusals {
    tried: BTreeSet<&'static str>,
    commands: BTreeSet<&'static str>,
    keys: BTreeSet<KeyName>,
    /// The keys of other nodes, and when the server said so.
    elsewhere: BTreeMap<KeyName, Instant>,
    databases: BTreeSet<u32>,
}

/// What came of asking.
#[derive(Debug, Default)]
pub struct Inspection {
    /// What is known of the keys.
    pub keys: Vec<Inspected>,
    /// What is known of the streams.
    pub streams: Vec<Stream>,
    /// Keys that were to be shown if they are streams, and are none.
    pub others: Vec<KeyName>,
    /// The keys that are not asked about, as they were refused.
    pub denied: BTreeSet<KeyName>,
    /// How often that were lookups of a key for the server.
    pub lookups: Lookups,
    /// How often MEMORY USAGE was asked, which is no lookup.
    pub sizes: u64,
    /// Groups and consumers of streams that were listed.
    pub items: u64,
}

impl Refusals {
    /// Whether a command is to be asked at all.
    pub fn allow(&self, command: &str) -> bool {
        !self.commands.contains(command)
    }

    /// Whether a command is asked for the first time. It goes ahead for one key alone then: where it
    /// is refused, that counts as one error of the server and not as hundreds.
    pub fn is_first(&mut self, command: &'static str) -> bool {
        self.tried.insert(command)
    }

    /// Takes note of the refusal of a command about no key.
    pub fn note_command(&mut self, refusal: &Refusal, command: &'static str) {
        if !refusal.is_passing() {
            self.commands.insert(command);
        }
    }

    /// Takes note of the refusal of a command about a key.
    pub fn note(&mut self, refusal: &Refusal, command: &'static str, name: &KeyName) {
        match question::refused(refusal) {
            Refused::Now => {}
            Refused::Elsewhere => {
                self.elsewhere.insert(name.clone(), Instant::now());
            }
            Refused::Command => {
                self.commands.insert(command);
            }
            Refused::Key => {
                self.keys.insert(name.clone());
            }
        }
    }

    /// Whether a key is not to be asked about.
    pub fn leaves_out(&self, name: &KeyName) -> bool {
        let told = self.elsewhere.get(name);
        let is_elsewhere = told.is_some_and(|told| told.elapsed() < ASK_ELSEWHERE_AGAIN);
        self.denies(name) || is_elsewhere
    }

    /// Whether a key was denied.
    fn denies(&self, name: &KeyName) -> bool {
        self.keys.contains(name)
    }
}

impl Prober {
    /// Asks about keys, database by database, and selects again the database that was selected.
    ///
    /// # Errors
    ///
    /// The connection failed, or it did not find its way back to the database of the walk.
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
            if !self.can_select(database).await? {
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

    /// Selects a database unless the server has refused that before.
    async fn can_select(&mut self, database: u32) -> Result<bool, Failure> {
        if self.refusals.databases.contains(&database) {
            return Ok(false);
        }
        let is_selected = self.try_select(database).await?.is_none();
        if !is_selected {
            self.refusals.databases.insert(database);
        }
        Ok(is_selected)
    }

    /// Counts what was looked up between two sums.
    pub(super) fn settle_since(&mut self, before: Lookups, after: Lookups) {
        self.settle(after.hits - before.hits, after.misses - before.misses);
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

    /// Asks about the keys of one pipeline: each round of questions needs the answers before it.
    async fn inspect_together(
        &mut self,
        keys: &mut [Inspected],
        shown: ShownValues,
        inspection: &mut Inspection,
    ) -> Result<(), Failure> {
        let first = Inspected::first();
        let all = (0..keys.len()).flat_map(|at| first.map(|question| (at, question)));
        let all: Vec<_> = all.collect();
        self.round(&all, keys, shown, inspection).await?;
        let sizes = collect(keys, Inspected::size_question);
        self.round(&sizes, keys, shown, inspection).await?;
        if shown != ShownValues::Off {
            let values = collect(keys, Inspected::value_question);
            self.round(&values, keys, shown, inspection).await?;
        }
        Ok(())
    }

    /// The questions that were never asked before, each about one key, and then the others.
    async fn round(
        &mut self,
        questions: &[(usize, Question)],
        keys: &mut [Inspected],
        shown: ShownValues,
        inspection: &mut Inspection,
    ) -> Result<(), Failure> {
        let refusals = &mut self.refusals;
        let (first, rest): (Vec<_>, Vec<_>) = questions
            .iter()
            .partition(|(_, question)| refusals.is_first(question.command()));
        self.answer_keys(&first, keys, shown, inspection).await?;
        self.answer_keys(&rest, keys, shown, inspection).await
    }

    /// One pipeline. Every command has exactly one reply, so an answer belongs to the question in
    /// its place, whatever the others came to.
    async fn answer_keys(
        &mut self,
        questions: &[(usize, Question)],
        keys: &mut [Inspected],
        shown: ShownValues,
        inspection: &mut Inspection,
    ) -> Result<(), Failure> {
        let refusals = &self.refusals;
        let questions = questions.iter().copied();
        let questions: Vec<_> = questions
            .filter(|(_, question)| refusals.allow(question.command()))
            .collect();
        let commands: Vec<Vec<&[u8]>> = questions
            .iter()
            .filter_map(|(at, question)| Some(question.words(&keys.get(*at)?.name.key)))
            .collect();
        if commands.is_empty() {
            return Ok(());
        }
        let before = inspection.lookups;
        let replies = self.look_up(&commands, Spacing::NONE).await?;
        for ((at, question), reply) in questions.into_iter().zip(&replies) {
            inspection.sizes += u64::from(question == Question::Memory);
            let Some(key) = keys.get_mut(at) else {
                continue;
            };
            match reply.refusal() {
                None => key.take(question, reply, shown, &mut inspection.lookups),
                Some(refusal) => self.refusals.note(refusal, question.command(), &key.name),
            }
        }
        self.settle_since(before, inspection.lookups);
        Ok(())
    }
}

/// The questions of a round, each with the place of its key.
fn collect(
    keys: &[Inspected],
    question: impl Fn(&Inspected) -> Option<Question>,
) -> Vec<(usize, Question)> {
    let questions = keys.iter().enumerate();
    questions
        .filter_map(|(at, key)| Some((at, question(key)?)))
        .collect()
}
