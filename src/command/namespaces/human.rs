//! Formats numbers for people. Pure. The JSON document has the exact ones.

use crate::invisible::is_invisible;
use crate::number::to_count;

/// Formats a count with a comma between thousands.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats an estimated count, rounded.
#[must_use]
pub fn estimated_count(number: f64) -> String {
    count(to_count(number.round()))
}

/// Formats an estimated count with its error. An error that rounds to zero is omitted.
#[must_use]
pub fn counted(value: f64, error: f64) -> String {
    let value = estimated_count(value);
    if error < 0.5 {
        return value;
    }
    format!("{value} ± {}", estimated_count(error))
}

/// Formats a size in binary units.
#[must_use]
pub fn bytes(number: f64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if number < 1023.5 {
        return format!("{number:.0} B");
    }
    let mut value = number / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    // A value that would round to 1024.0 uses the next unit.
    while value >= 1023.95 && units.len() > 0 {
        value /= 1024.0;
        unit = units.next();
    }
    format!("{value:.1} {}", unit.unwrap_or(&"PiB"))
}

/// Formats a fraction of a whole as a percentage.
#[must_use]
pub fn share(part: f64) -> String {
    let percent = part * 100.0;
    if percent > 0.0 && percent < 0.05 {
        return "< 0.1%".to_owned();
    }
    format!("{percent:.1}%")
}

/// Formats a duration in its two largest units, truncated.
#[must_use]
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let (large, small) = if seconds == 0 {
        (format!("{milliseconds}ms"), None)
    } else if minutes == 0 {
        (format!("{seconds}s"), None)
    } else if hours == 0 {
        (format!("{minutes}m"), Some((seconds % 60, 's')))
    } else if days == 0 {
        (format!("{hours}h"), Some((minutes % 60, 'm')))
    } else {
        (format!("{days}d"), Some((hours % 24, 'h')))
    };
    match small.filter(|(number, _)| *number > 0) {
        Some((number, unit)) => format!("{large} {number}{unit}"),
        None => large,
    }
}

/// Formats a range of durations in milliseconds, excluding `lower`.
#[must_use]
pub fn durations(lower: u64, upper: u64) -> String {
    if lower == 0 {
        return format!("≤ {}", duration(upper));
    }
    format!("{}–{}", duration(lower), duration(upper))
}

/// Formats a name on one line of a terminal: escapes control characters and those that change the
/// writing direction, and truncates long names.
#[must_use]
pub fn name(text: &str, longest: usize) -> String {
    let mut shown = String::new();
    for letter in text.chars() {
        if is_invisible(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    if shown.chars().count() > longest {
        let kept = shown.chars().take(longest.saturating_sub(1));
        shown = kept.chain(std::iter::once('…')).collect();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_thousands_separators() {
        let shown = [0, 999, 1_000, 12_345, 1_234_567].map(count);
        assert_eq!(shown, ["0", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(estimated_count(1_234.5), "1,235");
    }

    #[test]
    fn sizes_use_the_largest_fitting_unit() {
        let sizes = [0.0, 1_023.0, 1_024.0, 1_536.0, 1_048_575.0, 3e9, 1e18];
        assert_eq!(
            sizes.map(bytes),
            [
                "0 B",
                "1023 B",
                "1.0 KiB",
                "1.5 KiB",
                "1.0 MiB",
                "2.8 GiB",
                "888.2 PiB"
            ]
        );
    }

    #[test]
    fn small_share_is_not_shown_as_zero() {
        assert_eq!(
            [0.0, 0.0001, 0.005, 1.0].map(share),
            ["0.0%", "< 0.1%", "0.5%", "100.0%"]
        );
    }

    #[test]
    fn durations_use_two_units() {
        let times = [5, 59_999, 60_000, 3_599_000, 5_400_000, 93_600_000];
        assert_eq!(
            times.map(duration),
            ["5ms", "59s", "1m", "59m 59s", "1h 30m", "1d 2h"]
        );
    }

    #[test]
    fn duration_range_shows_both_bounds() {
        assert_eq!(durations(900_000, 3_600_000), "15m–1h");
        assert_eq!(durations(0, 1_000), "≤ 1s");
    }

    #[test]
    fn control_characters_in_names_are_escaped() {
        assert_eq!(name("a\u{1b}[2Jb\n", 40), "a\\u{1b}[2Jb\\n");
        assert_eq!(name("größer", 4), "grö…");
        let hidden = "a\u{202e}b\u{200b}\u{61c}\u{2066}\u{feff}";
        let shown = name(hidden, 50);
        assert_eq!(shown, r"a\u{202e}b\u{200b}\u{61c}\u{2066}\u{feff}");
        assert_eq!(crate::output::plain(&shown), shown);
    }
}
