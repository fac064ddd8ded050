//! The subcommands that run once and end: `check`, `once` and `namespaces`.

pub mod check;
pub mod namespaces;
pub mod once;
