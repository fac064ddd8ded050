//! Translates values of `redis_exporter`'s options to values of our keys. Pure.

use std::time::Duration;

use super::list::{self, KeyOfDatabase};
use super::lua_pattern::translated;
use crate::config::document::{MapEntry, Node, Scalar, ScalarKind, YamlValue};
use crate::config::problem::{Invalid, quoted};

/// Bounds of `sweep.count`.
const BATCH: (u64, u64) = (10, 1000);

/// Bounds of `keys.max_groups`.
const GROUPS: (u64, u64) = (1, 1000);

/// Minimum of `poll.timeout` in the file.
const SHORTEST_DURATION: Duration = Duration::from_millis(1);

/// The effect of an option's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Meaning {
    /// Sets the keys to this value.
    Is(Node),
    /// Sets the keys to a different value than requested, or leaves them unchanged. The text has
    /// the reason, and completes a sentence about the option.
    Instead(Option<Node>, String),
    /// Has no effect, because it is the default.
    Nothing,
}

/// Parses the value of an option.
pub(super) type ReadOption = fn(&str) -> Result<Meaning, Invalid>;

/// Returns a text as a node. `${` is escaped, so that it is not a reference to a variable.
pub(in crate::config) fn scalar(text: &str) -> Node {
    single(text.replace("${", "$${"), ScalarKind::Text)
}

/// Returns a switch as a node.
pub(super) fn switched(on: bool) -> Node {
    single(on.to_string(), ScalarKind::Switch)
}

fn numbered(number: u64) -> Node {
    single(number.to_string(), ScalarKind::Number)
}

fn single(text: String, kind: ScalarKind) -> Node {
    YamlValue::Scalar(Scalar { text, kind }).into()
}

fn list(nodes: impl IntoIterator<Item = Node>) -> Meaning {
    Meaning::Is(YamlValue::List(nodes.into_iter().collect()).into())
}

fn map<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Node)>) -> Node {
    let entries = pairs
        .into_iter()
        .map(|(key, node)| MapEntry::new(key, node));
    YamlValue::Map(entries.collect()).into()
}

/// Parses true or false, with the spellings of Go.
pub(in crate::config) fn parse_switch(text: &str) -> Result<bool, Invalid> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Invalid::new(
            "is neither true nor false",
            "write true or false",
        )),
    }
}

/// Parses an integer with the spellings of Go. Negative numbers become zero.
pub(super) fn parse_number(text: &str) -> Result<u64, Invalid> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Invalid::new(
            "is not a whole number",
            "write digits, such as 100",
        ));
    }
    if text.starts_with('-') {
        return Ok(0);
    }
    Ok(digits.parse().unwrap_or(u64::MAX))
}

/// Reads a text.
#[expect(clippy::unnecessary_wraps, reason = "one of the readers of the table")]
pub(super) fn text(text: &str) -> Result<Meaning, Invalid> {
    Ok(Meaning::Is(scalar(text)))
}

/// Reads a switch.
pub(super) fn switch(text: &str) -> Result<Meaning, Invalid> {
    parse_switch(text).map(|on| Meaning::Is(switched(on)))
}

/// Reads a switch and negates it.
pub(super) fn negated(text: &str) -> Result<Meaning, Invalid> {
    parse_switch(text).map(|on| Meaning::Is(switched(!on)))
}

/// Reads whether the server is a node of a cluster. False is the default.
pub(super) fn cluster(text: &str) -> Result<Meaning, Invalid> {
    parse_switch(text).map(|on| {
        if on {
            Meaning::Is(scalar("cluster"))
        } else {
            Meaning::Nothing
        }
    })
}

/// Reads the COUNT of a SCAN.
pub(super) fn batch_size(text: &str) -> Result<Meaning, Invalid> {
    parse_number(text).map(|number| within(number, BATCH))
}

/// Reads the maximum number of groups.
pub(super) fn most_groups(text: &str) -> Result<Meaning, Invalid> {
    parse_number(text).map(|number| within(number, GROUPS))
}

fn within(number: u64, (least, most): (u64, u64)) -> Meaning {
    let nearest = number.clamp(least, most);
    if nearest == number {
        return Meaning::Is(numbered(number));
    }
    let why = format!("is not from {least} to {most}: using {nearest}");
    Meaning::Instead(Some(numbered(nearest)), why)
}

/// Reads whether to send CONFIG.
#[expect(clippy::unnecessary_wraps, reason = "one of the readers of the table")]
pub(super) fn config_command(text: &str) -> Result<Meaning, Invalid> {
    Ok(match text {
        "-" => Meaning::Is(switched(false)),
        text if text.eq_ignore_ascii_case("CONFIG") => Meaning::Nothing,
        _ => Meaning::Instead(
            Some(switched(false)),
            "is not supported: a renamed CONFIG is not sent, and the collector is off; declare \
             memory_limit in the file where the limit is needed"
                .to_owned(),
        ),
    })
}

/// Reads whether to hide values. False is the default.
pub(super) fn no_values(text: &str) -> Result<Meaning, Invalid> {
    parse_switch(text).map(|on| {
        if on {
            Meaning::Is(scalar("off"))
        } else {
            Meaning::Nothing
        }
    })
}

/// Reads the minimum version of TLS. The default sets nothing, so that it does not require a
/// certificate.
pub(super) fn min_version(text: &str) -> Result<Meaning, Invalid> {
    match text {
        "TLS1.2" => Ok(Meaning::Nothing),
        "TLS1.3" => Ok(Meaning::Is(scalar("1.3"))),
        "TLS1.0" | "TLS1.1" => Ok(Meaning::Instead(
            None,
            "is not supported: the oldest supported version is 1.2".to_owned(),
        )),
        _ => Err(Invalid::new(
            "is not a version of TLS",
            "write TLS1.2 or TLS1.3",
        )),
    }
}

/// Parses a timeout with the spellings of Go. Zero means no timeout.
pub(in crate::config) fn time_out(text: &str) -> Result<Option<Duration>, Invalid> {
    let zero = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    if zero.parse() == Ok(0.0) {
        return Ok(None);
    }
    duration(text).map(Some)
}

/// Parses a duration with the spellings of Go: `15s`, `1m30s`, `1.5h`, `250ms`.
fn duration(text: &str) -> Result<Duration, Invalid> {
    let invalid = || {
        Invalid::new(
            "is not a duration above zero",
            "write a number with ms, s, m or h, such as 500ms, 15s or 1m30s",
        )
    };
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let is_number = |letter: char| letter.is_ascii_digit() || letter == '.';
        let end = rest.find(|letter| !is_number(letter));
        let (number, after) = end
            .and_then(|end| rest.split_at_checked(end))
            .ok_or_else(invalid)?;
        let end = after.find(is_number).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end).ok_or_else(invalid)?;
        let number: f64 = number.parse().map_err(|_| invalid())?;
        seconds += number * seconds_of(unit).ok_or_else(invalid)?;
        rest = after;
    }
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| invalid())?;
    if duration < SHORTEST_DURATION {
        return Err(invalid());
    }
    Ok(duration)
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

/// Reads comma-separated names or globs.
#[expect(clippy::unnecessary_wraps, reason = "one of the readers of the table")]
pub(super) fn names(text: &str) -> Result<Meaning, Invalid> {
    Ok(list(items(text).map(scalar)))
}

/// Reads names of switches to turn on.
#[expect(clippy::unnecessary_wraps, reason = "one of the readers of the table")]
pub(super) fn switched_on(text: &str) -> Result<Meaning, Invalid> {
    Ok(switches(text, true))
}

/// Reads names of switches to turn off.
#[expect(clippy::unnecessary_wraps, reason = "one of the readers of the table")]
pub(super) fn switched_off(text: &str) -> Result<Meaning, Invalid> {
    Ok(switches(text, false))
}

fn switches(text: &str, on: bool) -> Meaning {
    Meaning::Is(map(items(text).map(|name| (name, switched(on)))))
}

/// Reads pairs of a name and a glob: `session=session:*,cache=api:cache:*`.
pub(super) fn names_and_globs(text: &str) -> Result<Meaning, Invalid> {
    let group = |(at, item): (usize, &str)| {
        let (name, glob) = item.split_once('=').ok_or_else(|| {
            Invalid::new(
                format!("has no = in item {}", at + 1),
                "write name=glob, such as session=session:*",
            )
        })?;
        let entries = [("name", name), ("match", glob)];
        Ok(map(entries.map(|(key, text)| (key, scalar(text.trim())))))
    };
    let groups: Result<Vec<_>, Invalid> = items(text).enumerate().map(group).collect();
    groups.map(list)
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// Reads paths of Lua scripts. They may write by default.
#[expect(clippy::unnecessary_wraps, reason = "one of the readers of the table")]
pub(super) fn scripts(text: &str) -> Result<Meaning, Invalid> {
    let script = |path| map([("file", scalar(path)), ("read_only", switched(false))]);
    Ok(list(text.split(',').map(script)))
}

/// Reads globs of keys.
pub(super) fn patterns(text: &str) -> Result<Meaning, Invalid> {
    let written = |pair: KeyOfDatabase| {
        let pattern = String::from_utf8(pair.key).map_err(|_| {
            Invalid::new(
                "has a pattern that is not UTF-8",
                "write ? for each such byte",
            )
        })?;
        Ok(scalar(&format!("db{}={pattern}", pair.database)))
    };
    let nodes: Result<Vec<_>, Invalid> = list::keys(text)?.into_iter().map(written).collect();
    nodes.map(list)
}

/// Reads key names. Bytes that are not plain are written as `\xff`.
pub(super) fn singles(text: &str) -> Result<Meaning, Invalid> {
    let written = |pair: KeyOfDatabase| {
        let name: String = pair.key.iter().map(|byte| spelled(*byte)).collect();
        scalar(&format!("db{}={name}", pair.database))
    };
    Ok(list(list::keys(text)?.into_iter().map(written)))
}

fn spelled(byte: u8) -> String {
    if byte.is_ascii_graphic() && byte != b'\\' {
        char::from(byte).to_string()
    } else {
        format!("\\x{byte:02x}")
    }
}

/// Reads Lua patterns and translates them to regular expressions.
pub(super) fn groups(text: &str) -> Result<Meaning, Invalid> {
    let fields = list::fields(text)?;
    let expressions: Result<Vec<Node>, Invalid> = fields
        .iter()
        .map(|pattern| {
            let expression = translated(pattern).map_err(|Invalid { what, remedy }| {
                let what = format!("has the Lua pattern {} that {what}", quoted(pattern));
                Invalid::new(what, remedy)
            })?;
            Ok(scalar(&expression))
        })
        .collect();
    expressions.map(list)
}
