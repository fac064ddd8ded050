//! Parses the text of INFO into fields and records. It does not interpret fields. Pure.

mod index;

use memchr::{memchr, memchr2, memrchr};

use crate::number::to_float;
use index::Index;

/// A `name:value` line of INFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The title of its section, such as `Memory`; empty before the first title.
    pub section: &'a str,
    /// The text before the first colon.
    pub name: &'a str,
    /// The text after the first colon.
    pub value: &'a str,
}

impl<'a> Field<'a> {
    /// Parses the value as a record, such as `a=1,b=2`. Yields its pairs in order, with surrounding
    /// blanks removed. Parts without an equals sign are skipped.
    pub fn record(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut rest = Some(self.value);
        let parts = std::iter::from_fn(move || {
            let (part, later) = match split_at(rest?, b',') {
                Some((part, later)) => (part, Some(later)),
                None => (rest?, None),
            };
            rest = later;
            Some(part)
        });
        parts.filter_map(|part| {
            let (name, value) = split_at(part, b'=')?;
            Some((trimmed(name), trimmed(value)))
        })
    }

    /// Returns the value of a name in the record.
    #[must_use]
    pub fn in_record(&self, name: &str) -> Option<&'a str> {
        self.record()
            .find(|(at, _)| *at == name)
            .map(|(_, value)| value)
    }

    /// Returns the value of a name in the record, as a number.
    #[must_use]
    pub fn number_in_record(&self, name: &str) -> Option<f64> {
        self.in_record(name).and_then(number)
    }
}

/// The text of an INFO reply and its fields.
#[derive(Clone, Debug, Default)]
pub struct Info {
    text: String,
    /// Fields with a fixed name, or a number in it, in the order of the reply.
    plain: Vec<FieldLine>,
    /// Places of the plain fields by hashes of their names.
    by_name: Index,
    /// Fields named by commands or error codes, in the order of the reply. On most servers these are
    /// most fields, and few readers need them.
    named: Vec<FieldLine>,
    /// Titles of all sections, including those without fields.
    titles: Vec<TextRange>,
    /// Sections with a line that is neither a field nor a comment.
    unreadable: Vec<TextRange>,
}

/// A part of the text, in bytes. INFO is never larger than a reply may be, which is far below 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct TextRange {
    start: u32,
    end: u32,
}

impl TextRange {
    /// Returns the position of a part of this text.
    fn of(part: &str, text: &str) -> Self {
        let start = part.as_ptr().addr() - text.as_ptr().addr();
        let position = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: position(start),
            end: position(start + part.len()),
        }
    }
}

/// Positions of the parts of a field.
#[derive(Clone, Copy, Debug)]
struct FieldLine {
    section: TextRange,
    name: TextRange,
    value: TextRange,
}

/// Prefixes of field names that end in a command name or an error code. Both may contain a colon;
/// their values never do.
const NAMED_BY_USERS: &[&str] = &["cmdstat_", "errorstat_", "latency_percentiles_usec_"];

fn is_named_by_users(line: &str) -> bool {
    // Most other names start with another letter.
    let may_be = line.as_bytes().first();
    may_be.is_some_and(|first| b"cel".contains(first))
        && NAMED_BY_USERS.iter().any(|prefix| line.starts_with(prefix))
}

/// Splits a text at the first occurrence of an ASCII character. For the short parts of INFO, this is
/// faster than a search for a pattern.
fn split_at(text: &str, separator: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == separator)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Splits a line into a name and a value.
fn name_and_value(line: &str, is_named_by_users: bool) -> Option<(&str, &str)> {
    let search = if is_named_by_users { memrchr } else { memchr };
    let colon = search(b':', line.as_bytes())?;
    Some((trimmed(line.get(..colon)?), trimmed(line.get(colon + 1..)?)))
}

/// Removes blanks at both ends. Most texts have none, so this usually checks one character at each
/// end.
fn trimmed(text: &str) -> &str {
    let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    let bytes = text.as_bytes();
    if is_letter(bytes.first()) && is_letter(bytes.last()) {
        text
    } else {
        text.trim()
    }
}

/// Yields the lines of a text. They end in CR, LF, or both, which yields an empty line in between.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = match text.as_bytes().first() {
            // Nearly always the second character of a line end.
            Some(b'\n') => Some(0),
            _ => memchr2(b'\r', b'\n', text.as_bytes()),
        };
        let Some(end) = end else {
            return rest.take();
        };
        let (line, ended) = text.split_at_checked(end)?;
        rest = ended.get(1..);
        Some(line)
    })
}

/// Maximum number of fields. A server with a thousand commands and databases has fewer than 10,000.
const FIELDS_MAX: usize = 20_000;

/// Bytes of a short line, and the number of plain fields of today's servers. Space for them is
/// allocated at once.
const LINE_BYTES: usize = 24;
const PLAIN_EXPECTED: usize = 256;

/// Maximum number of fields that are found by hash. Servers have fewer than 400. With many equal
/// hashes, more would take long.
const INDEXED_MAX: usize = 1_000;

impl Info {
    /// Parses the text of INFO or CLUSTER INFO. Lines end in CR, LF, or both. Blanks around names
    /// and values are removed. A line that begins with `#` is the title of a section, or a comment
    /// if it contains a colon.
    ///
    /// ```
    /// use redis_namespace_exporter::info::Info;
    ///
    /// let info = Info::parse("# Keyspace\r\ndb0:keys=3,expires=1\r\n");
    /// assert_eq!(info.get("db0"), Some("keys=3,expires=1"));
    /// assert!(info.has_section("Keyspace"));
    /// ```
    #[must_use]
    pub fn parse(text: impl Into<String>) -> Self {
        let mut info = Self {
            text: text.into(),
            ..Self::default()
        };
        let mut section = TextRange::default();
        let text = info.text.strip_prefix('\u{feff}').unwrap_or(&info.text);
        let span = |part: &str| TextRange::of(part, &info.text);
        // On most servers, commands and error codes name most fields of a long text.
        let few = text.len() / LINE_BYTES;
        info.plain.reserve(few.min(PLAIN_EXPECTED));
        for line in lines(text).filter(|line| !line.is_empty()).map(trimmed) {
            let fields = info.plain.len() + info.named.len();
            if fields + info.titles.len() + info.unreadable.len() >= FIELDS_MAX {
                break;
            }
            let is_named = is_named_by_users(line);
            if let Some(title) = line.strip_prefix('#') {
                if !title.contains(':') {
                    section = span(title.trim());
                    info.titles.push(section);
                }
            } else if let Some((name, value)) = name_and_value(line, is_named) {
                let fields = if is_named {
                    &mut info.named
                } else {
                    &mut info.plain
                };
                fields.push(FieldLine {
                    section,
                    name: span(name),
                    value: span(value),
                });
            } else if !line.is_empty() && info.unreadable.last() != Some(&section) {
                info.unreadable.push(section);
            }
        }
        let names = info.plain.iter().take(INDEXED_MAX);
        info.by_name = Index::new(names.map(|line| info.part(line.name)));
        info
    }

    fn part(&self, range: TextRange) -> &str {
        let place = range.start as usize..range.end as usize;
        self.text.get(place).unwrap_or_default()
    }

    /// Returns whether there is no field.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.named.is_empty()
    }

    fn field(&self, line: &FieldLine) -> Field<'_> {
        Field {
            section: self.part(line.section),
            name: self.part(line.name),
            value: self.part(line.value),
        }
    }

    /// Yields all fields: first the plain ones, then those named by commands or error codes.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        let lines = self.plain.iter().chain(&self.named);
        lines.map(|line| self.field(line))
    }

    /// Yields the fields that are not named by commands or error codes.
    pub fn plain(&self) -> impl Iterator<Item = Field<'_>> {
        self.plain.iter().map(|line| self.field(line))
    }

    /// Yields the fields whose names are `prefix` and a number, with that number, and that are not
    /// named by commands or error codes.
    pub fn numbered<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = (&'s str, Field<'s>)> {
        // Most other names start with another letter.
        let bytes = self.text.as_bytes();
        let first = prefix.as_bytes().first();
        let lines = self.plain.iter();
        let may_be = lines.filter(move |line| bytes.get(line.name.start as usize) == first);
        may_be.filter_map(move |line| {
            let number = self.part(line.name).strip_prefix(prefix)?;
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| (number, self.field(line)))
        })
    }

    /// Yields the fields whose names are `prefix` and a command or an error code, with that name.
    pub fn named<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = (&'s str, Field<'s>)> {
        self.named.iter().filter_map(move |line| {
            let name = self.part(line.name).strip_prefix(prefix)?;
            Some((name, self.field(line)))
        })
    }

    /// Yields the fields of a section.
    pub fn section<'s>(&'s self, title: &'s str) -> impl Iterator<Item = Field<'s>> {
        let lines = self.plain.iter().chain(&self.named);
        let mut last = None;
        let in_section = lines.filter(move |line| match &last {
            Some((section, is_it)) if *section == line.section => *is_it,
            _ => {
                let is_it = self.part(line.section).eq_ignore_ascii_case(title);
                last = Some((line.section, is_it));
                is_it
            }
        });
        in_section.map(|line| self.field(line))
    }

    /// Returns the value of the first field with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.line(name).map(|line| self.part(line.value))
    }

    /// Returns the first field with this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Field<'_>> {
        self.line(name).map(|line| self.field(line))
    }

    fn line(&self, name: &str) -> Option<&FieldLine> {
        let is_it = |line: &&FieldLine| self.part(line.name) == name;
        if is_named_by_users(name) {
            self.named.iter().find(is_it)
        } else {
            let candidates = self.by_name.candidates(name);
            let indexed = candidates.filter_map(|at| self.plain.get(at));
            indexed
                .chain(self.plain.iter().skip(INDEXED_MAX))
                .find(is_it)
        }
    }

    /// Returns the value of the first field with this name, as a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(number)
    }

    /// Yields the titles of all sections, including those without fields.
    pub fn titles(&self) -> impl Iterator<Item = &str> {
        self.titles.iter().map(|title| self.part(*title))
    }

    /// Returns whether there is a section with this title, even one without fields.
    #[must_use]
    pub fn has_section(&self, title: &str) -> bool {
        let mut titles = self.titles.iter();
        titles.any(|known| self.part(*known).eq_ignore_ascii_case(title))
    }

    /// Returns whether a section has a line that is neither a field nor a comment.
    #[must_use]
    pub fn is_unreadable_in(&self, title: &str) -> bool {
        let mut sections = self.unreadable.iter();
        sections.any(|section| self.part(*section).eq_ignore_ascii_case(title))
    }
}

/// 2^63, the smallest value that does not fit a signed 64-bit integer.
const UNDERFLOW_FROM: u64 = 1 << 63;

/// Parses a value of INFO as a number: a plain number, a percentage, or one of the words that Redis
/// uses for good (1) and bad (0). Returns `None` for anything else, including NaN and negative
/// numbers that the server prints as unsigned, such as 18446744073709551615.
#[must_use]
pub fn number(value: &str) -> Option<f64> {
    // Most values are whole numbers.
    if let Ok(unsigned) = value.parse() {
        return (unsigned < UNDERFLOW_FROM).then(|| to_float(unsigned));
    }
    match value {
        "ok" | "true" | "up" => Some(1.0),
        "err" | "fail" | "false" | "down" => Some(0.0),
        _ => {
            let digits = value.strip_suffix('%').unwrap_or(value);
            // `parse` also accepts `inf` and `nan`, which INFO never contains.
            digits
                .parse::<f64>()
                .ok()
                .filter(|number| number.is_finite())
        }
    }
}

/// Parses a value that may be negative, even if the server prints it as an unsigned number.
#[must_use]
pub fn signed_number(value: &str) -> Option<f64> {
    underflowed(value).or_else(|| number(value))
}

/// Returns the negative number that a server printed as a large unsigned one.
fn underflowed(value: &str) -> Option<f64> {
    let unsigned: u64 = value.parse().ok()?;
    // Two's complement: a 64-bit float holds the distance to 2^64 exactly, but not the number
    // itself.
    let below_zero = unsigned.wrapping_neg();
    (unsigned >= UNDERFLOW_FROM).then_some(-to_float(below_zero))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "# Server\r\nredis_version:7.0.15\r\nconfig_file:/etc/a:b.conf\r\n\r\n\
                        # Keyspace\r\ndb0:keys=12,expires=3,avg_ttl=500\r\nnonsense\r\n";

    #[test]
    fn first_of_several_fields_with_one_name_is_found() {
        let fields = |value: u32| (0..1_500).map(move |name| format!("f{name}:{value}\r\n"));
        let fields: Vec<String> = fields(1).chain(fields(2)).collect();
        let info = Info::parse(fields.concat());
        for name in 0..1_500 {
            assert_eq!(info.get(&format!("f{name}")), Some("1"));
        }
        assert_eq!(info.get("f1500"), None);
        assert_eq!(Info::default().get("f0"), None);
    }

    #[test]
    fn fields_know_their_section_and_keep_colons_in_values() {
        let info = Info::parse(TEXT);
        assert_eq!(info.get("redis_version"), Some("7.0.15"));
        assert_eq!(info.get("config_file"), Some("/etc/a:b.conf"));
        let names: Vec<_> = info.section("Keyspace").map(|field| field.name).collect();
        assert_eq!(names, ["db0"]);
        assert!(!info.has_section("Memory"));
    }

    #[test]
    fn blanks_and_line_ends_of_any_kind_are_dropped() {
        let info = Info::parse(
            "\u{feff}# Server\nredis_version : 7.2.5 \r#Memory\r\n\tused_memory: 10 \n",
        );
        assert_eq!(info.get("redis_version"), Some("7.2.5"));
        assert_eq!(info.section("Memory").next().unwrap().value, "10");
        assert!(info.has_section("Server"));
        let db0 = Info::parse("db0: keys=10, expires = 2 ,avg_ttl=1\n");
        assert_eq!(
            db0.fields().next().unwrap().number_in_record("keys"),
            Some(10.0)
        );
        assert_eq!(
            db0.fields().next().unwrap().number_in_record("expires"),
            Some(2.0)
        );
    }

    #[test]
    fn names_of_commands_and_codes_keep_their_colons() {
        let text = "cmdstat_host::calls=4,usec=40\nerrorstat_@a:b::count=3\n\
                    latency_percentiles_usec_post::p50=1.0\nslave0:ip=2001:db8::12,port=6379\n";
        let info = Info::parse(text);
        let names: Vec<_> = info.fields().map(|field| field.name).collect();
        let expected = [
            "slave0",
            "cmdstat_host:",
            "errorstat_@a:b:",
            "latency_percentiles_usec_post:",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn comment_does_not_end_its_section() {
        let text = "# Keyspace\n# Last DBSIZE SCAN time: Sun\ndb0:keys=1\n# Stats\n# CPU\n";
        let info = Info::parse(text);
        assert_eq!(info.section("Keyspace").count(), 1);
        assert!(info.has_section("Stats") && !info.is_unreadable_in("Keyspace"));
        assert!(Info::parse("# Keyspace\ndb0 keys=1\n").is_unreadable_in("Keyspace"));
    }

    #[test]
    fn unsigned_underflow_is_unknown_or_negative() {
        assert_eq!(number("18446744073709051616"), None);
        assert_eq!(signed_number("18446744073609551616"), Some(-100_000_000.0));
        assert_eq!(signed_number("18446744073709551615"), Some(-1.0));
        assert_eq!(signed_number("-5"), Some(-5.0));
        assert_eq!(
            number("9223372036854775807"),
            Some(9_223_372_036_854_775_807.0)
        );
    }

    #[test]
    fn records_are_read_by_name() {
        let info = Info::parse(TEXT);
        let db0 = info.section("Keyspace").next().unwrap();
        assert_eq!(db0.number_in_record("avg_ttl"), Some(500.0));
        assert_eq!(db0.number_in_record("subexpiry"), None);
        assert_eq!(db0.record().count(), 3);
    }

    #[test]
    fn words_and_percentages_are_numbers_and_nan_is_not() {
        let read = [
            "ok", "err", "up", "down", "99.18%", "-1", "0.61", "-nan", "inf", "", "x", "1e3",
        ]
        .map(number);
        let expected = [
            Some(1.0),
            Some(0.0),
            Some(1.0),
            Some(0.0),
            Some(99.18),
            Some(-1.0),
            Some(0.61),
            None,
            None,
            None,
            None,
            Some(1000.0),
        ];
        assert_eq!(read, expected);
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(text in "(\\PC|[\\r\\n:=,#%])*") {
            for field in Info::parse(text.as_str()).fields() {
                let _ = number(field.value);
                let _ = field.record().count();
                prop_assert!(text.contains(field.name));
            }
        }
    }

    proptest! {
        #[test]
        fn lines_and_records_are_those_of_searches_for_patterns(text in "[a-z:=,é \r\n]{0,40}") {
            let searched = text.split(['\r', '\n']);
            prop_assert!(lines(&text).eq(searched));
            let field = Field { section: "", name: "", value: &text };
            let pairs = text.split(',').filter_map(|part| part.split_once('='));
            let pairs = pairs.map(|(name, value)| (name.trim(), value.trim()));
            prop_assert!(field.record().eq(pairs));
        }
    }
}
