//! Makes the causes of vanished keys agree with the counts of the server. Pure.
//!
//! The vanished keys of a place, and those of them whose TTL had ended, are estimated separately,
//! each with an error. The fit changes both as little as possible for their errors, so that the
//! sums over all places are what the server counted.

/// Maximum number of rounds of the fit. Each excludes places in which no key was evicted.
const ROUNDS: u32 = 10;

/// Minimum error of an estimate, as a share of all keys. Without one, nothing can be changed.
const ERROR_MIN: f64 = 1e-4;

/// An estimate: a number, and the square of its error.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Uncertain {
    pub(super) number: f64,
    pub(super) variance: f64,
}

impl Uncertain {
    /// Returns the estimate times a factor.
    pub(super) fn times(self, factor: f64) -> Self {
        Self {
            number: self.number * factor,
            variance: self.variance * factor * factor,
        }
    }

    fn at_least(self, variance: f64) -> Self {
        Self {
            variance: self.variance.max(variance),
            ..self
        }
    }

    /// Combines two independent estimates of the same number.
    fn and(self, other: Self) -> Self {
        let all = self.variance + other.variance;
        Self {
            number: (self.number * other.variance + other.number * self.variance) / all,
            variance: self.variance * other.variance / all,
        }
    }
}

/// The vanished keys of one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    vanished: Uncertain,
    expired: Uncertain,
    /// Whether none of them was evicted, as far as is known.
    is_late: bool,
    /// Those of them that had not expired, and those that had.
    pub(super) early: f64,
    pub(super) late: f64,
}

impl Parts {
    /// Returns the parts of these vanished keys, of which these had expired.
    pub(super) fn new(vanished: Uncertain, expired: Uncertain) -> Self {
        let late = expired.number.clamp(0.0, vanished.number);
        Self {
            vanished,
            expired,
            // The sums may show that fewer have expired than an uncertain estimate.
            is_late: expired.number - expired.variance.sqrt() >= vanished.number,
            early: vanished.number - late,
            late,
        }
    }

    /// Moves the estimates by multipliers of their variances. Returns whether none of the keys can
    /// have been evicted.
    fn shift(&mut self, of_all: f64, of_expired: f64) -> bool {
        if self.is_late {
            let both = self.vanished.and(self.expired);
            self.late = both.number + both.variance * (of_all + of_expired);
            self.early = 0.0;
            return false;
        }
        let vanished = self.vanished.number + self.vanished.variance * of_all;
        self.late = (self.expired.number + self.expired.variance * of_expired).max(0.0);
        self.early = vanished - self.late;
        self.is_late = self.early < 0.0;
        self.is_late
    }
}

/// Adjusts the parts so that they agree with the counts of the server.
pub(super) fn fit(parts: &mut [Parts], evicted: f64, expired: f64) {
    let all = evicted + expired;
    let vanished: f64 = parts.iter().map(|parts| parts.vanished.number).sum();
    let least = (ERROR_MIN * all).powi(2).max(f64::MIN_POSITIVE);
    for parts in &mut *parts {
        let scaled = parts.vanished.times(ratio(all, vanished));
        parts.vanished = scaled.at_least(least);
        parts.expired = parts.expired.at_least(least);
    }
    for _ in 0..ROUNDS {
        let (of_all, of_expired) = multipliers(parts, all, expired);
        let mut is_changed = false;
        for parts in &mut *parts {
            is_changed |= parts.shift(of_all, of_expired);
        }
        if !is_changed {
            break;
        }
    }
    for parts in &mut *parts {
        parts.early = parts.early.max(0.0);
        parts.late = parts.late.max(0.0);
    }
    let early: f64 = parts.iter().map(|parts| parts.early).sum();
    let late: f64 = parts.iter().map(|parts| parts.late).sum();
    for parts in parts {
        parts.early *= ratio(evicted, early);
        parts.late *= ratio(expired, late);
    }
}

/// Returns the multipliers with which the sums agree: that of the variances of all vanished keys,
/// and that of the expired ones. They solve two linear equations.
fn multipliers(parts: &[Parts], all: f64, expired: f64) -> (f64, f64) {
    let [mut all_left, mut expired_left] = [all, expired];
    let [mut of_vanished, mut of_expired, mut of_both] = [0.0; 3];
    for parts in parts {
        if parts.is_late {
            let both = parts.vanished.and(parts.expired);
            all_left -= both.number;
            expired_left -= both.number;
            of_both += both.variance;
        } else {
            all_left -= parts.vanished.number;
            expired_left -= parts.expired.number;
            of_vanished += parts.vanished.variance;
            of_expired += parts.expired.variance;
        }
    }
    // vanished: (of_vanished + of_both) x + of_both y = all_left
    // expired:  of_both x + (of_expired + of_both) y = expired_left
    let (first, last) = (of_vanished + of_both, of_expired + of_both);
    let determinant = first * last - of_both * of_both;
    let x = ratio(all_left * last - expired_left * of_both, determinant);
    let y = ratio(expired_left * first - all_left * of_both, determinant);
    (x, y)
}

fn ratio(wanted: f64, is: f64) -> f64 {
    if is > 0.0 { wanted / is } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate((number, error): Pair) -> Uncertain {
        Uncertain {
            number,
            variance: error * error,
        }
    }

    /// A number with its error, or evicted and expired keys.
    type Pair = (f64, f64);

    /// Returns the fitted evicted and expired keys of places with these vanished and expired keys,
    /// each with its error.
    fn fitted(places: &[(Pair, Pair)], evicted: f64, expired: f64) -> Vec<Pair> {
        let parts = places.iter();
        let parts = parts.map(|(all, late)| Parts::new(estimate(*all), estimate(*late)));
        let mut parts: Vec<Parts> = parts.collect();
        fit(&mut parts, evicted, expired);
        let rounded = parts
            .iter()
            .map(|parts| (parts.early.round(), parts.late.round()));
        rounded.collect()
    }

    #[test]
    fn correct_causes_stay() {
        let places = [
            ((100.0, 10.0), (75.0, 10.0)),
            ((300.0, 20.0), (0.0, 1.0)),
            ((50.0, 5.0), (50.0, 10.0)),
        ];
        let expected = [(25.0, 75.0), (300.0, 0.0), (0.0, 50.0)];
        assert_eq!(fitted(&places, 325.0, 125.0), expected);
    }

    #[test]
    fn counts_correct_uncertain_causes() {
        // Only 300 of the evicted keys can be of the first place.
        let places = [((600.0, 20.0), (500.0, 300.0)), ((200.0, 10.0), (0.0, 1.0))];
        let expected = [(300.0, 300.0), (200.0, 0.0)];
        assert_eq!(fitted(&places, 500.0, 300.0), expected);
    }

    #[test]
    fn place_whose_keys_all_expire_takes_no_evictions() {
        // By chance, more keys of the first place were found than expired.
        let places = [((550.0, 50.0), (500.0, 5.0)), ((190.0, 30.0), (0.0, 0.0))];
        let found = fitted(&places, 200.0, 500.0);
        assert!(found[0].0 < 30.0 && found[1].0 > 170.0, "{found:?}");
        // And now fewer.
        let places = [((450.0, 50.0), (500.0, 5.0)), ((210.0, 30.0), (0.0, 0.0))];
        assert_eq!(fitted(&places, 200.0, 500.0), [(0.0, 500.0), (200.0, 0.0)]);
    }

    #[test]
    fn impossible_counts_give_finite_parts() {
        for (evicted, expired) in [(0.0, 0.0), (100.0, 0.0), (0.0, 100.0)] {
            let parts = fitted(&[((10.0, 0.0), (0.0, 0.0)); 2], evicted, expired);
            let is_valid = |part: &Pair| {
                let (early, late) = part;
                early.is_finite() && late.is_finite() && *early >= 0.0 && *late >= 0.0
            };
            assert!(parts.iter().all(is_valid), "{parts:?}");
        }
    }

    /// Only the first place has keys with a TTL, so all expired keys are its own. An estimate of
    /// more, which is uncertain, takes no evictions from it.
    #[test]
    fn uncertain_excess_of_expired_keys_hides_no_evictions() {
        let places = [((26.0, 5.0), (28.0, 14.0)), ((40.0, 6.0), (0.0, 0.0))];
        let found = fitted(&places, 48.0, 18.0);
        let (evicted, expired) = found[0];
        assert!((6.0..=10.0).contains(&evicted), "{evicted}");
        assert!((17.0..=19.0).contains(&expired), "{expired}");
    }
}
