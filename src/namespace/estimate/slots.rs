//! The namespaces of a cluster node from slots that were drawn. Pure.

use std::collections::BTreeSet;

use super::{
    Group, Known, NamespaceEstimate, UNSEEN_TIMES, apportion, around, float, fold, namespace,
    rounded, wilson_of,
};
use crate::namespace::slots::Glimpses;
use crate::namespace::tally::Tally;

/// Into so many parts a share is divided to divide the keys.
const PARTS: f64 = 4_294_967_296.0;

/// Estimates every one of `groups` in a database of so many keys; what was seen of any other is
/// folded into [`Group::OTHER`]. Empty while nothing was drawn.
#[must_use]
pub fn from_slots(
    glimpses: &Glimpses,
    population: u64,
    groups: &[Group],
) -> Vec<NamespaceEstimate> {
    if glimpses.is_empty() || population == 0 {
        return Vec::new();
    }
    let groups: BTreeSet<Group> = groups.iter().copied().collect();
    let totals = fold(glimpses.totals(), &groups);
    let seen: u64 = totals.values().map(|tally| tally.keys).sum();
    let groups: BTreeSet<Group> = groups.iter().chain(totals.keys()).copied().collect();
    let is_folded = |own: Group, group: Group| group == Group::OTHER && !groups.contains(&own);
    let shares: Vec<_> = groups
        .iter()
        .map(|group| glimpses.share(|own| own == *group || is_folded(own, *group)))
        .collect();
    let parts: Vec<u64> = shares
        .iter()
        .map(|share| rounded(share.share * PARTS))
        .collect();
    let keys = apportion(population, &parts);
    let unseen = Tally::default();
    let all = float(population);
    let each = groups.iter().zip(shares).zip(keys);
    each.map(|((group, share), keys)| {
        let (lower, upper) = if share.share > 0.0 {
            wilson_of(share.share, share.effective, all)
        } else {
            (0.0, all * UNSEEN_TIMES / share.effective.max(1.0))
        };
        let known = Known {
            keys: around(float(keys), lower, upper, all),
            survival: 0.0,
            none: false,
        };
        let tally = totals.get(group).unwrap_or(&unseen);
        let mut estimate = namespace(*group, tally, known, &[]);
        // Keys of one slot may be as alike in size as in name.
        if let Some(memory) = &mut estimate.memory {
            let times = (float(seen) / share.effective.max(1.0)).sqrt().max(1.0);
            let error = memory.error * times;
            *memory = around(
                memory.value,
                memory.value - error,
                memory.value + error,
                f64::MAX,
            );
        }
        estimate
    })
    .collect()
}
