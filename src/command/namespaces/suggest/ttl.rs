//! Derives a policy from the TTLs of sampled keys. It does not check the policy.

use std::time::Duration;

/// Minimum number of known TTLs for a conclusion.
const FEWEST_KEYS: usize = 30;

/// TTLs that differ by this factor have different causes. The remainders of one original TTL differ
/// by less over that many keys.
const CLEARLY_LONGER: u32 = 4;

/// Keys without a TTL are a leak, not a rule, if they are at most one in this many.
const LEAK_PART: usize = 5;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Durations that people choose, in seconds.
const USUAL: [u64; 28] = [
    1,
    2,
    5,
    10,
    15,
    30,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    20 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    3 * DAY,
    7 * DAY,
    14 * DAY,
    30 * DAY,
    60 * DAY,
    90 * DAY,
    180 * DAY,
    365 * DAY,
];

/// The observed time to live of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObservedTtl {
    /// It was not queried, or the key no longer existed.
    Unknown,
    /// The key never expires.
    Never,
    /// The remaining time.
    Remaining(Duration),
}

/// Returns whether enough TTLs are known, and all of these keys expire.
pub(super) fn all_expire(keys: &[ObservedTtl]) -> bool {
    known(keys) >= FEWEST_KEYS && !keys.contains(&ObservedTtl::Never)
}

/// Returns whether enough TTLs are known, and most but not all of these keys expire.
pub(super) fn leaks(keys: &[ObservedTtl]) -> bool {
    let known = known(keys);
    let never = keys.iter().filter(|ttl| **ttl == ObservedTtl::Never);
    let never = never.count();
    known >= FEWEST_KEYS && never > 0 && never * LEAK_PART <= known
}

/// Returns how many TTLs are known.
pub(super) fn known(keys: &[ObservedTtl]) -> usize {
    keys.iter()
        .filter(|ttl| **ttl != ObservedTtl::Unknown)
        .count()
}

/// Returns the longest remaining TTL, or zero without TTLs.
pub(super) fn longest(keys: &[ObservedTtl]) -> Duration {
    let remaining = keys.iter().filter_map(|ttl| match ttl {
        ObservedTtl::Remaining(remaining) => Some(*remaining),
        ObservedTtl::Unknown | ObservedTtl::Never => None,
    });
    remaining.max().unwrap_or_default()
}

/// Returns the next duration that people choose; `None` above a year.
pub(super) fn round_up(ttl: Duration) -> Option<Duration> {
    let usual = USUAL.iter().map(|seconds| Duration::from_secs(*seconds));
    usual.into_iter().find(|usual| *usual >= ttl)
}

/// Returns the previous duration that people choose; `None` below a second.
pub(super) fn round_down(ttl: Duration) -> Option<Duration> {
    let mut usual = USUAL.iter().map(|seconds| Duration::from_secs(*seconds));
    usual.rfind(|usual| *usual <= ttl)
}

/// Returns whether two sets of keys clearly follow different rules.
pub(super) fn differ(left: &[ObservedTtl], right: &[ObservedTtl]) -> bool {
    if known(left) < FEWEST_KEYS || known(right) < FEWEST_KEYS {
        return false;
    }
    let (short, long) = (longest(left), longest(right));
    let (short, long) = (short.min(long), short.max(long));
    all_expire(left) != all_expire(right) || short.saturating_mul(CLEARLY_LONGER) < long
}

/// Formats a duration in the largest unit that divides it, in the syntax of the configuration.
pub(super) fn text(ttl: Duration) -> String {
    let seconds = ttl.as_secs();
    let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "m")];
    let unit = units.iter().find(|(size, _)| seconds.is_multiple_of(*size));
    let (size, unit) = unit.copied().unwrap_or((1, "s"));
    format!("{}{unit}", seconds / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn keys(count: usize, ttl: u64) -> Vec<ObservedTtl> {
        vec![ObservedTtl::Remaining(seconds(ttl)); count]
    }

    #[test]
    fn one_key_without_ttl_rules_out_a_policy() {
        let mut all = keys(40, 10);
        assert!(all_expire(&all));
        all.push(ObservedTtl::Unknown);
        assert!(all_expire(&all));
        all.push(ObservedTtl::Never);
        assert!(!all_expire(&all));
        assert!(!all_expire(&keys(FEWEST_KEYS - 1, 10)));
    }

    #[test]
    fn few_keys_without_a_ttl_among_many_are_a_leak() {
        let with = |never: usize| [keys(40, 10), vec![ObservedTtl::Never; never]].concat();
        assert!(!leaks(&with(0)));
        assert!(leaks(&with(1)) && leaks(&with(10)));
        assert!(!leaks(&with(11)));
        assert!(!leaks(&[keys(20, 10), vec![ObservedTtl::Never]].concat()));
    }

    #[test]
    fn remaining_ttl_is_rounded_up_to_a_usual_duration() {
        assert_eq!(
            round_up(Duration::from_millis(3_599_900)),
            Some(seconds(HOUR))
        );
        assert_eq!(round_up(seconds(HOUR)), Some(seconds(HOUR)));
        assert_eq!(round_up(seconds(HOUR + 1)), Some(seconds(2 * HOUR)));
        assert_eq!(round_up(Duration::ZERO), Some(seconds(1)));
        assert_eq!(round_up(seconds(366 * DAY)), None);
        assert_eq!(round_down(seconds(HOUR + 1)), Some(seconds(HOUR)));
        assert_eq!(round_down(Duration::from_millis(900)), None);
        assert!(USUAL.is_sorted());
    }

    #[test]
    fn only_clear_differences_count() {
        assert!(differ(&keys(40, 60), &keys(40, 3600)));
        assert!(differ(&keys(40, 3600), &[ObservedTtl::Never; 40]));
        assert!(!differ(&keys(40, 1800), &keys(40, 3600)));
        assert!(!differ(&keys(40, 60), &keys(5, 3600)));
    }

    #[test]
    fn a_duration_is_written_in_one_unit() {
        let texts = [1, 90, 60, HOUR, 36 * HOUR, DAY, 365 * DAY].map(|ttl| text(seconds(ttl)));
        assert_eq!(texts, ["1s", "90s", "1m", "1h", "36h", "1d", "365d"]);
    }
}
