//! Turns groups of targets into the servers of a source. Pure.

use std::sync::Arc;

use super::{ListedServer, Listing};
use crate::config::{TargetGroup, TargetSource};

/// Returns the servers of all groups. Of labels, only the declared ones are kept.
pub(crate) fn listing<'a>(
    source: &TargetSource,
    groups: impl Iterator<Item = &'a TargetGroup>,
) -> Listing {
    let mut listing = Listing {
        source: source.name.clone(),
        ..Listing::default()
    };
    for group in groups {
        let labels: Arc<[_]> = labels(source, &group.labels).into();
        for text in &group.targets {
            match source.endpoint(text) {
                Err(refused) => listing.refused.record(&refused),
                Ok(endpoint) => listing.servers.push(ListedServer {
                    name: format!("{}/{}", source.name, endpoint.address.default_name()),
                    endpoint,
                    labels: Arc::clone(&labels),
                    member: None,
                    is_swept: true,
                    on_failure: None,
                }),
            }
        }
    }
    listing
}

/// Returns the declared labels, in the order of their declaration.
fn labels(source: &TargetSource, given: &[(String, String)]) -> Vec<(String, String)> {
    let declared = source.labels.iter().filter_map(|name| {
        let (name, value) = given.iter().find(|(given, _)| given == name.as_str())?;
        Some((name.clone(), value.clone()))
    });
    declared.collect()
}
