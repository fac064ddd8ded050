//! Decides when a member is gone. Pure.
//!
//! One reply may lack a member, for example shortly after the creation of a cluster, or because
//! another node replied. A member is only gone if two replies in a row lack it.

use std::collections::BTreeSet;

use super::{HostPort, TopologyMember};

/// Members of consecutive replies.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    members: Vec<TopologyMember>,
    /// Addresses that the last reply lacked.
    missing: BTreeSet<HostPort>,
}

impl Settled {
    /// Takes the members of a reply. Members that were also missing in the previous reply are gone.
    pub fn take(&mut self, reported: Vec<TopologyMember>) {
        let addresses: BTreeSet<HostPort> =
            reported.iter().map(|member| member.at.clone()).collect();
        let before = std::mem::take(&mut self.members).into_iter();
        let kept: Vec<_> = before
            .filter(|member| !addresses.contains(&member.at) && !self.missing.contains(&member.at))
            .map(|member| TopologyMember {
                is_failing: true,
                is_in_sync: false,
                ..member
            })
            .collect();
        self.missing = kept.iter().map(|member| member.at.clone()).collect();
        self.members = reported.into_iter().chain(kept).collect();
        self.members.sort_by(|a, b| a.at.cmp(&b.at));
    }

    /// Returns the current members, sorted by address.
    #[must_use]
    pub fn members(&self) -> &[TopologyMember] {
        &self.members
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemberRole;
    use super::super::sentinel::member;
    use super::*;
    use proptest::prelude::*;

    fn of(ports: &[u16]) -> Vec<TopologyMember> {
        let at = |port: &u16| HostPort::new("h", *port).unwrap();
        let member = |port| member(at(port), MemberRole::Replica, false, true);
        ports.iter().map(member).collect()
    }

    fn ports(settled: &Settled) -> Vec<u16> {
        settled
            .members()
            .iter()
            .map(|member| member.at.port)
            .collect()
    }

    #[test]
    fn very_many_members_take_little_time() {
        let mut settled = Settled::default();
        let all: Vec<u16> = (1..=40_000).collect();
        let (some, others) = all.split_at(20_000);
        let started = std::time::Instant::now();
        for reported in [some, others, some, others] {
            settled.take(of(reported));
        }
        assert_eq!(settled.members().len(), 40_000);
        // Comparing each pair takes minutes.
        assert!(started.elapsed() < std::time::Duration::from_secs(20));
    }

    #[test]
    fn member_is_gone_after_two_replies_without_it() {
        let mut settled = Settled::default();
        let mut take = |reported: &[u16]| {
            settled.take(of(reported));
            ports(&settled)
        };
        assert_eq!(take(&[1, 2]), [1, 2]);
        assert_eq!(take(&[2, 3]), [1, 2, 3]);
        assert_eq!(take(&[1, 2]), [1, 2, 3]);
        assert_eq!(take(&[2]), [1, 2]);
        assert_eq!(take(&[2]), [2]);
    }

    #[test]
    fn missing_member_is_not_swept() {
        let mut settled = Settled::default();
        settled.take(of(&[1]));
        settled.take(of(&[]));
        assert!(settled.members()[0].is_failing && !settled.members()[0].is_in_sync);
    }

    proptest! {
        #[test]
        fn reported_members_are_listed_once(replies in prop::collection::vec(prop::collection::btree_set(1_u16..6, 0..5), 1..8)) {
            let mut settled = Settled::default();
            for reported in &replies {
                settled.take(of(&reported.iter().copied().collect::<Vec<_>>()));
                let listed = ports(&settled);
                prop_assert!(reported.iter().all(|port| listed.contains(port)));
                prop_assert!(listed.windows(2).all(|pair| pair[0] < pair[1]));
            }
            let last = replies.last().unwrap();
            settled.take(of(&last.iter().copied().collect::<Vec<_>>()));
            settled.take(of(&last.iter().copied().collect::<Vec<_>>()));
            prop_assert_eq!(ports(&settled), last.iter().copied().collect::<Vec<_>>());
        }
    }
}
