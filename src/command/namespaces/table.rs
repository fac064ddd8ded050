//! Writes the report as a table for people. The JSON document has the exact numbers.

use std::fmt::Write as _;

use super::human;
use super::report::{PassEnd, Queried, Report, mean, median, violations};
use crate::keyspace::cost::SweepQuery;
use crate::keyspace::estimate::Estimate;
use crate::keyspace::sweep::census::Finding;
use crate::number::to_float;

/// Maximum length of a namespace's name, in characters.
const NAME_MAX: usize = 40;

/// The cell of an unknown value.
const NOTHING: &str = "-";

const HEADINGS: [&str; 11] = [
    "NAMESPACE",
    "DB",
    "KEYS",
    "SHARE",
    "MEMORY",
    "MEAN",
    "NO TTL",
    "TTL MEDIAN",
    "TTL MAX",
    "VIOLATIONS",
    "LARGEST",
];

/// Index of the column that is omitted if there is only one database.
const DATABASE: usize = 1;

type TableRow = [String; HEADINGS.len()];

/// Returns the heading, the table with its total, and notes on how to read it.
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
        PassEnd::Complete => "scanned",
        PassEnd::Interrupted => "PARTIAL: interrupted after",
        PassEnd::Failed(_) => "PARTIAL: the target failed after",
    };
    let _ = writeln!(text, "\n{outcome} {seen} keys in {seconds:.1} s");
    if report.databases.is_empty() {
        text.push_str("no keys\n");
    } else if report.rows.is_empty() {
        text.push_str("too few keys were seen to estimate namespaces\n");
    }
    text
}

fn lines(report: &Report) -> Vec<TableRow> {
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
        total.without_ttl.map_or_else(nothing, estimated),
        String::new(),
        String::new(),
        total.violations.map_or_else(nothing, estimated),
        total.largest_key_bytes.map_or_else(nothing, whole_size),
    ]);
    lines
}

fn line(row: &Finding, all: f64) -> TableRow {
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
        middle.map_or_else(nothing, |median| {
            human::durations(median.lower, median.upper)
        }),
        longest.map_or_else(nothing, human::duration),
        violations(row).map_or_else(nothing, estimated),
        estimate.largest_key_bytes.map_or_else(nothing, whole_size),
    ]
}

fn nothing() -> String {
    NOTHING.to_owned()
}

fn estimated((value, error): (f64, f64)) -> String {
    counted(value, error)
}

/// Omits an error that rounds to zero.
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

/// Aligns the cells of the lines: names to the left, numbers to the right.
fn columns(lines: &[TableRow], with_database: bool) -> String {
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
    let is_uncertain = |estimate: Estimate| estimate.error >= 0.5;
    let is_sampled = rows().any(|row| {
        let estimates = [Some(row.keys), row.memory, row.without_ttl];
        estimates.into_iter().flatten().any(is_uncertain)
    });
    if is_sampled {
        notes.push(
            "± is half the width of the 95% confidence interval: keys changed during the pass, or \
             only a sample was queried."
                .to_owned(),
        );
    }
    if rows().any(|row| row.longest_ttl.is_some()) {
        notes.push(
            "TTLs are remaining TTLs. TTL MEDIAN is the histogram bucket that contains the median. \
             TTL MAX is the longest one seen."
                .to_owned(),
        );
    }
    notes.extend(lookups(&report.queried));
    if let Some(share) = report.explained_share() {
        let share = human::share(share);
        notes.push(format!(
            "The namespaces use {share} of the memory that the server uses for its data."
        ));
    }
    for seen in &report.databases {
        if report.end != PassEnd::Complete && seen.coverage < 1.0 && seen.keys > 0 {
            let (share, keys) = (human::share(seen.coverage), human::count(seen.keys));
            notes.push(format!(
                "Only {share} of the {keys} keys in db{} were seen.",
                seen.database
            ));
        }
    }
    notes.extend(report.refused.iter().map(|query| refusal(*query)));
    notes
}

/// Returns a note on the use of the lookups, and how to change their number.
fn lookups(queried: &Queried) -> Option<String> {
    let lookups = human::count(queried.lookups);
    let note = if queried.ttls > 0 && queried.ttls < queried.keys {
        format!(
            "TTLs are from a sample of {} keys. The pass caused {lookups} lookups, which count in the \
             hit ratio of the server; change the number with --lookups.",
            human::count(queried.ttls)
        )
    } else if queried.lookups > 0 {
        format!("The pass caused {lookups} lookups, which count in the hit ratio of the server.")
    } else {
        return None;
    };
    Some(note)
}

/// Returns what is missing because of a rejected command, and the remedy.
fn refusal(query: SweepQuery) -> String {
    let (command, missing) = match query {
        SweepQuery::Scan => ("SCAN", "keys are"),
        SweepQuery::Memory => ("MEMORY USAGE", "memory is"),
        SweepQuery::Expiry => ("PTTL", "TTLs are"),
        SweepQuery::Type => ("TYPE", "types are"),
        SweepQuery::Idle => ("OBJECT IDLETIME", "idle times are"),
    };
    let permission = query.query().permission;
    format!(
        "The server rejected {command}, so {missing} missing: grant the user {permission} and read \
         access to the keys."
    )
}

#[cfg(test)]
mod tests {
    use super::super::report::SeenDatabase;
    use super::super::report::tests::{report, row};
    use super::*;

    #[test]
    fn table_is_aligned_and_uses_human_units() {
        let mut rows = vec![
            row("session", 0, 2_000, 3_145_728.0),
            row("größe", 0, 1_000, 512_000.0),
        ];
        rows[0].ttl.required = true;
        let mut report = report(rows);
        report.used_bytes = Some(7_315_456.0);
        let expected = "\
cache (redis://127.0.0.1:6379), redis 7.0 standalone
scanned 3,000 keys in 1.5 s

NAMESPACE   KEYS   SHARE     MEMORY     MEAN  NO TTL  TTL MEDIAN  TTL MAX  VIOLATIONS  LARGEST
session    2,000   66.7%    3.0 MiB  1.5 KiB   1,000      15m–1h       1h       1,000  2.0 KiB
größe      1,000   33.3%  500.0 KiB    512 B     500      15m–1h       1h           -  2.0 KiB
total      3,000  100.0%    3.5 MiB  1.2 KiB   1,500                            1,000  2.0 KiB

TTLs are remaining TTLs. TTL MEDIAN is the histogram bucket that contains the median. \
TTL MAX is the longest one seen.
The pass caused 6,000 lookups, which count in the hit ratio of the server.
The namespaces use 50.0% of the memory that the server uses for its data.
";
        assert_eq!(text(&report), expected);
    }

    #[test]
    fn multiple_databases_add_a_column() {
        let mut report = report(vec![row("a", 0, 2, 9.0), row("a", 7, 2, 8.0)]);
        assert!(!text(&report).contains("  DB  "));
        report.databases.push(SeenDatabase {
            database: 7,
            keys: 2,
            coverage: 1.0,
        });
        let text = text(&report);
        assert!(text.contains("\nNAMESPACE  DB  "), "{text}");
        assert!(text.contains("\na           7  "), "{text}");
    }

    #[test]
    fn partial_result_is_marked_and_shows_errors() {
        let mut rows = vec![row("a", 0, 2_000, 9_216.0)];
        rows[0].estimate.keys.error = 120.4;
        if let Some(memory) = &mut rows[0].estimate.memory {
            memory.error = 1_024.0;
        }
        let mut report = report(rows);
        report.end = PassEnd::Interrupted;
        report.databases[0].coverage = 0.25;
        let text = text(&report);
        for part in [
            "PARTIAL: interrupted after 3,000 keys",
            "2,000 ± 120",
            "9.0 KiB ± 1.0 KiB",
            "95% confidence interval",
            "Only 25.0% of the 3,000 keys in db0 were seen.",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn empty_server_has_a_message_instead_of_a_table() {
        let mut report = report(Vec::new());
        report.databases.clear();
        assert!(text(&report).contains("\nno keys\n"));
    }

    #[test]
    fn notes_state_the_sample_size() {
        let mut rows = vec![row("a", 0, 2_000, 9_216.0)];
        if let Some(without) = &mut rows[0].estimate.without_ttl {
            without.error = 70.0;
        }
        rows[0].ttl.required = true;
        let mut report = report(rows);
        report.queried = Queried {
            keys: 2_000,
            ttls: 800,
            types: 200,
            lookups: 1_000,
        };
        let text = text(&report);
        for part in [
            "TTLs are from a sample of 800 keys. The pass caused 1,000 lookups",
            "--lookups",
            "1,000 ± 70",
            "95% confidence interval",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let total = text.lines().find(|line| line.starts_with("total"));
        assert_eq!(total.unwrap().matches("1,000 ± 70").count(), 2, "{text}");
    }

    #[test]
    fn notes_list_rejected_commands_and_remedies() {
        let mut rows = vec![row("a", 0, 2_000, 9_216.0)];
        rows[0].estimate.memory = None;
        rows[0].estimate.largest_key_bytes = None;
        let mut report = report(rows);
        report.refused = vec![SweepQuery::Memory];
        let text = text(&report);
        assert!(text.contains("+memory|usage"), "{text}");
        assert!(text.contains("  100.0%       -     -   1,000"), "{text}");
    }
}
