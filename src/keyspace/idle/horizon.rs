//! Estimates the LRU horizon: the idle time that half of the evicted keys had when they were evicted.
//! Pure.
//!
//! Keys that reach an idle time `a` and are not used any more are evicted later. So as many keys
//! reach `a` per second as are evicted per second at a higher idle time. Half of the evicted keys
//! reach the horizon. The number of keys with an idle time of at most `a`, minus `a` times half of
//! the evictions per second, increases until there, and decreases after it. Its maximum needs no
//! width of a window, and the few keys that Redis overlooks for very long do not matter.

/// Shares of the evictions whose idle times are averaged. Those around the median are almost
/// symmetric, and have less noise together than the median alone. They are a tenth larger than the
/// shares themselves: for each ten keys that reach the horizon to be evicted, one is used again
/// later. Measured with Zipf workloads on Redis 7.0, Redis 8.10 and Valkey 9.1.
const SHARES: [f64; 7] = [0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7];

/// Half of the resolution of idle times, in seconds.
const HALF_SECOND: f64 = 0.5;

/// Number of resamples for the error.
const RESAMPLES: u32 = 20;

/// Half the width of a 95 % interval, in standard deviations.
pub(super) const DEVIATIONS: f64 = 2.0;

/// A sampled idle time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Aged {
    /// Seconds since the key was last used.
    pub(super) idle: f64,
    /// Number of keys that it represents.
    pub(super) weight: f64,
    /// Memory of the key in bytes.
    pub(super) bytes: f64,
}

/// The idle time after which keys are evicted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LruHorizon {
    /// The idle time, in seconds.
    pub seconds: f64,
    /// Half the width of its 95 % interval, in seconds.
    pub error: f64,
}

/// Estimates the horizon. Sorts the samples.
pub(super) fn estimate(aged: &mut [Aged], evicted_per_second: f64) -> Option<LruHorizon> {
    if evicted_per_second <= 0.0 {
        return None;
    }
    aged.sort_by(|one, other| one.idle.total_cmp(&other.idle));
    let seconds = horizon(aged, evicted_per_second, || 1.0);
    let deviation = resample(seconds, |times| horizon(aged, evicted_per_second, times));
    Some(LruHorizon {
        seconds,
        error: (DEVIATIONS * deviation).max(HALF_SECOND),
    })
}

/// Returns the standard deviation of an estimate from those of resamples. `estimate_again` gets a
/// function that returns how often each sample occurs in a resample.
pub(super) fn resample(
    estimate: f64,
    mut estimate_again: impl FnMut(&mut dyn FnMut() -> f64) -> f64,
) -> f64 {
    let mut random = Random(1);
    let resampled = (0..RESAMPLES).map(|_| estimate_again(&mut || random.poisson()));
    let squares: f64 = resampled.map(|other| (other - estimate).powi(2)).sum();
    (squares / f64::from(RESAMPLES)).sqrt()
}

/// Returns the horizon of sorted samples, each of which counts `times`.
fn horizon(aged: &[Aged], evicted_per_second: f64, mut times: impl FnMut() -> f64) -> f64 {
    let mut best = [(0.0, 0.0); SHARES.len()];
    let mut younger = 0.0;
    for sample in aged {
        younger += sample.weight * times();
        let age = sample.idle + HALF_SECOND;
        for (share, (most, at)) in SHARES.iter().zip(&mut best) {
            let value = younger - share * evicted_per_second * age;
            if value > *most {
                (*most, *at) = (value, age);
            }
        }
    }
    let sum: f64 = best.iter().map(|(_, age)| age).sum();
    sum / crate::number::length(SHARES.len())
}

/// A generator of pseudorandom numbers (xorshift). The same samples have the same error.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns how often a sample occurs in a resample.
    fn poisson(&mut self) -> f64 {
        let mut place =
            crate::number::to_float(self.next() >> 11) / crate::number::to_float(1 << 53);
        let (mut times, mut share) = (0.0, (-1.0_f64).exp());
        while place >= share && times < 10.0 {
            place -= share;
            times += 1.0;
            share /= times;
        }
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns idle times of keys of which `reach` of the evicted ones reach each age. The density at
    /// an age is the number that reaches it, plus keys that are used again.
    fn sampled(random: &mut fastrand::Rng, samples: usize) -> Vec<Aged> {
        const PER_SECOND: f64 = 900.0;
        let flow = |age: f64| {
            let again = 8_000.0 * (-age / 5.0).exp() + 0.08 * PER_SECOND;
            (PER_SECOND + again) * reach(age)
        };
        let density: Vec<f64> = (0..400_u32)
            .map(|at| flow(f64::from(at) / 4.0) / 4.0)
            .collect();
        let all: f64 = density.iter().sum();
        let weight = all / crate::number::length(samples);
        let draw = |random: &mut fastrand::Rng| {
            let mut place = random.f64() * all;
            let mut age = 0.0;
            for keys in &density {
                if place < *keys {
                    break;
                }
                place -= keys;
                age += 0.25;
            }
            // Redis counts in seconds of its clock.
            (age + 0.25 * random.f64() + random.f64()).floor()
        };
        (0..samples)
            .map(|_| Aged {
                bytes: 100.0,
                idle: draw(random),
                weight,
            })
            .collect()
    }

    /// Returns the share of the evicted keys that reach an age. Measured on Redis 7.0.
    fn reach(age: f64) -> f64 {
        const POINTS: [(f64, f64); 9] = [
            (18.0, 0.98),
            (22.7, 0.9),
            (24.5, 0.75),
            (27.5, 0.5),
            (32.0, 0.3),
            (42.5, 0.1),
            (56.0, 0.03),
            (90.0, 0.0),
            (f64::MAX, 0.0),
        ];
        let mut before = (0.0, 1.0);
        for point in POINTS {
            if age < point.0 {
                let part = (age - before.0) / (point.0 - before.0);
                return before.1 + (point.1 - before.1) * part;
            }
            before = point;
        }
        0.0
    }

    #[test]
    fn horizon_is_the_median_age_of_the_evicted_keys() {
        let mut random = fastrand::Rng::with_seed(3);
        let (mut within, mut covered) = (0, 0);
        for _ in 0..100 {
            let mut aged = sampled(&mut random, 1_000);
            let horizon = estimate(&mut aged, 900.0).unwrap();
            within += u32::from((horizon.seconds / 27.5 - 1.0).abs() < 0.15);
            covered += u32::from((horizon.seconds - 27.5).abs() <= horizon.error);
            assert!(horizon.error < 6.0, "{horizon:?}");
        }
        assert!(within >= 97, "{within}");
        assert!(covered >= 85, "{covered}");
    }

    #[test]
    fn stragglers_do_not_matter() {
        let mut random = fastrand::Rng::with_seed(4);
        let mut aged = sampled(&mut random, 1_000);
        let before = estimate(&mut aged, 900.0).unwrap();
        let straggler = Aged {
            bytes: 100.0,
            idle: 4_000.0,
            weight: 50.0,
        };
        aged.extend([straggler; 20]);
        let after = estimate(&mut aged, 900.0).unwrap();
        assert!((before.seconds - after.seconds).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_known_without_evictions() {
        assert_eq!(estimate(&mut [], 0.0), None);
    }
}
