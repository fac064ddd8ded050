//! What collectors are told beside being on or off. Not which of them are on.

use std::path::PathBuf;
use std::sync::Arc;

use super::clients::{self, Clients};
use super::commands::{self, Commands};
use super::namespace::ChannelGroup;
use super::script::{self, Script};
use super::search::{self, SearchIndexes};
use super::section::{Context, Section};
use super::slots::Slots;
use super::unit;

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
    /// Which search indexes are shown.
    pub search_indexes: SearchIndexes,
    /// Where the exporter sees the RDB file of the server, if it was said.
    pub rdb_file: Option<PathBuf>,
    /// The commands that are shown one by one.
    pub commands: Commands,
}

/// Reads the options of one target; what is not written is as in `defaults`.
pub(crate) fn read(
    target: &Section<'_>,
    defaults: &Arc<CollectorOptions>,
    context: &mut Context<'_>,
) -> Option<Arc<CollectorOptions>> {
    let commands = commands::read(target, &defaults.commands, context);
    let clients = clients::read(target, &defaults.clients, context);
    let scripts = script::read(target, &defaults.scripts, context);
    let search_indexes = search::read(target, &defaults.search_indexes, context);
    let rdb_file = target.text("rdb_file", unit::absolute_path, context).ok()?;
    let options = CollectorOptions {
        empty_databases: defaults.empty_databases,
        channels: Arc::clone(&defaults.channels),
        clients: clients?,
        slots: defaults.slots,
        commands: commands?,
        scripts,
        search_indexes: search_indexes?,
        rdb_file: rdb_file.map(|placed| placed.value),
    };
    // Hundreds of targets without options of their own share one copy.
    Some(if options == **defaults {
        Arc::clone(defaults)
    } else {
        Arc::new(options)
    })
}

impl Default for CollectorOptions {
    fn default() -> Self {
        Self {
            empty_databases: true,
            channels: Arc::default(),
            clients: Clients::default(),
            slots: Slots::default(),
            scripts: Vec::new(),
            search_indexes: SearchIndexes::default(),
            rdb_file: None,
            commands: Commands::default(),
        }
    }
}
