//! Compares a report with the JSON document of an earlier pass. Pure.

mod coverage;
pub mod document;
pub mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::report::{PassEnd, Report};
use crate::keyspace::estimate::Estimate;
use crate::keyspace::sweep::census::Finding;

/// Why a text is not the JSON document of an earlier pass, with its place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignDocument {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// Whether it is JSON, but not of this command.
    pub is_json: bool,
}

/// The fields of an earlier document that are compared.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct EarlierPass {
    /// Name of the target.
    pub target: String,
    /// How the pass ended, such as `complete`.
    pub end: String,
    /// End of the pass, in seconds since the epoch; `None` in documents of older versions.
    #[serde(default)]
    pub ended_timestamp_seconds: Option<f64>,
    #[serde(default)]
    selected_databases: Option<Vec<u32>>,
    #[serde(default)]
    databases: Vec<EarlierDatabase>,
    namespaces: Vec<EarlierNamespace>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct EarlierDatabase {
    database: u32,
    coverage: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct EarlierNamespace {
    name: String,
    database: u32,
    keys: Measured,
    memory_bytes: Option<Measured>,
    keys_without_ttl: Option<f64>,
    #[serde(default)]
    keys_without_ttl_error: Option<f64>,
}

/// A number, and half the width of its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
pub struct Measured {
    /// The number.
    pub value: f64,
    /// Half the width of the interval.
    pub error: f64,
}

impl From<Estimate> for Measured {
    fn from(Estimate { value, error, .. }: Estimate) -> Self {
        Self { value, error }
    }
}

/// A number of two passes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Difference {
    /// The number of the earlier pass.
    pub before: f64,
    /// The number of this pass.
    pub now: f64,
    /// Half the width of the 95 % interval of the difference.
    pub error: f64,
}

impl Difference {
    fn between(before: Measured, now: Measured) -> Self {
        Self {
            before: before.value,
            now: now.value,
            error: before.error.hypot(now.error),
        }
    }

    /// Returns the change.
    #[must_use]
    pub fn change(&self) -> f64 {
        self.now - self.before
    }

    /// Returns whether the change is larger than its error.
    #[must_use]
    pub fn is_beyond_error(&self) -> bool {
        self.change().abs() > self.error
    }
}

/// In which of the two passes a namespace has keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// In both.
    Both,
    /// In this pass only.
    New,
    /// In the earlier pass only.
    Gone,
}

/// How a namespace changed.
#[derive(Clone, Debug, PartialEq)]
pub struct NamespaceChange {
    /// The name of the namespace.
    pub name: String,
    /// The database number.
    pub database: u32,
    /// In which of the passes it has keys.
    pub presence: Presence,
    /// Number of keys.
    pub keys: Difference,
    /// Memory in bytes; `None` if it is unknown in one of the passes.
    pub memory: Option<Difference>,
    /// Share of all keys, from 0 to 1.
    pub share: Difference,
    /// Keys without a TTL; `None` if their number is unknown in one of the passes.
    pub without_ttl: Option<Difference>,
}

impl NamespaceChange {
    /// Returns whether any number differs.
    fn is_change(&self) -> bool {
        let numbers = [
            Some(self.keys),
            self.memory,
            Some(self.share),
            self.without_ttl,
        ];
        let mut numbers = numbers.into_iter().flatten();
        self.presence != Presence::Both || numbers.any(|number| number.change() != 0.0)
    }
}

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Name of the target of the earlier pass.
    pub target: String,
    /// Seconds between the ends of the two passes, if the earlier document contains its end.
    pub seconds: Option<f64>,
    /// Whether the earlier pass covered every key.
    pub was_complete: bool,
    /// The namespaces that changed, with the largest change of memory first.
    pub changes: Vec<NamespaceChange>,
    /// Number of namespaces without any difference.
    pub unchanged: usize,
    /// The databases with keys that one of the passes did not scan. Their namespaces are left out.
    pub skipped: BTreeSet<u32>,
}

/// Reads the JSON document of an earlier pass.
///
/// # Errors
///
/// The text is not JSON, or lacks a field that every such document has.
pub fn read(text: &[u8]) -> Result<EarlierPass, ForeignDocument> {
    serde_json::from_slice(text).map_err(|error| ForeignDocument {
        line: error.line().max(1),
        column: error.column().max(1),
        is_json: error.is_data(),
    })
}

/// Compares a report with an earlier pass.
#[must_use]
pub fn compare(earlier: &EarlierPass, report: &Report) -> Comparison {
    let skipped = coverage::skipped(earlier, report);
    let namespaces = earlier.namespaces.iter();
    let namespaces = namespaces.filter(|one| !skipped.contains(&one.database));
    let mut before: BTreeMap<(&str, u32), &EarlierNamespace> = namespaces
        .map(|namespace| ((namespace.name.as_str(), namespace.database), namespace))
        .collect();
    let rows = report.rows.iter();
    let rows = rows.filter(|row| !skipped.contains(&row.database));
    let keys_before = before.values().map(|one| one.keys.value).sum();
    let keys_now = rows.clone().map(|row| row.estimate.keys.value).sum();
    let totals = (keys_before, keys_now);
    let mut changes: Vec<NamespaceChange> = rows
        .map(|row| change(before.remove(&(&*row.name, row.database)), row, totals))
        .collect();
    // Namespaces that an incomplete pass has not seen may still exist.
    if report.end == PassEnd::Complete {
        let gone = before.into_values().filter(|gone| gone.keys.value > 0.0);
        changes.extend(gone.map(|gone| gone_since(gone, keys_before)));
    }
    let all = changes.len();
    changes.retain(NamespaceChange::is_change);
    let unchanged = all - changes.len();
    let weight = |change: &NamespaceChange| {
        let memory = change.memory.map_or(0.0, |memory| memory.change().abs());
        (memory, change.keys.change().abs())
    };
    changes.sort_by(|left, right| {
        let (left_weight, right_weight) = (weight(left), weight(right));
        let by_memory = right_weight.0.total_cmp(&left_weight.0);
        by_memory
            .then_with(|| right_weight.1.total_cmp(&left_weight.1))
            .then_with(|| (&left.name, left.database).cmp(&(&right.name, right.database)))
    });
    let seconds = earlier
        .ended_timestamp_seconds
        .map(|ended| report.ended - ended);
    Comparison {
        target: earlier.target.clone(),
        seconds: seconds.filter(|seconds| *seconds >= 0.0),
        was_complete: earlier.end == "complete",
        changes,
        unchanged,
        skipped,
    }
}

/// Returns how a namespace of this pass changed. `totals` are the numbers of keys of both passes.
fn change(
    before: Option<&EarlierNamespace>,
    row: &Finding,
    (all_before, all_now): (f64, f64),
) -> NamespaceChange {
    let nothing = Some(Measured::default());
    let keys = before.map_or(Measured::default(), |before| before.keys);
    let memory = before.map_or(nothing, |before| before.memory_bytes);
    let without_ttl = before.map_or(nothing, EarlierNamespace::without_ttl);
    let keys_now = Measured::from(row.estimate.keys);
    let presence = match (keys.value > 0.0, keys_now.value > 0.0) {
        (false, true) => Presence::New,
        (true, false) => Presence::Gone,
        _ => Presence::Both,
    };
    NamespaceChange {
        name: row.name.clone(),
        database: row.database,
        presence,
        keys: Difference::between(keys, keys_now),
        memory: both(memory, row.estimate.memory),
        share: Difference::between(part(keys, all_before), part(keys_now, all_now)),
        without_ttl: both(without_ttl, row.estimate.without_ttl),
    }
}

fn both(before: Option<Measured>, now: Option<Estimate>) -> Option<Difference> {
    Some(Difference::between(before?, now?.into()))
}

/// Returns the change of a namespace that only the earlier pass has.
fn gone_since(before: &EarlierNamespace, all_before: f64) -> NamespaceChange {
    let since = |before: Measured| Difference::between(before, Measured::default());
    NamespaceChange {
        name: before.name.clone(),
        database: before.database,
        presence: Presence::Gone,
        keys: since(before.keys),
        memory: before.memory_bytes.map(since),
        share: since(part(before.keys, all_before)),
        without_ttl: before.without_ttl().map(since),
    }
}

impl EarlierNamespace {
    fn without_ttl(&self) -> Option<Measured> {
        let error = self.keys_without_ttl_error.unwrap_or(0.0);
        let value = self.keys_without_ttl?;
        Some(Measured { value, error })
    }
}

/// Returns a number of keys as a share of all keys.
fn part(keys: Measured, all: f64) -> Measured {
    if all <= 0.0 {
        return Measured::default();
    }
    Measured {
        value: keys.value / all,
        error: keys.error / all,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::json;
    use super::super::report::tests::{report, row};
    use super::*;

    /// Returns the pass that the document of a report contains.
    pub(super) fn earlier(report: &Report) -> EarlierPass {
        read(json::document(report, &json::Additions::default()).as_bytes()).unwrap()
    }

    /// Returns a comparison with a namespace that grew, one that is new and one that is gone.
    pub(in super::super) fn comparison() -> Comparison {
        let mut before = report(vec![
            row("session", 0, 1_000, 512_000.0),
            row("same", 0, 10, 1_000.0),
            row("old\u{1b}[2J", 3, 500, 2_048.0),
        ]);
        before.ended = 1_000.0;
        let mut now = report(vec![
            row("session", 0, 1_200, 614_400.0),
            row("same", 0, 10, 1_000.0),
            row("new", 0, 300, 1_024.0),
        ]);
        now.ended = 8_200.0;
        now.rows[0].estimate.keys.error = 50.0;
        now.rows[0].estimate.without_ttl = None;
        compare(&earlier(&before), &now)
    }

    #[test]
    fn changes_are_new_gone_or_in_both() {
        let comparison = comparison();
        let changes = comparison.changes.iter();
        let of: Vec<_> = changes
            .map(|change| (&*change.name, change.presence, change.keys.change()))
            .collect();
        assert_eq!(
            of,
            [
                ("session", Presence::Both, 200.0),
                ("old\u{1b}[2J", Presence::Gone, -500.0),
                ("new", Presence::New, 300.0),
            ]
        );
        assert_eq!(
            (comparison.unchanged, comparison.seconds),
            (1, Some(7_200.0))
        );
        assert!(comparison.was_complete);
        let session = &comparison.changes[0];
        assert_eq!(
            session.memory.map(|memory| memory.change()),
            Some(102_400.0)
        );
        assert_eq!(session.without_ttl, None);
        let share = session.share;
        assert!((share.before - 1_000.0 / 1_510.0).abs() < 1e-9, "{share:?}");
    }

    #[test]
    fn equal_passes_have_no_changes() {
        let same = report(vec![row("a", 0, 10, 1_000.0), row("a", 1, 10, 1_000.0)]);
        let comparison = compare(&earlier(&same), &same);
        assert_eq!((comparison.changes.len(), comparison.unchanged), (0, 2));
    }

    #[test]
    fn only_changes_beyond_both_errors_are_marked() {
        let measured = |value, error| Measured { value, error };
        let difference = |before, now| Difference::between(before, now);
        let noise = difference(measured(100.0, 30.0), measured(150.0, 40.0));
        assert!(!noise.is_beyond_error(), "{noise:?}");
        let growth = difference(measured(100.0, 30.0), measured(151.0, 40.0));
        assert!(growth.is_beyond_error(), "{growth:?}");
        let exact = difference(measured(100.0, 0.0), measured(99.0, 0.0));
        assert!(exact.is_beyond_error());
        assert!(!difference(measured(5.0, 0.0), measured(5.0, 0.0)).is_beyond_error());
    }

    #[test]
    fn partial_pass_removes_no_namespace() {
        let before = earlier(&report(vec![row("a", 0, 10, 1_000.0)]));
        let mut now = report(Vec::new());
        now.end = PassEnd::Interrupted;
        assert!(compare(&before, &now).changes.is_empty());
        now.end = PassEnd::Complete;
        assert_eq!(compare(&before, &now).changes[0].presence, Presence::Gone);
    }

    #[test]
    fn foreign_texts_are_rejected_with_their_place() {
        for (text, line, column, is_json) in [
            ("", 1, 1, false),
            ("{\n  \"target\": x", 2, 13, false),
            ("{\"target\": \"a\",\n\"end\": \"b\"}", 2, 11, true),
            ("[1]", 1, 2, true),
            ("namespaces: []", 1, 2, false),
        ] {
            let foreign = read(text.as_bytes()).unwrap_err();
            let found = (foreign.line, foreign.column, foreign.is_json);
            assert_eq!(found, (line, column, is_json), "{text}");
        }
    }
}
