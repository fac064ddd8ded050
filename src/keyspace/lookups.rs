//! Limits the lookups that a sweep causes. Pure.
//!
//! The server counts PTTL and TYPE as lookups of keys, so they affect the hit ratio in INFO. They
//! remain a small share of the lookups of other clients. While other clients send no lookups, there
//! is no ratio to distort.

use super::pace::FAST_SHARE;
use super::traffic::Others;
use crate::config::{Share, Sweep};

/// Default share of the lookups of other clients. With at least ten lookups per second, the hit
/// ratio of any minute stays within 0.3 percentage points.
const SHARE: f64 = 0.0015;

/// Default number of lookups per minute that are always allowed.
const PER_MINUTE: u32 = 1;

/// A server is quiet if other clients sent no lookups for this many seconds. A minute with lookups
/// of other clients then contains no lookups that only a quiet server allows.
const QUIET_AFTER_SECONDS: f64 = 60.0;

/// At the start, this many seconds without lookups of other clients are enough.
const QUIET_AT_START_SECONDS: f64 = 10.0;

/// A quiet server allows this many times the lookups that are always allowed.
const QUIET_TIMES: f64 = 10.0;

/// Part of a lookup that is earned in one second, at one per minute. The second before a lookup
/// does not count towards the next one: the minute begins after the lookup.
const SECOND_BEFORE: f64 = 1.0 / 60.0;

/// Tolerance when parts add up to a whole lookup.
const ROUNDING: f64 = 1e-6;

/// The lookups that are allowed now. Lookups of other clients between two readings of INFO earn
/// them. Their average since the server started earns none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// `None` if lookups are unlimited.
    share: Option<f64>,
    per_second: f64,
    /// Lookups left of the share, including a fraction.
    by_share: f64,
    /// Lookups left of those that are always allowed. The greater of the two applies over any
    /// period: the sum of the greater ones between two readings would exceed both.
    by_time: f64,
    /// Whether a lookup was taken since the last reading.
    was_taken: bool,
    /// Seconds since the last lookup of another client.
    quiet: f64,
    /// Whether two readings were compared.
    is_rate_known: bool,
}

/// Returns whether lookups are limited. A fast sweep has no limit unless the configuration sets
/// one.
#[must_use]
pub fn are_limited(sweep: &Sweep) -> bool {
    match sweep.lookup_share {
        Some(share) => share.as_f64() < 1.0,
        None => sweep.cpu_share.as_f64() < FAST_SHARE,
    }
}

impl Allowance {
    /// Returns the configured allowance.
    #[must_use]
    pub fn new(sweep: &Sweep) -> Self {
        let share = sweep.lookup_share.map_or(SHARE, Share::as_f64);
        let per_minute = sweep.lookups_per_minute.unwrap_or(PER_MINUTE);
        Self {
            share: are_limited(sweep).then_some(share),
            per_second: f64::from(per_minute) / 60.0,
            by_share: 0.0,
            by_time: 0.0,
            was_taken: false,
            quiet: QUIET_AFTER_SECONDS - QUIET_AT_START_SECONDS,
            is_rate_known: false,
        }
    }

    /// Returns whether lookups are limited.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.share.is_some()
    }

    /// Resumes after a reconnect: the first lookup was already sent.
    pub const fn resume(&mut self) {
        self.is_rate_known = true;
    }

    /// Records the traffic of other clients. The first lookup is allowed as soon as their rate is
    /// known.
    pub fn observe(&mut self, others: &Others) {
        let Some(share) = self.share else {
            return;
        };
        if others.lookups > 0.0 {
            self.quiet = 0.0;
        } else {
            self.quiet += others.seconds;
        }
        let is_quiet = self.quiet >= QUIET_AFTER_SECONDS;
        let times = if is_quiet { QUIET_TIMES } else { 1.0 };
        let always = others.seconds * self.per_second * times;
        let was_taken = std::mem::take(&mut self.was_taken);
        let before = if was_taken && !is_quiet {
            SECOND_BEFORE
        } else {
            0.0
        };
        if !std::mem::replace(&mut self.is_rate_known, true) {
            self.by_time = (self.per_second * 60.0).min(1.0);
        }
        self.by_share = grown(self.by_share, others.lookups * share);
        self.by_time = grown(self.by_time, (always - before).max(0.0));
    }

    /// Returns whether a lookup is left.
    #[must_use]
    pub fn has_some(&self) -> bool {
        self.share.is_none() || self.by_share.max(self.by_time) >= 1.0 - ROUNDING
    }

    /// Takes one lookup if one is left. Returns whether it was taken.
    pub fn take(&mut self) -> bool {
        let is_allowed = self.has_some();
        if is_allowed {
            self.by_share = (self.by_share - 1.0).max(0.0);
            self.by_time = (self.by_time - 1.0).max(0.0);
            self.was_taken = true;
        }
        is_allowed
    }
}

/// Adds earned parts of a lookup. At most one lookup is saved up, or the lookups that were just
/// earned.
const fn grown(left: f64, earned: f64) -> f64 {
    (left + earned).min(earned.max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(lookups: f64) -> Others {
        Others {
            seconds: 1.0,
            commands: lookups,
            lookups,
        }
    }

    fn take_all(allowance: &mut Allowance) -> f64 {
        let mut taken = 0.0;
        while allowance.take() {
            taken += 1.0;
        }
        taken
    }

    /// Takes all allowed lookups in each second. Returns the lookups of other clients and of the
    /// sweep.
    fn run(allowance: &mut Allowance, rates: &[f64]) -> Vec<(f64, f64)> {
        let seconds = rates.iter().map(|rate| {
            allowance.observe(&others(*rate));
            (*rate, take_all(allowance))
        });
        seconds.collect()
    }

    /// Returns the maximum error of the hit ratio in any minute with at least ten lookups per
    /// second, in percentage points. It assumes that all lookups of other clients miss and all of
    /// the sweep hit.
    fn worst_points(seconds: &[(f64, f64)]) -> f64 {
        let minutes = seconds.windows(60).map(|minute| {
            let others: f64 = minute.iter().map(|(others, _)| others).sum();
            let induced: f64 = minute.iter().map(|(_, induced)| induced).sum();
            let points = induced / (induced + others) * 100.0;
            if others >= 600.0 { points } else { 0.0 }
        });
        minutes.fold(0.0, f64::max)
    }

    fn induced(seconds: &[(f64, f64)]) -> f64 {
        seconds.iter().map(|(_, induced)| induced).sum()
    }

    #[test]
    fn hit_ratio_error_is_at_most_three_tenths_of_a_point() {
        for per_second in [10.0, 50.0, 100.0, 1_000.0, 10_000.0] {
            let mut allowance = Allowance::new(&Sweep::default());
            let seconds = run(&mut allowance, &vec![per_second; 3_600]);
            let points = worst_points(&seconds);
            assert!(points <= 0.3, "{points} points at {per_second}/s");
            let first: f64 = induced(&seconds[..2]);
            assert!(first >= 1.0, "no lookup allowed at {per_second}/s");
        }
    }

    /// Readings occur at any time, and reads occur a few at a time. At ten reads per second, one
    /// lookup per minute is 0.17 points, and a second one is too many.
    #[test]
    fn hit_ratio_error_is_small_for_any_timing() {
        let mut random = fastrand::Rng::with_seed(7);
        for burst in [1, 2, 5, 10] {
            for _ in 0..20 {
                let mut allowance = Allowance::new(&Sweep::default());
                let (mut at, mut next, mut taken) = (0, 500, Vec::new());
                // In milliseconds.
                while at < 600_000 {
                    let reads = |at: u32| at / (burst * 100) * burst;
                    allowance.observe(&Others {
                        seconds: f64::from(next - at) / 1_000.0,
                        commands: 0.0,
                        lookups: f64::from(reads(next) - reads(at)),
                    });
                    at = next;
                    next += random.u32(10..1_000);
                    // The batch that spends it comes later, before the next reading.
                    if random.bool() && allowance.take() {
                        taken.push(random.u32(at..next));
                    }
                }
                let is_close = taken.windows(2).any(|pair| pair[1] - pair[0] < 60_000);
                assert!(!is_close, "{burst}: {taken:?}");
                assert!(taken.len() >= 9, "{burst}: {taken:?}");
            }
        }
    }

    #[test]
    fn hit_ratio_error_is_small_after_traffic_stops() {
        for per_second in [10.0, 100.0, 1_000.0, 10_000.0] {
            let mut allowance = Allowance::new(&Sweep::default());
            let rates = [[per_second; 120], [0.0; 120]].concat();
            let points = worst_points(&run(&mut allowance, &rates));
            assert!(points <= 0.3, "{points} points at {per_second}/s");
        }
    }

    #[test]
    fn hit_ratio_error_is_small_in_the_first_minute() {
        for per_second in [10.0, 100.0, 1_000.0, 10_000.0] {
            let mut allowance = Allowance::new(&Sweep::default());
            run(&mut allowance, &[0.0; 599]);
            // The remainder counts for the first second of traffic.
            let left = take_all(&mut allowance);
            let mut seconds = run(&mut allowance, &[per_second; 600]);
            seconds[0].1 += left;
            let points = worst_points(&seconds);
            assert!(points <= 0.3, "{points} points at {per_second}/s");
        }
    }

    #[test]
    fn paused_sweep_saves_up_no_lookups() {
        let mut allowance = Allowance::new(&Sweep::default());
        for _ in 0..600 {
            allowance.observe(&others(10.0));
        }
        assert!(take_all(&mut allowance) <= 1.0);
    }

    #[test]
    fn no_lookup_is_allowed_before_the_rate_is_known() {
        let mut allowance = Allowance::new(&Sweep::default());
        assert!(!allowance.take());
        allowance.observe(&others(10.0));
        assert!(allowance.take());
        let mut resumed = Allowance::new(&Sweep::default());
        resumed.resume();
        resumed.observe(&others(10.0));
        assert!(!resumed.take());
    }

    #[test]
    fn quiet_server_allows_ten_lookups_per_minute() {
        let mut allowance = Allowance::new(&Sweep::default());
        let first = run(&mut allowance, &[0.0; 70]);
        assert!((9.0..=12.0).contains(&induced(&first)), "{first:?}");
        let later = run(&mut allowance, &[0.0; 600]);
        let later = induced(&later);
        assert!((98.0..=101.0).contains(&later), "{later}");
        let never = Sweep {
            lookups_per_minute: Some(0),
            ..Sweep::default()
        };
        let seconds = run(&mut Allowance::new(&never), &[0.0; 600]);
        assert!(induced(&seconds) < 1.0);
    }

    #[test]
    fn only_the_configuration_limits_a_fast_sweep() {
        let fast = Sweep {
            cpu_share: Share::WHOLE,
            ..Sweep::default()
        };
        assert!(!Allowance::new(&fast).is_limited());
        let limited = Sweep {
            lookup_share: Sweep::default().cpu_share.into(),
            ..fast
        };
        assert!(Allowance::new(&limited).is_limited());
        let unlimited = Sweep {
            lookup_share: Some(Share::WHOLE),
            ..Sweep::default()
        };
        assert!(Allowance::new(&unlimited).take());
    }
}
