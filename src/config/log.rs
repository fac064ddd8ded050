//! Log settings.

use tracing::Level;

/// Log settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The minimum level of logged events.
    pub level: Level,
    /// The log format.
    pub format: LogFormat,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text in logfmt.
    Text,
    /// A JSON object per line.
    Json,
}
