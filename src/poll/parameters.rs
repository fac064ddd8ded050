//! Merges the queries for single parameters into one CONFIG GET, and splits its reply. Pure.
//!
//! Each command costs time in the server and in the exporter. Collectors only know their own
//! parameters, so the merge happens here.

use std::borrow::Cow;

use crate::query::{Command, Query};
use crate::reply::Reply;

/// Queries several parameters. The words of the command are their names.
pub(super) static PARAMETERS: Query = Query::new(&[&["CONFIG", "GET"]], "+config|get");

/// The queries that were merged into one command.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    sent: Vec<&'static Query>,
    /// Whether the server rejects several parameters.
    is_split: bool,
}

impl Parameters {
    /// Returns the commands for these queries, with those for single parameters merged.
    pub(super) fn merged(
        &mut self,
        queries: impl Iterator<Item = &'static Query>,
    ) -> Vec<Command<'static>> {
        self.sent.clear();
        let mut commands = Vec::new();
        for query in queries {
            if !self.is_split && parameter(query).is_some() {
                self.sent.push(query);
            } else {
                commands.push(query.into());
            }
        }
        match self.sent.as_slice() {
            [] => {}
            [query] => commands.push((*query).into()),
            several => {
                let names = several.iter().filter_map(|query| parameter(query));
                commands.push(PARAMETERS.with(0, names.map(|name| Cow::Borrowed(name.as_bytes()))));
            }
        }
        commands
    }

    /// Returns the queries that the last command merged.
    pub(super) fn sent(&self) -> impl Iterator<Item = &'static Query> {
        self.sent.iter().copied()
    }

    /// Records that the server rejects several parameters.
    pub(super) const fn split(&mut self) {
        self.is_split = true;
    }

    /// Splits a reply into the replies to the single queries. Without its parameter, a reply is
    /// empty, as it is from the server.
    pub(super) fn replies(&self, reply: Reply) -> Vec<(&'static Query, Reply)> {
        let mut pairs = pairs(reply);
        let mut take = |name: &str| {
            let is_named = |(key, _): &(Reply, Reply)| {
                key.text().is_some_and(|key| key.eq_ignore_ascii_case(name))
            };
            let at = pairs.iter().position(is_named)?;
            Some(pairs.swap_remove(at))
        };
        let replies = self.sent.iter().map(|query| {
            let pair = parameter(query).and_then(&mut take);
            let items = pair.map_or_else(Vec::new, |(key, value)| vec![key, value]);
            (*query, Reply::List(items))
        });
        replies.collect()
    }
}

fn pairs(reply: Reply) -> Vec<(Reply, Reply)> {
    let Reply::List(items) = reply else {
        return Vec::new();
    };
    let mut pairs = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}

/// Returns the parameter that a query requests, if it is CONFIG GET of exactly one.
fn parameter(query: &'static Query) -> Option<&'static str> {
    match query.commands {
        [["CONFIG", "GET", name]] if !name.contains(['*', '?', '[']) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static MEMORY: Query = Query::new(&[&["CONFIG", "GET", "maxmemory"]], "+config|get");
    static SAVE: Query = Query::new(&[&["CONFIG", "GET", "save"]], "+config|get");
    static LOGS: Query = Query::new(&[&["CONFIG", "GET", "commandlog-*"]], "+config|get");
    static LENGTH: Query = Query::new(&[&["SLOWLOG", "LEN"]], "+slowlog|len");

    fn text(text: &str) -> Reply {
        Reply::Bytes(text.as_bytes().into())
    }

    #[test]
    fn queries_for_single_parameters_are_merged() {
        let mut parameters = Parameters::default();
        let all = [&MEMORY, &LENGTH, &LOGS, &SAVE];
        let merged = PARAMETERS.with(0, ["maxmemory", "save"].map(str::as_bytes));
        let expected = [(&LENGTH).into(), (&LOGS).into(), merged];
        assert_eq!(parameters.merged(all.into_iter()), expected);
        let single = parameters.merged([&MEMORY, &LENGTH].into_iter());
        assert_eq!(single, [(&LENGTH).into(), (&MEMORY).into()]);
        parameters.split();
        let split = parameters.merged(all.into_iter());
        assert_eq!(split, all.map(Command::from));
    }

    #[test]
    fn each_query_gets_its_parameter() {
        let mut parameters = Parameters::default();
        parameters.merged([&MEMORY, &SAVE].into_iter());
        let pairs = ["other", "1", "SAVE", "900 1", "maxmemory", "2"];
        let replies = parameters.replies(Reply::List(pairs.map(text).to_vec()));
        let memory = Reply::List(vec![text("maxmemory"), text("2")]);
        let save = Reply::List(vec![text("SAVE"), text("900 1")]);
        assert_eq!(replies, [(&MEMORY, memory), (&SAVE, save)]);
        let empty = Reply::List(Vec::new());
        let replies = parameters.replies(Reply::Nil);
        assert_eq!(replies, [(&MEMORY, empty.clone()), (&SAVE, empty)]);
    }
}
