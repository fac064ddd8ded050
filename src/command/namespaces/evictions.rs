//! Sweeps the target between the passes of `--watch`, because only a sweep that follows keys can find
//! out which namespaces lose them. It is the sweep of the exporter, within the same limits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::report::Report;
use crate::config::{EventUse, Namespace, Sweep, Target};
use crate::keyspace::sweep;
use crate::publish::{Board, Slot};

/// Evicted keys per second of namespaces, by database and name. Those that are not known are missing.
pub type EvictionRates = BTreeMap<(u32, String), f64>;

/// A sweep that finds out which namespaces have evictions, until it is dropped.
#[derive(Debug)]
pub(super) struct EvictionWatch {
    slot: Arc<Slot>,
    _sweep: JoinSet<()>,
}

impl EvictionWatch {
    /// Starts to follow keys of the target.
    pub(super) fn start(target: &Target, namespaces: &[Namespace]) -> Self {
        let address = target.sweep_endpoint().address.to_string();
        let slot = Board::default().slot(&target.name, &address);
        let target = Target {
            sweep: only_followed(&target.sweep),
            ..target.clone()
        };
        let mut sweep = JoinSet::new();
        let run = sweep::run(
            Arc::new(target),
            namespaces.into(),
            Arc::clone(&slot),
            Arc::new(|_| ()),
            Arc::default(),
            Duration::ZERO,
        );
        // If the server fails, the next pass fails too and reports it.
        sweep.spawn(run.with_subscriber(NoSubscriber::new()));
        Self {
            slot,
            _sweep: sweep,
        }
    }

    /// Returns the rates of the namespaces of a report, in about the last five minutes.
    pub(super) fn rates(&self, report: &Report) -> EvictionRates {
        let history = self.slot.history();
        let rates = report.rows.iter().filter_map(|row| {
            let database = format!("db{}", row.database);
            let rate = history.eviction_rate(&database, &row.name, report.ended)?;
            Some(((row.database, row.name.clone()), rate))
        });
        rates.collect()
    }
}

/// Returns the settings of a sweep that only follows keys. It never changes the server.
fn only_followed(sweep: &Sweep) -> Sweep {
    let listened = match sweep.events {
        EventUse::Off => EventUse::Off,
        EventUse::Listen | EventUse::Configure => EventUse::Listen,
    };
    Sweep {
        enabled: true,
        panel: true,
        idle: false,
        largest_keys: 0,
        events: listened,
        misses: EventUse::Off,
        changes: false,
        ..sweep.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cost_more_or_change_the_server_are_off() {
        let configured = Sweep {
            enabled: false,
            panel: false,
            idle: true,
            largest_keys: 9,
            events: EventUse::Configure,
            misses: EventUse::Configure,
            changes: true,
            count: 77,
            ..Sweep::default()
        };
        let followed = only_followed(&configured);
        assert!(followed.enabled && followed.panel);
        assert!(!followed.idle && !followed.changes);
        assert_eq!((followed.largest_keys, followed.count), (0, 77));
        assert_eq!(
            (followed.events, followed.misses),
            (EventUse::Listen, EventUse::Off)
        );
        assert_eq!(only_followed(&Sweep::default()).events, EventUse::Off);
    }
}
