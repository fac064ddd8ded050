//! The keys and streams to count, check and group: patterns and single keys. Keys are matched
//! elsewhere.

use super::draft::Draft;
use super::namespace::{compiled, glob};
use super::problem::Invalid;
use super::row::FromText;
use super::unit;
use crate::pattern::{Expression, Pattern};

/// Which keys to export individually or to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Patterns whose keys are counted.
    pub count: Vec<KeyPattern>,
    /// Patterns whose keys are exported individually.
    pub check: Vec<KeyPattern>,
    /// Keys that are exported individually.
    pub check_single: Vec<KeyName>,
    /// Maximum number of exported keys of `check`.
    pub max_checked: u32,
    /// Which values of strings to export.
    pub values: ShownValues,
    /// Regular expressions whose captures are the name of a key's group. The first match wins.
    pub groups: Vec<Expression>,
    /// Maximum number of exported groups of a database.
    pub max_groups: u32,
    /// The streams to export, with their groups and consumers.
    pub streams: Streams,
}

/// The streams to export, and limits for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Patterns whose streams are exported.
    pub patterns: Vec<KeyPattern>,
    /// Streams that are exported individually.
    pub singles: Vec<KeyName>,
    /// Maximum number of exported streams of the patterns.
    pub max: u32,
    /// Whether to export the consumers of groups.
    pub consumers: bool,
    /// Maximum number of exported groups of one stream.
    pub max_groups: u32,
    /// Maximum number of exported consumers of one stream, of all its groups together.
    pub max_consumers: u32,
}

impl Default for Keys {
    fn default() -> Self {
        Draft::new().each.keys
    }
}

impl Keys {
    /// The value before rows set defaults and settings.
    pub(crate) const BLANK: Self = Self {
        count: Vec::new(),
        check: Vec::new(),
        check_single: Vec::new(),
        max_checked: 0,
        values: ShownValues::Off,
        groups: Vec::new(),
        max_groups: 0,
        streams: Streams {
            patterns: Vec::new(),
            singles: Vec::new(),
            max: 0,
            consumers: false,
            max_groups: 0,
            max_consumers: 0,
        },
    };

    /// Returns whether the sweep must find any keys.
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

/// A glob for the keys of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPattern {
    /// The database number.
    pub database: u32,
    /// The glob, with the syntax of Redis.
    pub pattern: Pattern,
}

/// A key in a database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName {
    /// The database number.
    pub database: u32,
    /// The bytes of the name.
    pub key: Vec<u8>,
}

/// Which values of strings to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownValues {
    /// No values.
    Off,
    /// Values that are numbers.
    Number,
    /// All values up to a maximum length: numbers as numbers, others as the text of a label.
    Text,
}

/// Splits off the database, such as `db3=` or `3=`. Without one it is 0, and a `=` is part of the
/// rest.
fn in_database(text: &str) -> Result<(u32, &str), Invalid> {
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
        return Err(Invalid::new(
            "names no key",
            "write a key after the database, such as db0=session:*",
        ));
    }
    Ok((database, rest))
}

impl FromText for KeyPattern {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        let (database, rest) = in_database(text)?;
        let pattern = glob(rest)?;
        Ok(Self { database, pattern })
    }
}

impl FromText for KeyName {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        let (database, rest) = in_database(text)?;
        let key = unescaped(rest);
        Ok(Self { database, key })
    }
}

/// Parses an expression that names the group of a key.
impl FromText for Expression {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        let expression = compiled(text)?;
        if !expression.has_groups() {
            return Err(Invalid::new(
                "captures nothing",
                "put ( ) around the part that names the group, such as ^(user|session):",
            ));
        }
        Ok(expression)
    }
}

/// Returns the bytes of a key that is written like a label value. `\xff` is a byte, so a backslash
/// is `\x5c`. A backslash before anything else is literal.
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

pub(crate) fn shown_values(text: &str) -> Result<ShownValues, Invalid> {
    match text {
        "off" => Ok(ShownValues::Off),
        "number" => Ok(ShownValues::Number),
        "text" => Ok(ShownValues::Text),
        _ => Err(Invalid::new(
            "is not a known setting",
            "write off, number or text",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn database_prefix_is_parsed_as_in_redis_exporter() {
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
    fn expression_without_a_capture_is_rejected() {
        assert!(Expression::from_text("^(user|session):").is_ok());
        assert!(
            Expression::from_text("^user:")
                .unwrap_err()
                .what
                .contains("captures")
        );
        assert!(Expression::from_text("(?:user):").is_err());
        assert!(Expression::from_text("(user").is_err());
    }

    #[test]
    fn a_pattern_must_be_a_glob() {
        let found = KeyPattern::from_text("db2=a[b]*").unwrap();
        assert_eq!(
            (found.database, found.pattern.as_glob()),
            (2, Some("a[b]*"))
        );
        assert!(KeyPattern::from_text("db2=a[b").is_err());
    }

    proptest! {
        #[test]
        fn every_key_can_be_written_with_escapes(
            key in proptest::collection::vec(any::<u8>(), 1..30),
        ) {
            let written: Vec<_> = key.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            let written = format!("db0={}", written.concat());
            prop_assert_eq!(KeyName::from_text(&written).unwrap().key, key);
        }

        #[test]
        fn a_text_without_escapes_is_the_key_itself(text in "[a-zé:\\\\]{1,20}") {
            prop_assume!(!text.contains("\\x"));
            prop_assert_eq!(KeyName::from_text(&format!("0={text}")).unwrap().key, text.into_bytes());
        }
    }
}
