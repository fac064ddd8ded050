//! Prints a status line every ten seconds.

use std::sync::Arc;
use std::time::Duration;

use redis::{Client, cmd};
use tokio::time::{Instant, sleep};

use crate::connect;
use crate::counts::Counts;
use crate::stop::Stop;

const EVERY: Duration = Duration::from_secs(10);

/// The counters at the last line, for rates and shares since then.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    operations: u64,
    cache: (u64, u64),
}

/// Prints lines until the program is stopped, and one more at the end.
pub async fn report(client: Client, counts: Arc<Counts>, stop: Stop) {
    let mut before = seen(&counts);
    while !stop.is_set() {
        tokio::select! {
            () = sleep(EVERY) => {}
            () = stop.wait() => {}
        }
        let now = seen(&counts);
        println!("{}, {}", line(before, now, &counts), keys(&client).await);
        before = now;
    }
}

fn seen(counts: &Counts) -> Seen {
    Seen {
        at: Instant::now(),
        operations: counts.operations.get(),
        cache: (counts.cache_hits.get(), counts.cache_misses.get()),
    }
}

fn line(before: Seen, now: Seen, counts: &Counts) -> String {
    format!(
        "{} operations ({:.1}/s), {} failed, api cache hit rate {}, session hit rate {}, \
         {} messages received, {} MB for pressure",
        now.operations,
        ratio(now.operations - before.operations, 1) / (now.at - before.at).as_secs_f64(),
        counts.failures.get(),
        hit_rate(now.cache.0 - before.cache.0, now.cache.1 - before.cache.1),
        hit_rate(counts.session_hits.get(), counts.session_misses.get()),
        counts.messages.get(),
        counts.pressure_bytes.get() / 1_000_000,
    )
}

fn hit_rate(hits: u64, misses: u64) -> String {
    match hits + misses {
        0 => "unknown".to_owned(),
        all => format!("{:.1} %", 100.0 * ratio(hits, all)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// Uses a new connection each time, so that a status line does not depend on that of the load.
async fn keys(client: &Client) -> String {
    let Ok(mut connection) = connect::dial(client).await else {
        return "keys unknown".to_owned();
    };
    let reply: Result<u64, _> = cmd("DBSIZE").query_async(&mut connection).await;
    reply.map_or_else(|_| "keys unknown".to_owned(), |keys| format!("{keys} keys"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hit_rate_without_lookups_is_unknown() {
        assert_eq!(hit_rate(0, 0), "unknown");
        assert_eq!(hit_rate(4, 1), "80.0 %");
    }
}
