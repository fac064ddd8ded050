//! What collectors are told beside being on or off. Not which of them are on.

use std::path::PathBuf;
use std::sync::Arc;

use super::clients::Clients;
use super::commands::Commands;
use super::draft::Draft;
use super::namespace::ChannelGroup;
use super::script::Script;
use crate::pattern::Expression;

/// What the collectors of a target are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorOptions {
    /// Whether databases without keys are shown.
    pub empty_databases: bool,
    /// The declared groups of channels; the first match wins.
    pub channels: Arc<[ChannelGroup]>,
    /// What is shown of the clients.
    pub clients: Clients,
    /// How many slots of a cluster are shown.
    pub slots: Slots,
    /// The scripts that are run at each poll.
    pub scripts: Vec<Script>,
    /// The search indexes that are shown: those whose name matches, or all.
    pub search_indexes: Option<Expression>,
    /// Where the exporter sees the RDB file of the server, if it was said.
    pub rdb_file: Option<PathBuf>,
    /// The commands that are shown one by one.
    pub commands: Commands,
}

impl Default for CollectorOptions {
    fn default() -> Self {
        Arc::unwrap_or_clone(Draft::new().each.options)
    }
}

impl CollectorOptions {
    /// Nothing is set yet, not even a default.
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

/// How many slots of a node are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// The slots with the most keys, and as many with the most of each other statistic.
    pub top: u32,
}
