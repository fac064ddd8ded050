//! Another client of the same server that measures its latency.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::server::Server;

const PAUSE: Duration = Duration::from_millis(1);

/// Round trips of its PINGs, in microseconds.
#[derive(Clone, Debug, Default)]
pub struct Pings(Vec<f64>);

impl Pings {
    /// Adds other measurements.
    pub fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Returns a quantile.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a place in a short list"
        )]
        let place = (sorted.len().saturating_sub(1) as f64 * share) as usize;
        sorted.get(place).copied().unwrap_or(f64::NAN)
    }

    /// Returns p50, p99 and maximum, for a table.
    pub fn describe(&self) -> String {
        format!(
            "p50 {:.0}, p99 {:.0}, worst {:.0} µs",
            self.quantile(0.5),
            self.quantile(0.99),
            self.quantile(1.0)
        )
    }
}

/// Sends PINGs during some work.
pub fn during<T>(server: &Server, work: impl FnOnce() -> Outcome<T>) -> Outcome<(T, Pings)> {
    let mut wire = server.connect()?;
    let done = AtomicBool::new(false);
    let mut pings = Vec::new();
    let result = scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let started = Instant::now();
                if wire.ask(&["PING"]).is_err() {
                    return;
                }
                pings.push(started.elapsed().as_secs_f64() * 1e6);
                sleep(PAUSE);
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    });
    Ok((result?, Pings(pings)))
}
