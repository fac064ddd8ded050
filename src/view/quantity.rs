//! Writes numbers with their units for people. Pure.

use crate::number::to_count;

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
    let digits = to_count(number.max(0.0).round()).to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
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
pub(super) fn counted(number: f64, one: &str, many: &str) -> String {
    let text = count(number);
    let noun = if text == "1" { one } else { many };
    format!("{text} {noun}")
}

/// Returns the time of day in UTC, such as `05:01:41`.
#[must_use]
pub fn clock(seconds: f64) -> String {
    let second = to_count(seconds.max(0.0)) % 86_400;
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{hour:02}:{minute:02}:{:02}", second % 60)
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
    }
}
