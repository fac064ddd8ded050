//! Writes the report as a table for people. The JSON document has the exact numbers.

use std::fmt::Write as _;

use super::layout::Layout;
use super::report::{
    PassEnd, Report, Total, expiring_part, idle_share, mean, median, telling_expiry, telling_idle,
    violations,
};
use super::{notes, verdict};
use crate::columns::{Cells, GAP, blanks, is_wider, omit_errors, widths};
use crate::invisible::one_line;
use crate::keyspace::sweep::census::Finding;
use crate::number::{to_count, to_float};
use crate::quantity;

/// Maximum length of a namespace's name, in characters.
pub const NAME_MAX: usize = 40;

/// The same in a table that is too wide otherwise.
const NAME_MIN: usize = 16;

/// The cell of an unknown value.
const NOTHING: &str = "-";

/// Width of a bar, in characters.
const BAR: usize = 10;

const HEADINGS: [&str; 15] = [
    "NAMESPACE",
    "DB",
    "KEYS",
    "SHARE",
    "MEMORY",
    "",
    "MEAN",
    "IDLE",
    "EVICT/S",
    "NO TTL",
    "TTL MEDIAN",
    "TTL MAX",
    "EXPIRE",
    "VIOLATIONS",
    "LARGEST",
];

/// Index of the column that is omitted if there is only one database.
const DATABASE: usize = 1;

const MEMORY: usize = 4;
const NO_TTL: usize = 9;

/// Index of the bars of the shares of the memory, which only terminals get.
const BARS: usize = 5;

/// Index of the column that shows broken policies.
const VIOLATIONS: usize = 13;

/// Indexes of the columns that are omitted if they have no values.
const IF_KNOWN: [usize; 6] = [7, 8, 10, 11, 12, VIOLATIONS];

/// Indexes of the columns that are omitted, in this order, while the table is too wide.
const IF_NARROW: [usize; 9] = [6, 14, 3, 11, 10, BARS, 12, 7, 8];

/// Indexes of the columns whose errors are omitted then, in this order.
const IF_NARROWER: [usize; 3] = [MEMORY, NO_TTL, VIOLATIONS];

type TableRow = Cells<{ HEADINGS.len() }>;

/// Returns the heading, the table with its total, and notes on how to read it.
#[must_use]
pub fn text(report: &Report, layout: &Layout) -> String {
    let mut text = heading(report, layout);
    let mut lines = lines(report, layout);
    let columns = choose(&lines, report.databases.len() > 1, layout);
    shorten(&mut lines, &columns.shown, layout);
    if !report.rows.is_empty() {
        text.push('\n');
        text.push_str(&aligned(&lines, &columns.shown, layout));
        text.push_str(&hidden_rows(report, layout));
    }
    let left_out = columns.left_out.iter();
    let left_out = left_out.filter_map(|place| HEADINGS.get(*place).copied());
    let left_out: Vec<&str> = left_out.filter(|heading| !heading.is_empty()).collect();
    let notes = notes::all(report, &left_out);
    if !notes.is_empty() {
        text.push('\n');
    }
    for note in notes {
        text.push_str(&layout.wrapped(&note, 0));
        text.push('\n');
    }
    text
}

/// Returns what is notable, to end the output.
#[must_use]
pub fn notable(report: &Report, layout: &Layout) -> String {
    let sentences = verdict::sentences(report);
    if sentences.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", layout.emphasized("Notable:"));
    for sentence in sentences {
        let sentence = layout.wrapped(&format!("- {sentence}"), 2);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{sentence}");
    }
    text
}

fn heading(report: &Report, layout: &Layout) -> String {
    let mut text = format!("{} ({})", report.target, report.address);
    if let Some(server) = &report.server {
        let _ = write!(text, ", {server}");
    }
    let mut text = layout.wrapped(&text, 0);
    let seconds = report.duration.as_secs_f64();
    let seen = quantity::whole_counted(report.keys_seen, "key", "keys");
    let outcome = match report.end {
        PassEnd::Complete => "scanned",
        PassEnd::Interrupted => "PARTIAL: interrupted after",
        PassEnd::Failed(_) => "PARTIAL: the target failed after",
    };
    let _ = writeln!(text, "\n{outcome} {seen} in {seconds:.1} s");
    if report.databases.is_empty() {
        text.push_str("no keys\n");
    } else if report.rows.is_empty() {
        text.push_str("too few keys were seen to estimate namespaces\n");
    }
    text
}

/// Returns a line about the rows that the table omits.
fn hidden_rows(report: &Report, layout: &Layout) -> String {
    let hidden = report.rows.len().saturating_sub(layout.rows);
    if hidden == 0 {
        return String::new();
    }
    let (rows, all) = (layout.rows, report.rows.len());
    let note = format!("The table has {rows} of {all} namespaces; --top {all} shows all.");
    layout.wrapped(&note, 0) + "\n"
}

fn lines(report: &Report, layout: &Layout) -> Vec<TableRow> {
    let total = report.total();
    let telling = Telling {
        idle: telling_idle(&report.rows),
        expiry: telling_expiry(&report.rows),
    };
    let mut lines = vec![headings(&telling)];
    let rows = report.rows.iter().take(layout.rows);
    lines.extend(rows.map(|row| line(row, report, &total, &telling)));
    lines.push([
        "total".to_owned(),
        String::new(),
        quantity::estimated(total.keys, total.keys_error),
        quantity::long_percent(if total.keys > 0.0 { 1.0 } else { 0.0 }),
        total
            .memory
            .map_or_else(nothing, |(bytes, error)| sized(bytes, error)),
        String::new(),
        size(total.memory.and_then(|(bytes, _)| mean(bytes, total.keys))),
        String::new(),
        per_second(report.eviction_rate_of_all()),
        total.without_ttl.map_or_else(nothing, estimated),
        String::new(),
        String::new(),
        String::new(),
        total.violations.map_or_else(nothing, estimated),
        total.largest_key_bytes.map_or_else(nothing, whole_size),
    ]);
    lines
}

/// The times of the columns IDLE and EXPIRE, in seconds.
struct Telling {
    idle: Option<f64>,
    expiry: Option<u32>,
}

fn headings(telling: &Telling) -> TableRow {
    let idle = telling.idle.map(to_count);
    let times = [("IDLE", idle), ("EXPIRE", telling.expiry.map(u64::from))];
    HEADINGS.map(|heading| {
        let time = times.iter().find(|(timed, _)| *timed == heading);
        match time.and_then(|(_, seconds)| *seconds) {
            Some(seconds) => format!("{heading} {}", quantity::long_duration(seconds * 1_000)),
            None => heading.to_owned(),
        }
    })
}

fn line(row: &Finding, report: &Report, total: &Total, telling: &Telling) -> TableRow {
    let all = total.keys;
    let estimate = &row.estimate;
    let keys = estimate.keys.value;
    let longest = estimate.longest_ttl;
    let middle = estimate
        .ttl
        .as_ref()
        .zip(longest)
        .and_then(|(ttl, longest)| median(ttl, longest));
    let expiring = telling.expiry.and_then(|within| expiring_part(row, within));
    [
        one_line(&row.name, NAME_MAX),
        row.database.to_string(),
        quantity::estimated(keys, estimate.keys.error),
        quantity::long_percent(if all > 0.0 { keys / all } else { 0.0 }),
        estimate
            .memory
            .map_or_else(nothing, |memory| sized(memory.value, memory.error)),
        estimate
            .memory
            .zip(total.memory)
            .map_or_else(nothing, |(memory, (all, _))| bar(memory.value / all)),
        size(estimate.memory.and_then(|memory| mean(memory.value, keys))),
        share(telling.idle.and_then(|least| idle_share(row, least))),
        per_second(report.eviction_rate(row)),
        estimate.without_ttl.map_or_else(nothing, |without| {
            quantity::estimated(without.value, without.error)
        }),
        middle.map_or_else(nothing, |median| {
            quantity::duration_range(median.lower, median.upper)
        }),
        longest.map_or_else(nothing, quantity::long_duration),
        share(expiring.map(|part| part.keys)),
        violations(row).map_or_else(nothing, estimated),
        estimate.largest_key_bytes.map_or_else(nothing, whole_size),
    ]
}

fn nothing() -> String {
    NOTHING.to_owned()
}

fn estimated((value, error): (f64, f64)) -> String {
    quantity::estimated(value, error)
}

fn sized(value: f64, error: f64) -> String {
    let value = quantity::long_bytes(value);
    if error < 0.5 {
        return value;
    }
    format!("{value} ± {}", quantity::long_bytes(error))
}

fn size(bytes: Option<f64>) -> String {
    bytes.map_or_else(nothing, quantity::long_bytes)
}

fn share(part: Option<f64>) -> String {
    part.map_or_else(nothing, quantity::long_percent)
}

fn per_second(rate: Option<f64>) -> String {
    rate.map_or_else(nothing, quantity::rate)
}

fn whole_size(bytes: u64) -> String {
    quantity::long_bytes(to_float(bytes))
}

/// Draws a share, in eighths of a character.
fn bar(share: f64) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = to_count((share.clamp(0.0, 1.0) * to_float(BAR as u64) * 8.0).round());
    let full = usize::try_from(eighths / 8).unwrap_or(BAR);
    let part = usize::try_from(eighths % 8).unwrap_or(0);
    "█".repeat(full) + PARTS.get(part).unwrap_or(&"")
}

/// The columns of a table, by index.
struct Columns {
    shown: Vec<usize>,
    /// Those that have values but do not fit.
    left_out: Vec<usize>,
}

/// Chooses the columns that have values and fit.
fn choose(lines: &[TableRow], with_database: bool, layout: &Layout) -> Columns {
    let has_values = |place: &usize| {
        let cells = lines.iter().skip(1).filter_map(|line| line.get(*place));
        cells
            .into_iter()
            .any(|cell| !cell.is_empty() && cell != NOTHING)
    };
    let mut shown: Vec<usize> = (0..HEADINGS.len()).collect();
    shown.retain(|place| *place != DATABASE || with_database);
    shown.retain(|place| *place != BARS || (layout.is_terminal && has_values(place)));
    shown.retain(|place| !IF_KNOWN.contains(place) || has_values(place));
    let mut left_out = Vec::new();
    for narrower in IF_NARROW {
        if is_wide(lines, &shown, layout) && shown.contains(&narrower) {
            shown.retain(|place| *place != narrower);
            left_out.push(narrower);
        }
    }
    Columns { shown, left_out }
}

fn is_wide(lines: &[TableRow], shown: &[usize], layout: &Layout) -> bool {
    is_wider(lines, |place| shown.contains(&place), layout.width)
}

/// Omits errors, and then the ends of names, while the table is too wide. The JSON document has them.
fn shorten(lines: &mut [TableRow], shown: &[usize], layout: &Layout) {
    let is_too_wide = |lines: &[TableRow]| is_wide(lines, shown, layout);
    omit_errors(lines, &IF_NARROWER, is_too_wide, |_| "");
    for most in (NAME_MIN..NAME_MAX).rev() {
        if !is_wide(lines, shown, layout) {
            return;
        }
        for cell in lines.iter_mut().filter_map(|line| line.first_mut()) {
            *cell = one_line(cell, most);
        }
    }
}

/// Aligns the cells of the lines: names and bars to the left, numbers to the right.
fn aligned(lines: &[TableRow], shown: &[usize], layout: &Layout) -> String {
    let widths = widths(lines);
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let mut written = String::new();
        for (place, (cell, widest)) in line.iter().zip(widths).enumerate() {
            let space = blanks(cell, widest);
            let is_wrong =
                place == VIOLATIONS && cell.starts_with(|first| ('1'..='9').contains(&first));
            let cell = match place {
                _ if index == 0 => layout.emphasized(cell),
                BARS => layout.drawn(cell),
                _ if is_wrong => layout.warned(cell),
                _ => cell.clone(),
            };
            match place {
                _ if !shown.contains(&place) => {}
                0 => written.extend([cell.as_str(), space.as_str()]),
                BARS => written.extend([GAP, cell.as_str(), space.as_str()]),
                _ => written.extend([GAP, space.as_str(), cell.as_str()]),
            }
        }
        text.push_str(written.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::super::palette::Palette;
    use super::super::report::tests::{aging, report, row};
    use super::super::report::{Queried, SeenDatabase};
    use super::*;
    use crate::columns::width;
    use crate::keyspace::cost::SweepQuery;
    use crate::keyspace::expiring::Burst;
    use crate::keyspace::idle::LruHorizon;

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
        assert_eq!(text(&report, &Layout::PLAIN), expected);
        let expected = "
Notable:
- session uses 86.0% of the memory of all namespaces.
- session has 1,000 keys without a TTL, which its policy requires.
";
        assert_eq!(notable(&report, &Layout::PLAIN), expected);
    }

    /// Returns the report of two namespaces, of which one is idle and one expires.
    fn aging_report() -> Report {
        let idle = [(60.0, 1.0), (600.0, 0.25)];
        let mut rows = vec![
            aging("session", &idle, [0.0, 0.0]),
            aging("api-cache", &[], [0.01, 0.125]),
        ];
        rows[0].expiring.within[1] = None;
        rows[1].expiring.burst = Some(Burst {
            share: 0.5,
            at: 1_725.0,
        });
        let mut report = report(rows);
        report.queried.idle = 250;
        report.horizon = Some(LruHorizon {
            seconds: 1_320.0,
            error: 60.0,
        });
        report
    }

    #[test]
    fn idle_and_expiring_shares_have_columns_and_notes() {
        let text = text(&aging_report(), &Layout::PLAIN);
        for line in [
            "NAMESPACE   KEYS   SHARE      MEMORY  IDLE 10m  NO TTL  TTL MEDIAN  TTL MAX  EXPIRE 5m  LARGEST",
            "session    1,000   50.0%   500.0 KiB     25.0%     500      15m–1h       1h          -  2.0 KiB",
            "api-cache  1,000   50.0%   500.0 KiB         -     500      15m–1h       1h      12.5%  2.0 KiB",
            "IDLE 10m is the share of the memory that was not used for 10m, from 250 sampled keys.",
            "EXPIRE 5m is the share of the keys that expires within 5m unless the TTLs are renewed.",
            "50.0% of the keys of api-cache expire within ten seconds, 12m 5s from now.",
            "Redis evicts keys that were not used for 22m (± 1m).",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(
            text.contains("To fit, the table omits MEAN; --output=json has"),
            "{text}"
        );
        let widest = text
            .lines()
            .skip(3)
            .take(4)
            .map(|line| line.chars().count());
        assert!(widest.max() <= Some(Layout::PLAIN.width), "{text}");
    }

    #[test]
    fn followed_evictions_have_a_column_with_a_total() {
        let rows = vec![
            row("session", 0, 2_000, 3_145_728.0),
            row("websocket", 1, 1_000, 512_000.0),
            row("websocket", 0, 1_000, 512_000.0),
        ];
        let mut report = report(rows);
        report.evicted = [
            ((0, "session".to_owned()), 12.5),
            ((1, "websocket".to_owned()), 400.0),
        ]
        .into();
        let shown = text(&report, &Layout::PLAIN);
        let lines = [
            "NAMESPACE   KEYS   SHARE     MEMORY     MEAN  EVICT/S  NO TTL  TTL MEDIAN  TTL MAX  LARGEST",
            "session    2,000   50.0%    3.0 MiB  1.5 KiB       13   1,000      15m–1h       1h  2.0 KiB",
            "websocket  1,000   25.0%  500.0 KiB    512 B      400     500      15m–1h       1h  2.0 KiB",
            "websocket  1,000   25.0%  500.0 KiB    512 B        -     500      15m–1h       1h  2.0 KiB",
            "total      4,000  100.0%    4.0 MiB  1.0 KiB        -   2,000                       2.0 KiB",
        ];
        for line in lines {
            assert!(shown.contains(line), "{line}\n{shown}");
        }
        assert!(shown.contains("EVICT/S is the estimated number"), "{shown}");
        report.evicted.insert((0, "websocket".to_owned()), 0.0);
        let shown = text(&report, &Layout::PLAIN);
        assert!(shown.contains("  1.0 KiB      413   2,000"), "{shown}");
    }

    #[test]
    fn columns_without_values_are_omitted() {
        let mut row = row("websocket", 0, 1_000, 512_000.0);
        (row.estimate.ttl, row.estimate.longest_ttl) = (None, None);
        let text = text(&report(vec![row]), &Layout::PLAIN);
        let heading = text.lines().nth(3).unwrap();
        let expected = "NAMESPACE   KEYS   SHARE     MEMORY   MEAN  NO TTL  LARGEST";
        assert_eq!(heading, expected);
        assert!(!text.contains("omits"), "{text}");
    }

    #[test]
    fn multiple_databases_add_a_column() {
        let mut report = report(vec![row("a", 0, 2, 9.0), row("a", 7, 2, 8.0)]);
        assert!(!text(&report, &Layout::PLAIN).contains("  DB  "));
        report.databases.push(SeenDatabase {
            database: 7,
            keys: 2,
            coverage: 1.0,
        });
        let text = text(&report, &Layout::PLAIN);
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
        let text = text(&report, &Layout::PLAIN);
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
        assert!(text(&report, &Layout::PLAIN).contains("\nno keys\n"));
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
            idle: 0,
            lookups: 1_000,
        };
        let text = text(&report, &Layout::PLAIN);
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
        let text = text(&report, &Layout::PLAIN);
        assert!(text.contains("+memory|usage"), "{text}");
        assert!(text.contains("  100.0%       -     -   1,000"), "{text}");
    }

    /// A terminal of 80 columns with colors.
    const TERMINAL: Layout = Layout {
        width: 80,
        is_terminal: true,
        palette: Palette::Colored,
        rows: 1,
    };

    #[test]
    fn terminal_gets_bars_colors_and_its_width() {
        let mut rows = vec![
            row("会话", 0, 2_000, 1_536_000.0),
            row("größe", 0, 1_000, 512_000.0),
        ];
        rows[0].ttl.required = true;
        let text = text(&report(rows), &TERMINAL);
        for part in [
            "\u{1b}[1mNAMESPACE\u{1b}[0m",
            "\u{1b}[36m███████▌\u{1b}[0m",
            "\u{1b}[1m\u{1b}[31m1,000\u{1b}[0m",
            "The table has 1 of 2 namespaces; --top 2 shows all.",
            "the table omits MEAN, LARGEST, SHARE",
        ] {
            assert!(text.contains(part), "{part:?}: {text:?}");
        }
        assert!(!text.contains("größe "), "{text}");
        let plain = text.replace("\u{1b}[0m", "").replace("\u{1b}[1m", "");
        let plain = plain.replace("\u{1b}[36m", "").replace("\u{1b}[31m", "");
        let widths: Vec<usize> = plain.lines().skip(3).take(3).map(width).collect();
        assert!(
            widths.iter().all(|width| *width <= 80),
            "{widths:?}\n{plain}"
        );
        // A Chinese character takes two cells, so the columns are aligned.
        assert_eq!(widths.first(), widths.get(1), "{plain}");
    }

    /// As after a pass that measured a sample of millions of keys.
    #[test]
    fn table_with_long_names_and_large_errors_fits() {
        let mut rows = vec![row(
            "checkout:sessions:by:customer:id",
            0,
            2_345_678,
            1.536e9,
        )];
        for row in &mut rows {
            row.ttl.required = true;
            row.estimate.keys.error = 123_456.0;
            if let Some(memory) = &mut row.estimate.memory {
                memory.error = 0.1 * memory.value;
            }
            if let Some(without) = &mut row.estimate.without_ttl {
                (without.value, without.error) = (1_234_567.0, 123_456.0);
            }
        }
        let text = text(&report(rows), &TERMINAL);
        let plain = text.replace("\u{1b}[0m", "").replace("\u{1b}[1m", "");
        let plain = plain.replace("\u{1b}[36m", "").replace("\u{1b}[31m", "");
        let widest = plain.lines().map(width).max();
        assert!(widest <= Some(80), "{widest:?}\n{plain}");
        assert!(plain.contains("2,345,678 ± 123,456"), "{plain}");
    }

    #[test]
    fn columns_that_do_not_fit_have_no_notes() {
        let narrow = Layout {
            width: 50,
            ..Layout::PLAIN
        };
        let text = text(&aging_report(), &narrow);
        assert!(
            text.contains("omits MEAN, LARGEST, SHARE, TTL MAX, TTL MEDIAN, EXPIRE; --output"),
            "{text}"
        );
        for note in ["TTL MEDIAN is", "TTL MAX is", "EXPIRE 5m is"] {
            assert!(!text.contains(note), "{note}\n{text}");
        }
        assert!(text.contains("IDLE 10m is"), "{text}");
    }

    #[test]
    fn sentences_fit_into_the_width_of_a_terminal() {
        let mut report = aging_report();
        report.server = Some("redis 7.0 standalone".repeat(4));
        for row in &mut report.rows {
            row.ttl.required = true;
            row.name = format!("会话{}", "x".repeat(30));
        }
        let all = text(&report, &TERMINAL) + &notable(&report, &TERMINAL);
        let plain = all.replace("\u{1b}[0m", "").replace("\u{1b}[1m", "");
        let plain = plain.replace("\u{1b}[36m", "").replace("\u{1b}[31m", "");
        let widest = plain.lines().map(width).max();
        assert!(widest <= Some(80), "{widest:?}\n{plain}");
        assert!(plain.contains("which its\n  policy requires."), "{plain}");
        // Files keep one sentence on each line, so that it can be found.
        let plain = notable(&report, &Layout::PLAIN);
        assert!(plain.contains("which its policy requires."), "{plain}");
    }

    #[test]
    fn without_colors_there_are_no_codes() {
        let layout = Layout {
            palette: Palette::Plain,
            ..TERMINAL
        };
        let text = text(&report(vec![row("a", 0, 2, 9.0)]), &layout);
        assert!(
            !text.contains('\u{1b}') && text.contains("██████████"),
            "{text}"
        );
    }
}
