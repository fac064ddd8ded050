//! Declared groups of keys and of channels, and their policies. Not the matching of names.

use std::time::Duration;

use regex::bytes::Regex;

use super::document::Node;
use super::problem::{Refusal, quoted};
use super::section::{Context, Placed, Section};
use super::unit;
use crate::pattern::{Pattern, bounded};

/// The keys of an item of `namespaces`.
pub(crate) const KEYS: &[&str] = &["name", "match", "regex", "db", "ttl", "memory_quota"];

/// The keys of a `ttl` section.
pub(crate) const TTL_KEYS: &[&str] = &["required", "max"];

/// The keys of an item of `channels`.
pub(crate) const CHANNEL_KEYS: &[&str] = &["name", "match", "regex"];

/// The name of what no pattern matches.
const REST: &str = "other";

const LONGEST_NAME: usize = 100;

/// A named group of keys and what was declared for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Unique; never `other`, the name of what nothing matches.
    pub name: String,
    /// Which keys belong to it.
    pub pattern: Pattern,
    /// The only database in which it is looked for; all of them when absent.
    pub database: Option<u32>,
    /// What holds for the TTLs of its keys.
    pub ttl: TtlPolicy,
    /// The most memory its keys may take, in bytes.
    pub memory_quota: Option<u64>,
}

/// What holds for the TTLs of a namespace's keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TtlPolicy {
    /// Whether every key must have a TTL.
    pub required: bool,
    /// The longest TTL that a key may have.
    pub max: Option<Duration>,
}

/// A named group of pub/sub channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelGroup {
    /// Unique; never `other`.
    pub name: String,
    /// Which channels belong to it.
    pub pattern: Pattern,
}

/// What may be a mistake in declared namespaces and channel groups, a sentence each. The order
/// counts: the first match wins.
#[must_use]
pub fn doubts(namespaces: &[Namespace], channels: &[ChannelGroup]) -> Vec<String> {
    let spaces = namespaces.iter().map(|space| Group {
        name: &space.name,
        pattern: &space.pattern,
        database: space.database,
    });
    let channels = channels.iter().map(|channel| Group {
        name: &channel.name,
        pattern: &channel.pattern,
        database: None,
    });
    let mut doubts = doubts_of("namespace", "keys", &spaces.collect::<Vec<_>>());
    doubts.extend(doubts_of(
        "channel group",
        "channels",
        &channels.collect::<Vec<_>>(),
    ));
    doubts
}

/// What decides on the members of a declared group.
struct Group<'a> {
    name: &'a str,
    pattern: &'a Pattern,
    database: Option<u32>,
}

impl Group<'_> {
    fn covers(&self, other: &Self) -> bool {
        let is_wide = self.database.is_none() || self.database == other.database;
        is_wide && self.pattern.covers(other.pattern)
    }
}

fn doubts_of(kind: &str, members: &str, groups: &[Group<'_>]) -> Vec<String> {
    let mut doubts = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        let mut earlier = groups.iter().take(at);
        if let Some(earlier) = earlier.find(|earlier| earlier.covers(group)) {
            doubts.push(format!(
                "{kind} {} stays empty: {} before it matches all of its {members}; move it up",
                quoted(group.name),
                quoted(earlier.name),
            ));
        }
        if group.pattern.is_literal() {
            let pattern = group.pattern.as_glob().unwrap_or_default();
            doubts.push(format!(
                "{kind} {} matches one name only; for all {members} that begin with it write {}",
                quoted(group.name),
                quoted(&format!("{pattern}*")),
            ));
        }
    }
    doubts
}

/// Reads the list `namespaces`.
pub(crate) fn read_namespaces(root: &Section<'_>, context: &mut Context<'_>) -> Vec<Namespace> {
    read_named(root, "namespaces", read_namespace, context)
}

/// Reads the list `channels`.
pub(crate) fn read_channels(root: &Section<'_>, context: &mut Context<'_>) -> Vec<ChannelGroup> {
    read_named(root, "channels", read_channel, context)
}

/// Reads a list whose items have a unique name, reported where it is not.
pub(super) fn read_named<T>(
    root: &Section<'_>,
    key: &str,
    read: impl Fn(&Node, String, &mut Context<'_>) -> Option<(Placed<String>, T)>,
    context: &mut Context<'_>,
) -> Vec<T> {
    let mut names: Vec<String> = Vec::new();
    let mut groups = Vec::new();
    for (node, place) in root.list(key, context).unwrap_or_default() {
        let Some((name, group)) = read(node, place, context) else {
            continue;
        };
        if names.contains(&name.value) {
            context.report(
                &name.place,
                format!("{} is the name of an earlier item", quoted(&name.value)),
                "give each a name of its own",
            );
        }
        names.push(name.value);
        groups.push(group);
    }
    groups
}

fn read_namespace(
    node: &Node,
    place: String,
    context: &mut Context<'_>,
) -> Option<(Placed<String>, Namespace)> {
    let section = Section::open(node, place, KEYS, context)?;
    let name = read_name(&section, context);
    let pattern = read_pattern(&section, context);
    let database = section.value("db", unit::database, context);
    let ttl = read_ttl(&section, context);
    let quota = section.value("memory_quota", unit::size, context);
    let name = name?;
    let namespace = Namespace {
        name: name.value.clone(),
        pattern: pattern?,
        database: database.ok()?.map(|placed| placed.value),
        ttl: ttl?,
        memory_quota: quota.ok()?.map(|placed| placed.value),
    };
    Some((name, namespace))
}

fn read_channel(
    node: &Node,
    place: String,
    context: &mut Context<'_>,
) -> Option<(Placed<String>, ChannelGroup)> {
    let section = Section::open(node, place, CHANNEL_KEYS, context)?;
    let name = read_name(&section, context);
    let pattern = read_pattern(&section, context)?;
    let name = name?;
    let group = ChannelGroup {
        name: name.value.clone(),
        pattern,
    };
    Some((name, group))
}

fn read_ttl(parent: &Section<'_>, context: &mut Context<'_>) -> Option<TtlPolicy> {
    let section = parent.section("ttl", TTL_KEYS, context)?;
    let required = section.value("required", unit::switch, context);
    let max = section.value("max", unit::duration, context);
    Some(TtlPolicy {
        required: required.ok()?.is_some_and(|placed| placed.value),
        max: max.ok()?.map(|placed| placed.value),
    })
}

pub(super) fn read_name(
    section: &Section<'_>,
    context: &mut Context<'_>,
) -> Option<Placed<String>> {
    let name = section.text("name", group_name, context).ok()?;
    if name.is_none() {
        context.report(&section.place, "has no `name`", "give it one");
    }
    name
}

fn group_name(text: &str) -> Result<String, Refusal> {
    let name = label_value(text)?;
    if name == REST {
        return Err(Refusal::new(
            "is the name of what nothing matches",
            "use another name",
        ));
    }
    Ok(name)
}

/// A name that becomes the value of a label.
pub(crate) fn label_value(text: &str) -> Result<String, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::new("is an empty name", "write a name"));
    }
    if text.chars().any(char::is_control) || text.chars().count() > LONGEST_NAME {
        return Err(Refusal::new(
            "is not fit for a name",
            "use at most 100 characters and no control characters",
        ));
    }
    Ok(text.to_owned())
}

fn read_pattern(section: &Section<'_>, context: &mut Context<'_>) -> Option<Pattern> {
    let glob = section.text("match", glob, context);
    let regex = section.text("regex", regex, context);
    match (glob.ok()?, regex.ok()?) {
        (Some(glob), None) => Some(glob.value),
        (None, Some(regex)) => Some(regex.value),
        (Some(_), Some(regex)) => {
            context.report(&regex.place, "stands beside `match`", "keep one of the two");
            None
        }
        (None, None) => {
            context.report(
                &section.place,
                "has no pattern",
                "add `match: \"prefix:*\"`, or `regex`",
            );
            None
        }
    }
}

pub(super) fn glob(text: &str) -> Result<Pattern, Refusal> {
    if text.is_empty() {
        return Err(Refusal::new(
            "matches no name",
            "write a glob, as in session:*",
        ));
    }
    let mut in_class = false;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.next().is_none() => {
                return Err(Refusal::new(
                    "ends in a backslash",
                    "write \\\\ for a backslash",
                ));
            }
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
    }
    if in_class {
        return Err(Refusal::new("has a [ without ]", "close it, or write \\["));
    }
    Ok(Pattern::glob(text))
}

pub(super) fn regex(text: &str) -> Result<Pattern, Refusal> {
    compiled(text).map(Pattern::from)
}

/// A regular expression over bytes, of bounded size.
pub(super) fn compiled(text: &str) -> Result<Regex, Refusal> {
    if text.is_empty() {
        return Err(Refusal::new("is empty", "write a regular expression"));
    }
    match bounded(text) {
        Ok(regex) => Ok(regex),
        Err(regex::Error::CompiledTooBig(_)) => Err(Refusal::new(
            "is too large once compiled",
            "use smaller counts in { }",
        )),
        Err(error) => {
            // The last line says why; those before it draw the pattern.
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            Err(Refusal::new(
                format!("is not a regular expression ({reason})"),
                "write it in the syntax of Rust's regex crate",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_those_of_redis() {
        for text in [
            "session:*",
            "a?c",
            "[a-z]*",
            "[^a]",
            "\\[x",
            "a\\\\",
            "x]",
            "é*",
        ] {
            assert_eq!(glob(text), Ok(Pattern::glob(text)));
        }
        for text in ["", "a\\", "[a", "[a\\]"] {
            assert!(glob(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_regular_expression_must_compile() {
        let pattern = regex("^a:\\d+$").unwrap();
        assert!(pattern.matches(b"a:12") && !pattern.matches(b"xa:12"));
        for (text, expected) in [
            ("", "is empty"),
            ("(a", "unclosed group"),
            ("(?=a)", "look-around"),
            ("((a{99}){99}){99}", "too large"),
        ] {
            let refusal = regex(text).unwrap_err();
            assert!(refusal.what.contains(expected), "{text}: {refusal}");
            assert!(!refusal.what.contains('\n'), "{text}: {refusal}");
        }
    }

    #[test]
    fn names_are_fit_for_labels() {
        assert_eq!(group_name("api cache").unwrap(), "api cache");
        for text in ["", "  ", "a\nb", "other", &"x".repeat(101)] {
            assert!(group_name(text).is_err(), "{text}");
        }
    }
}
