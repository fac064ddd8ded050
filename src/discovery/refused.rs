//! The servers of a list that are refused. Pure.

use std::collections::BTreeSet;
use std::fmt;

/// Maximum number of servers that are named.
const NAMED_MAX: usize = 5;

/// The entries of a list that are not the address of a server, or that may not be polled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedServers {
    count: usize,
    /// The first ones in the order of the alphabet, each with the reason and the remedy. Some sources
    /// return their entries in random order.
    named: BTreeSet<String>,
}

impl RefusedServers {
    /// Records a refused entry. Equal ones are named once. Its text must not contain credentials.
    pub fn record(&mut self, entry: &impl fmt::Display) {
        self.count += 1;
        self.named.insert(entry.to_string());
        if self.named.len() > NAMED_MAX {
            self.named.pop_last();
        }
    }

    /// Returns the number of refused entries.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Yields a few entries with reason and remedy, and then the number of the others.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        let more = self.count - self.named.len();
        let more = (more > 0).then(|| format!("and {more} more"));
        self.named.iter().cloned().chain(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_named_and_the_others_counted() {
        let mut refused = RefusedServers::default();
        for number in 1..=7 {
            refused.record(&number);
        }
        let texts: Vec<_> = refused.texts().collect();
        assert_eq!(texts, ["1", "2", "3", "4", "5", "and 2 more"]);
        assert_eq!(refused.count(), 7);
        let mut reversed = RefusedServers::default();
        for number in (1..=7).rev() {
            reversed.record(&number);
        }
        assert_eq!(reversed, refused);
    }
}
