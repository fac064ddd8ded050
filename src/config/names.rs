//! The names and labels of the served metrics.

use super::context::Context;
use super::draft::Draft;
use super::written_keys::WrittenKeys;
use crate::metric::Names;

/// Validates settings of names that depend on each other. `targets` is the number of targets, or more
/// than one if sources name them.
pub(super) fn complete(
    draft: &Draft,
    written: &WrittenKeys,
    targets: usize,
    context: &mut Context<'_>,
) -> Names {
    let has_list = written.has("targets") || written.has("targets_from");
    // By default, a single target from flags or variables has no such label, like in
    // `redis_exporter`. With --is-cluster, there are several.
    let label = draft.top.target_label.unwrap_or(has_list || targets > 1);
    if let (false, true, Some(place)) = (label, targets > 1, written.place_of("target_label")) {
        let what = "is false, but there is more than one target";
        let remedy = "remove it: without the label their samples would be the same series";
        context.report(place, what, remedy);
    }
    let mut names = draft.top.names.clone();
    names.prefix = names.prefix.filter(|prefix| prefix != "redis");
    names.target_label = label;
    names
}
