//! Reads from INFO whether idle times mean anything. Pure.

use super::half::MemoryUse;
use crate::info::Info;
use crate::number::to_float;

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

/// Lookups and expired keys since the server started, and the keys at the time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uses {
    /// Lookups of keys that exist.
    pub hits: f64,
    /// Lookups of keys that do not exist.
    pub misses: f64,
    /// Expired keys.
    pub expired: f64,
    /// Keys of all databases.
    pub keys: f64,
}

/// Memory that does not depend on the keys, by its field of INFO.
const FIXED: [&str; 5] = [
    "used_memory_startup",
    "mem_clients_normal",
    "mem_clients_slaves",
    "mem_replication_backlog",
    "mem_aof_buffer",
];

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
    /// Lookups and expired keys since the server started.
    pub uses: Option<Uses>,
    /// How the memory is used; `None` if the reading does not include it.
    pub memory: Option<MemoryUse>,
    /// Seconds since the server started.
    pub uptime: Option<f64>,
    /// Whether keys may have idle times from before the server started.
    pub may_be_loaded: bool,
}

impl IdleReading {
    /// Reads the sections `server`, `persistence`, `stats`, `replication` and `memory`. `keys` are
    /// those of all databases.
    #[must_use]
    pub fn read(info: &Info, keys: u64) -> Self {
        let loaded = info.number("rdb_last_load_keys_loaded");
        Self {
            policy: info.get("maxmemory_policy").map(Policy::of),
            is_primary: info.get("role") == Some("master"),
            evicted: info.number("evicted_keys"),
            uses: uses(info, keys),
            memory: memory(info),
            uptime: info.number("uptime_in_seconds"),
            may_be_loaded: loaded.is_none_or(|keys| keys > 0.0),
        }
    }

    /// Returns the reading without the lookups that the exporter caused.
    #[must_use]
    pub fn without(self, hits: u64, misses: u64) -> Self {
        let uses = self.uses.map(|uses| Uses {
            hits: uses.hits - to_float(hits),
            misses: uses.misses - to_float(misses),
            ..uses
        });
        Self { uses, ..self }
    }
}

fn uses(info: &Info, keys: u64) -> Option<Uses> {
    Some(Uses {
        hits: info.number("keyspace_hits")?,
        misses: info.number("keyspace_misses")?,
        expired: info.number("expired_keys")?,
        keys: to_float(keys),
    })
}

fn memory(info: &Info) -> Option<MemoryUse> {
    let number = |name| info.get(name).and_then(|number| number.parse().ok());
    let fixed = FIXED.iter().filter_map(|name| number(name));
    Some(MemoryUse {
        limit: number("maxmemory")?,
        used: number("used_memory")?,
        fixed: fixed.fold(0, u64::saturating_add),
    })
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
        let whole = IdleReading::read(
            &Info::parse("maxmemory_policy:allkeys-lru\nrole:master\n"),
            0,
        );
        let short = IdleReading::read(&Info::parse("role:slave\nrdb_last_load_keys_loaded:0\n"), 0);
        assert_eq!(short.policy, None);
        assert!(whole.is_primary && !short.is_primary);
        assert!(whole.may_be_loaded && !short.may_be_loaded);
        assert_eq!(whole.policy, Some(Policy::LruOfAll));
    }

    #[test]
    fn memory_is_read_with_the_part_that_no_key_uses() {
        let info = Info::parse(
            "used_memory:1000\nused_memory_startup:300\nmem_clients_normal:50\nmaxmemory:2000\n",
        );
        let expected = MemoryUse {
            limit: 2_000,
            used: 1_000,
            fixed: 350,
        };
        assert_eq!(IdleReading::read(&info, 0).memory, Some(expected));
        assert_eq!(IdleReading::read(&Info::parse(""), 0).memory, None);
    }
}
