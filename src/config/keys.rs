//! The keys that are counted, checked and grouped by name, and the streams: patterns and single
//! keys. Not the matching of keys, and not the asking.

use regex::bytes::Regex;

use super::document::{Kind, Node};
use super::expand::expand;
use super::namespace::{glob, regex};
use super::problem::Refusal;
use super::section::{Context, Invalid, Reading, Section};
use super::sweep::whole;
use super::unit;

/// The keys of a `keys` section.
pub(crate) const KEYS: &[&str] = &[
    "count",
    "check",
    "check_single",
    "max_checked",
    "values",
    "groups",
    "max_groups",
    "streams",
    "single_streams",
    "max_streams",
    "stream_consumers",
    "max_stream_groups",
    "max_stream_consumers",
];

/// Every key of a keyspace is held against every pattern.
const MOST_PATTERNS: usize = 100;

/// A page has room for so many keys.
const MOST_KEYS: u32 = 1000;

/// What is shown of keys that are named, one by one or by patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Patterns whose keys are counted.
    pub count: Vec<KeyPattern>,
    /// Patterns whose keys are shown one by one.
    pub check: Vec<KeyPattern>,
    /// Keys that are shown one by one.
    pub check_single: Vec<KeyName>,
    /// The most keys of `check` that are shown.
    pub max_checked: u32,
    /// What is shown of the values of strings.
    pub values: ShownValues,
    /// Regular expressions that compile and capture something: what they capture of a key is the
    /// name of its group. The first match wins.
    pub groups: Vec<String>,
    /// The most groups of a database that are shown.
    pub max_groups: u32,
    /// The streams that are shown with their groups and consumers.
    pub streams: Streams,
}

/// Which streams are shown, and how much of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Patterns: what matches and is a stream is shown.
    pub patterns: Vec<KeyPattern>,
    /// Streams that are shown whatever matches.
    pub singles: Vec<KeyName>,
    /// The most streams of the patterns that are shown.
    pub max: u32,
    /// Whether the consumers of groups are shown.
    pub consumers: bool,
    /// The most groups of one stream that are shown.
    pub max_groups: u32,
    /// The most consumers of one stream that are shown, of all its groups together.
    pub max_consumers: u32,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            count: Vec::new(),
            check: Vec::new(),
            check_single: Vec::new(),
            max_checked: 500,
            values: ShownValues::Off,
            groups: Vec::new(),
            max_groups: 100,
            streams: Streams::default(),
        }
    }
}

impl Keys {
    /// Returns whether anything is declared that the sweep must find.
    #[must_use]
    pub const fn is_declared(&self) -> bool {
        !(self.count.is_empty()
            && self.check.is_empty()
            && self.check_single.is_empty()
            && self.groups.is_empty()
            && self.streams.patterns.is_empty()
            && self.streams.singles.is_empty())
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            patterns: Vec::new(),
            singles: Vec::new(),
            max: 100,
            consumers: true,
            max_groups: 100,
            max_consumers: 100,
        }
    }
}

/// A glob for the keys of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPattern {
    /// The database.
    pub database: u32,
    /// The glob, as Redis understands it.
    pub glob: String,
}

/// One key of one database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName {
    /// The database.
    pub database: u32,
    /// Its bytes.
    pub key: Vec<u8>,
}

/// What is shown of the values of strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownValues {
    /// Nothing.
    Off,
    /// Those that are numbers.
    Number,
    /// All that are not long: numbers as numbers, the others as the text of a label.
    Text,
}

/// Reads the `keys` section below a map; what is not written is as in `defaults`.
pub(crate) fn read(
    parent: &Section<'_>,
    defaults: &Keys,
    context: &mut Context<'_>,
) -> Option<Keys> {
    let section = parent.section("keys", KEYS, context)?;
    let count = items(&section, "count", MOST_PATTERNS, pattern, context);
    let check = items(&section, "check", MOST_PATTERNS, pattern, context);
    let singles = items(
        &section,
        "check_single",
        MOST_KEYS as usize,
        key_name,
        context,
    );
    let max_checked = section.value("max_checked", |text| whole(text, 1, MOST_KEYS), context);
    let values = section.text("values", shown_values, context);
    let groups = items(&section, "groups", MOST_PATTERNS, group, context);
    let max_groups = section.value("max_groups", |text| whole(text, 1, MOST_KEYS), context);
    let streams = read_streams(&section, &defaults.streams, context);
    Some(Keys {
        count: count.ok()?.unwrap_or_else(|| defaults.count.clone()),
        check: check.ok()?.unwrap_or_else(|| defaults.check.clone()),
        check_single: singles
            .ok()?
            .unwrap_or_else(|| defaults.check_single.clone()),
        max_checked: or(max_checked, defaults.max_checked)?,
        values: or(values, defaults.values)?,
        groups: groups.ok()?.unwrap_or_else(|| defaults.groups.clone()),
        max_groups: or(max_groups, defaults.max_groups)?,
        streams: streams?,
    })
}

fn read_streams(
    section: &Section<'_>,
    defaults: &Streams,
    context: &mut Context<'_>,
) -> Option<Streams> {
    let most = |text: &str| whole(text, 1, MOST_KEYS);
    let patterns = items(section, "streams", MOST_PATTERNS, pattern, context);
    let singles = items(
        section,
        "single_streams",
        MOST_KEYS as usize,
        key_name,
        context,
    );
    let max = section.value("max_streams", most, context);
    let consumers = section.value("stream_consumers", unit::switch, context);
    let max_groups = section.value("max_stream_groups", most, context);
    let max_consumers = section.value("max_stream_consumers", most, context);
    Some(Streams {
        patterns: patterns.ok()?.unwrap_or_else(|| defaults.patterns.clone()),
        singles: singles.ok()?.unwrap_or_else(|| defaults.singles.clone()),
        max: or(max, defaults.max)?,
        consumers: or(consumers, defaults.consumers)?,
        max_groups: or(max_groups, defaults.max_groups)?,
        max_consumers: or(max_consumers, defaults.max_consumers)?,
    })
}

/// What was written, else the default; none where it is already reported.
pub(super) fn or<T>(written: Reading<T>, default: T) -> Option<T> {
    let written = written.ok()?;
    Some(written.map_or(default, |placed| placed.value))
}

/// A list of texts, each parsed; none where the key is not there. All problems are reported.
pub(crate) fn items<T>(
    section: &Section<'_>,
    key: &str,
    most: usize,
    parse: impl Fn(&str) -> Result<T, Refusal>,
    context: &mut Context<'_>,
) -> Result<Option<Vec<T>>, Invalid> {
    if section.node(key).is_none() {
        return Ok(None);
    }
    let list = section.list(key, context).ok_or(Invalid)?;
    let count = list.len();
    if count > most {
        let what = format!("has {count} items");
        context.report(&section.place_of(key), what, format!("keep {most} at most"));
        return Err(Invalid);
    }
    let read: Vec<T> = list
        .into_iter()
        .filter_map(|(node, place)| item(node, place, &parse, context))
        .collect();
    // A reported item is missing.
    (read.len() == count).then_some(Some(read)).ok_or(Invalid)
}

fn item<T>(
    node: &Node,
    place: String,
    parse: impl Fn(&str) -> Result<T, Refusal>,
    context: &mut Context<'_>,
) -> Option<T> {
    let Node::Scalar(scalar) = node else {
        let what = format!("is {}, not a text", node.kind());
        context.report(&place, what, "put it in quotes");
        return None;
    };
    if scalar.kind != Kind::Text {
        let what = format!("is {}, not a text", node.kind());
        context.report(&place, what, "put it in quotes");
        return None;
    }
    match expand(&scalar.text, context.environment).and_then(|text| parse(&text)) {
        Ok(value) => Some(value),
        Err(refusal) => {
            context.problems.push(refusal.of(&scalar.text, place));
            None
        }
    }
}

/// Takes `db3=` or `3=` from the front. Without it the database is 0, and a `=` is a part of the
/// rest.
fn in_database(text: &str) -> Result<(u32, &str), Refusal> {
    let (database, rest) = match text.split_once('=') {
        Some((front, rest)) => {
            let number = front.strip_prefix("db").unwrap_or(front);
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            if is_number {
                (unit::database(number)?, rest)
            } else {
                (0, text)
            }
        }
        None => (0, text),
    };
    if rest.is_empty() {
        return Err(Refusal::new(
            "names no key",
            "write a key after the database, as in db0=session:*",
        ));
    }
    Ok((database, rest))
}

fn pattern(text: &str) -> Result<KeyPattern, Refusal> {
    let (database, rest) = in_database(text)?;
    glob(rest)?;
    Ok(KeyPattern {
        database,
        glob: rest.to_owned(),
    })
}

fn key_name(text: &str) -> Result<KeyName, Refusal> {
    let (database, rest) = in_database(text)?;
    Ok(KeyName {
        database,
        key: unescaped(rest),
    })
}

/// The bytes of a key that is written as labels show it: `\xff` is a byte, and so `\x5c` a
/// backslash. A backslash before anything else is itself.
fn unescaped(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part
            .get(..2)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let rest = if let Some(byte) = byte {
            bytes.push(byte);
            part.get(2..).unwrap_or_default()
        } else {
            bytes.extend(b"\\x");
            part
        };
        bytes.extend(rest.as_bytes());
    }
    bytes
}

fn shown_values(text: &str) -> Result<ShownValues, Refusal> {
    match text {
        "off" => Ok(ShownValues::Off),
        "number" => Ok(ShownValues::Number),
        "text" => Ok(ShownValues::Text),
        _ => Err(Refusal::new(
            "is not a way to show values",
            "write off, number or text",
        )),
    }
}

fn group(text: &str) -> Result<String, Refusal> {
    regex(text)?;
    // It compiles, as was just seen.
    let groups = Regex::new(text).map_or(0, |regex| regex.captures_len());
    if groups < 2 {
        return Err(Refusal::new(
            "captures nothing",
            "put ( ) around what names the group, as in ^(user|session):",
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_database_stands_before_the_key_as_at_the_peer() {
        for (text, database, key) in [
            ("session:*", 0, "session:*"),
            ("db3=config:version", 3, "config:version"),
            ("12=a", 12, "a"),
            ("a=b", 0, "a=b"),
            ("db=b", 0, "db=b"),
            ("db0=db1=x", 0, "db1=x"),
            ("=x", 0, "=x"),
        ] {
            assert_eq!(in_database(text), Ok((database, key)), "{text}");
        }
        for text in ["", "db3=", "99999999999=a"] {
            assert!(in_database(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_does_not_name_a_group_is_refused() {
        assert!(group("^(user|session):").is_ok());
        assert!(group("^user:").unwrap_err().what.contains("captures"));
        assert!(group("(?:user):").is_err());
        assert!(group("(user").is_err());
    }

    #[test]
    fn a_pattern_must_be_a_glob() {
        assert_eq!(pattern("db2=a[b]*").unwrap().glob, "a[b]*");
        assert!(pattern("db2=a[b").is_err());
    }

    proptest! {
        #[test]
        fn every_key_can_be_written_byte_by_byte(
            key in proptest::collection::vec(any::<u8>(), 1..30),
        ) {
            let written: Vec<_> = key.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            let written = format!("db0={}", written.concat());
            prop_assert_eq!(key_name(&written).unwrap().key, key);
        }

        #[test]
        fn a_text_without_escapes_is_the_key_itself(text in "[a-zé:\\\\]{1,20}") {
            prop_assume!(!text.contains("\\x"));
            prop_assert_eq!(key_name(&format!("0={text}")).unwrap().key, text.into_bytes());
        }
    }
}
