//! Estimates memory that the server uses and no namespace explains. Pure.
//!
//! A sample does not show giant keys outside it, and MEMORY USAGE samples only some elements of a
//! large aggregate. The used memory bounds both.

use super::{Estimate, NamespaceEstimate};
use crate::keyspace::tally::LARGE_AGGREGATE;

/// Share of the used memory that allocators, tables and buffers may take without belonging to a
/// namespace.
const SLACK_SHARE: f64 = 0.15;

/// Bytes of such overhead per key: hash table buckets, TTL entries, allocator rounding.
const SLACK_PER_KEY: f64 = 64.0;

/// Bytes of such overhead on any server.
const SLACK_BYTES: f64 = 1_048_576.0;

/// Minimum bytes per key that the buckets of the main table take on every server.
const BUCKET_BYTES: f64 = 8.0;

/// Returns the bytes that no namespace explains, beyond the usual overhead; 0 if they are
/// insignificant. `used` is the memory of the data.
#[must_use]
pub fn unexplained<'a>(estimates: impl Iterator<Item = &'a NamespaceEstimate>, used: f64) -> f64 {
    let (mut keys, mut explained, mut error) = (0.0, 0.0, 0.0);
    for estimate in estimates {
        keys += estimate.keys.value;
        // A namespace that was not measured explains nothing. It may take the missing memory, but so
        // may a giant key of another one.
        let Some(memory) = estimate.memory else {
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

/// Widens the interval of a namespace's memory by the memory that it may hide.
pub fn widen(estimate: &mut NamespaceEstimate, unexplained: f64) {
    if unexplained <= 0.0 || !estimate.may_hide_memory {
        return;
    }
    widen_by(estimate, unexplained);
}

/// Widens the memory of each namespace with large aggregates by its share of the unexplained bytes,
/// however few.
///
/// MEMORY USAGE samples the elements of large aggregates, so measuring every key does not make
/// their memory exact.
pub fn widen_aggregates<'a>(estimates: impl Iterator<Item = &'a mut NamespaceEstimate>, used: f64) {
    let (mut keys, mut explained, mut sampled) = (0.0, 0.0, 0.0);
    let mut aggregates = Vec::new();
    for estimate in estimates {
        keys += estimate.keys.value;
        let Some(memory) = estimate.memory else {
            // Memory that was not measured may explain the remainder.
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

/// Raises the upper end of a namespace's memory to this many bytes above the estimate.
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
