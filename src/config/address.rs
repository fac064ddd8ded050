//! The address of a target. URLs are parsed in `url`.

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};

/// The address of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP port.
    Tcp {
        /// A host name or an IP address. An IPv6 address has no brackets, and may have a zone.
        host: String,
        /// The port, from 1 to 65535.
        port: u16,
        /// Whether to use TLS.
        tls: bool,
    },
    /// The absolute path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Returns the default name of a target: `host:port`, or the path of the socket.
    #[must_use]
    pub fn default_name(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } => host_and_port(host, *port),
            Self::Unix(path) => path.display().to_string(),
        }
    }

    /// Returns whether the connection uses TLS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }
}

/// Writes the address as a URL, without credentials.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self {
            Self::Tcp { tls: false, .. } => "redis",
            Self::Tcp { tls: true, .. } => "rediss",
            Self::Unix(_) => "unix",
        };
        write!(f, "{scheme}://")?;
        match self {
            Self::Tcp { .. } => f.write_str(&self.default_name()),
            Self::Unix(path) => write_percent_encoded(path, f),
        }
    }
}

/// Encodes all that could have a meaning in a URL, or be trimmed from its end.
fn write_percent_encoded(path: &Path, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~+=,:".contains(&byte) {
            f.write_char(char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
