//! Hashes of key names, which the panel and the ghosts keep instead of the names.

use std::hash::{BuildHasher as _, Hash};

/// Hashes names. Each has its own seed, because clients of Redis choose the names. In unit tests
/// the seed is fixed, so that simulations always give the same result.
#[derive(Debug, Default)]
pub(super) struct NameHasher(
    #[cfg(not(test))] std::hash::RandomState,
    #[cfg(test)] std::hash::BuildHasherDefault<std::hash::DefaultHasher>,
);

impl NameHasher {
    /// Returns the hash of a name.
    pub(super) fn hash_one(&self, name: impl Hash) -> u64 {
        self.0.hash_one(name)
    }

    /// Returns half of the hash of a name. It is enough to find a name among thousands: one in a
    /// million is taken for another one.
    pub(super) fn short(&self, name: impl Hash) -> u32 {
        u32::try_from(self.hash_one(name) >> 32).unwrap_or(u32::MAX)
    }
}
