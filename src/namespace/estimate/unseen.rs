//! Memory that the server uses and no namespace explains. Pure.
//!
//! A sample of keys says nothing about a giant that is not in it, and MEMORY USAGE of a large
//! aggregate looks at some of its elements only. The memory that the server uses bounds both.

use super::{Estimate, NamespaceEstimate};

/// Part of the used memory that allocators, tables and buffers may take without a name.
const SLACK_SHARE: f64 = 0.15;

/// Bytes of that kind for each key: buckets of tables, entries for TTLs, what allocators round up.
const SLACK_PER_KEY: f64 = 64.0;

/// Bytes of that kind on any server.
const SLACK_BYTES: f64 = 1_048_576.0;

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
    if let Some(memory) = &mut estimate.memory {
        let upper = memory.upper.max(memory.value + unexplained);
        *memory = Estimate {
            upper,
            error: memory.error.max(upper - memory.value),
            ..*memory
        };
    }
}
