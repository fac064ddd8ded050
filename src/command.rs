//! The subcommands that run once and exit: `check`, `once` and `namespaces`.

pub mod check;
pub mod namespaces;
pub mod once;
