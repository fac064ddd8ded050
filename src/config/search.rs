//! Which search indexes are shown. Not the asking.

use regex::bytes::Regex;

use super::namespace::compiled;
use super::section::{Context, Section};

/// The search indexes that are shown: those whose name matches.
#[derive(Clone, Debug, Default)]
pub struct SearchIndexes(Option<Regex>);

impl SearchIndexes {
    /// Whether the index is shown.
    #[must_use]
    pub fn has(&self, name: &[u8]) -> bool {
        self.0.as_ref().is_none_or(|regex| regex.is_match(name))
    }

    /// The expression as it was written; none where every index is shown.
    fn text(&self) -> Option<&str> {
        self.0.as_ref().map(Regex::as_str)
    }
}

impl PartialEq for SearchIndexes {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for SearchIndexes {}

/// Reads `search_indexes` below a map; as in `defaults` where it is not there.
pub(crate) fn read(
    parent: &Section<'_>,
    defaults: &SearchIndexes,
    context: &mut Context<'_>,
) -> Option<SearchIndexes> {
    let written = parent.text("search_indexes", compiled, context).ok()?;
    Some(match written {
        Some(placed) => SearchIndexes(Some(placed.value)),
        None => defaults.clone(),
    })
}
