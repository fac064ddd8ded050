//! Every metric that the exporter can show. Pure.
//!
//! Reads the rows of the collectors. It is not a second list.

use crate::collector;
use crate::keyspace::families as namespaces;
use crate::keyspace::keys::families as keys;
use crate::keyspace::keys::stream::families as streams;
use crate::metric::Descriptor;
use crate::{outcome, telemetry};

/// Returns every family: of all collectors, of the poll, and of the exporter itself.
#[must_use]
pub fn families() -> Vec<&'static Descriptor> {
    let mut families: Vec<_> = collector::ALL
        .iter()
        .flat_map(|collector| (collector.families)())
        .collect();
    families.extend(namespaces::families());
    families.extend(keys::families());
    families.extend(streams::families());
    families.extend(outcome::families());
    families.extend(telemetry::families());
    families
}
