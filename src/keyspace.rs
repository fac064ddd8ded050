//! Estimates the keys of each namespace from a paced sweep of the keyspace.
//!
//! Pure but `sweep`, which queries Redis. `config` parses the patterns.

pub mod cost;
pub mod course;
pub mod estimate;
pub mod event_flags;
pub mod events;
pub mod expiring;
pub mod families;
pub mod ghosts;
pub mod history;
pub mod idle;
pub mod kept;
pub mod key_group;
pub mod keys;
pub mod largest;
pub mod lookups;
pub mod matcher;
mod name_hasher;
pub mod pace;
pub mod panel;
pub mod permissions;
pub mod queries;
pub mod round_trip;
pub mod segment;
pub mod single_pass;
pub mod slices;
pub mod suggest;
pub mod sweep;
pub mod tally;
pub mod traffic;
pub mod visible;
pub mod watches;
pub mod window;

/// The number of a namespace. The matcher assigns the numbers and knows the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceId(u32);

impl NamespaceId {
    /// The keys without a namespace of their own.
    pub const OTHER: Self = Self(0);
}
