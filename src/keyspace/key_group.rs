//! Finds the namespace of a key outside of the census, as far as it is known there. Pure.

use super::NamespaceId;
use super::matcher::{Grouping, Matcher, stem};
use crate::config::Namespace;

/// The namespace of a key, as far as it is known here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyGroup {
    /// A declared namespace, or the rest.
    Namespace(NamespaceId),
    /// The beginning of the key, up to its first delimiter. The census assigns the namespace.
    Stem(Box<[u8]>),
}

/// Finds the groups of keys.
#[derive(Debug)]
pub struct KeyGrouper {
    /// `None` if no namespaces are declared.
    matcher: Option<Matcher>,
    delimiter: Vec<u8>,
    groups_max: usize,
}

impl KeyGrouper {
    /// Returns a grouper for these namespaces. `grouping` applies if none are declared.
    #[must_use]
    pub fn new(namespaces: &[Namespace], grouping: Grouping) -> Self {
        let delimiter = grouping.delimiter.clone();
        let groups_max = namespaces.len().max(grouping.namespaces_max) * 10 + 100;
        let is_declared = !namespaces.is_empty();
        Self {
            matcher: is_declared.then(|| Matcher::new(namespaces, grouping)),
            delimiter,
            groups_max,
        }
    }

    /// Returns the number of groups and databases to keep at most.
    #[must_use]
    pub const fn groups_max(&self) -> usize {
        self.groups_max
    }

    /// Returns the group of a key that is in one of these databases.
    pub fn group_in(&mut self, databases: &[u32], key: &[u8]) -> KeyGroup {
        let other = KeyGroup::Namespace(NamespaceId::OTHER);
        let mut groups = databases.iter().map(|database| self.group(*database, key));
        groups.find(|group| *group != other).unwrap_or(other)
    }

    /// Returns the group of a key.
    pub fn group(&mut self, database: u32, key: &[u8]) -> KeyGroup {
        if let Some(matcher) = &mut self.matcher {
            return KeyGroup::Namespace(matcher.classify(database, key));
        }
        match stem(key, &self.delimiter) {
            Some(stem) => KeyGroup::Stem(stem.into()),
            None => KeyGroup::Namespace(NamespaceId::OTHER),
        }
    }
}
