//! The polls and the sweep themselves. Pure.

use super::super::facts::Seen;
use super::super::rejected::of_sweep;
use super::{Condition, NONE, info, limits, warning};
use crate::quantity::{counted, duration, percent};

pub(super) const CONDITIONS: &[Condition] = &[
    warning(
        "RedisExporterPollStale",
        limits([120.0, 3.0]),
        |seen, [grace, intervals, ..]| {
            let snapshot = &seen.poll?.snapshot;
            let interval = snapshot.number("redis_exporter_poll_interval_seconds")?;
            let age = seen.now - seen.polled_at()?;
            let text = duration(age);
            (age > grace + intervals * interval).then(|| format!("The last poll ended {text} ago."))
        },
    ),
    warning(
        "RedisExporterScrapeSlow",
        limits([1.0]),
        |seen, [longest, ..]| {
            let took = seen.number("redis_exporter_last_scrape_duration_seconds")?;
            let text = duration(took);
            (took > longest).then(|| format!("A poll takes {text}; a few milliseconds are normal."))
        },
    ),
    warning(
        "RedisExporterKeyScanStale",
        limits([600.0, 3.0, 3_600.0]),
        |seen, [grace, times, window, _]| {
            let ended = seen.swept("redis_exporter_sweep_last_pass_timestamp_seconds")?;
            let took = seen.swept("redis_exporter_sweep_pass_duration_seconds")?;
            let interval = seen.swept("redis_exporter_sweep_min_pass_interval_seconds")?;
            let age = seen.now - ended;
            let text = duration(age);
            let is_overdue = age > grace + times * interval && age > times * took;
            // After an outage, a pass needs its time.
            let was_up = !seen.history.failed_within(window, seen.now);
            (is_overdue && was_up)
                .then(|| format!("The last complete pass over the keys ended {text} ago."))
        },
    ),
    warning("RedisExporterSweepFailing", NONE, |seen, _| {
        // After an outage, the sweep works again with its next attempt.
        let was_up = !seen.history.failed_within(RETRY_MAX, seen.now);
        let is_meant = is_failing(seen) && was_up && !is_only_denied(seen);
        is_meant.then(|| "The key scan fails and is retried. The log has the reason.".to_owned())
    }),
    info("RedisExporterSweepFailing", NONE, |seen, _| {
        let is_denied = is_failing(seen) && is_only_denied(seen);
        is_denied.then(|| "The exporter may not scan keys: grant the user +scan.".to_owned())
    }),
    info("RedisExporterCollectorRefused", NONE, |seen, _| {
        let mut names: Vec<String> = seen.poll?.refused.iter().map(ToString::to_string).collect();
        let of_sweep: Vec<&str> = of_sweep(seen).map(|[command, _]| command).collect();
        if !of_sweep.is_empty() {
            names.push(format!("key scans ({})", of_sweep.join(", ")));
        }
        let text = format!("The server rejects queries of: {}.", names.join(", "));
        (!names.is_empty()).then_some(text)
    }),
    warning("RedisExporterCardinalityLimited", NONE, |seen, _| {
        let dropped = seen.number("redis_exporter_dropped_samples")?;
        let text = counted(dropped, "sample too many was", "samples too many were");
        (dropped > 0.0).then(|| format!("{text} dropped."))
    }),
    info(
        "RedisExporterNamespacesFolded",
        limits([0.10]),
        |seen, [share_max, ..]| {
            let databases = seen.swept_samples("redis_key_namespace_folded_keys");
            let shares = databases.filter_map(|folded| {
                let db = folded.label("db")?;
                let keys = seen.swept_samples("redis_key_namespace_keys");
                let keys = keys.filter(|keys| keys.label("db") == Some(db));
                let all: f64 = keys.filter_map(|keys| keys.number()).sum();
                Some((db, folded.number()? / all.max(1.0)))
            });
            let (db, share) = shares.max_by(|one, other| one.1.total_cmp(&other.1))?;
            let text = percent(share);
            (share > share_max)
                .then(|| format!("{text} of the keys of {db} are in no exported namespace."))
        },
    ),
];

/// Seconds after a failed poll within which the sweep tries again at the latest, with a margin for the
/// attempt.
const RETRY_MAX: f64 = 75.0;

fn is_failing(seen: &Seen<'_>) -> bool {
    seen.swept("redis_exporter_sweep_success") == Some(0.0)
}

/// Returns whether the sweep runs by default and the server rejects SCAN.
fn is_only_denied(seen: &Seen<'_>) -> bool {
    let mut queries = seen.swept_samples("redis_exporter_sweep_question_success");
    let scan = queries.find(|sample| sample.label("question") == Some("scan"));
    let is_rejected = scan.is_some_and(|scan| scan.number() == Some(0.0));
    is_rejected && seen.swept("redis_exporter_sweep_declared") == Some(0.0)
}
