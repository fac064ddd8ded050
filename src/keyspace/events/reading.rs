//! Reads what INFO returns about key events. Pure.

use crate::info::Info;

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

#[cfg(test)]
mod tests {
    use super::*;

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
