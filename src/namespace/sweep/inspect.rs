//! Asking about single keys: type and memory, then the size by the command of the type, then the
//! value. What is asked and what it says is decided in `keys::question`.

use std::collections::{BTreeMap, BTreeSet};

use super::prober::{KEYS_PER_PIPELINE, Prober};
use crate::config::{KeyName, ShownValues};
use crate::failure::Failure;
use crate::namespace::keys::question::{self, Inspected, Lookups, Question, Refused};

/// What is not asked again over a connection: every refusal counts as an error of the server.
#[derive(Debug, Default)]
pub struct Refusals {
    commands: Vec<Question>,
    keys: BTreeSet<KeyName>,
    databases: BTreeSet<u32>,
}

/// What came of asking.
#[derive(Debug, Default)]
pub struct Inspection {
    /// What is known of the keys.
    pub keys: Vec<Inspected>,
    /// How many of them are not asked about, as they were refused.
    pub denied: usize,
    /// How often that were lookups of a key for the server.
    pub lookups: Lookups,
    /// How often MEMORY USAGE was asked, which is no lookup.
    pub sizes: u64,
}

impl Prober {
    /// Asks about keys, database by database, and selects again the database that was selected.
    ///
    /// # Errors
    ///
    /// The connection failed, or it did not find its way back to the database of the walk.
    pub async fn inspect(
        &mut self,
        wanted: BTreeMap<u32, BTreeSet<KeyName>>,
        shown: ShownValues,
    ) -> Result<Inspection, Failure> {
        let mut inspection = Inspection::default();
        let home = self.selected();
        for (database, names) in wanted {
            if !self.can_select(database).await? {
                inspection.denied += names.len();
                continue;
            }
            let asked = names.len();
            let refused = &self.refusals.keys;
            let names = names.into_iter().filter(|name| !refused.contains(name));
            let mut keys: Vec<_> = names.map(Inspected::new).collect();
            inspection.denied += asked - keys.len();
            for keys in keys.chunks_mut(KEYS_PER_PIPELINE) {
                self.inspect_together(keys, shown, &mut inspection).await?;
            }
            inspection.keys.append(&mut keys);
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

    /// One pipeline. Every command has exactly one reply, so an answer belongs to the question in
    /// its place, whatever the others came to.
    async fn round(
        &mut self,
        questions: &[(usize, Question)],
        keys: &mut [Inspected],
        shown: ShownValues,
        inspection: &mut Inspection,
    ) -> Result<(), Failure> {
        let refused = &self.refusals.commands;
        let questions: Vec<(usize, Question)> = questions
            .iter()
            .copied()
            .filter(|(_, question)| !refused.contains(question))
            .collect();
        if questions.is_empty() {
            return Ok(());
        }
        let commands: Vec<Vec<&[u8]>> = questions
            .iter()
            .filter_map(|(at, question)| Some(question.words(&keys.get(*at)?.name.key)))
            .collect();
        let replies = self.ask(&commands).await?;
        for ((at, question), reply) in questions.into_iter().zip(&replies) {
            inspection.sizes += u64::from(question == Question::Memory);
            let Some(key) = keys.get_mut(at) else {
                continue;
            };
            match reply.refusal().map(question::refused) {
                None => key.take(question, reply, shown, &mut inspection.lookups),
                Some(Refused::Now) => {}
                Some(Refused::Command) => self.refusals.commands.push(question),
                Some(Refused::Key) => {
                    let is_new = self.refusals.keys.insert(key.name.clone());
                    inspection.denied += usize::from(is_new);
                }
            }
        }
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
