//! Decides which of the configured and the listed servers are targets. Pure.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{Listing, RefusedServers, shard};
use crate::config::{Config, Target};
use crate::publish::Attributes;

/// The latest list of each source, by its name.
pub type Lists = BTreeMap<String, Listing>;

/// A target, and what its source reports about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedTarget {
    /// How it is polled. A change starts it again.
    pub target: Arc<Target>,
    /// What its source reports. A change does not.
    pub attributes: Attributes,
    /// Whether its keyspace is swept, if its settings enable that. A change does not start its polls
    /// again.
    pub is_swept: bool,
}

impl From<Arc<Target>> for WatchedTarget {
    fn from(target: Arc<Target>) -> Self {
        Self {
            target,
            attributes: Attributes::default(),
            is_swept: true,
        }
    }
}

/// What became of the servers of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceTally {
    /// Targets.
    pub watched: usize,
    /// Entries that are not the address of a server, or that may not be polled.
    pub refused: RefusedServers,
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
        self.refused.count() + self.duplicate + self.over_limit
    }

    /// Yields the number of servers in each state, with the label value of the state.
    #[must_use]
    pub const fn states(&self) -> [(&'static str, usize); 5] {
        [
            ("watched", self.watched),
            ("refused", self.refused.count()),
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
            refused: list.refused.clone(),
            ..SourceTally::default()
        };
        for server in &list.servers {
            let count = merged.targets.len();
            if !names.insert(&server.name) {
                tally.duplicate += 1;
            // A requested target belongs to the process that got the request.
            } else if !source.is_of_requests() && !is_mine(&server.name) {
                tally.other_shard += 1;
            } else if tally.watched >= source.max_targets || count >= config.max_targets {
                tally.over_limit += 1;
            } else {
                tally.watched += 1;
                merged.targets.push(WatchedTarget {
                    target: Arc::new(source.target(server.name.clone(), server.endpoint.clone())),
                    attributes: server.attributes().requested(source.is_of_requests()),
                    is_swept: server.is_swept,
                });
            }
        }
        merged.tallies.push((source.name.clone(), tally));
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::super::ListedServer;
    use super::*;
    use crate::config::of_text;

    /// Returns the lists of the sources `s` and `t`.
    fn lists(config: &Config, servers: &[(&str, &[&str])]) -> Lists {
        let listing = |(source, names): &(&str, &[&str])| {
            let source = config.sources.iter().find(|one| one.name == *source);
            let source = source.unwrap();
            let server = |name: &&str| ListedServer {
                name: (*name).to_owned(),
                endpoint: source.endpoint("h:1").unwrap(),
                labels: [("env".to_owned(), "prod".to_owned())].into(),
                member: None,
                is_swept: true,
                on_failure: None,
            };
            let mut listing = Listing {
                source: source.name.clone(),
                servers: names.iter().map(server).collect(),
                refused: RefusedServers::default(),
            };
            listing.refused.record(&"a");
            listing.refused.record(&"b");
            (source.name.clone(), listing)
        };
        servers.iter().map(listing).collect()
    }

    const SOURCES: &str = "targets: [{name: a, url: h}]\n\
        targets_from:\n- {name: s, dns: 'h:1', max_targets: 3, memory_limit: 7MiB}\n\
        - {name: t, dns: 'h:1'}\n";

    #[test]
    fn listed_servers_follow_the_configured_targets_up_to_both_limits() {
        let config = of_text(&format!("max_targets: 5\n{SOURCES}"));
        let servers: &[(&str, &[&str])] = &[
            ("s", &["s/1", "a", "s/1", "s/2", "s/3", "s/4"]),
            ("t", &["t/1", "s/2", "t/2"]),
        ];
        let merged = merge(&config, &lists(&config, servers));
        let names: Vec<_> = merged.targets.iter().map(|one| &*one.target.name).collect();
        assert_eq!(names, ["a", "s/1", "s/2", "s/3", "t/1"]);
        let limits: Vec<_> = merged
            .targets
            .iter()
            .map(|one| one.target.memory_limit)
            .collect();
        assert_eq!(limits[..2], [None, Some(7 << 20)]);
        assert_eq!(merged.targets[1].attributes.label_text(), "env=\"prod\"");
        let states = |at: usize| merged.tallies[at].1.states().map(|(_, count)| count);
        assert_eq!((states(0), states(1)), ([3, 2, 2, 1, 0], [1, 2, 1, 1, 0]));
    }

    #[test]
    fn source_without_a_list_is_left_out() {
        let config = of_text(SOURCES);
        let merged = merge(&config, &lists(&config, &[("t", &["t/1"])]));
        assert_eq!(merged.targets.len(), 2);
        assert_eq!(merged.tallies.len(), 1);
    }

    #[test]
    fn shards_have_all_targets_once() {
        let names: Vec<_> = (0..20).map(|at| format!("s/{at}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let mut found = Vec::new();
        for number in 1..=3 {
            let config = of_text(&format!(
                "shard: {number}/3\n{}",
                SOURCES.replace(", max_targets: 3", "")
            ));
            let merged = merge(&config, &lists(&config, &[("s", &names)]));
            let own = merged.targets.iter().map(|one| one.target.name.clone());
            found.extend(own);
        }
        found.sort();
        let mut expected: Vec<_> = ["a"]
            .iter()
            .chain(&names)
            .map(|&name| name.to_owned())
            .collect();
        expected.sort();
        assert_eq!(found, expected);
    }
}
