//! Reads from INFO whether idle times mean anything. Pure.

use crate::info::Info;

/// How the server chooses the keys that it evicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// By their last use, among all keys.
    LruOfAll,
    /// By their last use, among keys with a TTL.
    LruOfExpiring,
    /// In another way, or not at all. Redis tracks when keys are used nevertheless.
    Other,
    /// In a way for which Redis tracks something else, such as how often keys are used.
    Untracked,
}

impl Policy {
    fn of(text: &str) -> Self {
        match text {
            "allkeys-lru" => Self::LruOfAll,
            "volatile-lru" => Self::LruOfExpiring,
            "noeviction" | "allkeys-random" | "volatile-random" | "volatile-ttl" => Self::Other,
            // With *-lfu, an idle time is an error, and with *-lrm that of the last change.
            _ => Self::Untracked,
        }
    }

    /// Returns whether Redis tracks when keys are used.
    #[must_use]
    pub fn tracks_use(self) -> bool {
        self != Self::Untracked
    }

    /// Returns whether keys are evicted by their last use.
    pub(super) const fn is_lru(self) -> bool {
        matches!(self, Self::LruOfAll | Self::LruOfExpiring)
    }
}

/// The fields of INFO that give idle times a meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct IdleReading {
    /// The policy; `None` if the reading does not include it.
    pub policy: Option<Policy>,
    /// Whether the server is a primary. A replica does not know when clients of its primary use
    /// keys.
    pub is_primary: bool,
    /// Evicted keys since the server started.
    pub evicted: Option<f64>,
    /// Seconds since the server started.
    pub uptime: Option<f64>,
    /// Whether keys may have idle times from before the server started.
    pub may_be_loaded: bool,
}

impl IdleReading {
    /// Reads the sections `server`, `persistence`, `stats`, `replication` and `memory`.
    #[must_use]
    pub fn read(info: &Info) -> Self {
        let loaded = info.number("rdb_last_load_keys_loaded");
        Self {
            policy: info.get("maxmemory_policy").map(Policy::of),
            is_primary: info.get("role") == Some("master"),
            evicted: info.number("evicted_keys"),
            uptime: info.number("uptime_in_seconds"),
            may_be_loaded: loaded.is_none_or(|keys| keys > 0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_policies_track_use() {
        for (name, tracks, is_lru) in [
            ("allkeys-lru", true, true),
            ("volatile-lru", true, true),
            ("noeviction", true, false),
            ("allkeys-random", true, false),
            ("volatile-ttl", true, false),
            ("allkeys-lfu", false, false),
            ("volatile-lfu", false, false),
            ("allkeys-lrm", false, false),
            ("", false, false),
        ] {
            let policy = Policy::of(name);
            assert_eq!(
                (policy.tracks_use(), policy.is_lru()),
                (tracks, is_lru),
                "{name}"
            );
        }
    }

    #[test]
    fn reading_may_lack_the_policy() {
        let whole = IdleReading::read(&Info::parse("maxmemory_policy:allkeys-lru\nrole:master\n"));
        let short = IdleReading::read(&Info::parse("role:slave\nrdb_last_load_keys_loaded:0\n"));
        assert_eq!(short.policy, None);
        assert!(whole.is_primary && !short.is_primary);
        assert!(whole.may_be_loaded && !short.may_be_loaded);
        assert_eq!(whole.policy, Some(Policy::LruOfAll));
    }
}
