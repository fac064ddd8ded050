//! Makes the causes of vanished keys agree with the counts of the server. Pure.

/// Number of rounds of the fit. It converges within a few.
const ROUNDS: u32 = 30;

/// The vanished keys of one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    keys: f64,
    /// Those of them that had not expired, and those that had.
    pub(super) early: f64,
    pub(super) late: f64,
}

impl Parts {
    /// Returns the parts of this many keys, if this share had not expired.
    pub(super) fn new(keys: f64, early: f64) -> Self {
        Self {
            keys,
            early: keys * early,
            late: keys * (1.0 - early),
        }
    }
}

/// Adjusts the parts so that they agree with the counts of the server, and with the number of
/// vanished keys of each place. These are known better than the causes: if one place loses keys by
/// eviction alone, another one can only have lost the rest of the evicted keys.
pub(super) fn fit(parts: &mut [Parts], evicted: f64, expired: f64) {
    let keys: f64 = parts.iter().map(|parts| parts.keys).sum();
    let scale = ratio(evicted + expired, keys);
    for _ in 0..ROUNDS {
        let early: f64 = parts.iter().map(|parts| parts.early).sum();
        let late: f64 = parts.iter().map(|parts| parts.late).sum();
        let (early, late) = (ratio(evicted, early), ratio(expired, late));
        for parts in &mut *parts {
            parts.early *= early;
            parts.late *= late;
            let times = ratio(parts.keys * scale, parts.early + parts.late);
            parts.early *= times;
            parts.late *= times;
        }
    }
}

fn ratio(wanted: f64, is: f64) -> f64 {
    if is > 0.0 { wanted / is } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(parts: &[(f64, f64)], evicted: f64, expired: f64) -> Vec<(f64, f64)> {
        let parts = parts.iter().map(|(keys, early)| Parts::new(*keys, *early));
        let mut parts: Vec<Parts> = parts.collect();
        fit(&mut parts, evicted, expired);
        let rounded = parts
            .iter()
            .map(|parts| (parts.early.round(), parts.late.round()));
        rounded.collect()
    }

    #[test]
    fn correct_causes_stay() {
        let parts = [(100.0, 0.25), (300.0, 1.0), (50.0, 0.0)];
        let expected = [(25.0, 75.0), (300.0, 0.0), (0.0, 50.0)];
        assert_eq!(fitted(&parts, 325.0, 125.0), expected);
    }

    #[test]
    fn counts_correct_wrong_causes() {
        // Only 300 of the evicted keys can be of the first place.
        let parts = [(600.0, 0.1), (200.0, 1.0)];
        let expected = [(300.0, 300.0), (200.0, 0.0)];
        assert_eq!(fitted(&parts, 500.0, 300.0), expected);
    }

    #[test]
    fn impossible_counts_give_finite_parts() {
        for (evicted, expired) in [(0.0, 0.0), (100.0, 0.0), (0.0, 100.0)] {
            let parts = fitted(&[(10.0, 1.0), (10.0, 1.0)], evicted, expired);
            let is_finite = |part: &(f64, f64)| part.0.is_finite() && part.1.is_finite();
            assert!(parts.iter().all(is_finite), "{parts:?}");
        }
    }
}
