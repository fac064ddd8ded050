//! Estimates the keys of each namespace from a paced sweep of the keyspace.
//!
//! Pure but `sweep`, which queries Redis. `config` parses the patterns.

pub(crate) mod cost;
pub(crate) mod course;
pub(crate) mod estimate;
pub(crate) mod event_flags;
pub mod events;
pub mod expiring;
pub mod families;
pub(crate) mod ghosts;
pub(crate) mod history;
pub mod idle;
pub(crate) mod kept;
pub(crate) mod key_group;
pub mod keys;
pub(crate) mod largest;
pub(crate) mod lookups;
pub(crate) mod matcher;
mod name_hasher;
pub(crate) mod pace;
pub mod panel;
pub(crate) mod permissions;
pub(crate) mod queries;
pub(crate) mod round_trip;
mod sample_limit;
pub(crate) mod segment;
pub(crate) mod single_pass;
pub(crate) mod slices;
pub(crate) mod sweep;
pub(crate) mod tally;
pub(crate) mod traffic;
pub(crate) mod visible;
mod wall_clock;
pub mod watches;
pub(crate) mod window;

/// The number of a namespace. The matcher assigns the numbers and knows the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceId(u32);

impl NamespaceId {
    /// The keys without a namespace of their own.
    pub const OTHER: Self = Self(0);
}
