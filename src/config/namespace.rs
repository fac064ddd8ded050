//! Declared namespaces and channel groups, and their policies. Names are matched elsewhere.

use std::time::Duration;

use super::collector_options::ChannelName;
use super::context::Context;
use super::draft::{Draft, Item};
use super::problem::{Invalid, quoted};
use super::written_keys::WrittenKeys;
use crate::label::OTHER;
use crate::pattern::{Expression, Pattern};

const LONGEST_NAME: usize = 100;

/// A declared namespace: a named set of keys with its policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// The name. It is unique and never `other`, which is for keys that match nothing.
    pub name: String,
    /// The pattern of its keys.
    pub pattern: Pattern,
    /// The only database of the namespace, or `None` for all databases.
    pub database: Option<u32>,
    /// The policy for the TTLs of its keys.
    pub ttl: TtlPolicy,
    /// Maximum memory of its keys, in bytes.
    pub memory_quota: Option<u64>,
    /// Declared effect of the eviction of its keys.
    pub on_eviction: Option<OnEviction>,
}

/// The effect of the eviction of keys on clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnEviction {
    /// Clients notice it: for example, sessions end early.
    Harmful,
    /// The keys can be computed again, like those of a cache.
    Harmless,
}

/// The policies of a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamespacePolicy {
    /// The policy for the TTLs of its keys.
    pub ttl: TtlPolicy,
    /// Maximum memory of its keys, in bytes.
    pub memory_quota: Option<u64>,
    /// Declared effect of the eviction of its keys.
    pub on_eviction: Option<OnEviction>,
}

impl Namespace {
    /// Returns a namespace without policies.
    #[cfg(test)]
    pub(crate) fn glob(name: &str, pattern: &str) -> Self {
        Self {
            name: name.to_owned(),
            pattern: Pattern::glob(pattern),
            database: None,
            ttl: TtlPolicy::default(),
            memory_quota: None,
            on_eviction: None,
        }
    }

    /// Returns its policies.
    #[must_use]
    pub const fn policy(&self) -> NamespacePolicy {
        NamespacePolicy {
            ttl: self.ttl,
            memory_quota: self.memory_quota,
            on_eviction: self.on_eviction,
        }
    }
}

impl OnEviction {
    /// Returns the word in the configuration and in labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Harmful => "harmful",
            Self::Harmless => "harmless",
        }
    }
}

/// The policy for the TTLs of a namespace's keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TtlPolicy {
    /// Whether every key must have a TTL.
    pub required: bool,
    /// Longest allowed TTL.
    pub max: Option<Duration>,
}

/// A named group of pub/sub channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelGroup {
    /// The name. It is unique and never `other`.
    pub name: String,
    /// The pattern of its channels.
    pub pattern: Pattern,
    /// Channels that must have a subscriber, each once. All of them match the pattern.
    pub expected: Vec<ChannelName>,
}

/// Returns warnings about probable mistakes in namespaces and channel groups, one sentence each.
///
/// The order matters, because the first match wins.
#[must_use]
pub fn doubts(namespaces: &[Namespace], channels: &[ChannelGroup]) -> Vec<String> {
    let spaces = namespaces.iter().map(|space| DeclaredGroup {
        name: &space.name,
        pattern: &space.pattern,
        database: space.database,
    });
    let channels = channels.iter().map(|channel| DeclaredGroup {
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

/// The parts of a declared group that decide which names belong to it.
struct DeclaredGroup<'a> {
    name: &'a str,
    pattern: &'a Pattern,
    database: Option<u32>,
}

impl DeclaredGroup<'_> {
    fn covers(&self, other: &Self) -> bool {
        let is_wide = self.database.is_none() || self.database == other.database;
        is_wide && self.pattern.covers(other.pattern)
    }
}

fn doubts_of(kind: &str, members: &str, groups: &[DeclaredGroup<'_>]) -> Vec<String> {
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

/// Adds the parsed namespace.
pub(crate) fn finish_namespace(
    draft: &mut Draft,
    written: &WrittenKeys,
    context: &mut Context<'_>,
) {
    let (namespaces, item) = (&mut draft.top.namespaces, &mut draft.item);
    let names = namespaces.iter().map(|namespace| &*namespace.name);
    let name = unique_name(item.name.take(), names, written, context);
    let pattern = pattern(item, written, context);
    namespaces.extend(name.zip(pattern).map(|(name, pattern)| Namespace {
        name,
        pattern,
        database: item.database,
        ttl: item.ttl,
        memory_quota: item.memory_quota,
        on_eviction: item.on_eviction,
    }));
}

/// Adds the parsed channel group.
pub(crate) fn finish_channel(draft: &mut Draft, written: &WrittenKeys, context: &mut Context<'_>) {
    let (channels, item) = (&mut draft.top.channels, &mut draft.item);
    let names = channels.iter().map(|channel| &*channel.name);
    let name = unique_name(item.name.take(), names, written, context);
    let pattern = pattern(item, written, context);
    let mut expected = std::mem::take(&mut item.expect_subscribers);
    expected.sort_unstable();
    expected.dedup();
    if let (Some(pattern), Some(place)) = (&pattern, written.place_of("expect_subscribers")) {
        let mut names = expected.iter();
        if let Some(name) = names.find(|name| !pattern.matches(name.as_str().as_bytes())) {
            let what = format!(
                "{} does not match the pattern of the group",
                quoted(name.as_str())
            );
            context.report(place, what, "move it to the group whose pattern it matches");
        }
    }
    channels.extend(name.zip(pattern).map(|(name, pattern)| ChannelGroup {
        name,
        pattern,
        expected,
    }));
}

/// Returns the name of an item. A name that an earlier item has is reported.
pub(crate) fn unique_name<'a>(
    name: Option<String>,
    mut earlier: impl Iterator<Item = &'a str>,
    written: &WrittenKeys,
    context: &mut Context<'_>,
) -> Option<String> {
    match (&name, written.place_of("name")) {
        (Some(name), Some(place)) if earlier.any(|earlier| earlier == name) => {
            let what = format!("{} is the name of an earlier item", quoted(name));
            context.report(place, what, "names must be unique");
        }
        (None, None) => context.report(&written.place, "has no `name`", "add one"),
        _ => {}
    }
    name
}

fn pattern(item: &mut Item, written: &WrittenKeys, context: &mut Context<'_>) -> Option<Pattern> {
    let regex_place = written.place_of("regex");
    match (written.has("match"), regex_place) {
        (true, Some(place)) if !written.is_wrong("match") && !written.is_wrong("regex") => {
            context.report(place, "conflicts with `match`", "keep one of the two");
        }
        (false, None) => {
            let remedy = "add `match: \"prefix:*\"`, or `regex`";
            context.report(&written.place, "has no pattern", remedy);
        }
        _ => {}
    }
    item.glob.take().or(item.regex.take())
}

pub(crate) fn group_name(text: &str) -> Result<String, Invalid> {
    let name = label_value(text)?;
    if name == OTHER {
        return Err(Invalid::new(
            "is reserved for names that match no pattern",
            "use another name",
        ));
    }
    Ok(name)
}

/// Checks a name that becomes the value of a label.
pub(crate) fn label_value(text: &str) -> Result<String, Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::new("is an empty name", "write a name"));
    }
    if text.chars().any(char::is_control) || text.chars().count() > LONGEST_NAME {
        return Err(Invalid::new(
            "cannot be a name",
            "use at most 100 characters and no control characters",
        ));
    }
    Ok(text.to_owned())
}

pub(super) fn glob(text: &str) -> Result<Pattern, Invalid> {
    if text.is_empty() {
        return Err(Invalid::new(
            "matches no name",
            "write a glob, such as session:*",
        ));
    }
    let mut in_class = false;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.next().is_none() => {
                return Err(Invalid::new(
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
        return Err(Invalid::new("has a [ without ]", "close it, or write \\["));
    }
    Ok(Pattern::glob(text))
}

pub(super) fn regex(text: &str) -> Result<Pattern, Invalid> {
    compiled(text).map(Pattern::from)
}

/// Compiles a regular expression over bytes, with a size limit.
pub(super) fn compiled(text: &str) -> Result<Expression, Invalid> {
    if text.is_empty() {
        return Err(Invalid::new("is empty", "write a regular expression"));
    }
    match Expression::new(text) {
        Ok(expression) => Ok(expression),
        Err(regex::Error::CompiledTooBig(_)) => Err(Invalid::new(
            "is too large once compiled",
            "use smaller counts in { }",
        )),
        Err(error) => {
            // The last line has the reason. Those before it draw the pattern.
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            Err(Invalid::new(
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
    fn globs_have_the_syntax_of_redis() {
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
            let invalid = regex(text).unwrap_err();
            assert!(invalid.what.contains(expected), "{text}: {invalid}");
            assert!(!invalid.what.contains('\n'), "{text}: {invalid}");
        }
    }

    #[test]
    fn names_must_be_valid_label_values() {
        assert_eq!(group_name("api cache").unwrap(), "api cache");
        for text in ["", "  ", "a\nb", "other", &"x".repeat(101)] {
            assert!(group_name(text).is_err(), "{text}");
        }
    }
}
