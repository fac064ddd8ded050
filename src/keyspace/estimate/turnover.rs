//! Bounds the keys of namespaces by the keys that came and went since a whole pass began. Pure.

use super::drift::Prediction;
use super::living::sound;
use super::{Estimate, around};
use crate::keyspace::course::Point;
use crate::keyspace::window::Window;

/// Iterations to fit the predictions to their sum.
const ROUNDS: usize = 8;

/// Difference from the sum that does not matter, in keys.
const LEAST_MISSING: f64 = 0.5;

/// A namespace that a whole pass has counted.
#[derive(Debug)]
pub(super) struct Counted<'a> {
    /// Keys that the pass has seen.
    pub(super) keys: f64,
    /// Those of them that have a TTL.
    pub(super) expiring: f64,
    pub(super) prediction: &'a mut Prediction,
}

/// Keys added and keys removed since a pass began, at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Turnover {
    came: f64,
    went: f64,
}

impl Turnover {
    /// Returns the turnover since a whole pass began; `None` if some segment was not seen.
    pub(super) fn since_begun(window: &Window, now: &Point) -> Option<Self> {
        let then = window.begun().filter(|_| window.is_whole())?;
        let grown = now.keys - then.keys;
        // RENAME is one event, but removes one key and adds another.
        let events = (now.events - then.events).max(grown.abs());
        Some(Self {
            came: events.min(events + grown),
            went: events.min(events - grown),
        })
    }

    /// Clips the interval of a namespace that the pass has counted.
    pub(super) fn clip(self, keys: Estimate, counted: f64) -> Estimate {
        let lower = keys.lower.max(counted - self.went);
        let upper = keys.upper.min(counted + self.came);
        sound(around(keys.value, lower, upper, keys.upper))
    }

    /// Bounds the predictions of namespaces that the pass has counted, so that they add up to the number
    /// of keys.
    ///
    /// If few keys came or went, a count is more exact than a prediction, in particular for a small
    /// namespace: it cannot have lost more keys than were counted.
    pub(super) fn bound(self, mut seen: Vec<Counted<'_>>, keys: f64) {
        let all = seen.iter().fold((0.0, 0.0), |(keys, expiring), counted| {
            (keys + counted.keys, expiring + counted.expiring)
        });
        let shrunk = seen.iter_mut().map(|counted| self.shrink(counted, all));
        let weights: Vec<f64> = shrunk.collect();
        for _ in 0..ROUNDS {
            for counted in &mut seen {
                let (least, most) = self.limits(counted);
                counted.prediction.keys = counted.prediction.keys.clamp(least, most);
            }
            let missing = missing(&seen, keys);
            let free = |counted: &Counted<'_>, weight: f64| {
                let (least, most) = self.limits(counted);
                let keys = counted.prediction.keys;
                let may_move = if missing > 0.0 {
                    keys < most
                } else {
                    keys > least
                };
                if may_move { weight } else { 0.0 }
            };
            if !distribute(&mut seen, &weights, missing, free) {
                break;
            }
        }
        // Expired keys that Redis has not removed yet are keys of the database, but SCAN does not return
        // them.
        let unseen = missing(&seen, keys).max(0.0);
        let expiring: Vec<f64> = seen.iter().map(|counted| counted.expiring).collect();
        distribute(&mut seen, &expiring, unseen, |_, weight| weight);
    }

    /// Moves a prediction towards the count, the closer the fewer keys came or went. Returns the
    /// variance that is left.
    ///
    /// All keys that came may belong to one namespace, because batches do. Those that went are expected
    /// to have expired, but each namespace may have its share of them, within as much again. `all` has
    /// the keys of all namespaces, and those with a TTL.
    fn shrink(self, counted: &mut Counted<'_>, (keys, expiring): (f64, f64)) -> f64 {
        let share = counted.keys / keys.max(1.0);
        let went = self.went * share;
        let change_variance = self.came * self.came + went + went * went;
        let prediction = &mut *counted.prediction;
        let variance = prediction.variance + prediction.batches;
        let part = change_variance / (change_variance + variance).max(f64::MIN_POSITIVE);
        let expired = if expiring > 0.0 {
            self.went * counted.expiring / expiring
        } else {
            went
        };
        let expected = counted.keys + self.came * share - expired;
        prediction.keys = expected + part * (prediction.keys - expected);
        part * variance
    }

    /// Returns the minimum and maximum number of keys that a counted namespace has now.
    fn limits(self, counted: &Counted<'_>) -> (f64, f64) {
        let least = (counted.keys - self.went).max(0.0);
        (least, counted.keys + self.came)
    }
}

/// Returns how many keys the predictions lack.
fn missing(seen: &[Counted<'_>], keys: f64) -> f64 {
    let predicted = seen.iter().map(|counted| counted.prediction.keys);
    keys - predicted.sum::<f64>()
}

/// Distributes missing keys in proportion to the weights that are free. Returns false if none are, or
/// nothing is missing.
fn distribute(
    seen: &mut [Counted<'_>],
    weights: &[f64],
    missing: f64,
    free: impl Fn(&Counted<'_>, f64) -> f64,
) -> bool {
    let pairs = seen.iter().zip(weights);
    let all: f64 = pairs.map(|(counted, weight)| free(counted, *weight)).sum();
    if all <= 0.0 || missing.abs() < LEAST_MISSING {
        return false;
    }
    for (counted, weight) in seen.iter_mut().zip(weights) {
        let part = free(counted, *weight) / all;
        counted.prediction.keys += missing * part;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the turnover of a database of 1,000 keys after a whole pass.
    fn turnover(keys: u64, events: f64) -> Option<Turnover> {
        let mut window = Window::new(1);
        window.observe(0.0, 1_000, 0.0);
        window.open(0, 0.0);
        window.close(1.0);
        window.observe(2.0, keys, events);
        Turnover::since_begun(&window, &window.course().last()?)
    }

    #[test]
    fn counters_bound_what_came_and_what_went() {
        let bounds = |came, went| Some(Turnover { came, went });
        assert_eq!(turnover(1_300, 300.0), bounds(300.0, 0.0));
        assert_eq!(turnover(700, 300.0), bounds(0.0, 300.0));
        assert_eq!(turnover(1_100, 500.0), bounds(500.0, 400.0));
        assert_eq!(turnover(1_000, 10.0), bounds(10.0, 10.0));
    }

    #[test]
    fn part_of_a_pass_bounds_nothing() {
        let mut window = Window::new(2);
        window.observe(0.0, 1_000, 0.0);
        window.open(0, 0.0);
        window.close(1.0);
        let now = window.course().last().unwrap();
        assert_eq!(Turnover::since_begun(&window, &now), None);
    }

    /// Returns the bounded predictions of namespaces, each from its count and its prediction.
    fn bounded(turnover: Turnover, of: &[(f64, f64)], keys: f64) -> Vec<f64> {
        let predictions = of.iter().map(|(_, keys)| Prediction {
            keys: *keys,
            variance: 900.0,
            ..Prediction::default()
        });
        let mut predictions: Vec<Prediction> = predictions.collect();
        // Only keys of the first namespace have a TTL.
        let counted = of.iter().zip(&mut predictions).enumerate();
        let counted = counted.map(|(place, ((counted, _), prediction))| Counted {
            keys: *counted,
            expiring: if place == 0 { *counted } else { 0.0 },
            prediction,
        });
        turnover.bound(counted.collect(), keys);
        predictions.iter().map(|of| of.keys.round()).collect()
    }

    #[test]
    fn keys_that_expire_leave_small_namespaces_as_counted() {
        let of = [
            (19_846.0, 19_785.0),
            (292.0, 330.0),
            (1.0, 13.0),
            (1.0, 0.0),
        ];
        let turnover = Turnover {
            came: 0.0,
            went: 12.0,
        };
        let expected = [19_834.0, 292.0, 1.0, 1.0];
        assert_eq!(bounded(turnover, &of, 20_128.0), expected);
    }

    #[test]
    fn prediction_is_kept_if_many_keys_came_and_went() {
        let of = [(6_000.0, 4_500.0), (4_000.0, 5_500.0)];
        let turnover = Turnover {
            came: 9_000.0,
            went: 9_000.0,
        };
        assert_eq!(bounded(turnover, &of, 10_000.0), [4_500.0, 5_500.0]);
    }

    #[test]
    fn keys_beyond_what_came_are_expired_ones() {
        let turnover = Turnover {
            came: 0.0,
            went: 0.0,
        };
        let of = [(900.0, 950.0), (10.0, 50.0)];
        assert_eq!(bounded(turnover, &of, 1_000.0), [990.0, 10.0]);
    }

    #[test]
    fn clipped_interval_keeps_its_value() {
        let turnover = Turnover {
            came: 100.0,
            went: 20.0,
        };
        let wide = around(500.0, 100.0, 900.0, 1_000.0);
        assert_eq!(
            turnover.clip(wide, 450.0),
            around(500.0, 430.0, 550.0, 1_000.0)
        );
        assert_eq!(
            turnover.clip(wide, 380.0),
            around(500.0, 360.0, 500.0, 1_000.0)
        );
    }
}
