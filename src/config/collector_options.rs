//! Options of collectors, except whether they are on.

use std::path::PathBuf;
use std::sync::Arc;

use super::clients::Clients;
use super::commands::Commands;
use super::draft::Draft;
use super::namespace::ChannelGroup;
use super::problem::Invalid;
use super::row::FromText;
use super::script::Script;
use crate::pattern::Expression;

/// Options of the collectors of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorOptions {
    /// Whether to export databases without keys.
    pub empty_databases: bool,
    /// The declared channel groups. The first match wins.
    pub channels: Arc<[ChannelGroup]>,
    /// The clients to export.
    pub clients: Clients,
    /// The slots of a cluster node to export.
    pub slots: Slots,
    /// The scripts to run at each poll.
    pub scripts: Vec<Script>,
    /// A pattern for the names of search indexes to export, or `None` for all.
    pub search_indexes: Option<Expression>,
    /// The path of the server's RDB file on the exporter's machine, if it is set.
    pub rdb_file: Option<PathBuf>,
    /// The commands to export individually.
    pub commands: Commands,
}

impl Default for CollectorOptions {
    fn default() -> Self {
        Arc::unwrap_or_clone(Draft::new().each.options)
    }
}

impl CollectorOptions {
    /// Returns the value before rows set defaults and settings.
    pub(crate) fn blank() -> Self {
        Self {
            empty_databases: false,
            channels: Arc::default(),
            clients: Clients::blank(),
            slots: Slots { top: 0 },
            scripts: Vec::new(),
            search_indexes: None,
            rdb_file: None,
            commands: Commands::default(),
        }
    }
}

/// Limits of exported slots of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Number of slots to export, by keys and by each other statistic.
    pub top: u32,
}

/// The name of a pub/sub channel. It is not empty and has no control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChannelName(String);

impl ChannelName {
    /// Returns the name, or `None` if it is invalid.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let is_valid = !name.is_empty() && !name.chars().any(char::is_control);
        is_valid.then(|| Self(name.to_owned()))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromText for ChannelName {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        Self::new(text).ok_or_else(|| {
            Invalid::new(
                "is not the name of a channel",
                "write a name without control characters",
            )
        })
    }
}
