//! Where a target listens. How it is written is in `url`.

use std::fmt;
use std::path::PathBuf;

/// Where a target listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP port.
    Tcp {
        /// A name or an IP address; an IPv6 address is without brackets, and may have a zone.
        host: String,
        /// From 1 to 65535.
        port: u16,
        /// Whether TLS is spoken there.
        tls: bool,
    },
    /// The absolute path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// The name of a target that was given none: `host:port`, or the path of the socket.
    #[must_use]
    pub fn default_name(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } => host_and_port(host, *port),
            Self::Unix(path) => path.display().to_string(),
        }
    }

    /// Whether TLS is spoken there.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }
}

/// The address as a URL, without credentials.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self {
            Self::Tcp { tls: false, .. } => "redis",
            Self::Tcp { tls: true, .. } => "rediss",
            Self::Unix(_) => "unix",
        };
        write!(f, "{scheme}://{}", self.default_name())
    }
}

fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
