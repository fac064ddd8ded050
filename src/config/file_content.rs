//! The parts of a configuration file that a reload must not lose silently.

use super::document::{Node, YamlValue};

/// The parts of a configuration file that a reload must not lose silently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileContent {
    /// Whether it is not empty.
    pub has_content: bool,
    /// Whether it has targets.
    pub has_targets: bool,
}

impl FileContent {
    pub(super) fn of(node: &Node) -> Self {
        Self {
            has_content: node.value != YamlValue::Nothing,
            has_targets: has_targets(node),
        }
    }
}

/// Returns whether the file names targets or sources of them.
pub(super) fn has_targets(node: &Node) -> bool {
    ["targets", "targets_from"]
        .iter()
        .any(|key| node.get(key).is_some())
}
