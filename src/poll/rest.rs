//! Suspends scripts that broke the connection or took too long. Independent of their contents.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::query::Ticket;

/// Number of polls for which a script is first suspended. Otherwise a script that exceeds the poll
/// timeout would block the server again and again.
const FIRST_POLLS: u32 = 10;

/// Maximum suspension.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The suspended scripts. A script that fails again is suspended for twice as long; a reply removes
/// it.
#[derive(Debug, Default)]
pub struct Rests(HashMap<Ticket, Rest>);

#[derive(Debug)]
struct Rest {
    until: Instant,
    length: Duration,
}

impl Rests {
    /// Returns the scripts that are suspended at this time.
    pub fn resting(&self, now: Instant) -> Vec<Ticket> {
        let resting = self.0.iter().filter(|(_, rest)| now < rest.until);
        resting.map(|(script, _)| *script).collect()
    }

    /// Suspends a failed script on a target with this poll interval.
    pub fn begin(&mut self, script: Ticket, interval: Duration, now: Instant) {
        let known = self
            .0
            .get(&script)
            .map(|rest| rest.length.saturating_mul(2));
        let length = known.unwrap_or_else(|| interval.saturating_mul(FIRST_POLLS));
        let length = length.min(LONGEST);
        let until = now + length;
        self.0.insert(script, Rest { until, length });
    }

    /// Removes scripts that have replied.
    pub fn end(&mut self, replied: impl Fn(Ticket) -> bool) {
        self.0.retain(|script, _| !replied(*script));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;

    const INTERVAL: Duration = Duration::from_secs(15);

    static EVAL: Query = Query::new(&[&["EVAL"]], "+eval");

    const fn script(at: usize) -> Ticket {
        EVAL.ticket(at)
    }

    #[test]
    fn repeated_failure_doubles_the_suspension() {
        let now = Instant::now();
        let mut rests = Rests::default();
        rests.begin(script(0), INTERVAL, now);
        assert_eq!(rests.resting(now + INTERVAL * 9), [script(0)]);
        let later = now + INTERVAL * 11;
        assert!(rests.resting(later).is_empty());
        rests.begin(script(0), INTERVAL, later);
        assert_eq!(rests.resting(later + INTERVAL * 19), [script(0)]);
        assert!(rests.resting(later + INTERVAL * 21).is_empty());
    }

    #[test]
    fn script_with_a_reply_is_removed() {
        let now = Instant::now();
        let mut rests = Rests::default();
        rests.begin(script(0), INTERVAL, now);
        rests.begin(script(1), INTERVAL, now);
        rests.end(|replied| replied == script(0));
        assert_eq!(rests.resting(now), [script(1)]);
    }

    #[test]
    fn suspension_lasts_at_most_a_day() {
        let now = Instant::now();
        let mut rests = Rests::default();
        for _ in 0..40 {
            rests.begin(script(0), INTERVAL, now);
        }
        assert!(rests.resting(now + LONGEST).is_empty());
    }
}
