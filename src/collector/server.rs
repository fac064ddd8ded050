//! What kind of server replies: flavour, version and mode, as INFO says them. Pure.

use std::fmt;

use crate::info::Info;

/// Redis or which of its relatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Redis itself, and everything that does not say otherwise.
    Redis,
    /// Valkey.
    Valkey,
    /// `KeyDB`.
    KeyDb,
    /// Tile38: it speaks the protocol and has an INFO, but its keys and commands are its own.
    Tile38,
}

/// How the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A server on its own, or a primary with replicas.
    Standalone,
    /// A node of a cluster.
    Cluster,
    /// A sentinel: it holds no keys and knows few commands.
    Sentinel,
}

/// What decides which questions a server understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Redis or which of its relatives.
    pub flavour: Flavour,
    /// Its own version (of Valkey: the Valkey version), as major and minor.
    pub version: (u32, u32),
    /// How it runs.
    pub mode: Mode,
}

impl Server {
    /// Reads `valkey_version`, `redis_version`, `redis_mode` and their like.
    #[must_use]
    pub fn from_info(info: &Info) -> Self {
        let valkey = info.get("valkey_version");
        let flavour = if valkey.is_some() {
            Flavour::Valkey
        } else if info.has_section("KeyDB") || info.get("mvcc_depth").is_some() {
            Flavour::KeyDb
        } else if is_tile38(info) {
            Flavour::Tile38
        } else {
            Flavour::Redis
        };
        let mode = match info.get("redis_mode").or_else(|| info.get("server_mode")) {
            Some("sentinel") => Mode::Sentinel,
            Some("cluster") => Mode::Cluster,
            _ if info.get("cluster_enabled") == Some("1") => Mode::Cluster,
            _ => Mode::Standalone,
        };
        let version = version(
            valkey
                .or_else(|| info.get("redis_version"))
                .unwrap_or_default(),
        );
        Self {
            flavour,
            version,
            mode,
        }
    }

    /// Whether it has LATENCY HISTOGRAM: Redis since 7.0, every Valkey, no `KeyDB`, no sentinel.
    #[must_use]
    pub fn has_latency_histogram(&self) -> bool {
        let known = match self.flavour {
            Flavour::Redis => self.version >= (7, 0),
            Flavour::Valkey => true,
            Flavour::KeyDb | Flavour::Tile38 => false,
        };
        known && self.mode != Mode::Sentinel
    }

    /// Returns whether INFO has latency percentiles: Redis since 7.0, every Valkey. These servers also
    /// take several sections in one INFO.
    #[must_use]
    pub fn has_latency_percentiles(&self) -> bool {
        self.has_latency_histogram()
    }

    /// Whether it has CLIENT NO-EVICT: Redis since 7.0, every Valkey.
    #[must_use]
    pub fn knows_no_evict(&self) -> bool {
        match self.flavour {
            Flavour::Redis => self.version >= (7, 0),
            Flavour::Valkey => true,
            Flavour::KeyDb | Flavour::Tile38 => false,
        }
    }

    /// Whether it has CLIENT NO-TOUCH: Redis since 7.2, every Valkey.
    #[must_use]
    pub fn knows_no_touch(&self) -> bool {
        match self.flavour {
            Flavour::Redis => self.version >= (7, 2),
            Flavour::Valkey => true,
            Flavour::KeyDb | Flavour::Tile38 => false,
        }
    }

    /// Whether it has `EVAL_RO`: Redis since 7.0, every Valkey.
    #[must_use]
    pub fn knows_eval_ro(&self) -> bool {
        self.knows_no_evict()
    }

    /// Whether it has COMMANDLOG: Valkey since 8.1, no sentinel.
    #[must_use]
    pub fn has_commandlog(&self) -> bool {
        self.flavour == Flavour::Valkey && self.version >= (8, 1) && self.holds_keys()
    }

    /// Whether it has ACL LOG: Redis since 6.0 and every relative. Sentinels are not asked.
    #[must_use]
    pub fn has_acl_log(&self) -> bool {
        self.version >= (6, 0) && self.holds_keys()
    }

    /// Whether it holds keys as Redis does and so knows CONFIG, SLOWLOG and LATENCY: no sentinel
    /// does.
    #[must_use]
    pub fn holds_keys(&self) -> bool {
        self.mode != Mode::Sentinel && !self.is_tile38()
    }

    /// Whether it is a sentinel.
    #[must_use]
    pub fn is_sentinel(&self) -> bool {
        self.mode == Mode::Sentinel
    }

    /// Whether it is Tile38.
    #[must_use]
    pub fn is_tile38(&self) -> bool {
        self.flavour == Flavour::Tile38
    }

    /// Whether it is a node of a cluster.
    #[must_use]
    pub fn is_cluster_node(&self) -> bool {
        self.mode == Mode::Cluster
    }
}

impl fmt::Display for Server {
    /// Writes, as an example, `redis 7.0 standalone`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flavour = match self.flavour {
            Flavour::Redis => "redis",
            Flavour::Valkey => "valkey",
            Flavour::KeyDb => "keydb",
            Flavour::Tile38 => "tile38",
        };
        let mode = match self.mode {
            Mode::Standalone => "standalone",
            Mode::Cluster => "cluster",
            Mode::Sentinel => "sentinel",
        };
        let (major, minor) = self.version;
        write!(formatter, "{flavour} {major}.{minor} {mode}")
    }
}

/// Tile38 says its own version; older ones only as that of Redis, which left 1 behind long before
/// it had modes.
fn is_tile38(info: &Info) -> bool {
    let said_as_redis = || {
        let version = info.get("redis_version").unwrap_or_default();
        version.starts_with("1.") && info.get("redis_mode").is_none()
    };
    info.get("tile38_version").is_some() || said_as_redis()
}

fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(info: &str) -> Server {
        Server::from_info(&Info::parse(info))
    }

    #[test]
    fn valkey_is_known_by_its_own_version() {
        let valkey = server("redis_version:7.2.4\nvalkey_version:9.1.2\nserver_mode:cluster\n");
        assert_eq!(valkey.flavour, Flavour::Valkey);
        assert_eq!(valkey.version, (9, 1));
        assert!(valkey.is_cluster_node() && valkey.has_latency_histogram());
    }

    #[test]
    fn questions_that_a_server_does_not_know_do_not_apply() {
        assert!(!server("redis_version:6.2.16\nredis_mode:standalone\n").has_latency_histogram());
        assert!(!server("redis_version:6.3.4\nmvcc_depth:0\n").has_latency_histogram());
        assert!(!server("redis_version:7.0.15\nredis_mode:sentinel\n").holds_keys());
        assert!(!server("redis_version:6.2.16\n").knows_eval_ro());
        assert!(server("redis_version:7.0.15\n").knows_eval_ro());
        assert!(!server("redis_version:5.0.14\n").has_acl_log());
        assert!(!server("redis_version:8.6.3\n").has_commandlog());
        assert!(!server("redis_version:7.2.4\nvalkey_version:8.0.1\n").has_commandlog());
        assert!(server("redis_version:7.2.4\nvalkey_version:8.1.1\n").has_commandlog());
    }
}
