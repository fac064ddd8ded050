//! Which clients of a server to export, and the declared client groups. Clients are matched
//! elsewhere.

use std::sync::Arc;

use super::context::Context;
use super::draft::Draft;
use super::namespace::unique_name;
use super::written_keys::WrittenKeys;
use crate::pattern::Pattern;

/// Which clients of a server to export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Whether to export clients individually, if the collector is not set by name.
    pub list: bool,
    /// Whether to export the port of each client.
    pub port: bool,
    /// Maximum number of individually exported clients.
    pub max: u32,
    /// The declared groups. The first match wins.
    pub groups: Arc<[ClientGroup]>,
}

impl Default for Clients {
    fn default() -> Self {
        Draft::new().options().clients.clone()
    }
}

impl Clients {
    /// Returns the value before rows set defaults and settings.
    pub(crate) fn blank() -> Self {
        Self {
            list: false,
            port: false,
            max: 0,
            groups: Arc::default(),
        }
    }
}

/// A named group of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientGroup {
    /// The name. It is unique and never `other`.
    pub name: String,
    /// The conditions for its clients.
    pub matching: ClientMatch,
    /// Maximum number of connections of all its pools together.
    pub pool_max: Option<u32>,
}

/// Conditions for clients. A client must match all that are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientMatch {
    /// The name that the client set with CLIENT SETNAME.
    pub name: Option<Pattern>,
    /// The ACL user.
    pub user: Option<Pattern>,
    /// The name of the client library.
    pub library: Option<Pattern>,
    /// The address without its port.
    pub address: Option<Pattern>,
    /// The last command.
    pub command: Option<Pattern>,
}

/// Adds the parsed group.
pub(crate) fn finish(draft: &mut Draft, written: &WrittenKeys, context: &mut Context<'_>) {
    let groups = &mut draft.each.client_groups;
    let names = groups.iter().map(|group| &*group.name);
    let name = unique_name(draft.item.name.take(), names, written, context);
    let matching = std::mem::take(&mut draft.item.clients);
    if matching == ClientMatch::default() && !written.is_wrong("match") {
        let remedy = "add one, such as match: { name: \"web-*\" }";
        context.report(&written.place, "has no pattern", remedy);
    }
    groups.extend(name.map(|name| ClientGroup {
        name,
        matching,
        pool_max: draft.item.pool_max,
    }));
}

#[cfg(test)]
mod tests {
    use super::super::problem::{Place, Problem};
    use super::super::reader::LevelReader;
    use super::super::recorded::Recorder;
    use super::super::{complete_level, document};
    use super::*;

    fn reading(text: &str, defaults: &Clients) -> (Clients, Vec<String>) {
        let mut context = Context {
            file: "c.yaml",
            environment: &|_| None,
            check_file: &|_, _| Ok(()),
            read_file: &|_, _| Ok(Vec::new()),
            collector_names: &[],
            masked: Vec::new(),
            problems: Vec::new(),
            notices: Vec::new(),
            recorder: Recorder::default(),
        };
        let node = document::read(text).unwrap();
        let mut draft = Draft::new();
        draft.options().clients = defaults.clone();
        let place = Place::new(node.source.clone());
        let written = LevelReader::new("", place, &mut draft, &mut context).read(&node);
        complete_level(&mut draft, &written, &mut context);
        let problems = context.problems.iter().map(Problem::to_string).collect();
        (draft.options().clients.clone(), problems)
    }

    fn group(name: &str) -> ClientGroup {
        ClientGroup {
            name: name.to_owned(),
            matching: ClientMatch {
                name: Some(Pattern::glob("prism-*")),
                ..ClientMatch::default()
            },
            pool_max: Some(10),
        }
    }

    #[test]
    fn groups_are_read_in_order() {
        let text = "clients: {port: true, groups: [\
                    {name: b, match: {name: \"prism-*\"}, pool_max: 10},\
                    {name: a, match: {name: \"prism-*\"}, pool_max: 10}]}";
        let expected = Clients {
            port: true,
            groups: [group("b"), group("a")].into(),
            ..Clients::default()
        };
        let (clients, problems) = reading(text, &Clients::default());
        assert_eq!((clients, problems), (expected, Vec::new()));
    }

    #[test]
    fn unset_keys_use_the_top_level() {
        let defaults = Clients {
            list: true,
            groups: [group("a")].into(),
            ..Clients::default()
        };
        let (clients, _) = reading("clients: {max: 7}", &defaults);
        assert_eq!((clients.max, clients.list), (7, true));
        assert_eq!(clients.groups, defaults.groups);
        let (clients, _) = reading("clients: {groups: []}", &defaults);
        assert!(clients.groups.is_empty());
    }

    #[test]
    fn each_mistake_has_its_place_and_remedy() {
        for (text, expected) in [
            ("{max: 0}", "clients.max: `0` is not a valid number"),
            ("{groups: [{match: {name: a}}]}", "groups[0]: has no `name`"),
            (
                "{groups: [{name: a}]}",
                "groups[0]: has no pattern; add one",
            ),
            (
                "{groups: [{name: a, match: {}}]}",
                "groups[0]: has no pattern",
            ),
            (
                "{groups: [{name: other, match: {name: a}}]}",
                "match no pattern",
            ),
            (
                "{groups: [{name: a, match: {name: \"[\"}}]}",
                "match.name: `[` has",
            ),
            (
                "{groups: [{name: a, match: {library: a}}]}",
                "unknown key `library`",
            ),
            (
                "{groups: [{name: a, match: {name: b}, pool_max: 0}]}",
                "groups[0].pool_max: `0`",
            ),
            (
                "{groups: [{name: a, match: {name: b}}, {name: a, match: {name: b}}]}",
                "is the name of an earlier item",
            ),
        ] {
            let (_, problems) = reading(&format!("clients: {text}"), &Clients::default());
            assert!(problems[0].contains(expected), "{text}: {problems:?}");
        }
    }
}
