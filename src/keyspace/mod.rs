//! Key namespaces: what each holds, estimated from a paced walk over the keyspace.
//!
//! Pure but `sweep`, which asks Redis. Reading the configured patterns is `config`'s work.

pub mod cost;
pub mod course;
pub mod estimate;
pub mod families;
pub mod history;
pub mod kept;
pub mod keys;
pub mod largest;
pub mod lookups;
pub mod matcher;
pub mod pace;
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
pub mod window;

/// A namespace by its number; the matcher gives the numbers and knows their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceId(u32);

impl NamespaceId {
    /// The keys that have no namespace of their own.
    pub const OTHER: Self = Self(0);
}
