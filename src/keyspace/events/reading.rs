//! Reads what INFO and CONFIG GET return about key events. Pure.

use crate::info::Info;

/// The flags that the events need: key events, evicted keys, and expired keys.
const FLAGS: [char; 3] = ['E', 'e', 'x'];

/// The flag that includes all kinds of events.
const ALL_KINDS: char = 'A';

/// A reading of INFO. A counter is `None` if it is unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventReading {
    /// Identifies the process of the server, if the reading includes it.
    pub run_id: Option<String>,
    /// Whether the server is a primary.
    pub is_primary: bool,
    /// Keys that the server has evicted, and that have expired.
    pub counters: [Option<f64>; 2],
}

impl EventReading {
    /// Reads the sections `replication` and `stats`, and `server` if it is there. A replica counts
    /// neither.
    #[must_use]
    pub fn read(info: &Info) -> Self {
        let is_primary = info.get("role") == Some("master");
        let number = |name| info.number(name).filter(|_| is_primary);
        Self {
            run_id: info.get("run_id").map(str::to_owned),
            is_primary,
            counters: [number("evicted_keys"), number("expired_keys")],
        }
    }
}

/// Returns whether these values of `notify-keyspace-events` include evicted and expired keys.
#[must_use]
pub fn sends(flags: &str) -> [bool; 2] {
    ['e', 'x'].map(|kind| flags.contains('E') && flags.contains([kind, ALL_KINDS]))
}

/// Returns the flags with those that are missing; `None` if none is.
#[must_use]
pub fn missing_flags(flags: &str) -> Option<String> {
    let is_missing = |flag: &char| {
        let is_included = *flag != 'E' && flags.contains(ALL_KINDS);
        !flags.contains(*flag) && !is_included
    };
    let missing: String = FLAGS.into_iter().filter(is_missing).collect();
    (!missing.is_empty()).then(|| [flags, &missing].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_understood() {
        for (flags, expected, completed) in [
            ("", [false, false], Some("Eex")),
            ("Ex", [false, true], Some("Exe")),
            ("AKE", [true, true], None),
            ("AK", [false, false], Some("AKE")),
            ("Kex", [false, false], Some("KexE")),
            ("xE", [false, true], Some("xEe")),
            ("g$eExm", [true, true], None),
        ] {
            assert_eq!(sends(flags), expected, "{flags}");
            assert_eq!(missing_flags(flags).as_deref(), completed, "{flags}");
        }
    }

    #[test]
    fn replica_counts_nothing() {
        let reading = |role: &str| {
            let text = format!("role:{role}\r\nevicted_keys:3\r\nexpired_keys:4\r\nrun_id:ab\r\n");
            EventReading::read(&Info::parse(text))
        };
        assert_eq!(reading("master").counters, [Some(3.0), Some(4.0)]);
        assert_eq!(reading("slave").counters, [None, None]);
        assert_eq!(reading("slave").run_id.as_deref(), Some("ab"));
    }
}
