//! Parses YAML text into a tree of nodes. It keeps every pair of a map, including duplicates, with
//! its position. Keys are not interpreted. Pure.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScanError, Span, StrInput, Tag};

mod scalar;

pub(crate) use scalar::{Scalar, ScalarKind};

use super::problem::{Invalid, Origin, Position};
use scalar::{CORE, scalar, wrong_tag};

/// Maximum nesting depth. Deeper than any configuration, and far from a stack overflow.
const DEEPEST: usize = 32;

/// Maximum number of values. Only repeated aliases can exceed it, given the maximum file size.
const MOST_VALUES: usize = 600_000;

/// Length of text that counts as one more value, in bytes.
const BYTES_PER_VALUE: usize = 64;

/// The byte order mark.
const MARK: char = '\u{feff}';

/// A value with its position. Equality ignores the position.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) source: Origin,
    pub(crate) value: YamlValue,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// Values that a flag or a variable sets.
impl From<YamlValue> for Node {
    fn from(value: YamlValue) -> Self {
        let source = Origin::Enclosing;
        Self { source, value }
    }
}

/// A value of a YAML document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum YamlValue {
    /// `null`, `~`, or nothing at all.
    Nothing,
    /// A plain or quoted value.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the file, duplicate keys included.
    Map(Vec<MapEntry>),
}

/// A key with its value. Equality ignores the positions.
#[derive(Clone, Debug)]
pub(crate) struct MapEntry {
    pub(crate) key: String,
    pub(crate) source: Origin,
    pub(crate) node: Node,
}

impl PartialEq for MapEntry {
    fn eq(&self, other: &Self) -> bool {
        (&self.key, &self.node) == (&other.key, &other.node)
    }
}

impl MapEntry {
    /// Creates a pair that a flag or a variable sets.
    pub(crate) fn new(key: impl Into<String>, node: Node) -> Self {
        let (key, source) = (key.into(), Origin::Enclosing);
        Self { key, source, node }
    }

    /// Returns where a problem with the value is reported: at a single value, otherwise at the key.
    pub(crate) fn place(&self) -> &Origin {
        match self.node.value {
            YamlValue::Scalar(_) => &self.node.source,
            _ => &self.source,
        }
    }
}

impl Node {
    /// Returns the entry with this key, if the value is a map.
    pub(crate) fn get(&self, key: &str) -> Option<&MapEntry> {
        match &self.value {
            YamlValue::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }
}

impl YamlValue {
    /// Returns the type as a phrase, for problems.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Scalar(scalar) => match scalar.kind {
                ScalarKind::Text => "a text",
                ScalarKind::Number => "a number",
                ScalarKind::Switch => "true or false",
            },
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// A reason for rejecting a text, with its position.
pub(crate) type DocumentError = (Position, Invalid);

/// Parses one YAML document. Errors never repeat a value.
pub(crate) fn read(text: &str) -> Result<Node, DocumentError> {
    // Windows editors put one at the start of a file.
    let text = text.strip_prefix(MARK).unwrap_or(text);
    check_letters(text)?;
    let mut reader = DocumentReader {
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
        values: 0,
        at: Position::START,
    };
    let mut document = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => break,
            (Event::DocumentStart(_), _) if document.is_some() => {
                let what = "has a second document";
                return Err(reader.reject(what, "keep one, and remove the `---` before the other"));
            }
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd, _) => {}
            event => document = Some(reader.node(event, 0)?),
        }
    }
    Ok(document.unwrap_or(Node {
        source: Origin::File(Position::START),
        value: YamlValue::Nothing,
    }))
}

/// Rejects invisible characters: control characters, and byte order marks within the text.
/// Concatenated files have those. They would become part of a key or a value.
fn check_letters(text: &str) -> Result<(), DocumentError> {
    let is_unseen = |letter: char| match letter {
        '\t' | '\r' | '\u{85}' => false,
        MARK | '\u{fffe}' | '\u{ffff}' => true,
        letter => letter.is_control(),
    };
    for (line, text) in text.lines().enumerate() {
        let mut letters = text.chars().enumerate();
        if let Some((column, letter)) = letters.find(|(_, letter)| is_unseen(*letter)) {
            let at = Position::new(line + 1, column + 1);
            let (name, remedy) = match letter {
                MARK => ("byte order mark", "remove it: no editor shows it"),
                _ => (
                    "control character",
                    "remove it, or write it as an escape in double quotes",
                ),
            };
            let what = format!("has a {name} (U+{:04X})", u32::from(letter));
            return Err((at, Invalid::new(what, remedy)));
        }
    }
    Ok(())
}

struct DocumentReader<'a> {
    events: Parser<'a, StrInput<'a>>,
    /// Values that aliases refer to.
    anchors: HashMap<usize, Rc<Node>>,
    values: usize,
    /// Position of the latest event.
    at: Position,
}

type Spanned<'a> = (Event<'a>, Span);

impl<'a> DocumentReader<'a> {
    fn next(&mut self) -> Result<Spanned<'a>, DocumentError> {
        match self.events.next_event() {
            Some(Ok((event, span))) => {
                self.at = Position::new(span.start.line(), span.start.col() + 1);
                Ok((event, span))
            }
            Some(Err(error)) => Err(syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn reject(&self, what: &str, remedy: &str) -> DocumentError {
        (self.at, Invalid::new(what, remedy))
    }

    fn count(&mut self, text: &str, depth: usize) -> Result<(), DocumentError> {
        self.values += 1 + text.len() / BYTES_PER_VALUE;
        if self.values > MOST_VALUES {
            let what = "has too many values, through its aliases";
            return Err(self.reject(what, "write it plainly"));
        }
        if depth > DEEPEST {
            return Err(too_deep(self.at));
        }
        Ok(())
    }

    fn node(&mut self, (event, _): Spanned<'a>, depth: usize) -> Result<Node, DocumentError> {
        let source = Origin::File(self.at);
        let (value, anchor) = match event {
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).map(Rc::clone) else {
                    return Err(
                        self.reject("has an alias within its own value", "write it plainly")
                    );
                };
                (self.copy(&node, depth)?.value, 0)
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(&text, depth)?;
                let value = scalar(&text, style, tag.as_deref());
                let value = value.map_err(|invalid| (self.at, invalid))?;
                (value, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq")?;
                self.count("", depth + 1)?;
                (self.list(depth + 1)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "map")?;
                self.count("", depth + 1)?;
                (self.map(depth + 1)?, anchor)
            }
            _ => return Err(self.reject("ends too early", "repair the syntax")),
        };
        let node = Node { source, value };
        if anchor != 0 {
            let copy = self.copy(&node, depth)?;
            self.anchors.insert(anchor, Rc::new(copy));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<YamlValue, DocumentError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(YamlValue::List(items)),
                event => items.push(self.node(event, depth)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<YamlValue, DocumentError> {
        let mut entries = Vec::new();
        loop {
            let event = self.next()?;
            if event.0 == Event::MappingEnd {
                return Ok(YamlValue::Map(entries));
            }
            let source = Origin::File(self.at);
            let key = match self.node(event, depth)?.value {
                YamlValue::Scalar(scalar) => scalar.text,
                YamlValue::Nothing => "null".to_owned(),
                YamlValue::List(_) | YamlValue::Map(_) => {
                    return Err(self.reject("has a key that is not a text", "write it plainly"));
                }
            };
            let event = self.next()?;
            let node = self.node(event, depth)?;
            entries.push(MapEntry { key, source, node });
        }
    }

    /// Copies a value. The copy counts toward the limits as if it were written out.
    fn copy(&mut self, node: &Node, depth: usize) -> Result<Node, DocumentError> {
        self.charge(node, depth)?;
        Ok(node.clone())
    }

    fn charge(&mut self, node: &Node, depth: usize) -> Result<(), DocumentError> {
        match &node.value {
            YamlValue::Nothing => self.count("", depth),
            YamlValue::Scalar(scalar) => self.count(&scalar.text, depth),
            YamlValue::List(items) => {
                self.count("", depth + 1)?;
                let mut items = items.iter();
                items.try_for_each(|item| self.charge(item, depth + 1))
            }
            YamlValue::Map(entries) => {
                self.count("", depth + 1)?;
                entries.iter().try_for_each(|entry| {
                    self.count(&entry.key, depth)?;
                    self.charge(&entry.node, depth + 1)
                })
            }
        }
    }

    fn check_tag(&self, tag: Option<&Tag>, expected: &str) -> Result<(), DocumentError> {
        match tag {
            None => Ok(()),
            Some(tag) if tag.handle == CORE && tag.suffix == expected => Ok(()),
            Some(tag) => Err((self.at, wrong_tag(tag))),
        }
    }
}

fn syntax(error: &ScanError) -> DocumentError {
    let at = Position::new(error.marker().line(), error.marker().col() + 1);
    // An exceeded limit of the parser is not a syntax error.
    if error.info().starts_with("recursion limit exceeded") {
        return too_deep(at);
    }
    let what = format!("is not YAML: {}", error.info());
    let remedy = "repair the syntax; inside { } and [ ], quote a value that contains ${NAME}";
    (at, Invalid::new(what, remedy))
}

fn too_deep(at: Position) -> DocumentError {
    (at, Invalid::new("is nested too deep", "write it plainly"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn single(text: &str, kind: ScalarKind) -> Node {
        let text = text.to_owned();
        YamlValue::Scalar(Scalar { text, kind }).into()
    }

    fn invalid(text: &str) -> Invalid {
        read(text).unwrap_err().1
    }

    fn read_position(text: &str) -> Position {
        read(text).unwrap_err().0
    }

    #[test]
    fn every_pair_is_kept_in_order() {
        let node = read("b: x\na: [1, -2, ~]\nb: \"5\"\n").unwrap();
        let list = YamlValue::List(vec![
            single("1", ScalarKind::Number),
            single("-2", ScalarKind::Number),
            YamlValue::Nothing.into(),
        ]);
        let map = YamlValue::Map(vec![
            MapEntry::new("b", single("x", ScalarKind::Text)),
            MapEntry::new("a", list.into()),
            MapEntry::new("b", single("5", ScalarKind::Text)),
        ]);
        assert_eq!(node.value, map);
    }

    #[test]
    fn each_key_and_value_has_its_position() {
        let node = read("é: x\r\na:\r\n  - {b: 1}\r\n  - c:\r\n      d: 2\r\n").unwrap();
        let at = |line, column| Origin::File(Position::new(line, column));
        let entry = |node: &Node, key: &str| {
            let entry = node.get(key).unwrap();
            (entry.source.clone(), entry.node.source.clone())
        };
        assert_eq!(entry(&node, "é"), (at(1, 1), at(1, 4)));
        assert_eq!(entry(&node, "a").0, at(2, 1));
        let YamlValue::List(items) = &node.get("a").unwrap().node.value else {
            panic!("{node:?}");
        };
        assert_eq!(items[0].source, at(3, 5));
        assert_eq!(entry(&items[0], "b"), (at(3, 6), at(3, 9)));
        assert_eq!(items[1].source, at(4, 5));
        let inner = &items[1].get("c").unwrap().node;
        assert_eq!(entry(inner, "d"), (at(5, 7), at(5, 10)));
    }

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, expected, kind) in [
            ("0x1F", "31", ScalarKind::Number),
            ("-0o17", "-15", ScalarKind::Number),
            ("0b101", "5", ScalarKind::Number),
            ("+5", "5", ScalarKind::Number),
            ("1e3", "1000", ScalarKind::Number),
            ("1.30", "1.3", ScalarKind::Number),
            ("-.5", "-0.5", ScalarKind::Number),
            (".inf", ".inf", ScalarKind::Number),
            ("012", "012", ScalarKind::Text),
            ("1.2.3", "1.2.3", ScalarKind::Text),
            ("15s", "15s", ScalarKind::Text),
            ("inf", "inf", ScalarKind::Text),
            ("--1", "--1", ScalarKind::Text),
            ("True", "true", ScalarKind::Switch),
            ("yes", "yes", ScalarKind::Text),
            ("'true'", "true", ScalarKind::Text),
            ("!!str 5", "5", ScalarKind::Text),
            ("!!int '5'", "5", ScalarKind::Number),
        ] {
            assert_eq!(read(text), Ok(single(expected, kind)), "{text}");
        }
        for text in ["NULL", "~", "!!null ~"] {
            assert_eq!(read(text), Ok(YamlValue::Nothing.into()), "{text}");
        }
    }

    #[test]
    fn aliases_repeat_their_values() {
        assert_eq!(
            read("a: &a {b: [1, &c x]}\nd: *a\ne: *c\n").unwrap(),
            read("a: {b: [1, x]}\nd: {b: [1, x]}\ne: x\n").unwrap()
        );
    }

    #[test]
    fn an_empty_text_is_nothing() {
        for empty in ["", "# only a comment\n", "---\n", "~"] {
            assert_eq!(read(empty), Ok(YamlValue::Nothing.into()), "{empty:?}");
        }
    }

    #[test]
    fn a_syntax_error_has_line_and_column() {
        assert_eq!(read_position("a: b\nc: [1, 2\nd: e\n"), Position::new(3, 2));
        assert_eq!(read_position("a: \"b\\q\"\n"), Position::new(1, 4));
    }

    #[test]
    fn unsupported_yaml_is_rejected_without_its_value() {
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
            let invalid = invalid(document).to_string();
            assert!(!invalid.contains("hunter2"), "{document}: {invalid}");
        }
    }

    #[test]
    fn byte_order_mark_is_only_accepted_at_the_start() {
        assert_eq!(read("\u{feff}a: b"), read("a: b"));
        for text in ["\u{feff}\u{feff}a: b", "x: 1\n\u{feff}a: b\n"] {
            let invalid = invalid(text);
            assert!(invalid.what.contains("byte order mark"), "{invalid}");
        }
    }

    #[test]
    fn alias_bomb_has_its_own_error() {
        let mut text = "a0: &a0 [1,1,1,1,1,1,1,1,1]\n".to_owned();
        for at in 1..12 {
            let before = format!("*a{},", at - 1).repeat(9);
            let line = format!("a{at}: &a{at} [{before}]\n");
            text.push_str(&line);
        }
        let invalid = invalid(&text);
        assert!(invalid.what.contains("aliases"), "{invalid}");
    }

    #[test]
    fn nesting_is_limited() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(DEEPEST)).is_ok());
        for depth in [DEEPEST + 1, 1000, 100_000] {
            assert_eq!(invalid(&nested(depth)).what, "is nested too deep");
        }
        let aliases: Vec<String> = (1..40)
            .map(|at| format!("a{at}: &a{at} [*a{}]\n", at - 1))
            .collect();
        let invalid = invalid(&format!("a0: &a0 x\n{}", aliases.concat()));
        assert_eq!(invalid.what, "is nested too deep");
    }

    #[test]
    fn hostile_document_is_rejected_in_time() {
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
            "[[".repeat(100) + &"]".repeat(mebibyte),
            "{a: ".repeat(mebibyte / 4),
            "&a [".repeat(mebibyte / 4),
            "!!str ".repeat(mebibyte / 6),
            format!("{}:", "a".repeat(mebibyte)),
            format!(
                "a: &a {}\nb: [{}]",
                "x".repeat(1 << 19),
                "*a,".repeat(1 << 17)
            ),
            "&a [&b ".repeat(14) + &"1,".repeat(1 << 18),
            "a: &a [*a]".to_owned(),
            aliases,
            laughs,
        ] {
            let start = Instant::now();
            assert!(read(&document).is_err(), "{:?}", &document[..8]);
            let took = start.elapsed();
            println!("{took:?} {:?}", &document[..8]);
            assert!(took < Duration::from_secs(20));
        }
    }
}
