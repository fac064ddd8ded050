//! How many lookups a sweep may cause. Pure.
//!
//! The server counts PTTL and TYPE as lookups of keys, so whoever reads the hit ratio from INFO
//! sees them. They stay a small share of the lookups of others. While nobody else looks anything
//! up there is no ratio that they could falsify.

use super::pace::FAST_SHARE;
use super::traffic::Others;
use crate::config::{Share, Sweep};

/// The default share of the lookups of others. In any minute with ten lookups per second or more
/// the hit ratio in INFO then stays within 0.3 percentage points.
const SHARE: f64 = 0.0015;

/// The default of the lookups in a minute that are always allowed.
const PER_MINUTE: u32 = 1;

/// A server is quiet when others have looked nothing up for so long.
const QUIET_AFTER_SECONDS: f64 = 60.0;

/// A quiet server allows for this many lookups at once, every so often.
const QUIET_LOOKUPS: f64 = 100.0;
const QUIET_EVERY_SECONDS: f64 = 600.0;

/// The same at the start, while the first keys are visited.
const START_LOOKUPS: f64 = 1_000.0;

/// At the start a server is quiet when others have done at most so many lookups in a second since
/// it started.
const QUIET_PER_SECOND: f64 = 0.1;

/// The lookups that are allowed now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// None where lookups are not limited.
    share: Option<f64>,
    per_second: f64,
    /// Whole lookups that are left, and a part of the next.
    left: f64,
    /// For how long others have looked nothing up, in seconds.
    quiet: f64,
    /// How long ago lookups were allowed because of that.
    granted: f64,
    is_at_start: bool,
}

/// Whether lookups are limited. They are not where a sweep is meant to be fast, unless the
/// configuration limits them.
#[must_use]
pub fn are_limited(sweep: &Sweep) -> bool {
    match sweep.lookup_share {
        Some(share) => share.as_f64() < 1.0,
        None => sweep.cpu_share.as_f64() < FAST_SHARE,
    }
}

impl Allowance {
    /// The allowance that a configuration asks for.
    #[must_use]
    pub fn new(sweep: &Sweep) -> Self {
        let share = sweep.lookup_share.map_or(SHARE, Share::as_f64);
        let per_minute = sweep.lookups_per_minute.unwrap_or(PER_MINUTE);
        Self {
            share: are_limited(sweep).then_some(share),
            per_second: f64::from(per_minute) / 60.0,
            left: 0.0,
            quiet: 0.0,
            granted: 0.0,
            is_at_start: true,
        }
    }

    /// Whether lookups are limited.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.share.is_some()
    }

    /// Begins with a server that has done so many lookups since it started.
    pub fn start(&mut self, lookups: f64, uptime: Option<f64>) {
        let uptime = uptime.unwrap_or(0.0).max(1.0);
        if lookups / uptime <= QUIET_PER_SECOND {
            self.left = START_LOOKUPS;
        }
    }

    /// The first keys were visited. What was allowed for them is over.
    pub fn end_start(&mut self) {
        if std::mem::replace(&mut self.is_at_start, false) {
            self.left = self.left.min(1.0);
        }
    }

    /// Takes in what others have asked.
    pub fn observe(&mut self, others: &Others) {
        let Some(share) = self.share else {
            return;
        };
        let earned = (others.lookups * share).max(others.seconds * self.per_second);
        let most = earned.max(1.0);
        self.granted += others.seconds;
        if others.lookups > 0.0 {
            self.quiet = 0.0;
            self.left = (self.left + earned).min(most);
            return;
        }
        self.quiet += others.seconds;
        self.left = (self.left + earned).min(most.max(self.left));
        if self.quiet >= QUIET_AFTER_SECONDS && self.granted >= QUIET_EVERY_SECONDS {
            self.granted = 0.0;
            self.left += QUIET_LOOKUPS;
        }
    }

    /// Takes one lookup, if one is left.
    pub fn take(&mut self) -> bool {
        let is_allowed = self.share.is_none() || self.left >= 1.0;
        if is_allowed {
            self.left = (self.left - 1.0).max(0.0);
        }
        is_allowed
    }
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

    /// The most lookups in any minute of an hour, taken as soon as they are allowed.
    fn most_in_a_minute(allowance: &mut Allowance, per_second: f64) -> f64 {
        let mut taken = Vec::new();
        for _ in 0..3_600 {
            allowance.observe(&others(per_second));
            let mut now = 0.0;
            while allowance.take() {
                now += 1.0;
            }
            taken.push(now);
        }
        let minutes = taken.windows(60).map(|minute| minute.iter().sum());
        minutes.fold(0.0, f64::max)
    }

    #[test]
    fn the_ratio_that_others_read_stays_within_three_tenths_of_a_point() {
        for per_second in [10.0, 50.0, 100.0, 1_000.0, 10_000.0] {
            let mut allowance = Allowance::new(&Sweep::default());
            let induced = most_in_a_minute(&mut allowance, per_second);
            // Every lookup of others is a miss, and every one of ours a hit.
            let points = induced / (induced + per_second * 60.0) * 100.0;
            assert!(points <= 0.3, "{points} points at {per_second}/s");
            assert!(induced >= 1.0, "nothing is known at {per_second}/s");
        }
    }

    #[test]
    fn a_pause_of_the_sweep_saves_no_lookups_up() {
        let mut allowance = Allowance::new(&Sweep::default());
        for _ in 0..600 {
            allowance.observe(&others(10.0));
        }
        assert!(allowance.take());
        assert!(!allowance.take());
    }

    #[test]
    fn a_quiet_server_allows_for_a_sample_at_the_start_and_now_and_then() {
        let mut allowance = Allowance::new(&Sweep::default());
        allowance.start(30.0, Some(3_600.0));
        let count =
            |allowance: &mut Allowance| (0..100_000).take_while(|_| allowance.take()).count();
        assert_eq!(count(&mut allowance), 1_000);
        allowance.end_start();
        for _ in 0..599 {
            allowance.observe(&others(0.0));
        }
        assert!(count(&mut allowance) <= 1);
        allowance.observe(&others(0.0));
        assert!(count(&mut allowance) >= 100);
    }

    #[test]
    fn what_a_quiet_server_allowed_is_over_when_others_read() {
        let mut allowance = Allowance::new(&Sweep::default());
        allowance.start(0.0, None);
        allowance.observe(&others(10.0));
        assert!(allowance.take());
        assert!(!allowance.take());
    }

    #[test]
    fn a_busy_server_allows_for_nothing_at_the_start() {
        let mut allowance = Allowance::new(&Sweep::default());
        allowance.start(3_600_000.0, Some(3_600.0));
        assert!(!allowance.take());
    }

    #[test]
    fn a_fast_sweep_is_limited_only_by_the_configuration() {
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
