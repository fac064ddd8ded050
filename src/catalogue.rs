//! All metrics that the exporter can publish. Pure.
//!
//! Built from the rows of the collectors; there is no second list.

use crate::canary::families as canary;
use crate::collector;
use crate::keyspace::events::families as events;
use crate::keyspace::expiring::families as expiring;
use crate::keyspace::families as namespaces;
use crate::keyspace::idle::families as idle;
use crate::keyspace::keys::families as keys;
use crate::keyspace::keys::stream::families as streams;
use crate::keyspace::panel::families as panel;
use crate::keyspace::watches::families as watches;
use crate::metric::Descriptor;
use crate::{outcome, telemetry};

/// Returns the families of all collectors, of polls, and of the exporter itself.
#[must_use]
pub fn families() -> Vec<&'static Descriptor> {
    let mut families: Vec<_> = collector::ALL
        .iter()
        .flat_map(|collector| (collector.families)())
        .collect();
    families.extend(namespaces::families());
    families.extend(keys::families());
    families.extend(streams::families());
    families.extend(panel::families());
    families.extend(events::families());
    families.extend(expiring::families());
    families.extend(idle::families());
    families.extend(watches::families());
    families.extend(canary::families());
    families.extend(outcome::families());
    families.extend(telemetry::families());
    families
}
