//! What is wrong with a configuration, and where. Not how it is reported: that is the caller's.

use std::fmt;

/// The longest piece of a value or key that a problem repeats, in characters.
const LONGEST_QUOTE: usize = 60;

/// One thing to repair in the configuration. It never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file and the path in it (`config.yaml: targets[1].poll.interval`), the flag, or the
    /// environment variable.
    pub place: String,
    /// What is wrong there.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.remedy)
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

    /// The problem of a value that may be shown.
    pub(crate) fn of(self, value: &str, place: String) -> Problem {
        Problem {
            place,
            what: format!("{} {}", quoted(value), self.what),
            remedy: self.remedy,
        }
    }

    /// The problem of a value that may hold a secret.
    pub(crate) fn hidden(self, place: String) -> Problem {
        self.about("the value", place)
    }

    /// The problem of a file near a password, whose path may be that password by mistake.
    pub(crate) fn of_file(self, place: String) -> Problem {
        self.about("the file", place)
    }

    fn about(self, subject: &str, place: String) -> Problem {
        Problem {
            place,
            what: format!("{subject} {}", self.what),
            remedy: self.remedy,
        }
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
    fn a_problem_is_one_line_with_place_and_remedy() {
        let problem = Refusal::new("has no unit", "write 15s").of("1\n5", "c.yaml: poll".into());
        assert_eq!(
            problem.to_string(),
            "c.yaml: poll: `1\\n5` has no unit; write 15s"
        );
    }

    #[test]
    fn a_long_value_is_cut() {
        let text = quoted(&"é".repeat(1000));
        assert_eq!(text.chars().count(), LONGEST_QUOTE + 3);
    }
}
