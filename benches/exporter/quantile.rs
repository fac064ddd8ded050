//! Quantiles of durations.

use std::time::Duration;

/// Median and 99th percentile, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Quantiles {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
}

/// Returns the quantiles of durations. They are 0 without durations.
pub fn of(durations: &[Duration]) -> Quantiles {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let at = |percent: usize| {
        let place = sorted.len().saturating_sub(1) * percent / 100;
        let found = sorted.get(place).copied().unwrap_or_default();
        found.as_secs_f64() * 1e6
    };
    Quantiles {
        p50: at(50),
        p99: at(99),
    }
}

/// Returns the median of each quantile over several blocks of measurements.
pub fn median(blocks: &[Quantiles]) -> Quantiles {
    let middle = |of: fn(&Quantiles) -> f64| {
        let mut sorted: Vec<f64> = blocks.iter().map(of).collect();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    };
    Quantiles {
        p50: middle(|block| block.p50),
        p99: middle(|block| block.p99),
    }
}
