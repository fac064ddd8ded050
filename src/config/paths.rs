//! The served paths.

use super::draft::Draft;

/// The served paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The path of the page of all targets.
    pub telemetry: String,
    /// Whether pages of single targets are served.
    pub has_scrape: bool,
}

impl Default for Paths {
    fn default() -> Self {
        Draft::new().top.paths
    }
}
