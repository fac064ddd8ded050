//! What collectors are told beside being on or off. Not which of them are on.

use std::sync::Arc;

use super::commands::{self, Commands};
use super::namespace::ChannelGroup;
use super::section::{Context, Section};

/// What the collectors of a target are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectorOptions {
    /// The declared groups of channels; the first match wins.
    pub channels: Vec<ChannelGroup>,
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
    let options = CollectorOptions {
        channels: defaults.channels.clone(),
        commands: commands?,
    };
    // Hundreds of targets without options of their own share one copy.
    Some(if options == **defaults {
        Arc::clone(defaults)
    } else {
        Arc::new(options)
    })
}
