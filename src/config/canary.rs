//! Settings of the pub/sub canary.

use std::time::Duration;

use super::draft::Draft;
use super::problem::Invalid;
use super::unit;

/// Limits of the time between two messages. With a longer one, the alert would judge single messages.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Settings of the messages that the exporter sends to itself through a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Whether to send them.
    pub enabled: bool,
    /// Time between two messages.
    pub interval: Duration,
}

impl Default for Canary {
    fn default() -> Self {
        Draft::new().each.canary
    }
}

impl Canary {
    /// The value before rows set defaults and settings.
    pub(crate) const BLANK: Self = Self {
        enabled: false,
        interval: Duration::ZERO,
    };
}

/// Parses the time between two messages.
pub(crate) fn interval(text: &str) -> Result<Duration, Invalid> {
    let interval = unit::duration(text)?;
    if interval < SHORTEST {
        return Err(Invalid::new("is too short", "write 1s or more"));
    }
    if interval > LONGEST {
        return Err(Invalid::new("is too long", "write at most 1m"));
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_is_limited() {
        for (text, is_valid) in [
            ("1s", true),
            ("1m", true),
            ("999ms", false),
            ("61s", false),
            ("5", false),
        ] {
            assert_eq!(interval(text).is_ok(), is_valid, "{text}");
        }
    }

    #[test]
    fn canary_is_off_by_default() {
        let canary = Canary::default();
        assert_eq!((canary.enabled, canary.interval.as_secs()), (false, 5));
    }
}
