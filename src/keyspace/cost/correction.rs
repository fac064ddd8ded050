//! Corrects the expected cost of a sweep by the CPU time of the server. Pure.

use super::ROUND_TRIP_MICROSECONDS;

/// Minimum expected cost for a correction, in microseconds. It takes several checks to add up if
/// the sweep is slow.
const EXPECTED_MIN: f64 = 5_000.0;

/// Maximum CPU time of other clients, relative to the cost of the sweep, for a correction.
const OTHERS_MAX: f64 = 0.05;

/// Weight of a new measurement. The server's own tasks take irregular time.
const WEIGHT: f64 = 0.3;

/// Limits of the correction. Beyond them, the server has much to do besides the sweep.
const FACTOR_MIN: f64 = 0.7;
const FACTOR_MAX: f64 = 1.5;

/// The CPU time of a server between two checks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct CpuUsage {
    /// CPU time that the server used for everything, in microseconds.
    used: f64,
    /// Expected cost of the sweep, in microseconds.
    expected: f64,
    /// Number of commands of other clients.
    others: f64,
}

/// The ratio of the CPU time that a sweep uses to its expected cost.
///
/// It is measured while hardly anyone else uses the server. All CPU time then counts as the
/// sweep's, including that of the server's own tasks, so that the sweep stays below its share.
#[derive(Clone, Copy, Debug, PartialEq)]
struct CpuCorrection {
    factor: f64,
    /// The checks that do not add up to a measurement yet.
    sum: CpuUsage,
}

impl Default for CpuCorrection {
    fn default() -> Self {
        Self {
            factor: 1.0,
            sum: CpuUsage::default(),
        }
    }
}

impl CpuCorrection {
    /// Returns the factor by which to multiply an expected cost.
    const fn factor(&self) -> f64 {
        self.factor
    }

    /// Records the CPU time between two checks. Other clients cost at most a round trip per
    /// command, unless their commands are slow, which also raises the factor at most to its limit.
    fn observe(&mut self, usage: &CpuUsage) {
        self.sum = CpuUsage {
            used: self.sum.used + usage.used,
            expected: self.sum.expected + usage.expected,
            others: self.sum.others + usage.others,
        };
        if self.sum.expected < EXPECTED_MIN {
            return;
        }
        let sum = std::mem::take(&mut self.sum);
        if sum.others * ROUND_TRIP_MICROSECONDS <= sum.expected * OTHERS_MAX {
            let measured = (sum.used / sum.expected).clamp(FACTOR_MIN, FACTOR_MAX);
            self.factor += WEIGHT * (measured - self.factor);
        }
    }
}

/// The CPU time of a server that its sweep uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CpuAccount {
    correction: CpuCorrection,
    /// The server's CPU time at the last check, in seconds.
    checked: Option<f64>,
    /// Expected cost since then, in microseconds.
    expected: f64,
    /// CPU time for which the sweep has not paused yet, in microseconds.
    unpaid: f64,
}

impl CpuAccount {
    /// Adds an expected cost in microseconds. Returns the corrected one.
    pub fn charge(&mut self, microseconds: f64) -> f64 {
        let used = microseconds * self.correction.factor();
        self.expected += microseconds;
        self.unpaid += used;
        used
    }

    /// Returns the CPU time since the last call, in microseconds.
    pub const fn take_unpaid(&mut self) -> f64 {
        std::mem::replace(&mut self.unpaid, 0.0)
    }

    /// Records the CPU time that the server has used, in seconds, and how many commands other
    /// clients sent since the last check. Without that number, the correction stays.
    pub fn check(&mut self, seconds: Option<f64>, others: Option<f64>) {
        let expected = std::mem::replace(&mut self.expected, 0.0);
        let before = std::mem::replace(&mut self.checked, seconds);
        let used = seconds.zip(before).map(|(now, before)| now - before);
        // CPU time that decreased is that of a restarted server.
        if let Some((used, others)) = used.filter(|used| *used >= 0.0).zip(others) {
            self.correction.observe(&CpuUsage {
                used: used * 1e6,
                expected,
                others,
            });
        }
    }

    /// Records that the next check may be that of another server.
    pub const fn record_connection(&mut self) {
        self.checked = None;
        self.expected = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_is_corrected_between_two_checks() {
        let mut account = CpuAccount::default();
        account.charge(10_000.0);
        account.check(Some(5.0), Some(0.0));
        assert!((account.charge(10_000.0) - 10_000.0).abs() < 1e-9);
        account.check(Some(5.012), Some(0.0));
        assert!((account.charge(10_000.0) - 10_600.0).abs() < 1e-6);
        assert!((account.take_unpaid() - 30_600.0).abs() < 1e-6);
        assert!(account.take_unpaid().abs() < 1e-9);
        account.check(Some(0.5), Some(0.0));
        assert!((account.charge(10_000.0) - 10_600.0).abs() < 1e-6);
    }

    /// Returns the factor after 30 checks with this CPU time and this many commands of others, if
    /// each expected 10 ms.
    fn factor(used: f64, others: f64) -> f64 {
        let mut correction = CpuCorrection::default();
        for _ in 0..30 {
            correction.observe(&CpuUsage {
                used,
                expected: 10_000.0,
                others,
            });
        }
        correction.factor()
    }

    #[test]
    fn factor_follows_an_idle_server_within_limits() {
        assert!((factor(12_000.0, 0.0) - 1.2).abs() < 0.001);
        assert!((factor(9_000.0, 10.0) - 0.9).abs() < 0.001);
        assert!((factor(300_000.0, 0.0) - FACTOR_MAX).abs() < 0.001);
        assert!((factor(0.0, 0.0) - FACTOR_MIN).abs() < 0.001);
    }

    #[test]
    fn other_clients_do_not_change_the_factor() {
        assert!((factor(300_000.0, 1_000.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn slow_sweep_is_measured_over_several_checks() {
        let mut correction = CpuCorrection::default();
        let usage = CpuUsage {
            used: 1_200.0,
            expected: 1_000.0,
            others: 0.0,
        };
        for _ in 0..4 {
            correction.observe(&usage);
            assert!((correction.factor() - 1.0).abs() < 1e-9);
        }
        correction.observe(&usage);
        assert!((correction.factor() - 1.06).abs() < 1e-9);
    }
}
