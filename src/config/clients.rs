//! What is shown of the clients of a server, and the declared groups of them. Not the matching.

use std::sync::Arc;

use super::document::Node;
use super::keys::or;
use super::namespace::{glob, read_name, read_named};
use super::section::{Context, Placed, Section};
use super::sweep::whole;
use super::unit;
use crate::pattern::Pattern;

/// The keys of a `clients` section.
pub(crate) const KEYS: &[&str] = &["list", "port", "max", "groups"];

/// The keys of an item of `clients.groups`.
pub(crate) const GROUP_KEYS: &[&str] = &["name", "match", "pool_max"];

/// The keys of the `match` of a group.
pub(crate) const MATCH_KEYS: &[&str] = &["name", "user", "lib", "address", "cmd"];

/// A page has room for so many clients.
const MOST_CLIENTS: u32 = 2000;

/// What is shown of the clients of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Whether clients are shown one by one where the collector is not switched by name.
    pub list: bool,
    /// Whether the port of each is shown.
    pub port: bool,
    /// The most that are shown one by one.
    pub max: u32,
    /// The declared groups; the first match wins.
    pub groups: Arc<[ClientGroup]>,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            list: false,
            port: false,
            max: 500,
            groups: Arc::default(),
        }
    }
}

/// A named group of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientGroup {
    /// Unique; never `other`.
    pub name: String,
    /// Which clients belong to it.
    pub matching: ClientMatch,
    /// The most connections that its pools may have together.
    pub pool_max: Option<u32>,
}

/// Which clients belong to a group: those that match all that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientMatch {
    /// The name that CLIENT SETNAME gave.
    pub name: Option<Pattern>,
    /// The ACL user.
    pub user: Option<Pattern>,
    /// The name of the library.
    pub library: Option<Pattern>,
    /// The address without its port.
    pub address: Option<Pattern>,
    /// The last command.
    pub command: Option<Pattern>,
}

/// Reads the `clients` section below a map; what is not written is as in `defaults`.
pub(crate) fn read(
    parent: &Section<'_>,
    defaults: &Clients,
    context: &mut Context<'_>,
) -> Option<Clients> {
    let section = parent.section("clients", KEYS, context)?;
    let list = section.value("list", unit::switch, context);
    let port = section.value("port", unit::switch, context);
    let max = section.value("max", |text| whole(text, 1, MOST_CLIENTS), context);
    let groups = if section.node("groups").is_some() {
        read_named(&section, "groups", read_group, context).into()
    } else {
        Arc::clone(&defaults.groups)
    };
    Some(Clients {
        list: or(list, defaults.list)?,
        port: or(port, defaults.port)?,
        max: or(max, defaults.max)?,
        groups,
    })
}

fn read_group(
    node: &Node,
    place: String,
    context: &mut Context<'_>,
) -> Option<(Placed<String>, ClientGroup)> {
    let section = Section::open(node, place, GROUP_KEYS, context)?;
    let name = read_name(&section, context);
    let matching = read_match(&section, context);
    let pool_max = section.value("pool_max", |text| whole(text, 1, u32::MAX), context);
    let name = name?;
    let group = ClientGroup {
        name: name.value.clone(),
        matching: matching?,
        pool_max: pool_max.ok()?.map(|placed| placed.value),
    };
    Some((name, group))
}

fn read_match(parent: &Section<'_>, context: &mut Context<'_>) -> Option<ClientMatch> {
    let section = parent.section("match", MATCH_KEYS, context)?;
    let mut pattern = |key: &str| {
        let read = section.text(key, glob, context).ok()?;
        Some(read.map(|placed| placed.value))
    };
    let (name, user, library) = (pattern("name"), pattern("user"), pattern("lib"));
    let (address, command) = (pattern("address"), pattern("cmd"));
    let matching = ClientMatch {
        name: name?,
        user: user?,
        library: library?,
        address: address?,
        command: command?,
    };
    if matching == ClientMatch::default() {
        context.report(
            &parent.place,
            "has no pattern",
            "add one, as in match: { name: \"web-*\" }",
        );
        return None;
    }
    Some(matching)
}

#[cfg(test)]
mod tests {
    use super::super::document;
    use super::super::problem::Problem;
    use super::*;

    fn reading(text: &str, defaults: &Clients) -> (Option<Clients>, Vec<String>) {
        let mut context = Context {
            environment: &|_| None,
            check_file: &|_, _| Ok(()),
            read_file: &|_, _| Ok(Vec::new()),
            collector_names: &[],
            problems: Vec::new(),
            notices: Vec::new(),
        };
        let node = document::read(text).unwrap();
        let root = Section::root(&node, "c.yaml", &["clients"], &mut context).unwrap();
        let clients = read(&root, defaults, &mut context);
        let problems = context.problems.iter().map(Problem::to_string).collect();
        (clients, problems)
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
    fn groups_are_read_in_their_order() {
        let text = "clients: {port: true, groups: [\
                    {name: b, match: {name: \"prism-*\"}, pool_max: 10},\
                    {name: a, match: {name: \"prism-*\"}, pool_max: 10}]}";
        let expected = Clients {
            port: true,
            groups: [group("b"), group("a")].into(),
            ..Clients::default()
        };
        let (clients, problems) = reading(text, &Clients::default());
        assert_eq!((clients, problems), (Some(expected), Vec::new()));
    }

    #[test]
    fn what_is_not_written_is_as_for_all() {
        let defaults = Clients {
            list: true,
            groups: [group("a")].into(),
            ..Clients::default()
        };
        let (clients, _) = reading("clients: {max: 7}", &defaults);
        let clients = clients.unwrap();
        assert_eq!((clients.max, clients.list), (7, true));
        assert_eq!(clients.groups, defaults.groups);
        let (clients, _) = reading("clients: {groups: []}", &defaults);
        assert!(clients.unwrap().groups.is_empty());
    }

    #[test]
    fn each_mistake_has_its_place_and_remedy() {
        for (text, expected) in [
            ("{max: 0}", "clients.max: `0` is not a number that fits"),
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
                "nothing matches",
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
