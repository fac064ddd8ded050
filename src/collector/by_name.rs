//! A small map by name that is kept between polls. Pure.

use std::collections::BTreeMap;

/// Values by name, in the order of the names. It never changes, so it has no spare room, and all
/// names are in one text: thousands of targets have the names of dozens of commands each.
#[derive(Clone, Debug)]
pub(super) struct ByName<T> {
    names: Box<str>,
    /// Each value with the end of its name in `names`.
    entries: Box<[(u32, T)]>,
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self {
            names: Box::default(),
            entries: Box::default(),
        }
    }
}

impl<T> ByName<T> {
    /// Returns the map with the same entries.
    pub(super) fn new<Name: AsRef<str>>(map: BTreeMap<Name, T>) -> Self {
        let mut names = String::new();
        let entries = map.into_iter().map(|(name, value)| {
            names.push_str(name.as_ref());
            (u32::try_from(names.len()).unwrap_or(u32::MAX), value)
        });
        let entries = entries.collect();
        Self {
            entries,
            names: names.into(),
        }
    }

    /// Yields the values by name, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        let places = 0..self.entries.len();
        places.filter_map(|place| self.at(place))
    }

    /// Returns the value with this name.
    pub(super) fn get(&self, name: &str) -> Option<&T> {
        let (mut from, mut to) = (0, self.entries.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            let (found, value) = self.at(middle)?;
            match found.cmp(name) {
                std::cmp::Ordering::Equal => return Some(value),
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        None
    }

    fn at(&self, place: usize) -> Option<(&str, &T)> {
        let before = place.checked_sub(1);
        let before = before.and_then(|before| self.entries.get(before));
        let start = before.map_or(0, |(end, _)| *end);
        let (end, value) = self.entries.get(place)?;
        let name = self.names.get(start as usize..*end as usize)?;
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_are_found_in_order(map in proptest::collection::btree_map("[a-c|]{0,3}", any::<u8>(), 0..20)) {
            let by_name = ByName::new(map.clone());
            let listed: Vec<_> = by_name.iter().map(|(name, value)| (name.to_owned(), *value)).collect();
            prop_assert_eq!(listed, map.clone().into_iter().collect::<Vec<_>>());
            for name in ["", "a", "ab", "b|", "c", "d"] {
                prop_assert_eq!(by_name.get(name), map.get(name));
            }
            for (name, value) in &map {
                prop_assert_eq!(by_name.get(name), Some(value));
            }
        }
    }
}
