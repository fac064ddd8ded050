//! The conditions of the bundled alerts that the last poll and the last hour are enough to judge.
//! Pure.
//!
//! A condition is a row: the alert, its severity, the thresholds of the rule, and a function that
//! returns the problem in words. A test compares the thresholds with `alerts/redis.rules.yml`. The
//! time for which a condition must apply before its alert fires is left out: the page shows the
//! current state.

mod availability;
mod cluster;
mod exporter;
mod keyspace;
mod memory;
mod persistence;
pub(super) mod service;

use serde::Serialize;

use super::facts::Seen;

/// The severity of a problem: the label `severity` of its alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertSeverity {
    /// Clients are affected, or will be soon.
    Critical,
    /// Someone must act within a day.
    Warning,
    /// Worth knowing.
    Info,
}

impl AlertSeverity {
    /// Returns the word for people.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Critical => "Critical",
            Self::Warning => "Warning",
            Self::Info => "Note",
        }
    }
}

/// Something that is wrong with a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetProblem {
    /// The alert with the same condition.
    pub alert: &'static str,
    /// The severity of the alert.
    pub severity: AlertSeverity,
    /// The problem in words.
    pub text: String,
    /// The path of its runbook.
    pub runbook: String,
}

impl TargetProblem {
    fn new(alert: &'static str, severity: AlertSeverity, text: String) -> Self {
        Self {
            alert,
            severity,
            text,
            runbook: format!("/runbooks/{alert}"),
        }
    }
}

/// The thresholds of a condition: the numbers in the expression of its rule in their order, and NaN
/// after them. Windows of functions are in seconds.
pub(super) type Thresholds = [f64; 4];

/// Bytes of a mebibyte.
const MEBIBYTE: f64 = 1_048_576.0;

/// The thresholds of a condition that has none.
const NONE: Thresholds = [f64::NAN; 4];

/// Returns thresholds. A test fails if there are too many.
const fn limits<const COUNT: usize>(given: [f64; COUNT]) -> Thresholds {
    let none = f64::NAN;
    match given.as_slice() {
        [first] => [*first, none, none, none],
        [first, second] => [*first, *second, none, none],
        [first, second, third] => [*first, *second, *third, none],
        [first, second, third, fourth] => [*first, *second, *third, *fourth],
        _ => NONE,
    }
}

/// Returns a problem in words, if a condition applies.
type Judge = fn(&Seen<'_>, Thresholds) -> Option<String>;

/// A condition of an alert.
pub(super) struct Condition {
    /// The name of the alert.
    pub(super) alert: &'static str,
    /// Its severity.
    pub(super) severity: AlertSeverity,
    /// The thresholds.
    pub(super) limits: Thresholds,
    /// Judges a target.
    pub(super) problem: Judge,
}

const fn critical(alert: &'static str, limits: Thresholds, problem: Judge) -> Condition {
    condition(alert, AlertSeverity::Critical, limits, problem)
}

const fn warning(alert: &'static str, limits: Thresholds, problem: Judge) -> Condition {
    condition(alert, AlertSeverity::Warning, limits, problem)
}

const fn info(alert: &'static str, limits: Thresholds, problem: Judge) -> Condition {
    condition(alert, AlertSeverity::Info, limits, problem)
}

const fn condition(
    alert: &'static str,
    severity: AlertSeverity,
    limits: Thresholds,
    problem: Judge,
) -> Condition {
    Condition {
        alert,
        severity,
        limits,
        problem,
    }
}

/// All conditions, by topic.
pub(super) const ALL: [&[Condition]; 6] = [
    availability::CONDITIONS,
    memory::CONDITIONS,
    keyspace::CONDITIONS,
    cluster::CONDITIONS,
    persistence::CONDITIONS,
    exporter::CONDITIONS,
];

/// Returns the problems of a target, the most severe first. Of the conditions of one alert, only the
/// most severe counts.
pub(super) fn problems(seen: &Seen<'_>) -> Vec<TargetProblem> {
    let mut found: Vec<TargetProblem> = Vec::new();
    for condition in ALL.iter().copied().flatten() {
        let Some(text) = (condition.problem)(seen, condition.limits) else {
            continue;
        };
        let problem = TargetProblem::new(condition.alert, condition.severity, text);
        match found.iter_mut().find(|known| known.alert == problem.alert) {
            Some(known) if known.severity > problem.severity => *known = problem,
            Some(_) => {}
            None => found.push(problem),
        }
    }
    found.sort_by_key(|problem| problem.severity);
    found
}

/// Returns whether a number of the poll is this one.
fn is(seen: &Seen<'_>, family: &str, number: f64) -> bool {
    seen.number(family) == Some(number)
}

/// Returns whether the server is a primary.
fn is_primary(seen: &Seen<'_>) -> bool {
    seen.instance("role") == Some("master")
}

#[cfg(test)]
mod tests;
