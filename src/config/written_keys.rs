//! The keys that a map of the file has, with their places.

use super::problem::Place;

/// The keys that are written in a map, including those of nested maps.
#[derive(Debug)]
pub(crate) struct WrittenKeys {
    /// The place of the map.
    pub(crate) place: Place,
    keys: Vec<WrittenKey>,
}

#[derive(Debug)]
struct WrittenKey {
    path: &'static str,
    place: Place,
    is_good: bool,
}

impl WrittenKeys {
    pub(crate) const fn new(place: Place) -> Self {
        let keys = Vec::new();
        Self { place, keys }
    }

    fn key(&self, path: &str) -> Option<&WrittenKey> {
        // A later key overrides an earlier one.
        self.keys.iter().rev().find(|key| key.path == path)
    }

    /// Returns where a key is written, whether its value is valid or not.
    pub(crate) fn place_of(&self, path: &str) -> Option<&Place> {
        self.key(path).map(|key| &key.place)
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.key(path).is_some()
    }

    /// Returns whether a key, or one below it, has an invalid value. It was reported.
    pub(crate) fn is_wrong(&self, path: &str) -> bool {
        let mut keys = self.keys.iter();
        keys.any(|key| !key.is_good && is_within(key.path, path))
    }

    /// Returns the place of a section in which a key is written.
    pub(crate) fn section(&self, section: &str) -> Option<&Place> {
        let mut keys = self.keys.iter();
        let inside = keys.find(|key| key.path != section && is_within(key.path, section))?;
        Some(self.place_of(section).unwrap_or(&inside.place))
    }

    /// Records a key, and whether its value is valid.
    pub(crate) fn add(&mut self, path: &'static str, place: Place, is_good: bool) {
        self.keys.push(WrittenKey {
            path,
            place,
            is_good,
        });
    }
}

/// Returns whether a path equals a section or is below it.
fn is_within(path: &str, section: &str) -> bool {
    let rest = path.strip_prefix(section);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
