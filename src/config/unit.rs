//! Parses single values: durations, sizes and the like. Pure.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tracing::Level;

use super::problem::Invalid;
use super::{LogFormat, OnEviction, Route};
use crate::metric::Series;

const DAY: u64 = 24 * 60 * 60 * 1000;

/// Units in milliseconds, longest first. A compound such as `1h30m` has each at most once, in this
/// order.
const DURATION_UNITS: [(&str, u64); 5] = [
    ("d", DAY),
    ("h", 60 * 60 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// A hundred years, so that adding it to a time never overflows.
const LONGEST_DURATION: u64 = 36_500 * DAY;

const SIZE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KB", 1000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];

/// Below this interval, the polls themselves would be a significant load.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
const LONGEST_INTERVAL: Duration = Duration::from_millis(DAY);

/// Parses a duration with a unit: `500ms`, `15s`, `1h30m`, `7d`. Zero is invalid.
pub(crate) fn duration(text: &str) -> Result<Duration, Invalid> {
    let remedy = "write a whole number with ms, s, m, h or d, such as 500ms, 15s or 1h30m";
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Invalid::new("has no unit", remedy));
    }
    match milliseconds(text) {
        None => Err(Invalid::new("is not a duration", remedy)),
        Some(0) => Err(Invalid::new(
            "must be greater than zero",
            "write at least 1ms",
        )),
        Some(total) if total > LONGEST_DURATION => {
            Err(Invalid::new("is too long", "write at most 36500d"))
        }
        Some(total) => Ok(Duration::from_millis(total)),
    }
}

fn milliseconds(text: &str) -> Option<u64> {
    let mut units = DURATION_UNITS.iter();
    let mut total: u64 = 0;
    let mut rest = text;
    loop {
        let (count, after) = split_number(rest)?;
        let end = after
            .find(|letter: char| letter.is_ascii_digit())
            .unwrap_or(after.len());
        let (name, after) = after.split_at_checked(end)?;
        let (_, size) = units.find(|(unit, _)| *unit == name)?;
        total = total.checked_add(count.checked_mul(*size)?)?;
        if after.is_empty() {
            return Some(total);
        }
        rest = after;
    }
}

/// Splits off the digits at the start, as a number.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

/// Parses a poll interval, within bounds.
pub(crate) fn poll_interval(text: &str) -> Result<Duration, Invalid> {
    let interval = duration(text)?;
    if interval < SHORTEST_INTERVAL {
        return Err(Invalid::new("is too short", "write at least 100ms"));
    }
    if interval > LONGEST_INTERVAL {
        return Err(Invalid::new("is too long", "write at most 1d"));
    }
    Ok(interval)
}

/// Parses a number of bytes, with or without a unit such as `256MiB`. Zero is invalid.
pub(crate) fn size(text: &str) -> Result<u64, Invalid> {
    let remedy =
        "write bytes, or a whole number with B, KB, KiB, MB, MiB, GB or GiB, such as 256MiB";
    let bytes = split_number(text).and_then(|(count, unit)| {
        let unit = if unit.is_empty() { "B" } else { unit };
        let (_, bytes) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
        count.checked_mul(*bytes)
    });
    match bytes {
        None => Err(Invalid::new("is not a size", remedy)),
        Some(0) => Err(Invalid::new(
            "must be greater than zero",
            "remove the key for no limit",
        )),
        Some(bytes) => Ok(bytes),
    }
}

/// Parses the number of a Redis database.
pub(crate) fn database(text: &str) -> Result<u32, Invalid> {
    text.parse().map_err(|_| {
        Invalid::new(
            "is not the number of a database",
            "write a whole number, such as 0",
        )
    })
}

/// Parses an integer within bounds.
pub(crate) fn whole(text: &str, least: u32, most: u32) -> Result<u32, Invalid> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| {
        Invalid::new(
            "is not a valid number",
            format!("write a whole number from {least} to {most}"),
        )
    })
}

/// Parses `true` or `false`.
pub(crate) fn switch(text: &str) -> Result<bool, Invalid> {
    text.parse()
        .map_err(|_| Invalid::new("is neither true nor false", "write true or false"))
}

/// Parses an absolute path, which does not depend on the working directory.
pub(crate) fn absolute_path(text: &str) -> Result<PathBuf, Invalid> {
    let path = PathBuf::from(text);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(Invalid::new(
            "is not an absolute path",
            "start it with /, such as /var/lib/redis/dump.rdb",
        ))
    }
}

/// Parses an IP address and a port. As in Go, `:9121` means all IPv6 and IPv4 addresses.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, Invalid> {
    let address = match text.strip_prefix(':') {
        Some(port) => port
            .parse()
            .ok()
            .map(|port: u16| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
        None => match text.strip_prefix("localhost:") {
            Some(port) => port
                .parse()
                .ok()
                .map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            None => text.parse().ok(),
        },
    };
    address.ok_or_else(|| {
        Invalid::new(
            "is not an address to listen at",
            "write an IP address and a port, such as 0.0.0.0:9121, [::]:9121 or :9121",
        )
    })
}

/// Parses the first word of metric names, such as `redis`.
pub(crate) fn metric_prefix(text: &str) -> Result<String, Invalid> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if !text.starts_with(|first: char| first.is_ascii_alphabetic()) || !text.chars().all(is_part) {
        return Err(Invalid::new(
            "cannot start the name of a metric",
            "write letters, digits and _, a letter first, such as redis",
        ));
    }
    Ok(text.to_owned())
}

/// Parses the path of a URL, without a query.
pub(crate) fn path(text: &str) -> Result<String, Invalid> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#%\"<>\\^`{|}".contains(&byte);
    let is_path = text.starts_with('/') && !text.starts_with("//");
    if !is_path || !text.bytes().all(is_plain) {
        return Err(Invalid::new(
            "is not a path to serve",
            "start it with / and write letters, digits, / . - and _, such as /metrics",
        ));
    }
    if Route::fixed(text).is_some() {
        return Err(Invalid::new(
            "is already in use",
            "write another path, such as /metrics",
        ));
    }
    Ok(text.to_owned())
}

/// Parses the minimum level of logged events.
pub(crate) fn log_level(text: &str) -> Result<Level, Invalid> {
    match text.to_ascii_lowercase().as_str() {
        // In redis_exporter, the last two are more severe than an error.
        "error" | "fatal" | "panic" => Ok(Level::ERROR),
        "warn" | "warning" => Ok(Level::WARN),
        "info" => Ok(Level::INFO),
        "debug" => Ok(Level::DEBUG),
        "trace" => Ok(Level::TRACE),
        _ => Err(Invalid::new(
            "is not a log level",
            "write error, warn, info, debug or trace",
        )),
    }
}

/// Parses the selection of series to serve.
pub(crate) fn series(text: &str) -> Result<Series, Invalid> {
    match text {
        "compact" => Ok(Series::Compact),
        "full" => Ok(Series::Full),
        _ => Err(Invalid::new("is not known", "write compact or full")),
    }
}

/// Parses the effect of the eviction of keys.
pub(crate) fn on_eviction(text: &str) -> Result<OnEviction, Invalid> {
    let mut all = [OnEviction::Harmful, OnEviction::Harmless].into_iter();
    all.find(|meaning| meaning.as_str() == text)
        .ok_or(Invalid::new("is not known", "write harmful or harmless"))
}

/// Parses the log format. `txt` is the spelling of `redis_exporter`.
pub(crate) fn log_format(text: &str) -> Result<LogFormat, Invalid> {
    match text {
        "text" | "txt" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(Invalid::new("is not a log format", "write text or json")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_may_be_compound() {
        for (text, milliseconds) in [
            ("1ms", 1),
            ("200ms", 200),
            ("15s", 15_000),
            ("60m", 3_600_000),
            ("1h", 3_600_000),
            ("7d", 7 * DAY),
            ("1h30m", 5_400_000),
            ("1d2h3m4s5ms", DAY + 7_384_005),
            ("36500d", LONGEST_DURATION),
        ] {
            assert_eq!(
                duration(text).unwrap(),
                Duration::from_millis(milliseconds),
                "{text}"
            );
        }
        assert_eq!(duration("15").unwrap_err().what, "has no unit");
        for text in [
            "",
            "s",
            "-1s",
            "1.5s",
            "1 s",
            "1S",
            "1y",
            "1us",
            "30m1h",
            "1s1s",
            "1s5",
            "s1",
            "0s",
            "36501d",
            "99999999999999999999s",
            "9999999999999999d",
            "１s",
            "1é",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn poll_intervals_are_bounded() {
        assert_eq!(poll_interval("100ms").unwrap(), SHORTEST_INTERVAL);
        assert_eq!(poll_interval("1d").unwrap(), LONGEST_INTERVAL);
        assert!(poll_interval("99ms").is_err());
        assert!(poll_interval("25h").is_err());
    }

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        for (text, bytes) in [
            ("1", 1),
            ("1048576", 1 << 20),
            ("1B", 1),
            ("1KB", 1000),
            ("1KiB", 1024),
            ("2MB", 2_000_000),
            ("256MiB", 256 << 20),
            ("1GB", 1_000_000_000),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in [
            "",
            "0",
            "0MiB",
            "-1",
            "1.5GiB",
            "1mb",
            "1M",
            "1 MiB",
            "MiB",
            "99999999999GiB",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prefixes_and_paths_are_validated() {
        assert_eq!(metric_prefix("kv_2").unwrap(), "kv_2");
        for text in ["", "2kv", "_kv", "k-v", "kv:", "é"] {
            assert!(metric_prefix(text).is_err(), "{text}");
        }
        assert_eq!(path("/m/x.y").unwrap(), "/m/x.y");
        for text in ["", "m", "/", "//m", "/m?x", "/m x", "/scrape", "/-/reload"] {
            assert!(path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn listen_addresses_accept_the_spelling_of_go() {
        for (text, address) in [
            ("0.0.0.0:9121", "0.0.0.0:9121"),
            (":9121", "[::]:9121"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("[::]:9121", "[::]:9121"),
            ("localhost:9122", "127.0.0.1:9122"),
        ] {
            assert_eq!(listen_address(text).unwrap().to_string(), address);
        }
        for text in [
            "",
            ":",
            "9121",
            "0.0.0.0",
            "::9121:",
            ":99999",
            "localhost:",
            "redis.example:9121",
        ] {
            assert!(listen_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn levels_and_formats_accept_redis_exporter_spellings() {
        assert_eq!(log_level("INFO").unwrap(), Level::INFO);
        assert_eq!(log_level("warning").unwrap(), Level::WARN);
        assert!(log_level("loud").is_err());
        assert_eq!(log_format("txt").unwrap(), LogFormat::Text);
        assert_eq!(log_format("json").unwrap(), LogFormat::Json);
        assert!(log_format("xml").is_err());
        assert_eq!(series("full").unwrap(), Series::Full);
        assert!(series("all").is_err());
    }

    #[test]
    fn switches_and_databases_are_strict() {
        assert!(switch("true").unwrap());
        assert!(switch("yes").is_err());
        assert_eq!(database("15").unwrap(), 15);
        assert!(database("-1").is_err());
    }
}
