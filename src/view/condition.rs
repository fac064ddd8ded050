//! The conditions of the bundled alerts that the last poll and the last hour are enough to judge.
//! Pure.
//!
//! A condition is a row: the alert, its severity, and a function that returns the problem in words.
//! Thresholds are those of `alerts/redis.rules.yml`. The time for which a condition must apply
//! before its alert fires is left out: the page shows the current state.

mod availability;
mod cluster;
mod exporter;
mod keyspace;
mod memory;
mod persistence;

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

/// Returns a problem in words, if a condition applies.
type Judge = fn(&Seen<'_>) -> Option<String>;

/// A condition of an alert.
pub(super) struct Condition {
    /// The name of the alert.
    pub(super) alert: &'static str,
    /// Its severity.
    pub(super) severity: AlertSeverity,
    /// Judges a target.
    pub(super) problem: Judge,
}

const fn critical(alert: &'static str, problem: Judge) -> Condition {
    condition(alert, AlertSeverity::Critical, problem)
}

const fn warning(alert: &'static str, problem: Judge) -> Condition {
    condition(alert, AlertSeverity::Warning, problem)
}

const fn info(alert: &'static str, problem: Judge) -> Condition {
    condition(alert, AlertSeverity::Info, problem)
}

const fn condition(alert: &'static str, severity: AlertSeverity, problem: Judge) -> Condition {
    Condition {
        alert,
        severity,
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
        let Some(text) = (condition.problem)(seen) else {
            continue;
        };
        let (alert, severity) = (condition.alert, condition.severity);
        let runbook = format!("/runbooks/{alert}");
        let problem = TargetProblem {
            alert,
            severity,
            text,
            runbook,
        };
        match found.iter_mut().find(|known| known.alert == alert) {
            Some(known) if known.severity > severity => *known = problem,
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
