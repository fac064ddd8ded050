//! The subcommands that run once and exit.

pub mod check;
pub mod init;
pub mod manual;
pub mod namespaces;
pub mod once;
pub mod palette;
#[cfg(feature = "top")]
pub mod top;
pub mod wrap;
