//! Selects the server program of a test, and finds it.

use std::env;
use std::path::PathBuf;

/// The variable that selects the server of all tests that do not specify one.
const SELECT: &str = "LIVE_SERVER";

/// A server program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Server {
    /// The one of the distribution, which is Redis 7.0 on Debian 12.
    Distribution,
    /// The newest Redis.
    NewestRedis,
    /// The newest Valkey.
    NewestValkey,
}

impl Server {
    /// Returns the server that the variable `LIVE_SERVER` selects, by default the distribution's.
    ///
    /// # Panics
    ///
    /// If there is no such server.
    pub fn selected() -> Self {
        let name = env::var(SELECT).unwrap_or_default();
        match name.as_str() {
            "" | "redis-server" => Self::Distribution,
            "newest-redis" => Self::NewestRedis,
            "newest-valkey" => Self::NewestValkey,
            other => {
                panic!("{SELECT}={other}: there are redis-server, newest-redis and newest-valkey")
            }
        }
    }

    /// Returns whether it has COMMANDLOG.
    pub fn has_command_log(self) -> bool {
        self == Self::NewestValkey
    }

    /// Returns whether it was built with TLS.
    pub fn has_tls(self) -> bool {
        self != Self::NewestValkey
    }

    /// Returns its name in `scripts/install-tools`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Distribution => "redis-server",
            Self::NewestRedis => "newest-redis",
            Self::NewestValkey => "newest-valkey",
        }
    }

    /// Returns the program: a name in the path, or a file that `scripts/install-server` made.
    pub fn program(self) -> PathBuf {
        if self == Self::Distribution {
            return self.name().into();
        }
        cached("SERVERS", "servers").join(self.name())
    }

    /// Returns what to do if the program is missing.
    pub fn missing(self) -> String {
        let name = self.name();
        format!("{name} is missing: run scripts/install-tools {name}")
    }
}

/// Returns the folder of `scripts/install-server` or `scripts/install-wheels`, which the end of a
/// variable and of a path name.
pub fn cached(variable: &str, name: &str) -> PathBuf {
    if let Some(folder) = env::var_os(format!("REDIS_NAMESPACE_EXPORTER_{variable}")) {
        return folder.into();
    }
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(env::var_os("HOME").expect("HOME is not set")).join(".cache");
    cache
        .unwrap_or_else(home)
        .join("redis-namespace-exporter")
        .join(name)
}
