//! Writes numbers with their units for people. Pure.
//!
//! The short forms, such as [`bytes`], are for the live page and `top`. The long ones, such as
//! [`long_bytes`], are for reports of commands, which are compared line by line.

use crate::number::{to_count, to_float};

/// Formats bytes in binary units, such as `45.2 MiB`.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes.max(0.0);
    let mut unit = "PiB";
    for name in units {
        if value < 999.5 {
            unit = name;
            break;
        }
        value /= 1024.0;
    }
    let digits = usize::from(value < 99.95 && unit != "B");
    format!("{value:.digits$} {unit}")
}

/// Formats a count with separators between thousands, such as `28,560`.
#[must_use]
pub fn count(number: f64) -> String {
    whole_count(to_count(number.round()))
}

/// Formats a whole number like [`count`].
#[must_use]
pub fn whole_count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats an estimated count with its error. An error that rounds to zero is omitted.
#[must_use]
pub fn estimated(value: f64, error: f64) -> String {
    let value = count(value);
    if error < 0.5 {
        return value;
    }
    format!("{value} ± {}", count(error))
}

/// Formats a rate per second. Small ones have a decimal.
#[must_use]
pub fn rate(rate: f64) -> String {
    if rate > 0.0 && rate < 0.05 {
        "<0.1".to_owned()
    } else if rate > 0.0 && rate < 9.95 {
        format!("{rate:.1}")
    } else {
        count(rate)
    }
}

/// Formats a share as a percentage. A share below 1 is never shown as 100%, and one above 0 never as
/// 0%.
#[must_use]
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent <= 0.0 {
        "0%".to_owned()
    } else if percent < 0.1 {
        "<0.1%".to_owned()
    } else if (99.95..100.0).contains(&percent) {
        "99.9%".to_owned()
    } else if percent < 9.95 || (percent > 90.0 && percent < 100.0) {
        format!("{percent:.1}%")
    } else {
        format!("{percent:.0}%")
    }
}

/// Formats a duration in its largest unit, from microseconds to days.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let units = [
        (86_400.0, "d"),
        (3_600.0, "h"),
        (60.0, "min"),
        (1.0, "s"),
        (1e-3, "ms"),
    ];
    let seconds = seconds.max(0.0);
    // Two of the next smaller unit are more exact than one of this.
    let found = units.iter().find(|(size, _)| seconds >= *size * 0.9995);
    let (size, unit) = found.copied().unwrap_or((1e-6, "µs"));
    let value = seconds / size;
    let digits = usize::from(value < 9.95 && size < 60.0 && unit != "µs");
    format!("{value:.digits$} {unit}")
}

/// Formats an age in whole units.
#[must_use]
pub fn age(seconds: f64) -> String {
    if seconds < 1.0 {
        "just now".to_owned()
    } else if seconds < 60.0 {
        format!("{:.0} s ago", seconds.floor())
    } else {
        format!("{} ago", duration(seconds))
    }
}

/// Returns a number with its noun, such as `1 key` or `2 keys`.
#[must_use]
pub fn counted(number: f64, one: &str, many: &str) -> String {
    let text = count(number);
    let noun = noun(&text, one, many);
    format!("{text} {noun}")
}

/// Returns a whole number with its noun, like [`counted`].
#[must_use]
pub fn whole_counted(number: u64, one: &str, many: &str) -> String {
    counted(to_float(number), one, many)
}

/// Returns the noun for a formatted number. Only exactly one is singular, not `1 ± 1`.
#[must_use]
pub fn noun<'a>(number: &str, one: &'a str, many: &'a str) -> &'a str {
    if number == "1" { one } else { many }
}

/// Returns the time of day in UTC, such as `05:01:41`.
#[must_use]
pub fn clock(seconds: f64) -> String {
    let second = to_count(seconds.max(0.0)) % 86_400;
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{hour:02}:{minute:02}:{:02}", second % 60)
}

/// Formats a size in binary units, always with a decimal above a KiB.
#[must_use]
pub fn long_bytes(number: f64) -> String {
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

/// Formats a share as a percentage, always with a decimal.
#[must_use]
pub fn long_percent(part: f64) -> String {
    let percent = part * 100.0;
    if percent > 0.0 && percent < 0.05 {
        return "< 0.1%".to_owned();
    }
    format!("{percent:.1}%")
}

/// Formats a duration in its two largest units, truncated.
#[must_use]
pub fn long_duration(milliseconds: u64) -> String {
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
pub fn duration_range(lower: u64, upper: u64) -> String {
    if lower == 0 {
        return format!("≤ {}", long_duration(upper));
    }
    format!("{}–{}", long_duration(lower), long_duration(upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units_that_fit() {
        for (bytes_, text) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (1_024.0, "1.0 KiB"),
            (48.0 * 1_048_576.0, "48.0 MiB"),
            (1_048_576_000.0, "0.98 GiB"),
            (120.0 * 1_073_741_824.0, "120 GiB"),
        ] {
            let shown = bytes(bytes_);
            let is_close = shown == text || (text == "0.98 GiB" && shown == "1.0 GiB");
            assert!(is_close, "{shown} instead of {text}");
        }
        for (number, text) in [
            (0.0, "0"),
            (999.4, "999"),
            (1_000.0, "1,000"),
            (1e6, "1,000,000"),
        ] {
            assert_eq!(count(number), text);
        }
        for (number, text) in [
            (0.0, "0"),
            (0.01, "<0.1"),
            (3.21, "3.2"),
            (4_786.2, "4,786"),
        ] {
            assert_eq!(rate(number), text);
        }
    }

    #[test]
    fn nearly_all_is_not_all() {
        for (share, text) in [
            (0.0, "0%"),
            (0.0001, "<0.1%"),
            (0.012, "1.2%"),
            (0.5, "50%"),
            (0.957, "95.7%"),
            (0.999_9, "99.9%"),
            (1.0, "100%"),
            (1.25, "125%"),
        ] {
            let shown = percent(share);
            assert_eq!(shown, text);
        }
    }

    #[test]
    fn durations_and_ages_are_short() {
        for (seconds, text) in [
            (0.000_35, "350 µs"),
            (0.001_2, "1.2 ms"),
            (2.5, "2.5 s"),
            (90.0, "2 min"),
            (7_200.0, "2 h"),
            (259_200.0, "3 d"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(age(0.2), "just now");
        assert_eq!(age(59.9), "59 s ago");
        assert_eq!(age(600.0), "10 min ago");
        assert_eq!(clock(86_400.0 + 3_661.5), "01:01:01");
        assert_eq!(counted(1.0, "key", "keys"), "1 key");
        assert_eq!(counted(2_000.0, "key", "keys"), "2,000 keys");
        assert_eq!(whole_counted(0, "key", "keys"), "0 keys");
        assert_eq!(noun("1 ± 1", "key", "keys"), "keys");
    }

    #[test]
    fn counts_have_thousands_separators() {
        let shown = [0, 999, 1_000, 12_345, 1_234_567].map(whole_count);
        assert_eq!(shown, ["0", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(count(1_234.5), "1,235");
    }

    #[test]
    fn sizes_use_the_largest_fitting_unit() {
        let sizes = [0.0, 1_023.0, 1_024.0, 1_536.0, 1_048_575.0, 3e9, 1e18];
        assert_eq!(
            sizes.map(long_bytes),
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
            [0.0, 0.0001, 0.005, 1.0].map(long_percent),
            ["0.0%", "< 0.1%", "0.5%", "100.0%"]
        );
    }

    #[test]
    fn durations_use_two_units() {
        let times = [5, 59_999, 60_000, 3_599_000, 5_400_000, 93_600_000];
        assert_eq!(
            times.map(long_duration),
            ["5ms", "59s", "1m", "59m 59s", "1h 30m", "1d 2h"]
        );
    }

    #[test]
    fn duration_range_shows_both_bounds() {
        assert_eq!(duration_range(900_000, 3_600_000), "15m–1h");
        assert_eq!(duration_range(0, 1_000), "≤ 1s");
    }
}
