//! Chooses the keys of a single pass whose TTL and type are queried. Pure.
//!
//! The server counts PTTL and TYPE as lookups of keys. An exporter that runs at the same time does
//! not know of them, so its hit ratio attributes them to an application.

/// Maximum number of lookups if none is given.
const DEFAULT_MOST: u32 = 1_000;

/// Number of lookups that is always allowed if none is given.
const DEFAULT_LEAST: u32 = 100;

/// Seconds over which people usually evaluate a hit ratio.
const RATIO_SECONDS: f64 = 300.0;

/// Maximum share of the lookups of that time, including those of other clients. It is the maximum
/// error of the ratio of that time.
const RATIO_SHARE: f64 = 0.01;

/// Share of the lookups that query the type. Most namespaces have keys of one type only.
const TYPE_PART: u64 = 5;

/// Share of the lookups that query idle times, and their maximum number: more samples would hardly
/// improve the estimates.
const IDLE_PART: u64 = 4;
const IDLE_MOST: u64 = 1_000;

/// How many lookups of keys a single pass may cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LookupBudget {
    /// As many as the traffic of other clients allows.
    #[default]
    Default,
    /// At most this many.
    AtMost(u64),
    /// Two for each key, and those of the idle times.
    All,
}

/// Returns the default number of lookups, from the lookups of other clients per second.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is within the limits"
)]
pub fn default_lookups(others_per_second: f64) -> u64 {
    if others_per_second <= 0.0 {
        // There is no ratio to distort.
        return DEFAULT_MOST.into();
    }
    let allowed = others_per_second * RATIO_SECONDS * RATIO_SHARE;
    allowed.clamp(DEFAULT_LEAST.into(), DEFAULT_MOST.into()) as u64
}

/// Returns how many of the lookups query idle times.
#[must_use]
pub const fn idle_lookups(lookups: u64) -> u64 {
    let part = lookups / IDLE_PART;
    if part < IDLE_MOST { part } else { IDLE_MOST }
}

/// Returns whether `keys` keys need no more lookups than are always allowed.
#[must_use]
pub const fn is_small(keys: u64) -> bool {
    keys.saturating_mul(2) <= DEFAULT_LEAST as u64
}

/// A uniform sample of the keys of a pass, drawn during the pass.
#[derive(Clone, Copy, Debug)]
pub struct KeySample {
    /// Expected number of remaining keys.
    keys: u64,
    expiry: u64,
    data_type: u64,
}

impl KeySample {
    /// Returns a sample that causes at most this many lookups.
    #[must_use]
    pub const fn new(lookups: u64) -> Self {
        Self {
            keys: 0,
            expiry: lookups,
            data_type: 0,
        }
    }

    /// Divides the lookups that are left among the keys of a pass: all keys get both queries if
    /// possible; otherwise, most of the lookups query TTLs.
    pub fn start(&mut self, keys: u64) {
        let lookups = self.expiry.saturating_add(self.data_type);
        let left_over = lookups.saturating_sub(keys);
        let types = (lookups / TYPE_PART).max(left_over).min(lookups / 2);
        *self = Self {
            keys,
            expiry: lookups - types,
            data_type: types,
        };
    }

    /// Returns whether to query the TTL and the type of the next key. `below` returns a random
    /// number below its argument.
    pub fn next(&mut self, mut below: impl FnMut(u64) -> u64) -> (bool, bool) {
        // SCAN can return more keys than there were at the start.
        let keys = self.keys.max(1);
        self.keys = keys - 1;
        let mut take = |left: &mut u64| {
            let is_chosen = below(keys) < *left;
            *left -= u64::from(is_chosen);
            is_chosen
        };
        (take(&mut self.expiry), take(&mut self.data_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the numbers of the keys whose TTL and type are queried.
    fn chosen(lookups: u64, expected: u64, keys: u64) -> (Vec<u64>, Vec<u64>) {
        let mut random = fastrand::Rng::with_seed(7);
        let mut sample = KeySample::new(lookups);
        sample.start(expected);
        let (mut ttls, mut types) = (Vec::new(), Vec::new());
        for key in 0..keys {
            let (expiry, data_type) = sample.next(|below| random.u64(..below));
            ttls.extend(expiry.then_some(key));
            types.extend(data_type.then_some(key));
        }
        (ttls, types)
    }

    #[test]
    fn five_minute_hit_ratio_error_is_at_most_one_point() {
        for (per_second, expected) in [
            (0.0, 1_000),
            (1.0, 100),
            (40.0, 120),
            (200.0, 600),
            (50_000.0, 1_000),
        ] {
            assert_eq!(default_lookups(per_second), expected, "{per_second}/s");
        }
    }

    #[test]
    fn idle_times_take_a_quarter_up_to_a_limit() {
        let shares = [0, 50, 1_000, 10_000, u64::MAX].map(idle_lookups);
        assert_eq!(shares, [0, 12, 250, 1_000, 1_000]);
    }

    #[test]
    fn limit_is_used_up_but_not_exceeded() {
        let (ttls, types) = chosen(1_000, 20_000, 20_000);
        assert_eq!((ttls.len(), types.len()), (800, 200));
        let (ttls, types) = chosen(1_000, 600, 600);
        assert_eq!((ttls.len(), types.len()), (600, 400));
        // The number of keys grew.
        let (ttls, types) = chosen(1_000, 600, 9_000);
        assert_eq!((ttls.len(), types.len()), (600, 400));
        let (ttls, types) = chosen(0, 600, 600);
        assert_eq!((ttls.len(), types.len()), (0, 0));
    }

    #[test]
    fn a_small_keyspace_is_queried_completely() {
        for (lookups, keys) in [(1_000, 500), (1_000, 10), (u64::MAX, 20_000)] {
            let (ttls, types) = chosen(lookups, keys, keys);
            let all = usize::try_from(keys).unwrap();
            assert_eq!((ttls.len(), types.len()), (all, all), "{lookups}");
        }
        let (ttls, types) = chosen(u64::MAX, 100, 200);
        assert_eq!((ttls.len(), types.len()), (200, 200));
    }

    #[test]
    fn each_key_has_the_same_chance() {
        let (ttls, _) = chosen(10_000, 100_000, 100_000);
        for tenth in 0..10_u64 {
            let range = tenth * 10_000..(tenth + 1) * 10_000;
            let found = ttls.iter().filter(|key| range.contains(key)).count();
            assert!((700..900).contains(&found), "{tenth}: {found}");
        }
    }

    #[test]
    fn restarted_pass_uses_the_remaining_lookups() {
        let mut sample = KeySample::new(100);
        let mut queried = 0;
        for _ in 0..3 {
            sample.start(1_000);
            for _ in 0..500 {
                let (expiry, data_type) = sample.next(|below| fastrand::u64(..below));
                queried += u64::from(expiry) + u64::from(data_type);
            }
        }
        assert!(queried <= 100, "{queried}");
    }
}
