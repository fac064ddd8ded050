//! Chooses the queries for a key that is exported by name, and parses their replies. Pure.
//!
//! TYPE is sent first, so that no query is sent to a key of another type: the server would count
//! each as an error.

use crate::config::{KeyName, ShownValues};
use crate::keyspace::queries::{KEY_MEMORY, KEY_TYPE, SIZES, VALUE};
use crate::label::label_text;
use crate::query::Query;
use crate::reply::{ErrorKind, Refusal, Reply};

/// Maximum length of an exported value, in bytes.
pub const LONGEST_VALUE: u64 = 4096;

/// Offset of the last byte to read: one more than the longest value, so that a value that has grown
/// in the meantime is detected.
const LAST_BYTE: &[u8] = b"4096";

/// Prefix of a `HyperLogLog`, which is not readable text.
const HYPERLOGLOG: &[u8] = b"HYLL";

/// The value of a string.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyValue {
    /// A finite number.
    Number(f64),
    /// Any other value, converted to label text.
    Text(String),
}

/// Replies about one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// The key.
    pub name: KeyName,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Number of bytes, elements, fields or entries.
    pub size: Option<u64>,
    /// The value, if it is exported.
    pub value: Option<KeyValue>,
    size_query: Option<&'static Query>,
}

/// Key lookups that the server counted for our queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// Lookups of keys that exist.
    pub hits: u64,
    /// Lookups of keys that do not exist.
    pub misses: u64,
}

impl Lookups {
    /// Returns the lookups since an earlier sum.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            hits: self.hits - before.hits,
            misses: self.misses - before.misses,
        }
    }

    /// Adds lookups.
    pub const fn add(&mut self, more: Self) {
        self.hits += more.hits;
        self.misses += more.misses;
    }

    /// Counts one lookup.
    pub const fn count(&mut self, is_there: bool) {
        if is_there {
            self.hits += 1;
        } else {
            self.misses += 1;
        }
    }
}

impl Inspected {
    /// Returns a key without any replies.
    #[must_use]
    pub const fn new(name: KeyName) -> Self {
        Self {
            name,
            memory: None,
            size: None,
            value: None,
            size_query: None,
        }
    }

    /// Returns the query for the size, once the type is known.
    #[must_use]
    pub const fn size_query(&self) -> Option<&'static Query> {
        self.size_query
    }

    /// Returns the query for the value, if the key is a string whose known size is within the
    /// limit.
    #[must_use]
    pub fn value_query(&self) -> Option<&'static Query> {
        let is_string = self.size_query == size_query(b"string");
        let is_short = self
            .size
            .is_some_and(|size| (1..=LONGEST_VALUE).contains(&size));
        (is_string && is_short).then_some(&VALUE)
    }

    /// Records a reply. Ignores errors and replies of an unexpected kind.
    pub fn take(
        &mut self,
        query: &'static Query,
        reply: &Reply,
        shown: ShownValues,
        lookups: &mut Lookups,
    ) {
        match reply {
            Reply::Bytes(kind) if query == &KEY_TYPE => {
                lookups.count(kind.as_slice() != b"none");
                self.size_query = size_query(kind);
            }
            Reply::Integer(bytes) if query == &KEY_MEMORY => {
                self.memory = u64::try_from(*bytes).ok();
            }
            Reply::Integer(size) if Some(query) == self.size_query => {
                // Only strings and streams can be empty. Any other empty key does not exist.
                let may_be_empty = ["+strlen", "+xlen"].contains(&query.permission);
                let is_there = *size != 0 || may_be_empty;
                lookups.count(is_there);
                self.size = u64::try_from(*size).ok().filter(|_| is_there);
            }
            Reply::Bytes(value) if query == &VALUE => {
                lookups.hits += 1;
                self.value = read_value(value, shown);
            }
            _ => {}
        }
    }
}

/// Returns the arguments of a query about a key.
#[must_use]
pub fn words<'a>(query: &'static Query, key: &'a [u8]) -> Vec<&'a [u8]> {
    if query == &VALUE {
        vec![key, b"0", LAST_BYTE]
    } else {
        vec![key]
    }
}

fn size_query(kind: &[u8]) -> Option<&'static Query> {
    let found = SIZES.iter().find(|(name, _)| *name == kind);
    found.map(|(_, query)| query)
}

fn read_value(value: &[u8], shown: ShownValues) -> Option<KeyValue> {
    let is_long = value.len() as u64 > LONGEST_VALUE;
    if value.is_empty() || is_long || value.starts_with(HYPERLOGLOG) {
        return None;
    }
    let number = std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse::<f64>().ok())
        .filter(|number| number.is_finite());
    match (shown, number) {
        (ShownValues::Off, _) | (ShownValues::Number, None) => None,
        (ShownValues::Number | ShownValues::Text, Some(number)) => Some(KeyValue::Number(number)),
        (ShownValues::Text, None) => Some(KeyValue::Text(label_text(value))),
    }
}

/// The effect of an error reply on later queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A retry may succeed: the server is busy, the slot is migrating, or the key was deleted or
    /// changed its type after TYPE.
    Now,
    /// The key belongs to another node of the cluster.
    Elsewhere,
    /// The command is unknown or not permitted, for any key.
    Command,
    /// This key is not permitted.
    Key,
}

/// Classifies an error reply.
#[must_use]
pub fn refused(refusal: &Refusal) -> Refused {
    let (code, message) = (refusal.code.as_str(), refusal.message.as_str());
    match refusal.kind() {
        ErrorKind::Redirect if code == "MOVED" => Refused::Elsewhere,
        ErrorKind::Redirect | ErrorKind::Passing | ErrorKind::Authentication => Refused::Now,
        ErrorKind::KeyPermission => Refused::Key,
        _ if matches!(code, "WRONGTYPE" | "NOGROUP") => Refused::Now,
        _ if code == "ERR" && message.starts_with("no such key") => Refused::Now,
        _ => Refused::Command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected() -> Inspected {
        Inspected::new(KeyName {
            database: 0,
            key: b"k".to_vec(),
        })
    }

    fn bytes(text: &[u8]) -> Reply {
        Reply::Bytes(text.into())
    }

    #[test]
    fn each_type_has_its_own_size_query() {
        for (kind, command) in [("string", "STRLEN"), ("zset", "ZCARD"), ("stream", "XLEN")] {
            let mut key = inspected();
            let mut lookups = Lookups::default();
            let reply = bytes(kind.as_bytes());
            key.take(&KEY_TYPE, &reply, ShownValues::Off, &mut lookups);
            let first = key.size_query().unwrap().commands[0];
            assert_eq!(first, [command]);
            assert_eq!((lookups.hits, lookups.misses), (1, 0));
        }
        let mut key = inspected();
        let mut lookups = Lookups::default();
        let off = ShownValues::Off;
        key.take(&KEY_TYPE, &bytes(b"ReJSON-RL"), off, &mut lookups);
        assert_eq!(key.size_query(), None);
        key.take(&KEY_TYPE, &bytes(b"none"), off, &mut lookups);
        assert_eq!(key.size_query(), None);
        assert_eq!((lookups.hits, lookups.misses), (1, 1));
    }

    #[test]
    fn only_short_strings_have_a_value_query() {
        for (kind, size, expected) in [
            ("string", 0, false),
            ("string", 1, true),
            ("string", 4096, true),
            ("string", 4097, false),
            ("list", 1, false),
        ] {
            let mut key = inspected();
            let mut lookups = Lookups::default();
            let shown = ShownValues::Text;
            key.take(&KEY_TYPE, &bytes(kind.as_bytes()), shown, &mut lookups);
            let query = key.size_query().unwrap();
            key.take(query, &Reply::Integer(size), shown, &mut lookups);
            assert_eq!(key.value_query().is_some(), expected, "{kind} {size}");
        }
    }

    #[test]
    fn only_strings_and_streams_can_have_size_zero() {
        for (command, expected) in [("LLEN", None), ("STRLEN", Some(0)), ("XLEN", Some(0))] {
            let mut key = inspected();
            let mut lookups = Lookups::default();
            let is_it = |(_, query): &&(_, Query)| query.commands[0] == [command];
            let (kind, query) = SIZES.iter().find(is_it).unwrap();
            let off = ShownValues::Off;
            key.take(&KEY_TYPE, &bytes(kind), off, &mut Lookups::default());
            key.take(query, &Reply::Integer(0), ShownValues::Off, &mut lookups);
            assert_eq!(key.size, expected, "{command}");
            assert_eq!(lookups.misses, u64::from(expected.is_none()));
        }
    }

    #[test]
    fn shown_values_selects_numbers_or_text() {
        use ShownValues::{Number, Off, Text};
        let text = |text: &str| Some(KeyValue::Text(text.to_owned()));
        assert_eq!(read_value(b"1.5", Off), None);
        assert_eq!(read_value(b"1.5", Number), Some(KeyValue::Number(1.5)));
        assert_eq!(read_value(b"1.5", Text), Some(KeyValue::Number(1.5)));
        assert_eq!(read_value(b"v1", Number), None);
        assert_eq!(read_value(b"v1\xff", Text), text("v1\\xff"));
        assert_eq!(read_value(b"NaN", Text), text("NaN"));
        assert_eq!(read_value(b"", Text), None);
        assert_eq!(read_value(b"HYLL\0\0", Text), None);
        assert_eq!(read_value(&[b'1'; 4097], Text), None);
    }

    #[test]
    fn rejections_are_classified() {
        for (code, message, expected) in [
            ("MOVED", "3999 127.0.0.1:6381", Refused::Elsewhere),
            ("ASK", "3999 127.0.0.1:6381", Refused::Now),
            ("LOADING", "Redis is loading", Refused::Now),
            ("WRONGTYPE", "Operation against a key", Refused::Now),
            ("ERR", "no such key", Refused::Now),
            ("NOGROUP", "No such consumer group 'g'", Refused::Now),
            ("NOPERM", "No permissions to access a key", Refused::Key),
            (
                "NOPERM",
                "this user has no permissions to access one of the keys used as arguments",
                Refused::Key,
            ),
            (
                "NOPERM",
                "User a has no permissions to run the 'type' command",
                Refused::Command,
            ),
            ("ERR", "unknown command 'MEMORY'", Refused::Command),
        ] {
            let refusal = Refusal {
                code: code.to_owned(),
                message: message.to_owned(),
            };
            assert_eq!(refused(&refusal), expected, "{code} {message}");
        }
    }
}
