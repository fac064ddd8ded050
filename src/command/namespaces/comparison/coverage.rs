//! Finds the databases that only one of two passes scanned. Pure.

use std::collections::BTreeSet;

use super::super::report::{PassEnd, Report};
use super::EarlierPass;

/// Returns the databases that have keys in one of the passes and were not scanned by the other.
pub(super) fn skipped(earlier: &EarlierPass, report: &Report) -> BTreeSet<u32> {
    let before = earlier.namespaces.iter();
    let before = before.filter(|namespace| namespace.keys.value > 0.0);
    let before = before.map(|namespace| namespace.database);
    let rows = report.rows.iter();
    let now = rows.filter(|row| row.estimate.keys.value > 0.0);
    let now = now.map(|row| row.database);
    let unseen_now = before.filter(|database| !is_scanned(report, *database));
    let unseen_before = now.filter(|database| !was_scanned(earlier, *database));
    unseen_now.chain(unseen_before).collect()
}

/// Returns whether this pass scanned any part of a database. A complete pass has scanned those that
/// are empty.
fn is_scanned(report: &Report, database: u32) -> bool {
    let seen = || {
        let mut databases = report.databases.iter();
        databases.any(|one| one.database == database && one.coverage > 0.0)
    };
    is_selected(report.selected.as_deref(), database) && (report.end == PassEnd::Complete || seen())
}

/// Returns whether the earlier pass scanned any part of a database.
fn was_scanned(earlier: &EarlierPass, database: u32) -> bool {
    let seen = || {
        let mut databases = earlier.databases.iter();
        databases.any(|one| one.database == database && one.coverage.is_some_and(|part| part > 0.0))
    };
    is_selected(earlier.selected_databases.as_deref(), database)
        && (earlier.end == "complete" || seen())
}

fn is_selected(selected: Option<&[u32]>, database: u32) -> bool {
    selected.is_none_or(|selected| selected.contains(&database))
}

#[cfg(test)]
mod tests {
    use super::super::super::report::SeenDatabase;
    use super::super::super::report::tests::{report, row};
    use super::super::tests::earlier;
    use super::super::{Comparison, compare};
    use super::*;

    fn names(comparison: &Comparison) -> Vec<&str> {
        let changes = comparison.changes.iter();
        changes.map(|change| &*change.name).collect()
    }

    #[test]
    fn databases_of_one_pass_are_not_compared() {
        let all = report(vec![
            row("session", 0, 500, 1_000.0),
            row("other", 0, 500, 1_000.0),
            row("queue", 3, 500, 1_000.0),
        ]);
        let mut first = report(vec![
            row("session", 0, 500, 1_000.0),
            row("other", 0, 500, 1_000.0),
        ]);
        first.selected = Some(vec![0]);
        for (before, now) in [(&all, &first), (&first, &all)] {
            let comparison = compare(&earlier(before), now);
            assert_eq!(names(&comparison), Vec::<&str>::new());
            assert_eq!(comparison.skipped, BTreeSet::from([3]));
        }
        // A complete pass of all databases proves that this one is empty.
        first.selected = None;
        let comparison = compare(&earlier(&all), &first);
        assert_eq!(names(&comparison), ["queue", "other", "session"]);
        assert!(comparison.skipped.is_empty());
    }

    #[test]
    fn unseen_databases_of_partial_passes_are_not_compared() {
        let both = report(vec![row("a", 0, 500, 1_000.0), row("b", 3, 500, 1_000.0)]);
        let mut partial = report(vec![row("a", 0, 500, 1_000.0)]);
        partial.end = PassEnd::Interrupted;
        partial.databases = vec![
            SeenDatabase {
                database: 0,
                keys: 500,
                coverage: 0.5,
            },
            SeenDatabase {
                database: 3,
                keys: 500,
                coverage: 0.0,
            },
        ];
        for (before, now) in [(&both, &partial), (&partial, &both)] {
            let comparison = compare(&earlier(before), now);
            assert_eq!(names(&comparison), Vec::<&str>::new());
            assert_eq!(comparison.skipped, BTreeSet::from([3]));
        }
    }
}
