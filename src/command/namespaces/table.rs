//! The report as a table for people. Exact numbers are in the JSON document.

use std::fmt::Write as _;

use super::human;
use super::report::{End, Report, mean, median, violations};
use crate::keyspace::cost::SweepQuery;
use crate::keyspace::sweep::census::Finding;
use crate::number::to_float;

/// The longest name of a namespace, in characters.
const NAME_MAX: usize = 40;

/// What stands where nothing is known.
const NOTHING: &str = "-";

const HEADINGS: [&str; 11] = [
    "NAMESPACE",
    "DB",
    "KEYS",
    "SHARE",
    "MEMORY",
    "MEAN",
    "NO TTL",
    "TTL P50",
    "TTL MAX",
    "VIOLATIONS",
    "LARGEST",
];

/// The place of the column that is left out where there is one database only.
const DATABASE: usize = 1;

type Line = [String; HEADINGS.len()];

/// Heading, table, total and what must be known to read it.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut text = heading(report);
    if !report.rows.is_empty() {
        text.push('\n');
        text.push_str(&columns(&lines(report), report.databases.len() > 1));
    }
    let notes = notes(report);
    if !notes.is_empty() {
        text.push('\n');
    }
    for note in notes {
        text.push_str(&note);
        text.push('\n');
    }
    text
}

fn heading(report: &Report) -> String {
    let mut text = format!("{} ({})", report.target, report.address);
    if let Some(server) = &report.server {
        let _ = write!(text, ", {server}");
    }
    let seconds = report.duration.as_secs_f64();
    let seen = human::count(report.keys_seen);
    let outcome = match report.end {
        End::Complete => "looked at",
        End::Interrupted => "PARTIAL, interrupted after",
        End::Failed(_) => "PARTIAL, the target failed after",
    };
    let _ = writeln!(text, "\n{outcome} {seen} keys in {seconds:.1} s");
    if report.databases.is_empty() {
        text.push_str("there are no keys\n");
    } else if report.rows.is_empty() {
        text.push_str("nothing can be said of the namespaces yet\n");
    }
    text
}

fn lines(report: &Report) -> Vec<Line> {
    let total = report.total();
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(report.rows.iter().map(|row| line(row, total.keys)));
    lines.push([
        "total".to_owned(),
        String::new(),
        counted(total.keys, total.keys_error),
        human::share(if total.keys > 0.0 { 1.0 } else { 0.0 }),
        total
            .memory
            .map_or_else(nothing, |(bytes, error)| sized(bytes, error)),
        size(total.memory.and_then(|(bytes, _)| mean(bytes, total.keys))),
        total.without_ttl.map_or_else(nothing, human::count),
        String::new(),
        String::new(),
        total.violations.map_or_else(nothing, human::count),
        total.largest_key_bytes.map_or_else(nothing, whole_size),
    ]);
    lines
}

fn line(row: &Finding, all: f64) -> Line {
    let estimate = &row.estimate;
    let keys = estimate.keys.value;
    let longest = estimate.longest_ttl;
    let middle = estimate
        .ttl
        .as_ref()
        .zip(longest)
        .and_then(|(ttl, longest)| median(ttl, longest));
    [
        human::name(&row.name, NAME_MAX),
        row.database.to_string(),
        counted(keys, estimate.keys.error),
        human::share(if all > 0.0 { keys / all } else { 0.0 }),
        estimate
            .memory
            .map_or_else(nothing, |memory| sized(memory.value, memory.error)),
        size(estimate.memory.and_then(|memory| mean(memory.value, keys))),
        estimate
            .without_ttl
            .map_or_else(nothing, |without| counted(without.value, without.error)),
        middle.map_or_else(nothing, human::duration),
        longest.map_or_else(nothing, human::duration),
        violations(row).map_or_else(nothing, human::count),
        estimate.largest_key_bytes.map_or_else(nothing, whole_size),
    ]
}

fn nothing() -> String {
    NOTHING.to_owned()
}

/// An error that is rounded to nothing is not shown.
fn counted(value: f64, error: f64) -> String {
    let value = human::estimated_count(value);
    if error < 0.5 {
        return value;
    }
    format!("{value} ± {}", human::estimated_count(error))
}

fn sized(value: f64, error: f64) -> String {
    let value = human::bytes(value);
    if error < 0.5 {
        return value;
    }
    format!("{value} ± {}", human::bytes(error))
}

fn size(bytes: Option<f64>) -> String {
    bytes.map_or_else(nothing, human::bytes)
}

fn whole_size(bytes: u64) -> String {
    human::bytes(to_float(bytes))
}

/// The lines with their cells under each other: names to the left, numbers to the right.
fn columns(lines: &[Line], with_database: bool) -> String {
    let width = |text: &str| text.chars().count();
    let mut widths = [0; HEADINGS.len()];
    for line in lines {
        for (widest, cell) in widths.iter_mut().zip(line) {
            *widest = width(cell).max(*widest);
        }
    }
    let mut text = String::new();
    for line in lines {
        let mut shown = String::new();
        for (place, (cell, widest)) in line.iter().zip(widths).enumerate() {
            let space = " ".repeat(widest - width(cell));
            match place {
                0 => shown.extend([cell.as_str(), space.as_str()]),
                DATABASE if !with_database => {}
                _ => shown.extend(["  ", space.as_str(), cell.as_str()]),
            }
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    let rows = || report.rows.iter().map(|row| &row.estimate);
    let is_sampled = rows()
        .any(|row| row.keys.error >= 0.5 || row.memory.is_some_and(|memory| memory.error >= 0.5));
    if is_sampled {
        notes.push(
            "± is how far the 95 % interval reaches: keys came and went, or not all were asked."
                .to_owned(),
        );
    }
    if rows().any(|row| row.longest_ttl.is_some()) {
        notes.push(
            "TTLs are what is left of them. P50 is interpolated between the edges of a histogram \
             (1s 10s 1m 5m 15m 1h 6h 1d 7d 30d); MAX is the longest that was seen."
                .to_owned(),
        );
    }
    if let Some(share) = report.explained_share() {
        let share = human::share(share);
        notes.push(format!(
            "The memory is {share} of what the server uses for its data."
        ));
    }
    for seen in &report.databases {
        if report.end != End::Complete && seen.coverage < 1.0 && seen.keys > 0 {
            let (share, keys) = (human::share(seen.coverage), human::count(seen.keys));
            notes.push(format!(
                "Of {keys} keys in db{}, {share} were seen.",
                seen.database
            ));
        }
    }
    notes.extend(report.refused.iter().map(|query| refusal(*query)));
    notes
}

/// What is missing without an answer, and the remedy.
fn refusal(query: SweepQuery) -> String {
    let command = match query {
        SweepQuery::Scan => "SCAN",
        SweepQuery::Memory => "MEMORY USAGE",
        SweepQuery::Expiry => "PTTL",
        SweepQuery::Type => "TYPE",
    };
    let permission = query.query().permission;
    format!(
        "The server refuses {command}, so what it would tell is missing; give the user \
         {permission} and read access to the keys."
    )
}

#[cfg(test)]
mod tests {
    use super::super::report::Seen;
    use super::super::report::tests::{report, row};
    use super::*;

    #[test]
    fn the_table_is_aligned_and_in_human_units() {
        let mut rows = vec![
            row("session", 0, 2_000, 3_145_728.0),
            row("größe", 0, 1_000, 512_000.0),
        ];
        rows[0].ttl.required = true;
        let mut report = report(rows);
        report.used_bytes = Some(7_315_456.0);
        let expected = "\
cache (redis://127.0.0.1:6379), redis 7.0 standalone
looked at 3,000 keys in 1.5 s

NAMESPACE   KEYS    SHARE     MEMORY     MEAN  NO TTL  TTL P50  TTL MAX  VIOLATIONS  LARGEST
session    2,000   66.7 %    3.0 MiB  1.5 KiB   1,000  37m 30s       1h       1,000  2.0 KiB
größe      1,000   33.3 %  500.0 KiB    512 B     500  37m 30s       1h           -  2.0 KiB
total      3,000  100.0 %    3.5 MiB  1.2 KiB   1,500                         1,000  2.0 KiB

TTLs are what is left of them. P50 is interpolated between the edges of a histogram \
(1s 10s 1m 5m 15m 1h 6h 1d 7d 30d); MAX is the longest that was seen.
The memory is 50.0 % of what the server uses for its data.
";
        assert_eq!(text(&report), expected);
    }

    #[test]
    fn the_database_has_a_column_where_there_are_several() {
        let mut report = report(vec![row("a", 0, 2, 9.0), row("a", 7, 2, 8.0)]);
        assert!(!text(&report).contains("  DB  "));
        report.databases.push(Seen {
            database: 7,
            keys: 2,
            coverage: 1.0,
        });
        let text = text(&report);
        assert!(text.contains("\nNAMESPACE  DB  "), "{text}");
        assert!(text.contains("\na           7  "), "{text}");
    }

    #[test]
    fn a_partial_result_says_so_and_shows_its_errors() {
        let mut rows = vec![row("a", 0, 2_000, 9_216.0)];
        rows[0].estimate.keys.error = 120.4;
        if let Some(memory) = &mut rows[0].estimate.memory {
            memory.error = 1_024.0;
        }
        let mut report = report(rows);
        report.end = End::Interrupted;
        report.databases[0].coverage = 0.25;
        let text = text(&report);
        for part in [
            "PARTIAL, interrupted after 3,000 keys",
            "2,000 ± 120",
            "9.0 KiB ± 1.0 KiB",
            "95 % interval",
            "Of 3,000 keys in db0, 25.0 % were seen.",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn no_keys_is_said_in_words() {
        let mut report = report(Vec::new());
        report.databases.clear();
        assert!(text(&report).contains("there are no keys"));
    }

    #[test]
    fn what_is_refused_is_named_with_its_remedy() {
        let mut rows = vec![row("a", 0, 2_000, 9_216.0)];
        rows[0].estimate.memory = None;
        rows[0].estimate.largest_key_bytes = None;
        let mut report = report(rows);
        report.refused = vec![SweepQuery::Memory];
        let text = text(&report);
        assert!(text.contains("+memory|usage"), "{text}");
        assert!(text.contains("  100.0 %       -     -   1,000"), "{text}");
    }
}
