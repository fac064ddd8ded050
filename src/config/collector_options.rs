//! What collectors are told beside being on or off. Not which of them are on.

use super::namespace::ChannelGroup;

/// What the collectors of a target are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectorOptions {
    /// The declared groups of channels; the first match wins.
    pub channels: Vec<ChannelGroup>,
}
