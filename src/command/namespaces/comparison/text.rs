//! Writes a comparison as a table for people. Pure.

use super::super::layout::Layout;
use super::super::table::NAME_MAX;
use super::{Comparison, Difference, NamespaceChange, Presence};
use crate::columns::{Cells, GAP, blanks, is_wider, omit_errors, widths};
use crate::invisible::one_line;
use crate::number::to_count;
use crate::quantity;

/// The mark of a change that is larger than its error.
const MARK: &str = " *";

/// The space for a mark.
const NO_MARK: &str = "  ";

/// Maximum number of databases that a note names.
const SKIPPED_MAX: usize = 10;

const HEADINGS: [&str; 6] = ["NAMESPACE", "DB", "KEYS", "MEMORY", "SHARE", "NO TTL"];

/// Indexes of the columns whose errors are omitted, in this order, while the table is too wide.
const IF_NARROW: [usize; 3] = [3, 5, 2];

type ChangeRow = Cells<{ HEADINGS.len() }>;

/// Returns the table of changes, and notes on how to read it. `target` is that of this pass.
#[must_use]
pub fn text(comparison: &Comparison, target: &str, layout: &Layout) -> String {
    let since = comparison.seconds.map_or_else(
        || "Changes since the earlier pass".to_owned(),
        |seconds| {
            let ago = quantity::long_duration(to_count(seconds * 1_000.0));
            format!("Changes in the last {ago}")
        },
    );
    let mut text = format!("\n{}\n", layout.emphasized(&format!("{since}:")));
    if !comparison.changes.is_empty() {
        text.push_str(&table(&comparison.changes, layout));
    }
    for note in notes(comparison, target, layout) {
        text.push_str(&layout.wrapped(&note, 0));
        text.push('\n');
    }
    text
}

fn notes(comparison: &Comparison, target: &str, layout: &Layout) -> Vec<String> {
    let mut notes = Vec::new();
    let all = comparison.changes.len();
    if all > layout.rows {
        notes.push(format!(
            "The table has {} of {all} namespaces that changed; --top {all} shows all.",
            layout.rows
        ));
    }
    match (comparison.unchanged, all) {
        (_, 0) => notes.push("No namespace changed.".to_owned()),
        (0, _) => {}
        (1, _) => notes.push("One other namespace did not change.".to_owned()),
        (unchanged, _) => {
            notes.push(format!("{unchanged} other namespaces did not change."));
        }
    }
    if all > 0 {
        notes.push(
            "* marks changes that exceed their 95% confidence interval. SHARE changes in percentage points."
                .to_owned(),
        );
    }
    if comparison.target != target {
        let earlier = one_line(&comparison.target, NAME_MAX);
        notes.push(format!("The earlier pass is of the target {earlier}."));
    }
    if !comparison.was_complete {
        notes.push(
            "The earlier pass was not completed, so it may lack namespaces that are new here."
                .to_owned(),
        );
    }
    notes.extend(skipped(comparison));
    notes
}

/// Returns which databases are not compared.
fn skipped(comparison: &Comparison) -> Option<String> {
    let databases = &comparison.skipped;
    let shown = databases.iter().take(SKIPPED_MAX).map(u32::to_string);
    let shown = shown.collect::<Vec<_>>().join(", ");
    let more = match databases.len().saturating_sub(SKIPPED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match databases.len() {
        0 => None,
        1 => Some(format!(
            "Database {shown} is not compared, because one of the passes did not scan it."
        )),
        _ => Some(format!(
            "Databases {shown}{more} are not compared, because one of the passes did not scan \
             them."
        )),
    }
}

fn table(changes: &[NamespaceChange], layout: &Layout) -> String {
    let has_databases = changes.iter().any(|change| change.database != 0);
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(changes.iter().take(layout.rows).map(cells));
    let is_shown = |place: usize| place != 1 || has_databases;
    // The JSON document has the errors.
    let is_too_wide = |lines: &[ChangeRow]| is_wider(lines, is_shown, layout.width);
    omit_errors(&mut lines, &IF_NARROW, is_too_wide, mark);
    let widths = widths(&lines);
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let mut written = String::new();
        for (place, (cell, widest)) in line.iter().zip(widths).enumerate() {
            let space = blanks(cell, widest);
            let is_emphasized = index == 0 || cell.ends_with(MARK);
            let shown = if is_emphasized {
                layout.emphasized(cell)
            } else {
                cell.clone()
            };
            match place {
                _ if !is_shown(place) => {}
                0 => written.extend([shown.as_str(), space.as_str()]),
                _ => written.extend([GAP, space.as_str(), shown.as_str()]),
            }
        }
        text.push_str(written.trim_end());
        text.push('\n');
    }
    text
}

/// Returns the mark at the end of a text, or the space for one.
fn mark(text: &str) -> &'static str {
    if text.ends_with(MARK) { MARK } else { NO_MARK }
}

fn cells(change: &NamespaceChange) -> ChangeRow {
    let name = one_line(&change.name, NAME_MAX);
    let name = match change.presence {
        Presence::Both => name,
        Presence::New => format!("{name} (new)"),
        Presence::Gone => format!("{name} (gone)"),
    };
    let unknown = || format!("-{NO_MARK}");
    [
        name,
        change.database.to_string(),
        cell(&change.keys, count),
        change
            .memory
            .map_or_else(unknown, |memory| cell(&memory, quantity::long_bytes)),
        cell(&change.share, points),
        change
            .without_ttl
            .map_or_else(unknown, |without| cell(&without, count)),
    ]
}

/// Returns a change with its sign, its error and its mark.
fn cell(difference: &Difference, worded: fn(f64) -> String) -> String {
    let change = difference.change();
    let sign = match () {
        () if change > 0.0 => "+",
        () if change < 0.0 => "-",
        () => "",
    };
    let size = worded(change.abs());
    let error = worded(difference.error);
    let error = if error == worded(0.0) {
        String::new()
    } else {
        format!(" ± {error}")
    };
    let is_shown = size != worded(0.0);
    let mark = if is_shown && difference.is_beyond_error() {
        MARK
    } else {
        NO_MARK
    };
    format!("{sign}{size}{error}{mark}")
}

fn count(number: f64) -> String {
    quantity::count(number)
}

fn points(share: f64) -> String {
    format!("{:.1}", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::comparison;
    use super::*;
    use crate::columns::width;

    #[test]
    fn table_shows_signs_marks_and_notes() {
        let text = text(&comparison(), "cache", &Layout::PLAIN);
        let expected = "
Changes in the last 2h:
NAMESPACE            DB         KEYS        MEMORY          SHARE  NO TTL
session               0  +200 ± 50 *  +100.0 KiB *  +13.2 ± 3.3 *     -
old\\u{1b}[2J (gone)   3       -500 *    -2.0 KiB *        -33.1 *  -250 *
new (new)             0       +300 *    +1.0 KiB *        +19.9 *  +150 *
One other namespace did not change.
* marks changes that exceed their 95% confidence interval. SHARE changes in percentage points.
";
        assert_eq!(text, expected);
    }

    #[test]
    fn narrow_table_omits_errors() {
        let narrow = Layout {
            width: 76,
            ..Layout::PLAIN
        };
        let mut comparison = comparison();
        let change = &mut comparison.changes[0];
        change.keys.error = 150.0;
        change.memory.as_mut().unwrap().error = 50_000.0;
        let wide = text(&comparison, "cache", &Layout::PLAIN);
        assert!(wide.contains("+100.0 KiB ± 48.8 KiB *"), "{wide}");
        let text = text(&comparison, "cache", &narrow);
        assert!(text.contains("+200 ± 150 *  +100.0 KiB *  +13.2"), "{text}");
        let rows = text.lines().filter(|line| !line.starts_with('*'));
        let widest = rows.map(width).max();
        assert!(widest <= Some(76), "{text}");
    }

    #[test]
    fn any_time_between_passes_is_shown() {
        let mut comparison = comparison();
        comparison.seconds = Some(1e300);
        let text = text(&comparison, "cache", &Layout::PLAIN);
        assert!(text.starts_with("\nChanges in the last "), "{text}");
    }

    #[test]
    fn change_that_rounds_to_zero_has_no_mark() {
        let difference = Difference {
            before: 0.1,
            now: 0.100_1,
            error: 0.0,
        };
        assert_eq!(cell(&difference, points).trim_end(), "+0.0");
    }

    #[test]
    fn note_names_some_of_the_skipped_databases() {
        let mut comparison = comparison();
        assert_eq!(skipped(&comparison), None);
        comparison.skipped = (1..=12).collect();
        let note = skipped(&comparison).unwrap();
        let start = "Databases 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more are not compared";
        assert!(note.starts_with(start), "{note}");
    }
}
