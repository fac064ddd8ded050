//! `once`: polls every target once and prints the exposition.

use std::io::{self, Write};

use crate::clock;
use crate::config::{Config, Target};
use crate::encode::encode;
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
    let polls: Vec<_> = config
        .targets
        .iter()
        .map(|target| {
            let (target, telemetry) = (target.clone(), telemetry.clone());
            tokio::spawn(async move { poll::once(&target, &telemetry).await })
        })
        .collect();
    let mut snapshots: Vec<(&str, Snapshot)> = Vec::new();
    let mut all_up = true;
    for (target, poll) in config.targets.iter().zip(polls) {
        let panicked = |error| Err(Failure::new(Reason::Other, error));
        let result = poll.await.unwrap_or_else(panicked);
        let snapshot = result.unwrap_or_else(|failure| {
            all_up = false;
            report(target, &failure)
        });
        snapshots.push((&target.name, snapshot));
    }
    let labeled: Vec<_> = snapshots
        .iter()
        .map(|(name, snapshot)| (Some(*name), snapshot))
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
