//! Problems of a configuration, with their places. Callers report them. Pure.

use std::fmt;
use std::rc::Rc;

use crate::bounded_file::UnreadFile;

/// Maximum length of a value or key in a problem, in characters.
const LONGEST_QUOTE: usize = 60;

/// A problem in the configuration. It never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File, line, column and path (`config.yaml:5:13: targets[1].poll.interval`), the flag, or the
    /// environment variable.
    pub place: String,
    /// The problem.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
    /// The position, for problems of the file.
    pub(crate) position: Option<Position>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.remedy)
    }
}

/// Sorts the problems of the file first, in its order.
pub(crate) fn sort(problems: &mut [Problem]) {
    problems.sort_by_key(|problem| (problem.position.is_none(), problem.position));
}

/// A line and a column of the file. Both start at 1.
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

    pub(crate) const fn line(self) -> usize {
        self.line
    }
}

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    File(Position),
    /// A flag or an environment variable.
    Option(Rc<str>),
    /// The source of the surrounding value, if any.
    Enclosing,
}

/// The place of a value, with its path of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) source: Origin,
    path: String,
}

impl Place {
    /// Creates the place of a whole document, flag or variable.
    pub(crate) fn new(source: Origin) -> Self {
        let path = String::new();
        Self { source, path }
    }

    /// Creates the place of a flag or a variable.
    pub(crate) fn option(name: &str) -> Self {
        Self::new(Origin::Option(name.into()))
    }

    /// Returns the same path at another position.
    pub(crate) fn at(&self, source: &Origin) -> Self {
        self.with(source, self.path.clone())
    }

    /// Returns the place of a key of this map.
    pub(crate) fn key(&self, source: &Origin, key: &str) -> Self {
        let separator = if self.path.is_empty() { "" } else { "." };
        self.with(source, format!("{}{separator}{key}", self.path))
    }

    /// Returns the place of an item of this list.
    pub(crate) fn item(&self, source: &Origin, index: usize) -> Self {
        self.with(source, format!("{}[{index}]", self.path))
    }

    fn with(&self, source: &Origin, path: String) -> Self {
        let source = match source {
            Origin::Enclosing => self.source.clone(),
            source => source.clone(),
        };
        Self { source, path }
    }

    /// Returns the place as text.
    pub(crate) fn shown(&self, file: &str) -> String {
        let path = &self.path;
        match &self.source {
            Origin::Option(name) => name.to_string(),
            Origin::File(Position { line, column }) if path.is_empty() => {
                format!("{file}:{line}:{column}")
            }
            Origin::File(Position { line, column }) => format!("{file}:{line}:{column}: {path}"),
            Origin::Enclosing => path.clone(),
        }
    }

    pub(crate) fn problem(&self, file: &str, invalid: Invalid) -> Problem {
        Problem {
            place: self.shown(file),
            what: invalid.what,
            remedy: invalid.remedy,
            position: match self.source {
                Origin::File(position) => Some(position),
                _ => None,
            },
        }
    }
}

/// Why a value is invalid, without the value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// The rest of a sentence whose subject is the value, such as "has no unit".
    pub(crate) what: String,
    /// What to write instead.
    pub(crate) remedy: String,
}

impl Invalid {
    pub(crate) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// Completes the sentence with a value that may be shown.
    pub(crate) fn of(self, value: &str) -> Self {
        self.about(&quoted(value))
    }

    /// Completes the sentence for a value that may be a secret.
    pub(crate) fn hidden(self) -> Self {
        self.about("the value")
    }

    /// Completes the sentence for a file near a password. Its path may be a misplaced password.
    pub(crate) fn of_file(self) -> Self {
        self.about("the file")
    }

    fn about(self, subject: &str) -> Self {
        Self::new(format!("{subject} {}", self.what), self.remedy)
    }
}

impl From<UnreadFile> for Invalid {
    fn from(unread: UnreadFile) -> Self {
        Self::new(unread.what, unread.remedy)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

impl std::error::Error for Invalid {}

/// Quotes user text in backticks: on one line, with a maximum length.
pub(crate) fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(LONGEST_QUOTE).collect();
    let rest = if shown.len() < text.len() { "…" } else { "" };
    format!("`{}{rest}`", shown.escape_debug())
}

/// Joins names for a remedy: `a, b, c`.
pub(crate) fn listed(names: &[&str]) -> String {
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_is_one_line_with_place_and_remedy() {
        let place = Place::new(Origin::File(Position::new(3, 9))).key(&Origin::Enclosing, "poll");
        let problem = place.problem(
            "c.yaml",
            Invalid::new("has no unit", "write 15s").of("1\n5"),
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
