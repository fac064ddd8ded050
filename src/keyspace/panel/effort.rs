//! Limits the SCANs of the panel. Pure.
//!
//! Draws are evenly spaced, because each represents the time since the previous one. The number of
//! SCANs per draw is measured: runs are scanned again once or several times.

/// Number of SCANs after which earlier ones count half.
const SCANS_MAX: f64 = 200.0;

/// The draws that are allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Effort {
    draws_left: f64,
    earned: Option<f64>,
    scans: f64,
    draws: f64,
}

impl Default for Effort {
    /// Assumes two SCANs per draw.
    fn default() -> Self {
        Self {
            draws_left: 1.0,
            earned: None,
            scans: 2.0,
            draws: 1.0,
        }
    }
}

impl Effort {
    /// Returns how many draws are left, at this many SCANs per second.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    pub(super) fn earn(&mut self, now: f64, scans_per_second: f64) -> u32 {
        let since = self.earned.map_or(0.0, |earned| (now - earned).max(0.0));
        self.earned = Some(now);
        let per_second = scans_per_second * self.draws / self.scans;
        // Those of two seconds, or a single one.
        let most = (2.0 * per_second).max(1.0);
        self.draws_left = (self.draws_left + since * per_second).min(most);
        self.draws_left as u32
    }

    /// Records draws.
    pub(super) fn record_draws(&mut self, draws: f64) {
        self.draws_left -= draws;
        self.draws += draws;
    }

    /// Records a SCAN, for a draw or a check.
    pub(super) fn record_scan(&mut self) {
        if self.scans >= SCANS_MAX {
            self.scans /= 2.0;
            self.draws /= 2.0;
        }
        self.scans += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns in which of 200 seconds there are draws, at this many SCANs per second, if each draw
    /// takes `each` SCANs.
    fn draws(per_second: f64, each: u32) -> Vec<u32> {
        let mut effort = Effort::default();
        let mut seconds = Vec::new();
        for second in 0..200 {
            for _ in 0..effort.earn(f64::from(second), per_second) {
                seconds.push(second);
                effort.record_draws(1.0);
                (0..each).for_each(|_| effort.record_scan());
            }
        }
        seconds
    }

    #[test]
    fn scans_are_limited() {
        for (per_second, each, expected) in [(4.0, 2, 400), (3.0, 4, 150), (0.1, 2, 10)] {
            let draws = draws(per_second, each).len();
            assert!(
                (expected * 9 / 10..=expected * 6 / 5 + 1).contains(&draws),
                "{draws}"
            );
        }
    }

    #[test]
    fn draws_are_evenly_spaced() {
        let seconds = draws(3.0, 6);
        let gaps = seconds.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(
            gaps.skip(5).all(|gap| (1..=3).contains(&gap)),
            "{seconds:?}"
        );
    }
}
