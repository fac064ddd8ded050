//! The names and the series that are served. Pure.

use super::snapshot::SampleValue;
use super::value::Edge;

/// The names and labels of the served metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Whether `redis_exporter`'s names that break Prometheus's naming rules are served too.
    pub legacy: bool,
    /// The prefix that replaces `redis` in each name, if another one is configured.
    pub prefix: Option<String>,
    /// Whether the page of all targets has a `target` label.
    pub target_label: bool,
    /// The served series.
    pub series: Series,
}

/// The served series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Series {
    /// The default series: fewer histograms, with fewer edges, the same for every sample.
    #[default]
    Compact,
    /// All series.
    Full,
}

impl Series {
    /// Returns whether an edge is written.
    #[must_use]
    pub const fn has(self, edge: &Edge) -> bool {
        !edge.only_full || matches!(self, Self::Full)
    }

    /// Returns whether a value is written.
    #[must_use]
    pub fn shows(self, value: SampleValue<'_>) -> bool {
        match value {
            SampleValue::Histogram(histogram) => !histogram.only_full || matches!(self, Self::Full),
            SampleValue::Number(_) | SampleValue::Summary(_) => true,
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self {
            legacy: true,
            prefix: None,
            target_label: true,
            series: Series::Compact,
        }
    }
}
