//! Texts and drawings of single values. Pure.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::received::ReportedTtl;
use crate::number::{length, to_count};
use crate::quantity::{count, percent};

/// The text of an unknown value.
pub const UNKNOWN: &str = "-";

/// Returns text on one line: characters that are not visible, or that change how others are
/// displayed, are escaped.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_visible(letter) {
            shown.push(letter);
        } else {
            shown.extend(letter.escape_default());
        }
    }
    shown
}

fn is_visible(letter: char) -> bool {
    // Blank characters that have a width, and are not white space to Unicode.
    let is_blank = matches!(letter, '\u{115f}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}');
    let is_space = letter.is_whitespace() && letter != ' ';
    // Control characters have no width. Marks of direction and combining ones have width 0.
    let has_width = letter.width().is_some_and(|width| width > 0);
    has_width && !is_blank && !is_space && letter != '\u{ad}'
}

/// Returns the number of cells that a text needs.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// Truncates a text that needs more cells.
#[must_use]
pub fn fit(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 1;
    for letter in text.chars() {
        used += letter.width().unwrap_or(0);
        if used > cells {
            break;
        }
        shown.push(letter);
    }
    if cells > 0 {
        shown.push('…');
    }
    shown
}

/// Breaks a text into lines of at most this width, at spaces if possible.
#[must_use]
pub fn wrap(text: &str, cells: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let needed = width(&line) + 1 + width(word);
        if !line.is_empty() && needed > cells {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&fit(word, cells));
    }
    lines.push(line);
    lines
}

/// Formats a number, or shows that it is unknown.
#[must_use]
pub fn or_unknown(number: Option<f64>, format: fn(f64) -> String) -> String {
    number.map_or_else(|| UNKNOWN.to_owned(), format)
}

/// Formats an estimate with its error. An error that rounds to zero is omitted.
#[must_use]
pub fn estimate(number: Option<f64>, error: Option<f64>) -> String {
    match (number, error) {
        (Some(number), Some(error)) if error >= 0.5 => {
            format!("{} ± {}", count(number), count(error))
        }
        (number, _) => or_unknown(number, count),
    }
}

/// Formats a duration in one unit.
fn short(seconds: f64) -> String {
    let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "m")];
    let found = units.iter().find(|(size, _)| seconds >= *size);
    let (size, unit) = found.copied().unwrap_or((1.0, "s"));
    format!("{:.0}{unit}", seconds / size)
}

/// Formats the range of remaining TTLs that contains the median.
#[must_use]
pub fn median_ttl(ranges: &[ReportedTtl]) -> String {
    let all: f64 = ranges.iter().map(|range| range.keys).sum();
    let mut before = None;
    let mut seen = 0.0;
    for range in ranges {
        seen += range.keys;
        if seen > 0.0 && seen * 2.0 >= all {
            return match (before, range.at_most_seconds) {
                (None, Some(upper)) => format!("≤ {}", short(upper)),
                (Some(lower), Some(upper)) => format!("{}–{}", short(lower), short(upper)),
                (Some(lower), None) => format!("> {}", short(lower)),
                (None, None) => UNKNOWN.to_owned(),
            };
        }
        before = range.at_most_seconds;
    }
    UNKNOWN.to_owned()
}

/// Draws a share of 1, in eighths of a cell.
#[must_use]
pub fn bar(share: f64, cells: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = to_count((share.clamp(0.0, 1.0) * length(cells) * 8.0).round());
    let full = usize::try_from(eighths / 8).unwrap_or(cells);
    let part = usize::try_from(eighths % 8).unwrap_or(0);
    "█".repeat(full) + PARTS.get(part).unwrap_or(&"")
}

/// The share of a limit that is marked in bars.
pub const MARK: f64 = 0.9;

/// Draws a share of a limit, with a mark at 90%, in three parts: the bar before the mark, the mark,
/// and the bar after it.
#[must_use]
pub fn marked_bar(share: f64, cells: usize) -> [String; 3] {
    let place = usize::try_from(to_count(length(cells) * MARK)).unwrap_or(0);
    let place = place.min(cells.saturating_sub(1));
    let part = |from: usize, to: usize| {
        let size = length(to - from);
        let filled = if size > 0.0 {
            (share * length(cells) - length(from)) / size
        } else {
            0.0
        };
        let drawn = bar(filled, to - from);
        let rest = (to - from).saturating_sub(width(&drawn));
        drawn + &"·".repeat(rest)
    };
    let mark = if cells == 0 { "" } else { "│" };
    let after = (place + 1).min(cells);
    [part(0, place), mark.to_owned(), part(after, cells)]
}

/// Draws values from 0 to `top`, the newest last. If there are more values than cells, each cell has
/// the mean of some of them. Unknown values are blank.
#[must_use]
pub fn sparkline(values: &[Option<f64>], top: f64, cells: usize) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if cells == 0 || values.is_empty() {
        return String::new();
    }
    let cells = cells.min(values.len());
    let edge = |cell: usize| cell * values.len() / cells;
    let parts = (0..cells).filter_map(|cell| values.get(edge(cell)..edge(cell + 1)));
    let drawn = parts.map(|part| {
        let known: Vec<f64> = part.iter().copied().flatten().collect();
        if known.is_empty() {
            return ' ';
        }
        let mean = known.iter().sum::<f64>() / length(known.len());
        let share = if top > 0.0 { mean / top } else { 0.0 };
        let level = to_count((share.clamp(0.0, 1.0) * 7.0).round());
        let level = usize::try_from(level).unwrap_or(0);
        LEVELS.get(level).copied().unwrap_or(' ')
    });
    drawn.collect()
}

/// Returns the largest known value.
#[must_use]
pub fn top_of(values: &[Option<f64>]) -> f64 {
    values.iter().copied().flatten().fold(0.0, f64::max)
}

/// Formats a share, or shows that it is unknown.
#[must_use]
pub fn share(part: Option<f64>) -> String {
    or_unknown(part, percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_escaped() {
        for (text, expected) in [
            ("api-cache größe 日本", "api-cache größe 日本"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            (
                "a\u{200b}b\u{202e}c\u{feff}",
                "a\\u{200b}b\\u{202e}c\\u{feff}",
            ),
            ("a\u{ad}b\u{a0}c\u{3164}", "a\\u{ad}b\\u{a0}c\\u{3164}"),
            ("a\u{301}b\u{9b}", "a\\u{301}b\\u{9b}"),
            ("\u{e0041}\u{2028}", "\\u{e0041}\\u{2028}"),
        ] {
            assert_eq!(visible(text), expected);
        }
    }

    #[test]
    fn texts_are_cut_by_width() {
        assert_eq!(fit("cache", 5), "cache");
        assert_eq!(fit("caches", 5), "cach…");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("abc", 1), "…");
        assert_eq!(fit("abc", 0), "");
    }

    #[test]
    fn lines_break_at_spaces() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij kl", 6), ["abcde…", "kl"]);
        assert_eq!(wrap("", 6), [""]);
        assert_eq!(wrap("ab", 0), [""]);
    }

    #[test]
    fn bars_have_eighths_and_a_mark() {
        assert_eq!(bar(0.5, 4), "██");
        assert_eq!(bar(0.53, 4), "██▏");
        assert_eq!(bar(7.0, 2), "██");
        assert_eq!(bar(-1.0, 2), "");
        assert_eq!(marked_bar(0.5, 10).concat(), "█████····│");
        assert_eq!(marked_bar(0.0, 10).concat(), "·········│");
        assert_eq!(marked_bar(1.2, 20).concat(), "██████████████████│█");
        assert_eq!(marked_bar(0.95, 20).concat(), "██████████████████│·");
        for cells in 0..30 {
            for share in [0.0, 0.89, 0.9, 1.0, 2.0, f64::NAN] {
                assert_eq!(width(&marked_bar(share, cells).concat()), cells);
            }
        }
    }

    #[test]
    fn sparklines_keep_the_newest_value_last() {
        let values = [Some(0.0), None, Some(4.0), Some(8.0)];
        assert_eq!(sparkline(&values, 8.0, 10), "▁ ▅█");
        assert_eq!(sparkline(&values, 8.0, 2), "▁▆");
        assert_eq!(sparkline(&values, 8.0, 3), "▁ ▆");
        assert_eq!(sparkline(&values, 0.0, 4), "▁ ▁▁");
        assert_eq!(sparkline(&values, 8.0, 0), "");
        assert_eq!(sparkline(&[], 8.0, 5), "");
        for count in 0..130 {
            let all = vec![Some(1.0); count];
            for cells in 0..40 {
                let drawn = sparkline(&all, 1.0, cells);
                assert_eq!(width(&drawn), cells.min(count));
            }
        }
    }

    #[test]
    fn median_ttl_is_a_range() {
        let range = |seconds: Option<f64>, keys| ReportedTtl {
            at_most_seconds: seconds,
            keys,
        };
        let ranges = |counts: [f64; 3]| {
            let [a, b, c] = counts;
            median_ttl(&[
                range(Some(60.0), a),
                range(Some(3_600.0), b),
                range(None, c),
            ])
        };
        assert_eq!(ranges([3.0, 1.0, 1.0]), "≤ 1m");
        assert_eq!(ranges([1.0, 5.0, 1.0]), "1m–1h");
        assert_eq!(ranges([0.0, 0.0, 1.0]), "> 1h");
        assert_eq!(ranges([0.0, 0.0, 0.0]), "-");
        assert_eq!(median_ttl(&[]), "-");
    }

    #[test]
    fn small_errors_are_omitted() {
        assert_eq!(estimate(Some(59_934.0), Some(543.2)), "59,934 ± 543");
        assert_eq!(estimate(Some(5.0), Some(0.4)), "5");
        assert_eq!(estimate(Some(5.0), None), "5");
        assert_eq!(estimate(None, Some(1.0)), "-");
    }
}
