//! The options that a file, a flag or a variable sets, in the order in which they are read. The last
//! one of a path applies.

use super::document::Node;
use super::problem::Place;

/// An option that is set.
#[derive(Clone)]
pub(crate) struct RecordedOption {
    /// The path, such as `poll.interval`, or `targets[].url` for the target of flags and variables.
    pub(crate) path: String,
    /// The value as written. It may contain references to variables.
    pub(crate) node: Node,
    /// The line of the file, the flag, or the variable.
    pub(crate) place: Place,
}

/// The recorded options, or nothing if nobody needs them.
#[derive(Default)]
pub(crate) struct Recorder(pub(crate) Option<Vec<RecordedOption>>);

impl Recorder {
    /// Returns a recorder that keeps the options.
    pub(crate) const fn on() -> Self {
        Self(Some(Vec::new()))
    }

    /// Keeps an option.
    pub(crate) fn record(&mut self, path: &str, node: &Node, place: &Place) {
        if let Some(options) = &mut self.0 {
            options.push(RecordedOption {
                path: path.to_owned(),
                node: node.clone(),
                place: place.clone(),
            });
        }
    }
}
