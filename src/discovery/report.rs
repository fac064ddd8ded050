//! Reports what became of reading a source: lists, metrics, and one log line for each change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;
use tracing::{info, warn};

use super::changes::ListChanges;
use super::{Listing, SourceError, SourceTally};
use crate::clock;
use crate::number::length;
use crate::telemetry::{Counter, Gauge, Telemetry};

const SUCCESS: Gauge<1> = Gauge::named("redis_exporter_discovery_success");
const SUCCESS_AT: Gauge<1> =
    Gauge::named("redis_exporter_discovery_last_success_timestamp_seconds");
const TARGETS: Gauge<2> = Gauge::named("redis_exporter_discovery_targets");
const CHANGES: Counter<2> = Counter::named("redis_exporter_discovery_changes_total");

/// Reports the results of one source.
#[derive(Debug)]
pub struct Reporter {
    source: String,
    lists: mpsc::Sender<Listing>,
    telemetry: Telemetry,
    /// The last list that was sent.
    last: Option<Listing>,
    /// The text of the last error that was logged, if the source fails now.
    problem: Option<String>,
    /// Set by the first failure. The first list sets it when it is applied.
    is_read: Arc<AtomicBool>,
}

impl Reporter {
    /// Returns the reporter of a source that was not read yet, which counts as failing.
    pub(super) fn new(source: &str, lists: mpsc::Sender<Listing>, telemetry: Telemetry) -> Self {
        telemetry.set(SUCCESS, [source], 0.0);
        for (change, _) in ListChanges::default().counts() {
            telemetry.add(CHANGES, [source, change], 0);
        }
        Self {
            source: source.to_owned(),
            lists,
            telemetry,
            last: None,
            problem: None,
            is_read: Arc::default(),
        }
    }

    /// Sets a mark at the first failure.
    pub(super) fn marking(self, is_read: Arc<AtomicBool>) -> Self {
        Self { is_read, ..self }
    }

    /// Sends a complete list if it differs from the one before.
    pub async fn list(&mut self, listing: Listing) {
        self.succeed();
        self.send(listing).await;
    }

    /// Records a failure. The last list stays in effect, if there is one. Logs each new error once.
    pub fn fail(&mut self, error: &SourceError) {
        self.telemetry.set(SUCCESS, [&self.source], 0.0);
        let problem = error.to_string();
        if self.problem.as_ref() != Some(&problem) {
            let source = &self.source;
            if self.last.is_some() {
                let text = "a source of targets failed; its last list stays in effect";
                warn!(source, problem, "{text}");
            } else {
                let text = "a source of targets failed; no list was read from it yet";
                warn!(source, problem, "{text}");
            }
            self.problem = Some(problem);
        }
        if self.last.is_none() {
            self.is_read.store(true, Ordering::Release);
        }
    }

    /// Records a failure of a part of the source, and sends the complete list with the last good
    /// state of that part.
    pub async fn list_in_part(&mut self, listing: Listing, error: &SourceError) {
        self.send(listing).await;
        self.fail(error);
    }

    fn succeed(&mut self) {
        self.telemetry.set(SUCCESS, [&self.source], 1.0);
        let now = clock::now().floor();
        self.telemetry.set(SUCCESS_AT, [&self.source], now);
        if self.problem.take().is_some() {
            let source = &self.source;
            info!(source, "the source of targets works again");
        }
    }

    fn count_changes(&self, now: &Listing) {
        let Some(before) = &self.last else { return };
        for (change, count) in ListChanges::between(before, now).counts() {
            let labels = [self.source.as_str(), change];
            self.telemetry.add(CHANGES, labels, count);
        }
    }

    async fn send(&mut self, listing: Listing) {
        if self.last.as_ref() == Some(&listing) {
            return;
        }
        // Without a receiver, the exporter is stopping.
        if self.lists.send(listing.clone()).await.is_ok() {
            self.count_changes(&listing);
            self.last = Some(listing);
        }
    }
}

/// Shows what became of the servers of a source. Logs a warning if other servers than before are
/// left out.
pub fn show(
    telemetry: &Telemetry,
    source: &str,
    tally: &SourceTally,
    before: Option<&SourceTally>,
) {
    for (state, count) in tally.states() {
        telemetry.set(TARGETS, [source, state], length(count));
    }
    let SourceTally {
        duplicate,
        over_limit,
        ..
    } = *tally;
    let is_same = |before: &SourceTally| {
        before.left_out() == tally.left_out() && before.refused == tally.refused
    };
    if tally.left_out() > 0 && !before.is_some_and(is_same) {
        let refused = tally.refused.count();
        let entries: Vec<_> = tally.refused.texts().collect();
        let refused_entries = entries.join(", ");
        warn!(
            source,
            refused,
            duplicate,
            over_limit,
            refused_entries,
            "not all servers of a source are targets"
        );
    }
}

/// Removes the metrics of a source that ended.
pub fn forget(telemetry: &Telemetry, source: &str) {
    telemetry.unset(SUCCESS, [source]);
    telemetry.unset(SUCCESS_AT, [source]);
    for (change, _) in ListChanges::default().counts() {
        telemetry.forget(CHANGES, [source, change]);
    }
    for (state, _) in SourceTally::default().states() {
        telemetry.unset(TARGETS, [source, state]);
    }
}
