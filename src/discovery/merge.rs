//! Decides which of the configured and the listed servers are targets. Pure.

use std::collections::{BTreeMap, HashSet};

use super::{Listing, shard};
use crate::config::{Config, Target};
use crate::publish::Attributes;

/// The latest list of each source, by its name.
pub type Lists = BTreeMap<String, Listing>;

/// A target, and what its source reports about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedTarget {
    /// How it is polled. A change starts it again.
    pub target: Target,
    /// What its source reports. A change does not.
    pub attributes: Attributes,
}

impl From<Target> for WatchedTarget {
    fn from(target: Target) -> Self {
        Self {
            target,
            attributes: Attributes::default(),
        }
    }
}

/// What became of the servers of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceTally {
    /// Targets.
    pub watched: usize,
    /// Entries that are not the address of a server, or that may not be polled.
    pub refused: usize,
    /// Servers with the name of an earlier target.
    pub duplicate: usize,
    /// Servers beyond the maximum number of targets.
    pub over_limit: usize,
    /// Servers that another process watches.
    pub other_shard: usize,
}

impl SourceTally {
    /// Returns the number of servers that no process watches.
    #[must_use]
    pub const fn left_out(&self) -> usize {
        self.refused + self.duplicate + self.over_limit
    }

    /// Yields the number of servers in each state, with the label value of the state.
    #[must_use]
    pub const fn states(&self) -> [(&'static str, usize); 5] {
        [
            ("watched", self.watched),
            ("refused", self.refused),
            ("duplicate", self.duplicate),
            ("over_limit", self.over_limit),
            ("other_shard", self.other_shard),
        ]
    }
}

/// All targets: first the configured ones, then those of each source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// The targets, with unique names.
    pub targets: Vec<WatchedTarget>,
    /// What became of the servers of each source, in the order of the sources. A source without a
    /// list is missing.
    pub tallies: Vec<(String, SourceTally)>,
}

/// Merges the configured targets with the lists of the sources, and keeps those of this process.
#[must_use]
pub fn merge(config: &Config, lists: &Lists) -> Merged {
    let configured = &config.targets;
    let is_mine = |name: &str| config.shard.is_none_or(|one| shard::has(one, name));
    let mut names: HashSet<&str> = configured.iter().map(|one| one.name.as_str()).collect();
    let own = configured.iter().filter(|target| is_mine(&target.name));
    let mut merged = Merged {
        targets: own.cloned().map(Into::into).collect(),
        tallies: Vec::new(),
    };
    for source in &config.sources {
        let Some(list) = lists.get(&source.name) else {
            continue;
        };
        let mut tally = SourceTally {
            refused: list.refused,
            ..SourceTally::default()
        };
        for server in &list.servers {
            let count = merged.targets.len();
            if !names.insert(&server.name) {
                tally.duplicate += 1;
            } else if !is_mine(&server.name) {
                tally.other_shard += 1;
            } else if tally.watched >= source.max_targets || count >= config.max_targets {
                tally.over_limit += 1;
            } else {
                tally.watched += 1;
                merged.targets.push(WatchedTarget {
                    target: source.target(server.name.clone(), server.endpoint.clone()),
                    attributes: server.attributes(),
                });
            }
        }
        merged.tallies.push((source.name.clone(), tally));
    }
    merged
}
