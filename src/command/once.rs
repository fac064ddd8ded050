//! `once`: polls every target once and prints the exposition.

use std::io::{self, Write};

use crate::clock;
use crate::config::{Config, Target};
use crate::discovery::{CurrentTargets, WatchedTarget, targets_now};
use crate::encode::{SharedLabels, encode};
use crate::failure::{Failure, Reason};
use crate::metric::Snapshot;
use crate::outcome::{self, PollTiming};
use crate::poll;
use crate::telemetry::Telemetry;

/// Polls all targets once, concurrently, and writes one page. Returns whether all of them are up.
///
/// # Errors
///
/// Returns an error if the page cannot be written.
pub async fn run(config: &Config, telemetry: &Telemetry, out: &mut impl Write) -> io::Result<bool> {
    let CurrentTargets {
        watched: targets,
        problems,
        refused,
    } = targets_now(config).await;
    let mut all_up = problems.is_empty();
    for (source, problem) in problems {
        tracing::error!(source, %problem, "a source of targets failed");
    }
    for (source, refused) in refused {
        let entries: Vec<_> = refused.texts().collect();
        let refused_entries = entries.join(", ");
        tracing::warn!(
            source,
            refused_entries,
            "not all servers of a source are targets"
        );
    }
    let polls: Vec<_> = targets
        .iter()
        .map(|watched| {
            let (target, telemetry) = (watched.target.clone(), telemetry.clone());
            tokio::spawn(async move { poll::once(&target, &telemetry).await })
        })
        .collect();
    let mut snapshots: Vec<(SharedLabels<'_>, Snapshot)> = Vec::new();
    for (watched, poll) in targets.iter().zip(polls) {
        let WatchedTarget {
            target, attributes, ..
        } = watched;
        let panicked = |error| Err(Failure::new(Reason::Other, error));
        let result = poll.await.unwrap_or_else(panicked);
        let snapshot = result.unwrap_or_else(|failure| {
            all_up = false;
            report(target, &failure)
        });
        let labels = SharedLabels {
            target: Some(&target.name),
            text: attributes.label_text(),
        };
        snapshots.push((labels, snapshot));
    }
    let labeled: Vec<_> = snapshots
        .iter()
        .map(|(labels, snapshot)| (*labels, snapshot))
        .collect();
    out.write_all(&encode(&labeled, &config.names))?;
    out.flush()?;
    Ok(all_up)
}

fn report(target: &Target, failure: &Failure) -> Snapshot {
    let name = &target.name;
    tracing::error!(name, %failure, "the poll failed");
    let times = PollTiming {
        duration: std::time::Duration::ZERO,
        ended_at: clock::now(),
        interval: target.poll.interval,
    };
    outcome::failed(failure.reason, None, times)
}
