//! Limits the SCANs of the panel. Pure.

/// Maximum time for which SCANs are saved up, in seconds. Checks come in bursts.
const SAVED_SECONDS: f64 = 5.0;

/// Maximum debt, relative to the SCANs that can be saved up.
const DEBT_TIMES: f64 = 4.0;

/// The SCANs that are left.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Effort {
    left: f64,
    earned: Option<f64>,
}

impl Effort {
    /// Returns how many SCANs are left, after earning some since the last call.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    pub(super) fn earn(&mut self, now: f64, per_second: f64) -> u32 {
        let since = self.earned.map_or(1.0, |earned| (now - earned).max(0.0));
        self.earned = Some(now);
        let most = (per_second * SAVED_SECONDS).max(1.0);
        self.left = self.left.max(-DEBT_TIMES * most);
        self.left = (self.left + since * per_second).min(most);
        // Each run is scanned once more, so that half of them may be draws.
        (self.left / 2.0).ceil() as u32
    }

    /// Spends one. Checks that are due are never omitted, so the number may become negative. Only
    /// a few seconds of such a debt are paid.
    pub(super) const fn spend(&mut self) {
        self.left -= 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_are_limited_over_time() {
        let mut effort = Effort::default();
        let mut drawn = 0;
        for second in 0..100 {
            for _ in 0..effort.earn(f64::from(second), 4.0) {
                drawn += 1;
                effort.spend();
                // The check of the run.
                effort.spend();
            }
        }
        assert!((190..=210).contains(&drawn), "{drawn}");
    }

    #[test]
    fn debt_is_limited() {
        let mut effort = Effort::default();
        (0..10_000).for_each(|_| effort.spend());
        let draws: u32 = (0..30)
            .map(|second| effort.earn(f64::from(second), 4.0))
            .sum();
        assert!(draws > 0);
    }

    #[test]
    fn slow_budget_still_allows_a_draw() {
        let mut effort = Effort::default();
        let mut drawn = 0;
        for second in 0..100 {
            for _ in 0..effort.earn(f64::from(second), 0.1) {
                drawn += 1;
                effort.spend();
                effort.spend();
            }
        }
        assert!((4..=7).contains(&drawn), "{drawn}");
    }
}
