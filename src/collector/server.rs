//! The kind of server: flavor, version, and mode, from INFO. Pure.

use std::fmt;

use crate::info::Info;

/// Redis or a compatible server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Redis, and any server that does not identify itself otherwise.
    Redis,
    /// Valkey.
    Valkey,
    /// `KeyDB`.
    KeyDb,
    /// Tile38: it uses the protocol and has an INFO, but has its own keys and commands.
    Tile38,
}

/// The mode of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A single server, or a primary with replicas.
    Standalone,
    /// A node of a cluster.
    Cluster,
    /// A sentinel: it has no keys and supports few commands.
    Sentinel,
}

/// The facts that decide which queries a server supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Redis or a compatible server.
    pub flavor: Flavor,
    /// Major and minor version. For Valkey, the Valkey version.
    pub version: (u32, u32),
    /// The mode of the server.
    pub mode: Mode,
}

impl Server {
    /// Parses `valkey_version`, `redis_version`, `redis_mode`, and similar fields.
    #[must_use]
    pub fn from_info(info: &Info) -> Self {
        let valkey = info.get("valkey_version");
        let flavor = if valkey.is_some() {
            Flavor::Valkey
        } else if info.has_section("KeyDB") || info.get("mvcc_depth").is_some() {
            Flavor::KeyDb
        } else if is_tile38(info) {
            Flavor::Tile38
        } else {
            Flavor::Redis
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
            flavor,
            version,
            mode,
        }
    }

    /// Returns whether it has LATENCY HISTOGRAM: Redis since 7.0, every Valkey, no `KeyDB`, no
    /// sentinel.
    #[must_use]
    pub fn has_latency_histogram(&self) -> bool {
        let known = match self.flavor {
            Flavor::Redis => self.version >= (7, 0),
            Flavor::Valkey => true,
            Flavor::KeyDb | Flavor::Tile38 => false,
        };
        known && self.mode != Mode::Sentinel
    }

    /// Returns whether INFO has latency percentiles: Redis since 7.0, every Valkey. These servers
    /// also accept several sections in one INFO.
    #[must_use]
    pub fn has_latency_percentiles(&self) -> bool {
        self.has_latency_histogram()
    }

    /// Returns whether it accepts several parameters in one CONFIG GET: Redis since 7.0, every
    /// Valkey.
    #[must_use]
    pub fn takes_several_parameters(&self) -> bool {
        self.has_latency_histogram()
    }

    /// Returns whether it has CLIENT NO-EVICT: Redis since 7.0, every Valkey.
    #[must_use]
    pub fn knows_no_evict(&self) -> bool {
        match self.flavor {
            Flavor::Redis => self.version >= (7, 0),
            Flavor::Valkey => true,
            Flavor::KeyDb | Flavor::Tile38 => false,
        }
    }

    /// Returns whether it has CLIENT NO-TOUCH: Redis since 7.2, every Valkey.
    #[must_use]
    pub fn knows_no_touch(&self) -> bool {
        match self.flavor {
            Flavor::Redis => self.version >= (7, 2),
            Flavor::Valkey => true,
            Flavor::KeyDb | Flavor::Tile38 => false,
        }
    }

    /// Returns whether it has `EVAL_RO`: Redis since 7.0, every Valkey.
    #[must_use]
    pub fn knows_eval_ro(&self) -> bool {
        self.knows_no_evict()
    }

    /// Returns whether it has COMMANDLOG: Valkey since 8.1, no sentinel.
    #[must_use]
    pub fn has_commandlog(&self) -> bool {
        self.flavor == Flavor::Valkey && self.version >= (8, 1) && self.holds_keys()
    }

    /// Returns whether ACL LOG is queried: Redis since 6.0 and every compatible server, no
    /// sentinel.
    #[must_use]
    pub fn has_acl_log(&self) -> bool {
        self.version >= (6, 0) && self.holds_keys()
    }

    /// Returns whether it has keys as in Redis, and thus CONFIG, SLOWLOG, and LATENCY. Sentinels do
    /// not.
    #[must_use]
    pub fn holds_keys(&self) -> bool {
        self.mode != Mode::Sentinel && !self.is_tile38()
    }

    /// Returns whether it is a sentinel.
    #[must_use]
    pub fn is_sentinel(&self) -> bool {
        self.mode == Mode::Sentinel
    }

    /// Returns whether it is Tile38.
    #[must_use]
    pub fn is_tile38(&self) -> bool {
        self.flavor == Flavor::Tile38
    }

    /// Returns whether it is a node of a cluster.
    #[must_use]
    pub fn is_cluster_node(&self) -> bool {
        self.mode == Mode::Cluster
    }
}

impl fmt::Display for Server {
    /// Formats the kind, for example `redis 7.0 standalone`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flavor = match self.flavor {
            Flavor::Redis => "redis",
            Flavor::Valkey => "valkey",
            Flavor::KeyDb => "keydb",
            Flavor::Tile38 => "tile38",
        };
        let mode = match self.mode {
            Mode::Standalone => "standalone",
            Mode::Cluster => "cluster",
            Mode::Sentinel => "sentinel",
        };
        let (major, minor) = self.version;
        write!(formatter, "{flavor} {major}.{minor} {mode}")
    }
}

/// Returns whether INFO is of Tile38. Older releases report their version only as that of Redis: 1,
/// without a mode. Redis left version 1 behind long before it had modes.
fn is_tile38(info: &Info) -> bool {
    let has_tile38_fields = || {
        let version = info.get("redis_version").unwrap_or_default();
        version.starts_with("1.") && info.get("redis_mode").is_none()
    };
    info.get("tile38_version").is_some() || has_tile38_fields()
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
    fn valkey_is_identified_by_its_own_version() {
        let valkey = server("redis_version:7.2.4\nvalkey_version:9.1.2\nserver_mode:cluster\n");
        assert_eq!(valkey.flavor, Flavor::Valkey);
        assert_eq!(valkey.version, (9, 1));
        assert!(valkey.is_cluster_node() && valkey.has_latency_histogram());
    }

    #[test]
    fn unsupported_queries_do_not_apply() {
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
