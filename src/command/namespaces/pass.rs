//! Runs a pass of the sweep, until it is complete, a signal arrives, or its time is over.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::PassError;
use super::named::{KeptNames, PassedKey};
use super::progress::ProgressLine;
use super::report::{Ended, PassEnd, Queried};
use super::sample::NamedSample;
use crate::config::Target;
use crate::keyspace::single_pass::LookupBudget;
use crate::keyspace::sweep::census::Census;
use crate::keyspace::sweep::{Event, once};

/// The signals that end a pass.
pub(super) struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl EndSignals {
    pub(super) fn new() -> Result<Self, PassError> {
        let of = |kind| signal(kind).map_err(PassError::Signals);
        Ok(Self {
            interrupt: of(SignalKind::interrupt())?,
            terminate: of(SignalKind::terminate())?,
        })
    }

    /// Waits for a signal.
    pub(super) async fn arrive(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The limits of a pass.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PassLimits {
    /// How many lookups it may cause.
    pub(super) lookups: LookupBudget,
    /// Its maximum duration.
    pub(super) time: Option<Duration>,
}

/// The names of keys to keep.
#[derive(Debug, Default)]
pub(super) struct SeenNames {
    /// A sample for suggestions.
    pub(super) sample: Option<NamedSample>,
    /// The largest keys, and examples of broken policies.
    pub(super) kept: KeptNames,
}

/// Scans until the pass is complete, a signal arrives, its time is over, or the target fails.
pub(super) async fn scan(
    target: &Target,
    limits: PassLimits,
    census: &mut Census,
    names: &mut SeenNames,
    signals: &mut EndSignals,
) -> Ended {
    let started = Instant::now();
    let mut progress = ProgressLine::on_terminal();
    let (mut server, mut queried) = (None, Queried::default());
    let mut listener = |event: Event<'_>| match event {
        Event::Opened(opened) => server = Some(opened.to_string()),
        Event::Key {
            database,
            namespace,
            policy,
            name,
            found,
        } => {
            queried.count(found);
            if let Some(sample) = &mut names.sample {
                sample.see(name, found, |below| fastrand::u64(..below));
            }
            names.kept.see(PassedKey {
                database,
                namespace,
                policy,
                name,
                found,
            });
        }
        Event::Idle { keys, lookups } => {
            queried.idle += keys.len() as u64;
            queried.lookups += lookups;
            if let Some(sample) = &mut names.sample {
                sample.see_idle(keys);
            }
        }
        Event::Progress { seen, keys } => progress.show(seen, keys),
        Event::Estimate(_) => {}
    };
    let time = limits.time.unwrap_or(Duration::MAX);
    let end = tokio::select! {
        pass = Box::pin(once(target, limits.lookups, census, &mut listener)) => match pass {
            Ok(()) => PassEnd::Complete,
            Err(failure) => PassEnd::Failed(failure),
        },
        () = signals.arrive() => PassEnd::Interrupted,
        () = sleep(time) => PassEnd::Interrupted,
    };
    progress.clear();
    Ended {
        end,
        server,
        queried,
        duration: started.elapsed(),
    }
}
