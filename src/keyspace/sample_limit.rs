//! Limits how many samples one of many sweeps keeps, so that thousands of targets do not need as much
//! memory each as a single one. Pure.

/// The limits of one kind of samples.
#[derive(Clone, Copy, Debug)]
pub struct SampleLimit {
    /// Maximum number of one sweep, if there are few sweeps.
    pub one: usize,
    /// Maximum number of all sweeps, unless `least` is more.
    pub of_all: usize,
    /// Maximum number of each of thousands of sweeps.
    pub least: usize,
}

impl SampleLimit {
    /// Returns the maximum number of each of this many sweeps.
    #[must_use]
    pub fn of_each(self, sweeps: usize) -> usize {
        (self.of_all / sweeps.max(1)).clamp(self.least, self.one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_many_sweeps_keeps_less() {
        let limit = SampleLimit {
            one: 4_000,
            of_all: 2_000_000,
            least: 1_000,
        };
        let each = [0, 1, 500, 1_000, 2_000, 9_999].map(|sweeps| limit.of_each(sweeps));
        assert_eq!(each, [4_000, 4_000, 4_000, 2_000, 1_000, 1_000]);
    }
}
