//! Memory that the server uses and no namespace explains. Pure.
//!
//! A sample of keys says nothing about a giant that is not in it, and MEMORY USAGE of a large
//! aggregate looks at some of its elements only. The memory that the server uses bounds both.

use super::{Estimate, NamespaceEstimate};
use crate::keyspace::tally::LARGE_AGGREGATE;

/// Part of the used memory that allocators, tables and buffers may take without a name.
const SLACK_SHARE: f64 = 0.15;

/// Bytes of that kind for each key: buckets of tables, entries for TTLs, what allocators round up.
const SLACK_PER_KEY: f64 = 64.0;

/// Bytes of that kind on any server.
const SLACK_BYTES: f64 = 1_048_576.0;

/// Bytes that the buckets of the main table take for each key on every server, at the least.
const BUCKET_BYTES: f64 = 8.0;

/// The bytes that no namespace explains, beyond what has no name on every server; 0 if there is
/// nothing to speak of. `used` is the memory that the data take.
#[must_use]
pub fn unexplained<'a>(estimates: impl Iterator<Item = &'a NamespaceEstimate>, used: f64) -> f64 {
    let (mut keys, mut explained, mut error) = (0.0, 0.0, 0.0);
    for estimate in estimates {
        keys += estimate.keys.value;
        // Memory that nobody asked about may be anything.
        let Some(memory) = estimate.memory else {
            if estimate.keys.value > 0.0 {
                return 0.0;
            }
            continue;
        };
        explained += memory.value;
        error += memory.error * memory.error;
    }
    let slack = (used * SLACK_SHARE)
        .max(keys * SLACK_PER_KEY)
        .max(SLACK_BYTES);
    let missing = used - explained;
    if missing > slack + error.sqrt() {
        missing
    } else {
        0.0
    }
}

/// Widens the interval of a namespace's memory by what may be hidden in it.
pub fn widen(estimate: &mut NamespaceEstimate, unexplained: f64) {
    if unexplained <= 0.0 || !estimate.may_hide_memory {
        return;
    }
    widen_by(estimate, unexplained);
}

/// Widens the memory of each namespace with large aggregates by its share of the bytes that no
/// namespace explains, however few these are. MEMORY USAGE samples the elements of large
/// aggregates, so that measuring every key does not make their memory exact.
pub fn widen_aggregates<'a>(estimates: impl Iterator<Item = &'a mut NamespaceEstimate>, used: f64) {
    let (mut keys, mut explained, mut sampled) = (0.0, 0.0, 0.0);
    let mut aggregates = Vec::new();
    for estimate in estimates {
        keys += estimate.keys.value;
        let Some(memory) = estimate.memory else {
            // Memory that was not measured may be the rest.
            if estimate.keys.value > 0.0 {
                return;
            }
            continue;
        };
        explained += memory.value;
        if has_sampled_aggregates(estimate) {
            sampled += memory.value;
            aggregates.push(estimate);
        }
    }
    let missing = used - explained - keys * BUCKET_BYTES - SLACK_BYTES;
    if missing <= 0.0 || sampled <= 0.0 {
        return;
    }
    for estimate in aggregates {
        let share = estimate.memory.map_or(0.0, |memory| memory.value) / sampled;
        widen_by(estimate, missing * share);
    }
}

/// Returns whether a namespace may have an aggregate whose elements are sampled.
fn has_sampled_aggregates(estimate: &NamespaceEstimate) -> bool {
    let largest = estimate.largest_key_bytes;
    let strings_only = estimate
        .types
        .is_some_and(|types| types.iter().skip(1).all(|keys| *keys == 0));
    largest.is_some_and(|bytes| bytes >= LARGE_AGGREGATE) && !strings_only
}

/// Raises the upper end of a namespace's memory to that many bytes above the estimate.
fn widen_by(estimate: &mut NamespaceEstimate, bytes: f64) {
    if let Some(memory) = &mut estimate.memory {
        let upper = memory.upper.max(memory.value + bytes);
        *memory = Estimate {
            upper,
            error: memory.error.max(upper - memory.value),
            ..*memory
        };
    }
}
