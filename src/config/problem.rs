//! What is wrong with a configuration, and where. Not how it is reported: that is the caller's.

use std::fmt;
use std::rc::Rc;

/// The longest piece of a value or key that a problem repeats, in characters.
const LONGEST_QUOTE: usize = 60;

/// One thing to repair in the configuration. It never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File, line, column and path (`config.yaml:5:13: targets[1].poll.interval`), the flag, or the
    /// environment variable.
    pub place: String,
    /// What is wrong there.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
    /// Its position, for problems of the file.
    pub(crate) position: Option<Position>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.remedy)
    }
}

/// Puts the problems of the file first, in its order.
pub(crate) fn sort(problems: &mut [Problem]) {
    problems.sort_by_key(|problem| (problem.position.is_none(), problem.position));
}

/// A line and a column of the file, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    line: usize,
    column: usize,
}

impl Position {
    pub(crate) const START: Self = Self::new(1, 1);

    pub(crate) const fn new(line: usize, column: usize) -> Self {
        Self { line, column }
    }
}

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    File(Position),
    /// A flag or an environment variable.
    Option(Rc<str>),
    /// Where the value around it is written, if anywhere.
    Around,
}

/// Where a value is written, with its path of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) source: Source,
    path: String,
}

impl Place {
    /// The place of a whole document, flag or variable.
    pub(crate) fn new(source: Source) -> Self {
        let path = String::new();
        Self { source, path }
    }

    /// The place of a flag or a variable.
    pub(crate) fn option(name: &str) -> Self {
        Self::new(Source::Option(name.into()))
    }

    /// The same path at another position.
    pub(crate) fn at(&self, source: &Source) -> Self {
        self.with(source, self.path.clone())
    }

    /// The place of a key of this map.
    pub(crate) fn key(&self, source: &Source, key: &str) -> Self {
        let separator = if self.path.is_empty() { "" } else { "." };
        self.with(source, format!("{}{separator}{key}", self.path))
    }

    /// The place of an item of this list.
    pub(crate) fn item(&self, source: &Source, index: usize) -> Self {
        self.with(source, format!("{}[{index}]", self.path))
    }

    fn with(&self, source: &Source, path: String) -> Self {
        let source = match source {
            Source::Around => self.source.clone(),
            source => source.clone(),
        };
        Self { source, path }
    }

    /// The place for people.
    pub(crate) fn shown(&self, file: &str) -> String {
        let path = &self.path;
        match &self.source {
            Source::Option(name) => name.to_string(),
            Source::File(Position { line, column }) if path.is_empty() => {
                format!("{file}:{line}:{column}")
            }
            Source::File(Position { line, column }) => format!("{file}:{line}:{column}: {path}"),
            Source::Around => path.clone(),
        }
    }

    pub(crate) fn problem(&self, file: &str, refusal: Refusal) -> Problem {
        Problem {
            place: self.shown(file),
            what: refusal.what,
            remedy: refusal.remedy,
            position: match self.source {
                Source::File(position) => Some(position),
                _ => None,
            },
        }
    }
}

/// Why a value is not accepted, without the value and without its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The rest of a sentence whose subject is the value, as in "has no unit".
    pub(crate) what: String,
    /// What to write instead.
    pub(crate) remedy: String,
}

impl Refusal {
    pub(crate) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// The whole sentence about a value that may be shown.
    pub(crate) fn of(self, value: &str) -> Self {
        self.about(&quoted(value))
    }

    /// The whole sentence about a value that may hold a secret.
    pub(crate) fn hidden(self) -> Self {
        self.about("the value")
    }

    /// The whole sentence about a file near a password, whose path may be that password by mistake.
    pub(crate) fn of_file(self) -> Self {
        self.about("the file")
    }

    fn about(self, subject: &str) -> Self {
        Self::new(format!("{subject} {}", self.what), self.remedy)
    }
}

impl From<(String, &'static str)> for Refusal {
    fn from((what, remedy): (String, &'static str)) -> Self {
        Self::new(what, remedy)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

impl std::error::Error for Refusal {}

/// A piece of the user's text in backticks: one line, of bounded length.
pub(crate) fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(LONGEST_QUOTE).collect();
    let rest = if shown.len() < text.len() { "…" } else { "" };
    format!("`{}{rest}`", shown.escape_debug())
}

/// A list of names for a remedy: `a, b, c`.
pub(crate) fn listed(names: &[&str]) -> String {
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_is_one_line_with_place_and_remedy() {
        let place = Place::new(Source::File(Position::new(3, 9))).key(&Source::Around, "poll");
        let problem = place.problem(
            "c.yaml",
            Refusal::new("has no unit", "write 15s").of("1\n5"),
        );
        assert_eq!(
            problem.to_string(),
            "c.yaml:3:9: poll: `1\\n5` has no unit; write 15s"
        );
    }

    #[test]
    fn a_long_value_is_cut() {
        let text = quoted(&"é".repeat(1000));
        assert_eq!(text.chars().count(), LONGEST_QUOTE + 3);
    }
}
