//! Turns the last poll, the last results of the sweep and the last hour of targets into values with
//! words: the live page and its JSON. Pure.
//!
//! `overview` and `detail` are the only models. `html` writes them for people, and `json` writes the
//! same values for scripts, so that the two cannot differ. Unknown values are `None`, never 0.

mod card;
mod commands;
mod condition;
mod debug;
mod detail;
mod exporter_state;
mod facts;
mod highlights;
mod html;
mod namespace_row;
mod overview;
mod rejected;
mod runbook;
mod trends;

pub use card::Card;
pub use debug::document as debug;
pub use detail::TargetDetail;
pub use exporter_state::ExporterState;
pub use facts::Seen;
#[cfg(test)]
pub use html::segment;
pub use html::{asset, detail as detail_page, overview as overview_page, runbook as runbook_page};
pub use overview::{FEW_TARGETS, Filter, LIMIT_MAX, Overview};

use serde::Serialize;

/// Returns a model as JSON. All fields are always there; unknown values are null.
#[must_use]
pub fn json(model: &impl Serialize) -> String {
    // Serializing numbers and texts cannot fail. Numbers that are not finite become null.
    let mut text = serde_json::to_string(model).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
