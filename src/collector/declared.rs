//! Collectors that are on where something is declared for them. Not what is declared.

use super::{Collector, channels, clients};
use crate::config::CollectorOptions;

type IsDeclared = fn(&CollectorOptions) -> bool;

static ON_WHERE_DECLARED: [(&Collector, IsDeclared); 3] = [
    (&channels::COLLECTOR, |options| !options.channels.is_empty()),
    (&clients::groups::COLLECTOR, |options| {
        !options.clients.groups.is_empty()
    }),
    (&clients::list::COLLECTOR, |options| options.clients.list),
];

/// Whether a collector runs on a target with these options where it is not switched by name.
#[must_use]
pub fn is_on_by_default(collector: &Collector, options: &CollectorOptions) -> bool {
    let is_declared = ON_WHERE_DECLARED
        .iter()
        .find(|(declared, _)| declared.name == collector.name)
        .is_some_and(|(_, is_declared)| is_declared(options));
    collector.on_by_default || is_declared
}
