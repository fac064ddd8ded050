//! YAML text to a tree of nodes that keeps every pair of a map, also the duplicates. It knows
//! nothing of what the keys mean.

use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::problem::Refusal;

/// Deeper than any configuration, far from the end of the stack.
const DEEPEST: usize = 32;

/// More values than the largest accepted file can spell out: only repeated aliases exceed it.
const MOST_VALUES: usize = 600_000;

/// The byte order mark.
const MARK: char = '\u{feff}';

const TOO_MANY_VALUES: &str = "has too many values, through its aliases";

/// The parser's time grows with the square of the brackets that are open at once.
const MOST_OPEN_BRACKETS: usize = 1000;

/// A value of a YAML document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// `null`, `~`, or nothing at all.
    Nothing,
    /// A plain or quoted value.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the file, duplicate keys included.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// What it is, for a problem.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Scalar(scalar) => match scalar.kind {
                Kind::Text => "a text",
                Kind::Number => "a number",
                Kind::Switch => "true or false",
            },
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// A scalar as text, with the type that YAML sees in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

/// The types of scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Switch,
}

/// Reads one YAML document. The refusal has line and column, and never repeats a value.
pub(crate) fn read(text: &str) -> Result<Node, Refusal> {
    // Editors of Windows begin a file with it.
    let text = text.strip_prefix(MARK).unwrap_or(text);
    check_marks(text)?;
    check_brackets(text)?;
    // The first reading ignores every value, so its errors are about syntax alone. An error of
    // the second may repeat a value, as of a wrong `!!int`, and so its text is never shown.
    check_syntax(text)?;
    let limits = Limits {
        values: Cell::new(0),
        broken: Cell::new(None),
    };
    let seed = NodeSeed {
        limits: &limits,
        depth: 0,
    };
    seed.deserialize(serde_yaml::Deserializer::from_str(text))
        .map_err(|error| {
            let what = limits.broken.get().unwrap_or(if is_repetition(&error) {
                TOO_MANY_VALUES
            } else {
                "has a value that does not fit its tag"
            });
            Refusal::new(format!("{what}{}", location(&error)), "write it plainly")
        })
}

/// Refuses byte order marks within the text, as files put together have them: they would be part of
/// a key, and nobody sees them.
fn check_marks(text: &str) -> Result<(), Refusal> {
    match text.lines().position(|line| line.contains(MARK)) {
        None => Ok(()),
        Some(line) => Err(Refusal::new(
            format!("has a byte order mark (U+FEFF) at line {}", line + 1),
            "remove it: no editor shows it",
        )),
    }
}

fn check_brackets(text: &str) -> Result<(), Refusal> {
    let mut depth: usize = 0;
    for (number, line) in text.lines().enumerate() {
        for byte in line.bytes() {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > MOST_OPEN_BRACKETS {
                return Err(Refusal::new(
                    format!("has too many open brackets at line {}", number + 1),
                    "close them",
                ));
            }
        }
    }
    Ok(())
}

fn check_syntax(text: &str) -> Result<(), Refusal> {
    IgnoredAny::deserialize(serde_yaml::Deserializer::from_str(text))
        .map(|_| ())
        .map_err(|error| {
            let text = error.to_string();
            // A limit of the parser says nothing about the syntax.
            if text.starts_with("recursion limit exceeded") {
                let what = format!("is nested too deep{}", location(&error));
                return Refusal::new(what, "write it plainly");
            }
            Refusal::new(
                format!("is not YAML: {text}"),
                "repair the syntax; inside { } and [ ], quote a value that contains ${NAME}",
            )
        })
}

/// Whether the parser gave up at the values that aliases repeat.
fn is_repetition(error: &serde_yaml::Error) -> bool {
    error.to_string().starts_with("repetition limit exceeded")
}

fn location(error: &serde_yaml::Error) -> String {
    error.location().map_or_else(String::new, |location| {
        format!(" at line {} column {}", location.line(), location.column())
    })
}

/// What one reading may use, and the limit that it broke.
struct Limits {
    values: Cell<usize>,
    broken: Cell<Option<&'static str>>,
}

impl Limits {
    fn refuse<E: Error>(&self, what: &'static str) -> E {
        self.broken.set(Some(what));
        E::custom(what)
    }

    fn count<E: Error>(&self) -> Result<(), E> {
        let values = self.values.get() + 1;
        self.values.set(values);
        if values > MOST_VALUES {
            return Err(self.refuse(TOO_MANY_VALUES));
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct NodeSeed<'a> {
    limits: &'a Limits,
    depth: usize,
}

impl NodeSeed<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= DEEPEST {
            return Err(self.limits.refuse("is nested too deep"));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }

    fn scalar<E: Error>(self, text: String, kind: Kind) -> Result<Node, E> {
        self.limits.count()?;
        Ok(Node::Scalar(Scalar { text, kind }))
    }
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.scalar(value.to_string(), Kind::Switch)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        self.scalar(value.to_string(), Kind::Number)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        self.scalar(value.to_string(), Kind::Number)
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Node, E> {
        self.scalar(value.to_string(), Kind::Number)
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Node, E> {
        self.scalar(value.to_string(), Kind::Number)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        self.scalar(value.to_string(), Kind::Number)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        self.scalar(value.to_owned(), Kind::Text)
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.limits.count()?;
        Ok(Node::Nothing)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        self.visit_unit()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        self.limits.count()?;
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(node) = access.next_element_seed(inner)? {
            list.push(node);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        self.limits.count()?;
        let inner = self.deeper()?;
        let mut map = Vec::new();
        while let Some(key) = access.next_key_seed(inner)? {
            let key = match key {
                Node::Scalar(scalar) => scalar.text,
                Node::Nothing => "null".to_owned(),
                Node::List(_) | Node::Map(_) => {
                    return Err(self.limits.refuse("has a key that is not a text"));
                }
            };
            map.push((key, access.next_value_seed(inner)?));
        }
        Ok(Node::Map(map))
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, _access: A) -> Result<Node, A::Error> {
        Err(self.limits.refuse("has a tag as `!name`"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn text(text: &str) -> Node {
        Node::Scalar(Scalar {
            text: text.to_owned(),
            kind: Kind::Text,
        })
    }

    fn number(text: &str) -> Node {
        Node::Scalar(Scalar {
            text: text.to_owned(),
            kind: Kind::Number,
        })
    }

    #[test]
    fn every_pair_is_kept_in_order() {
        let node = read("b: x\na: [1, -2, ~]\nb: \"5\"\n").unwrap();
        let list = Node::List(vec![number("1"), number("-2"), Node::Nothing]);
        assert_eq!(
            node,
            Node::Map(vec![
                ("b".to_owned(), text("x")),
                ("a".to_owned(), list),
                ("b".to_owned(), text("5")),
            ])
        );
    }

    #[test]
    fn an_empty_text_is_nothing() {
        for empty in ["", "# only a comment\n", "---\n", "~"] {
            assert_eq!(read(empty), Ok(Node::Nothing), "{empty:?}");
        }
    }

    #[test]
    fn a_syntax_error_has_line_and_column() {
        let refusal = read("a: b\nc: [1, 2\nd: e\n").unwrap_err();
        assert!(refusal.what.contains("line 3 column"), "{refusal}");
    }

    #[test]
    fn what_no_configuration_needs_is_refused_without_its_value() {
        for document in [
            "password: !!int hunter2",
            "password: !env hunter2",
            "password: !env {hunter2: 1}",
            "[hunter2]: 1",
            "password: *hunter2",
            "a: hunter2\n---\nb: hunter2",
            "a: \"hunter2\n",
            "password: @hunter2",
            "a: hunter2\u{7}",
        ] {
            let refusal = read(document).unwrap_err().to_string();
            assert!(!refusal.contains("hunter2"), "{document}: {refusal}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_skipped_at_the_start_and_named_elsewhere() {
        assert_eq!(read("\u{feff}a: b"), read("a: b"));
        for text in ["\u{feff}\u{feff}a: b", "x: 1\n\u{feff}a: b\n"] {
            let refusal = read(text).unwrap_err();
            assert!(refusal.what.contains("byte order mark"), "{refusal}");
        }
    }

    #[test]
    fn a_bomb_of_aliases_is_told_as_what_it_is() {
        let mut text = "a0: &a0 [1,1,1,1,1,1,1,1,1]\n".to_owned();
        for at in 1..12 {
            let before = format!("*a{},", at - 1).repeat(9);
            let line = format!("a{at}: &a{at} [{before}]\n");
            text.push_str(&line);
        }
        let refusal = read(&text).unwrap_err();
        assert!(refusal.what.contains("aliases"), "{refusal}");
    }

    #[test]
    fn nesting_is_limited() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(DEEPEST)).is_ok());
        let refusal = read(&nested(DEEPEST + 1)).unwrap_err();
        assert!(
            refusal.what.starts_with("is nested too deep at line 1"),
            "{refusal}"
        );
    }

    #[test]
    fn a_hostile_document_is_refused_in_time() {
        let mebibyte = 1 << 20;
        let aliases = format!(
            "a: &a [{}]\nb: [{}]",
            "1,".repeat(1 << 18),
            "*a,".repeat(1 << 17)
        );
        let laughs =
            "a: &a [1,1,1,1,1,1,1,1]\n".to_owned() + &"a: &a [*a,*a,*a,*a,*a,*a,*a,*a]\n".repeat(8);
        for document in [
            "[".repeat(mebibyte),
            "{".repeat(mebibyte),
            "[]".repeat(mebibyte / 2),
            "- ".repeat(mebibyte / 2),
            "? ".repeat(mebibyte / 2),
            "a: ".repeat(mebibyte / 3),
            "&a ".repeat(mebibyte / 3),
            "\"".repeat(mebibyte),
            aliases,
            laughs,
        ] {
            let start = Instant::now();
            assert!(read(&document).is_err(), "{:?}", &document[..8]);
            assert!(start.elapsed() < Duration::from_secs(20));
        }
    }
}
