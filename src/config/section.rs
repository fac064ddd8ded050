//! Reads maps and lists of the document key by key and collects every problem on the way. It
//! does not know which keys there are: each reader brings its list.

use std::path::Path;

use super::document::{Kind, Node, Scalar};
use super::expand::{Environment, expand};
use super::problem::{Problem, Refusal, listed, quoted};
use super::redis_exporter::Notice;

/// Keys beside or near a password whose values are any text: where one wrote the password there by
/// mistake, no problem must show it.
const MAY_HOLD_SECRET: &[&str] = &[
    "db",
    "listen",
    "memory_limit",
    "expect_full",
    "password_file",
    "rdb_file",
    "server_name",
    "cert_file",
    "key_file",
    "ca_file",
    "client_ca_file",
    "telemetry_path",
    "metric_prefix",
];

/// Keys are compared with the known ones up to this length only.
const LONGEST_KEY: usize = 40;

/// Whether a file holds what is wanted. This and [`ReadFile`] are all that reading a configuration
/// asks of the file system.
pub(crate) type CheckFile<'a> = dyn Fn(&Path, Wanted<'_>) -> Result<(), Refusal> + 'a;

/// What a file is wanted for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    /// Certificates to trust, in PEM format.
    Authorities,
    /// Certificates that those of clients must be issued by, in PEM format.
    ClientAuthorities,
    /// Certificates in PEM format.
    Certificates,
    /// The private key of the first certificate in that file.
    Key { certificate: &'a Path },
}

/// The bytes of a file that has at most so many.
pub(crate) type ReadFile<'a> = dyn Fn(&Path, u64) -> Result<Vec<u8>, Refusal> + 'a;

/// What reading needs besides the document, and what it finds wrong.
pub(crate) struct Context<'a> {
    pub(crate) environment: &'a Environment<'a>,
    pub(crate) check_file: &'a CheckFile<'a>,
    pub(crate) read_file: &'a ReadFile<'a>,
    pub(crate) collector_names: &'a [&'a str],
    pub(crate) problems: Vec<Problem>,
    pub(crate) notices: Vec<Notice>,
}

impl Context<'_> {
    pub(crate) fn report(
        &mut self,
        place: &str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.problems.push(Problem {
            place: place.to_owned(),
            what: what.into(),
            remedy: remedy.into(),
        });
    }

    /// Adds a warning that the configuration is used all the same.
    pub(crate) fn warn(&mut self, place: &str, text: impl Into<String>) {
        self.notices.push(Notice::warning(place, text));
    }
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) place: String,
}

/// The value was there and wrong; the problem is already reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// A value, none, or one that is already reported.
pub(crate) type Reading<T> = Result<Option<Placed<T>>, Invalid>;

/// One map of the document.
pub(crate) struct Section<'a> {
    pub(crate) place: String,
    /// What stands between the place and a key: a file and a path are set apart differently.
    separator: &'static str,
    entries: &'a [(String, Node)],
}

impl<'a> Section<'a> {
    /// Takes the document of a file as a map with these keys.
    pub(crate) fn root(
        node: &'a Node,
        file: &str,
        known: &[&str],
        context: &mut Context<'_>,
    ) -> Option<Self> {
        Self::open(node, file.to_owned(), known, context).map(|section| Self {
            separator: ": ",
            ..section
        })
    }

    /// Takes the node as a map with these keys. Unknown and duplicate ones are reported.
    pub(crate) fn open(
        node: &'a Node,
        place: String,
        known: &[&str],
        context: &mut Context<'_>,
    ) -> Option<Self> {
        let entries: &[(String, Node)] = match node {
            Node::Map(entries) => entries,
            Node::Nothing => &[],
            Node::Scalar(_) | Node::List(_) => {
                context.report(
                    &place,
                    format!("is {}, not a map", node.kind()),
                    format!("write `key: value` pairs; known keys: {}", listed(known)),
                );
                return None;
            }
        };
        check_keys(entries, &place, known, context);
        Some(Self {
            place,
            separator: ".",
            entries,
        })
    }

    /// The place of a key of this map.
    pub(crate) fn place_of(&self, key: &str) -> String {
        format!("{}{}{key}", self.place, self.separator)
    }

    /// The node of a key, if it is there.
    pub(crate) fn node(&self, key: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find_map(|(name, node)| (name == key).then_some(node))
    }

    /// The map below a key; empty when the key is not there.
    pub(crate) fn section(
        &self,
        key: &str,
        known: &[&str],
        context: &mut Context<'_>,
    ) -> Option<Section<'a>> {
        let node = self.node(key).unwrap_or(&Node::Nothing);
        Section::open(node, self.place_of(key), known, context)
    }

    /// The list below a key, each item with its place; empty when the key is not there.
    pub(crate) fn list(
        &self,
        key: &str,
        context: &mut Context<'_>,
    ) -> Option<Vec<(&'a Node, String)>> {
        let place = self.place_of(key);
        match self.node(key) {
            None | Some(Node::Nothing) => Some(Vec::new()),
            Some(Node::List(items)) => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| (item, format!("{place}[{index}]")))
                    .collect(),
            ),
            Some(node) => {
                context.report(
                    &place,
                    format!("is {}, not a list", node.kind()),
                    "start each item with `- `",
                );
                None
            }
        }
    }

    /// The value of a key, parsed from its expanded text. A problem shows it as it is written, unless
    /// a secret may have got there by mistake.
    pub(crate) fn value<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, Refusal>,
        context: &mut Context<'_>,
    ) -> Reading<T> {
        if MAY_HOLD_SECRET.contains(&key) {
            return self.parsed(key, parse, hide, context);
        }
        self.parsed(key, parse, Refusal::of, context)
    }

    /// As `value`, of a key whose value must be text for YAML too.
    pub(crate) fn text<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, Refusal>,
        context: &mut Context<'_>,
    ) -> Reading<T> {
        self.check_text(key, context)?;
        self.value(key, parse, context)
    }

    /// As `text`, of a value that no problem shows.
    pub(crate) fn hidden<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, Refusal>,
        context: &mut Context<'_>,
    ) -> Reading<T> {
        self.check_text(key, context)?;
        self.parsed(key, parse, hide, context)
    }

    fn parsed<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, Refusal>,
        problem: impl Fn(Refusal, &str, String) -> Problem,
        context: &mut Context<'_>,
    ) -> Reading<T> {
        let Some((scalar, place)) = self.scalar(key, context)? else {
            return Ok(None);
        };
        match expand(&scalar.text, context.environment).and_then(|text| parse(&text)) {
            Ok(value) => Ok(Some(Placed { value, place })),
            Err(refusal) => {
                context.problems.push(problem(refusal, &scalar.text, place));
                Err(Invalid)
            }
        }
    }

    fn check_text(&self, key: &str, context: &mut Context<'_>) -> Result<(), Invalid> {
        match self.node(key) {
            Some(node @ Node::Scalar(Scalar { kind, .. })) if *kind != Kind::Text => {
                context.report(
                    &self.place_of(key),
                    format!("is {}, not a text", node.kind()),
                    "put it in quotes",
                );
                Err(Invalid)
            }
            _ => Ok(()),
        }
    }

    fn scalar(
        &self,
        key: &str,
        context: &mut Context<'_>,
    ) -> Result<Option<(&'a Scalar, String)>, Invalid> {
        let place = self.place_of(key);
        match self.node(key) {
            None => Ok(None),
            Some(Node::Scalar(scalar)) => Ok(Some((scalar, place))),
            Some(Node::Nothing) => {
                context.report(&place, "has no value", "give one, or leave the key out");
                Err(Invalid)
            }
            Some(node) => {
                context.report(
                    &place,
                    format!("is {}, not a single value", node.kind()),
                    "write one value; put it in quotes if it starts with [ or {",
                );
                Err(Invalid)
            }
        }
    }
}

fn hide(refusal: Refusal, _: &str, place: String) -> Problem {
    refusal.hidden(place)
}

fn check_keys(entries: &[(String, Node)], place: &str, known: &[&str], context: &mut Context<'_>) {
    let mut seen: Vec<&str> = Vec::new();
    for (key, _) in entries {
        match known.iter().find(|name| *name == key) {
            None => {
                let remedy = suggestion(key, known);
                context.report(place, unknown_key(key), remedy);
            }
            Some(name) if seen.contains(name) => context.report(
                place,
                format!("has the key `{name}` twice"),
                "keep one of them",
            ),
            Some(name) => seen.push(name),
        }
    }
}

/// A key that does not look like one is not shown: `{password:x}`, without the space, is a key.
fn unknown_key(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if key.len() <= LONGEST_KEY && key.bytes().all(plain) {
        format!("has an unknown key {}", quoted(key))
    } else {
        "has a key that is not the name of an option".to_owned()
    }
}

/// The remedy for an unknown name: the nearest known one, or all of them.
pub(crate) fn suggestion(name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(nearest) => format!("did you mean `{nearest}`? Known: {}", listed(known)),
        None => format!("remove it; known: {}", listed(known)),
    }
}

fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > LONGEST_KEY {
        return None;
    }
    let name = name.to_ascii_lowercase().replace('-', "_");
    known
        .iter()
        .map(|candidate| (distance(&name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3).min(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut next = vec![index + 1];
        let mut smallest = index + 1;
        for (other, above) in right.chars().zip(row.windows(2)) {
            let &[diagonal, above] = above else { continue };
            let replaced = diagonal + usize::from(letter != other);
            smallest = replaced.min(above + 1).min(smallest + 1);
            next.push(smallest);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::document;
    use super::*;

    const KNOWN: [&str; 4] = ["interval", "timeout", "password_file", "db"];

    fn problems(text: &str, read: impl Fn(&Section<'_>, &mut Context<'_>)) -> Vec<String> {
        let mut context = Context {
            environment: &|name| (name == "SET").then(|| "hunter2".to_owned()),
            check_file: &|_, _| Ok(()),
            read_file: &|_, _| Ok(Vec::new()),
            collector_names: &[],
            problems: Vec::new(),
            notices: Vec::new(),
        };
        let node = document::read(text).unwrap();
        if let Some(section) = Section::root(&node, "c.yaml", &KNOWN, &mut context) {
            read(&section, &mut context);
        }
        context.problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn an_unknown_key_gets_the_nearest_known_one() {
        for (key, expected) in [
            ("intervall", "did you mean `interval`?"),
            ("time_out", "did you mean `timeout`?"),
            ("password-file", "did you mean `password_file`?"),
            ("dB", "did you mean `db`?"),
            ("<<", "not the name of an option"),
            (
                "colour",
                "remove it; known: interval, timeout, password_file, db",
            ),
        ] {
            let problems = problems(&format!("{key}: 1"), |_, _| {});
            assert_eq!(problems.len(), 1, "{key}");
            assert!(problems[0].starts_with("c.yaml: has a"), "{problems:?}");
            assert!(problems[0].contains(expected), "{problems:?}");
        }
    }

    #[test]
    fn a_key_that_may_hold_a_secret_is_not_shown() {
        let problems = problems("{ password:hunter2, a b hunter2: 1 }", |_, _| {});
        assert_eq!(problems.len(), 2);
        assert!(!problems.concat().contains("hunter2"), "{problems:?}");
    }

    #[test]
    fn each_repetition_of_a_key_is_one_problem() {
        let problems = problems("db: 1\ndb: 2\ndb: 3\ntimeout: 1s\n", |_, _| {});
        assert_eq!(
            problems,
            ["c.yaml: has the key `db` twice; keep one of them"; 2]
        );
    }

    #[test]
    fn a_problem_shows_the_value_as_it_is_written() {
        let refuse = |_: &str| Err::<(), _>(Refusal::new("is wrong", "repair it"));
        let problems = problems(
            "interval: ${SET}\ntimeout: ${SET}\ndb: 5\n",
            |section, context| {
                assert_eq!(section.value("interval", refuse, context), Err(Invalid));
                assert_eq!(section.hidden("timeout", refuse, context), Err(Invalid));
                assert_eq!(section.hidden("db", refuse, context), Err(Invalid));
                assert_eq!(section.value("password_file", refuse, context), Ok(None));
            },
        );
        assert_eq!(
            problems,
            [
                "c.yaml: interval: `${SET}` is wrong; repair it",
                "c.yaml: timeout: the value is wrong; repair it",
                "c.yaml: db: is a number, not a text; put it in quotes",
            ]
        );
    }

    #[test]
    fn a_wrong_type_is_named() {
        let accept = |text: &str| Ok(text.to_owned());
        for (text, expected) in [
            ("interval: [1]", "interval: is a list, not a single value;"),
            (
                "interval: {a: 1}",
                "interval: is a map, not a single value;",
            ),
            ("interval:", "interval: has no value;"),
            ("[]", "is a list, not a map;"),
        ] {
            let problems = problems(text, |section, context| {
                assert_eq!(section.value("interval", accept, context), Err(Invalid));
            });
            assert!(problems[0].contains(expected), "{problems:?}");
        }
    }

    #[test]
    fn distances_count_single_edits() {
        for (left, right, expected) in [("", "abc", 3), ("abc", "abc", 0), ("abc", "axcd", 2)] {
            assert_eq!(distance(left, right), expected);
        }
    }
}
