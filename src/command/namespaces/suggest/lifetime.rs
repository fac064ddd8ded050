//! Compares the TTLs of keys with how long the keys are not used, and suggests a shorter TTL if it
//! is clearly too long.

use std::time::Duration;

use super::ttl;
use crate::keyspace::idle::LruHorizon;

/// Minimum number of sampled keys for a conclusion from idle times.
const KEYS_MIN: usize = 50;

/// Factor by which a TTL must exceed the LRU horizon.
const HORIZON_TIMES: f64 = 2.0;

/// Idle times of which a large part of the memory may be idle, in seconds, and the minimum part.
const IDLE: [f64; 4] = [86_400.0, 3_600.0, 600.0, 60.0];
const IDLE_SHARE_MIN: f64 = 0.5;

/// Factor by which a TTL must exceed such an idle time.
const IDLE_TIMES: f64 = 4.0;

/// Factor by which a TTL must exceed the longest idle time of all sampled keys, how many times longer
/// idle times must be known, and how many times longer the suggested TTL is.
const UNUSED_TIMES: f64 = 10.0;
const KNOWN_TIMES: f64 = 4.0;
const RESERVE_TIMES: f64 = 2.0;

/// Minimum idle time for a suggestion, in seconds.
const SECONDS_MIN: f64 = 60.0;

/// The idle time of a sampled key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyUse<'a> {
    /// Name of the key.
    pub name: &'a [u8],
    /// Seconds since it was last used.
    pub idle: f64,
    /// Memory in bytes, if it is known.
    pub bytes: Option<f64>,
}

/// Measurements of the use of keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeasuredUse<'a> {
    /// The sampled keys.
    pub keys: Vec<KeyUse<'a>>,
    /// Longest idle time that is known, in seconds.
    pub longest_known: f64,
    /// Idle time after which Redis evicts keys, if it is known.
    pub horizon: Option<LruHorizon>,
}

/// Why a TTL is too long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TooLong {
    /// Redis evicts keys that were not used for this many seconds.
    BeyondHorizon(f64),
    /// This share of the memory was not used for this many seconds.
    IdleMemory(f64, f64),
    /// No sampled key was unused for longer than this many seconds.
    LongerThanUse(f64),
}

/// A shorter TTL, with the reason.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShorterTtl {
    /// The suggested maximum.
    pub max: Duration,
    /// Why the present TTL is too long.
    pub reason: TooLong,
}

impl TooLong {
    /// Returns the word for machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeyondHorizon(_) => "beyond_lru_horizon",
            Self::IdleMemory(..) => "idle_memory",
            Self::LongerThanUse(_) => "longer_than_use",
        }
    }

    /// Returns the reason as a sentence, and the condition for the shorter TTL.
    pub(super) fn text(self, present: Duration) -> String {
        let present = ttl::text(present);
        match self {
            Self::BeyondHorizon(seconds) => format!(
                "Redis evicts keys that were not used for about {}, so a TTL of {present} is not kept. \
                 A TTL that it can keep:",
                approximate(seconds)
            ),
            Self::IdleMemory(share, seconds) => format!(
                "{:.0}% of the memory was not used for {}, but TTLs reach {present}. If keys that were \
                 not used for so long are not needed:",
                share * 100.0,
                approximate(seconds)
            ),
            Self::LongerThanUse(seconds) => format!(
                "No sampled key was unused for longer than {}, but TTLs reach {present}. If each use \
                 renews the TTL, this is enough:",
                approximate(seconds)
            ),
        }
    }
}

impl MeasuredUse<'_> {
    /// Returns a shorter TTL than `present` for a namespace with these sampled keys; `None` if the
    /// present one is not clearly too long.
    pub(super) fn shorter_than(
        &self,
        present: Duration,
        keys: &[KeyUse<'_>],
    ) -> Option<ShorterTtl> {
        let seconds = present.as_secs_f64();
        let shorter = self
            .within_horizon(seconds)
            .or_else(|| self.without_idle(seconds, keys))
            .or_else(|| self.within_use(seconds, keys));
        shorter.filter(|shorter| shorter.max < present)
    }

    fn within_horizon(&self, present: f64) -> Option<ShorterTtl> {
        let horizon = self.horizon?;
        if present < HORIZON_TIMES * (horizon.seconds + horizon.error) {
            return None;
        }
        let kept = (horizon.seconds - horizon.error).max(0.0);
        Some(ShorterTtl {
            max: ttl::round_down(Duration::try_from_secs_f64(kept).ok()?)?,
            reason: TooLong::BeyondHorizon(horizon.seconds),
        })
    }

    fn without_idle(&self, present: f64, keys: &[KeyUse<'_>]) -> Option<ShorterTtl> {
        let measured = keys.iter().filter_map(|key| Some((key.idle, key.bytes?)));
        let measured: Vec<(f64, f64)> = measured.collect();
        if measured.len() < KEYS_MIN {
            return None;
        }
        let all: f64 = measured.iter().map(|(_, bytes)| bytes).sum();
        let share = |least: f64| {
            let idle = measured.iter().filter(|(idle, _)| *idle >= least);
            idle.map(|(_, bytes)| bytes).sum::<f64>() / all.max(1.0)
        };
        let is_clear = |least: &f64| {
            *least <= self.longest_known
                && IDLE_TIMES * least <= present
                && share(*least) >= IDLE_SHARE_MIN
        };
        let least = IDLE.into_iter().find(is_clear)?;
        Some(ShorterTtl {
            max: Duration::try_from_secs_f64(least).ok()?,
            reason: TooLong::IdleMemory(share(least), least),
        })
    }

    fn within_use(&self, present: f64, keys: &[KeyUse<'_>]) -> Option<ShorterTtl> {
        let longest = keys.iter().map(|key| key.idle).fold(SECONDS_MIN, f64::max);
        let is_clear = keys.len() >= KEYS_MIN
            && present >= UNUSED_TIMES * longest
            && self.longest_known >= KNOWN_TIMES * longest;
        if !is_clear {
            return None;
        }
        let enough = Duration::try_from_secs_f64(longest * RESERVE_TIMES).ok()?;
        Some(ShorterTtl {
            max: ttl::round_up(enough)?,
            reason: TooLong::LongerThanUse(longest),
        })
    }
}

/// Formats a time in its largest unit, rounded.
fn approximate(seconds: f64) -> String {
    let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "m")];
    let unit = units.into_iter().find(|(size, _)| seconds >= *size);
    let (size, unit) = unit.unwrap_or((1.0, "s"));
    format!("{:.0}{unit}", seconds / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn used(idle: &[f64]) -> Vec<KeyUse<'static>> {
        let times = idle.iter().cycle().take(60);
        times
            .map(|idle| KeyUse {
                name: b"session:1",
                idle: *idle,
                bytes: Some(100.0),
            })
            .collect()
    }

    fn known_for(longest_known: f64) -> MeasuredUse<'static> {
        MeasuredUse {
            longest_known,
            ..MeasuredUse::default()
        }
    }

    fn horizon(seconds: f64, error: f64) -> MeasuredUse<'static> {
        MeasuredUse {
            horizon: Some(LruHorizon { seconds, error }),
            ..known_for(1e6)
        }
    }

    fn max(measured: &MeasuredUse<'_>, present: Duration, idle: &[f64]) -> Option<u64> {
        let shorter = measured.shorter_than(present, &used(idle))?;
        Some(shorter.max.as_secs())
    }

    #[test]
    fn ttl_beyond_the_horizon_is_shortened_to_it() {
        let measured = horizon(1_320.0, 60.0);
        assert_eq!(max(&measured, DAY, &[]), Some(1_200));
        // Within the error of the horizon, or hardly longer than it.
        assert_eq!(max(&measured, Duration::from_secs(40 * 60), &[]), None);
        assert_eq!(max(&horizon(1_320.0, 90_000.0), DAY, &[]), None);
        let reason = measured.shorter_than(DAY, &[]).unwrap().reason;
        assert!(reason.text(DAY).contains("22m, so a TTL of 1d is not kept"));
    }

    #[test]
    fn mostly_idle_memory_suggests_its_idle_time() {
        let half = [5.0, 4_000.0, 7_000.0, 10.0];
        assert_eq!(max(&known_for(1e6), DAY, &half), Some(3_600));
        assert_eq!(
            max(&known_for(1e6), Duration::from_secs(2 * 60 * 60), &half),
            Some(600)
        );
        // The server has not run for an hour.
        assert_eq!(max(&known_for(3_000.0), DAY, &half), Some(600));
        assert_eq!(
            max(&known_for(1e6), DAY, &[5.0, 10.0, 4_000.0, 30_000.0, 8.0]),
            None
        );
        let shorter = known_for(1e6).shorter_than(DAY, &used(&half)).unwrap();
        let text = shorter.reason.text(DAY);
        assert!(
            text.starts_with("50% of the memory was not used for 1h, but TTLs reach 1d."),
            "{text}"
        );
    }

    #[test]
    fn ttl_far_longer_than_any_idle_time_is_shortened() {
        let idle = [5.0, 30.0, 280.0];
        assert_eq!(max(&known_for(1e6), DAY, &idle), Some(600));
        assert_eq!(
            max(&known_for(1e6), Duration::from_secs(30 * 60), &idle),
            None
        );
        // Longer idle times cannot be known yet.
        assert_eq!(max(&known_for(600.0), DAY, &idle), None);
    }

    #[test]
    fn few_samples_and_unknown_use_suggest_nothing() {
        let few = used(&[4_000.0]);
        assert_eq!(known_for(1e6).shorter_than(DAY, &few[..49]), None);
        assert_eq!(max(&MeasuredUse::default(), DAY, &[4_000.0]), None);
        assert_eq!(max(&known_for(1e6), DAY, &[]), None);
    }
}
