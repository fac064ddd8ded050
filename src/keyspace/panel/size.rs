//! The maximum size of a panel. Pure.

use crate::keyspace::sample_limit::SampleLimit;

/// Maximum number of keys in the panel, and in the panels of all targets. The panel of one of
/// thousands of targets is smaller, but not empty.
pub(super) const KEYS_MAX: usize = 8_000;
const KEYS_OF_ALL: usize = 400_000;
pub(super) const KEYS_LEAST: usize = 400;
const KEYS: SampleLimit = SampleLimit {
    one: KEYS_MAX,
    of_all: KEYS_OF_ALL,
    least: KEYS_LEAST,
};

/// Maximum number of keys of one run. A SCAN with a large COUNT returns more.
pub(super) const RUN_KEYS_MAX: usize = 1_000;

/// Maximum number of keys in the panel for each key of a small keyspace. More would only repeat the
/// same keys.
const REPEATED_MAX: usize = 4;

/// Returns the maximum number of keys of one of this many panels, from a keyspace of `keys` keys.
pub(super) fn most_members(keys: u64, panels: usize) -> usize {
    let keys = usize::try_from(keys).unwrap_or(usize::MAX);
    KEYS.of_each(panels).min(keys.saturating_mul(REPEATED_MAX))
}
