//! The values that samples have: numbers, histograms and summaries. Pure.

use std::sync::Arc;

use super::packed_counts::PackedCounts;
use super::percentiles::Percentiles;

/// The counts of a histogram: cumulative, one per edge, in the order of the edges.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The upper edges of the buckets; the same for all samples of a family.
    pub edges: &'static [Edge],
    /// Number of observations at or below each edge.
    pub counts: PackedCounts,
    /// Number of observations.
    pub count: u64,
    /// Sum of the observations, in the unit of the family. NaN if unknown; it is then left out.
    pub sum: f64,
    /// Whether it is written only when all series are enabled.
    pub only_full: bool,
}

/// An upper edge of a bucket, with its texts for the `le` label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// The edge, in the unit of the reply.
    pub at: u64,
    /// Its text, in the unit of the reply.
    pub as_replied: &'static str,
    /// Its text, in the base unit.
    pub in_base_unit: &'static str,
    /// Whether it is written only when all series are enabled.
    pub only_full: bool,
}

impl Edge {
    /// Returns an edge that is always written.
    #[must_use]
    pub const fn new(at: u64, as_replied: &'static str, in_base_unit: &'static str) -> Self {
        Self {
            at,
            as_replied,
            in_base_unit,
            only_full: false,
        }
    }

    /// Returns an edge that is written only when all series are enabled.
    #[must_use]
    pub const fn only_full(at: u64, as_replied: &'static str, in_base_unit: &'static str) -> Self {
        Self {
            only_full: true,
            ..Self::new(at, as_replied, in_base_unit)
        }
    }
}

/// Percentiles, with the count and the sum of all observations.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The percentiles, in the unit of the family.
    pub percentiles: Percentiles,
    /// Number of observations.
    pub count: u64,
    /// Sum of the observations, in the unit of the family.
    pub sum: f64,
}

/// The value of a sample, in the unit of its family's reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The value of a counter or a gauge; never NaN.
    Number(f64),
    /// A histogram. Later snapshots share it while it stays the same.
    Histogram(Arc<Histogram>),
    /// A summary.
    Summary(Summary),
}
