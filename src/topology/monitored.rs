//! Joins what several sentinels report about the groups that they monitor. Pure.
//!
//! A sentinel that was cut off may report an old primary. The configuration epoch of a group grows
//! with each failover, so each group is taken from a sentinel with the latest one.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::Authority;
use super::{MemberRole, TopologyMember, distinct};

/// A primary and its replicas in the report of one sentinel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedGroup {
    /// The shard of its members.
    pub name: String,
    /// How much the sentinel knows about it.
    pub authority: Authority,
    /// The primary and its replicas.
    pub members: Vec<TopologyMember>,
}

impl ReportedGroup {
    /// Returns the rank of the report. The highest wins. A primary that is down in the latest
    /// configuration has no successor yet, so the epoch comes first.
    const fn rank(&self) -> (u64, bool) {
        (self.authority.epoch, self.authority.is_ok)
    }
}

impl ReportedGroup {
    /// Adds the replicas that only another report of the same configuration has.
    fn add_replicas(&mut self, members: Vec<TopologyMember>) {
        let replicas = members
            .into_iter()
            .filter(|member| member.role == MemberRole::Replica);
        for replica in replicas {
            if !self.members.iter().any(|known| known.at == replica.at) {
                self.members.push(replica);
            }
        }
    }
}

/// The groups that sentinels monitor, each in its latest configuration.
#[derive(Clone, Debug, Default)]
pub struct MonitoredGroups(BTreeMap<String, KnownGroup>);

#[derive(Clone, Debug)]
struct KnownGroup {
    report: ReportedGroup,
    /// The sentinels that have reported this epoch.
    sources: BTreeSet<String>,
}

impl MonitoredGroups {
    /// Takes the reports of all sentinels that have replied, each with the name of the sentinel. Among
    /// equal reports, the first one wins.
    ///
    /// A group that is missing now, or that all report with an earlier epoch, is kept as long as no
    /// sentinel replies that has reported it: those that do may be cut off.
    pub fn take(&mut self, reports: Vec<(String, Vec<ReportedGroup>)>) {
        let replied: BTreeSet<String> = reports.iter().map(|(name, _)| name.clone()).collect();
        let before = std::mem::take(&mut self.0);
        for (source, groups) in reports {
            for group in groups {
                self.add(&source, group);
            }
        }
        for (name, old) in before {
            let epoch = self.0.get(&name).map(|new| new.report.authority.epoch);
            let is_older = epoch.is_none_or(|epoch| epoch < old.report.authority.epoch);
            if is_older && old.sources.is_disjoint(&replied) {
                self.0.insert(name, old);
            }
        }
    }

    fn add(&mut self, source: &str, report: ReportedGroup) {
        let sources = BTreeSet::from([source.to_owned()]);
        let Some(known) = self.0.get_mut(&report.name) else {
            let name = report.name.clone();
            self.0.insert(name, KnownGroup { report, sources });
            return;
        };
        let (epoch, latest) = (report.authority.epoch, known.report.authority.epoch);
        if epoch > latest {
            known.sources.clear();
        }
        if epoch >= latest {
            known.sources.extend(sources);
        }
        // A sentinel that was reset knows no replicas for some seconds.
        let others = if report.rank() > known.report.rank() {
            std::mem::replace(&mut known.report, report)
        } else {
            report
        };
        if others.authority.epoch == known.report.authority.epoch {
            known.report.add_replicas(others.members);
        }
    }

    /// Returns the number of groups that a sentinel has reported in their latest configuration.
    #[must_use]
    pub fn latest_of(&self, source: &str) -> usize {
        let groups = self.0.values();
        groups
            .filter(|group| group.sources.contains(source))
            .count()
    }

    /// Returns the members of all groups. A server that is in several groups, because its primary has
    /// two names, is in one of them.
    #[must_use]
    pub fn members(&self) -> Vec<TopologyMember> {
        let groups = self.0.values();
        distinct(
            groups
                .flat_map(|group| group.report.members.clone())
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::sentinel::member;
    use super::super::{HostPort, MemberRole};
    use super::*;

    fn report(name: &str, epoch: u64, is_ok: bool, port: u16) -> ReportedGroup {
        let at = HostPort::new(name, port).unwrap();
        ReportedGroup {
            name: name.to_owned(),
            authority: Authority { is_ok, epoch },
            members: vec![member(at, MemberRole::Primary, false, false)],
        }
    }

    /// Takes reports such as `("s1", "a:2=7001 b:1=7002")`: the groups with their epochs and ports. An
    /// epoch with `!` is of a primary that is down. Returns the primaries.
    fn take(known: &mut MonitoredGroups, reports: &[(&str, &str)]) -> String {
        let group = |text: &str| {
            let (name, rest) = text.split_once(':').unwrap();
            let (epoch, port) = rest.split_once('=').unwrap();
            let number = epoch.trim_end_matches('!').parse().unwrap();
            report(
                name,
                number,
                number.to_string() == epoch,
                port.parse().unwrap(),
            )
        };
        let of = |(sentinel, groups): &(&str, &str)| {
            let groups = groups.split_whitespace().map(group);
            ((*sentinel).to_owned(), groups.collect())
        };
        known.take(reports.iter().map(of).collect());
        let members = known.members();
        let names: Vec<_> = members.iter().map(|member| member.at.to_string()).collect();
        names.join(" ")
    }

    #[test]
    fn each_group_comes_from_the_sentinel_with_the_latest_epoch() {
        let mut known = MonitoredGroups::default();
        let reports = [
            ("s1", "a:5=1 b:2=1"),
            ("s2", "a:3=2 b:7=2 c:1=2"),
            ("s3", ""),
        ];
        assert_eq!(take(&mut known, &reports), "a:1 b:2 c:2");
        assert_eq!(
            ["s1", "s2", "s3"].map(|one| known.latest_of(one)),
            [1, 2, 0]
        );
    }

    #[test]
    fn earlier_epoch_loses_even_if_its_primary_is_up() {
        let mut known = MonitoredGroups::default();
        assert_eq!(
            take(&mut known, &[("s1", "a:1=1"), ("s2", "a:2!=2")]),
            "a:2"
        );
        // Of one epoch, the primary that is up wins, otherwise the first report.
        let mut known = MonitoredGroups::default();
        assert_eq!(
            take(&mut known, &[("s1", "a:2!=1"), ("s2", "a:2=2")]),
            "a:2"
        );
        assert_eq!(take(&mut known, &[("s1", "a:2=1"), ("s2", "a:2=2")]), "a:1");
    }

    #[test]
    fn sentinel_that_was_reset_hides_no_replica() {
        let with_replicas = |epoch: u64, ports: &[u16]| {
            let mut report = report("a", epoch, true, 1);
            let replicas = ports.iter().map(|port| HostPort::new("a", *port).unwrap());
            let replicas = replicas.map(|at| member(at, MemberRole::Replica, false, true));
            report.members.extend(replicas);
            vec![report]
        };
        let mut known = MonitoredGroups::default();
        let mut take = |reports: Vec<(&str, Vec<ReportedGroup>)>| {
            let reports = reports.into_iter();
            known.take(
                reports
                    .map(|(name, groups)| (name.to_owned(), groups))
                    .collect(),
            );
            let members = known.members();
            let mut ports: Vec<_> = members.iter().map(|member| member.at.port).collect();
            ports.sort_unstable();
            ports
        };
        let both = vec![
            ("s1", with_replicas(2, &[])),
            ("s2", with_replicas(2, &[2, 3])),
        ];
        assert_eq!(take(both), [1, 2, 3]);
        // An earlier configuration adds nothing.
        let old = vec![
            ("s1", with_replicas(3, &[2])),
            ("s2", with_replicas(2, &[2, 3])),
        ];
        assert_eq!(take(old), [1, 2]);
    }

    #[test]
    fn sentinel_that_is_behind_does_not_undo_a_failover() {
        let mut known = MonitoredGroups::default();
        assert_eq!(take(&mut known, &[("s1", "a:1=1"), ("s2", "a:2=2")]), "a:2");
        for groups in ["a:1=1", ""] {
            assert_eq!(take(&mut known, &[("s1", groups)]), "a:2", "{groups}");
        }
        // The sentinel that has reported it replies otherwise: it was reset.
        assert_eq!(take(&mut known, &[("s1", "a:1=1"), ("s2", "a:0=3")]), "a:1");
        assert_eq!(take(&mut known, &[("s1", ""), ("s2", "")]), "");
    }

    #[test]
    fn group_of_one_sentinel_stays_while_that_is_down() {
        let mut known = MonitoredGroups::default();
        assert_eq!(
            take(&mut known, &[("s1", "a:1=1"), ("s2", "b:1=1")]),
            "a:1 b:1"
        );
        assert_eq!(take(&mut known, &[("s1", "a:1=1")]), "a:1 b:1");
        assert_eq!(take(&mut known, &[("s1", "a:1=1"), ("s2", "")]), "a:1");
    }

    #[test]
    fn server_of_two_groups_is_listed_once() {
        let mut known = MonitoredGroups::default();
        let twice = ["one", "two"].map(|name| ReportedGroup {
            name: name.to_owned(),
            ..report("h", 1, true, 1)
        });
        known.take(vec![("s1".to_owned(), twice.into())]);
        assert_eq!(known.members().len(), 1);
    }
}
