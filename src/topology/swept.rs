//! Chooses the members whose keyspace is swept: exactly one of each shard, so that totals are plain
//! sums. Pure.

use std::collections::BTreeMap;

use super::{HostPort, MemberRole, TopologyMember};

/// The member of each shard that is swept.
pub type SweptMembers = BTreeMap<String, HostPort>;

/// Which members are swept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SweepRole {
    /// A replica that is in sync, else the primary.
    #[default]
    Replica,
    /// The primary.
    Primary,
}

/// Returns the member to sweep for each shard with keys.
///
/// The previous choice stays as long as it is as good as any other. A shard without a usable member
/// keeps its previous one too, because another choice would not help.
#[must_use]
pub fn choose(members: &[TopologyMember], role: SweepRole, before: &SweptMembers) -> SweptMembers {
    let mut shards: BTreeMap<&str, Vec<&TopologyMember>> = BTreeMap::new();
    for member in members.iter().filter(|member| member.has_keys) {
        shards.entry(&member.shard).or_default().push(member);
    }
    let choice = |(shard, usable): (&str, Vec<&TopologyMember>)| {
        let previous = before.get(shard);
        let best = usable.into_iter().min_by_key(|member| {
            let is_previous = previous == Some(&member.at);
            (grade(member, role), !is_previous, &member.at)
        });
        Some((shard.to_owned(), best?.at.clone()))
    };
    shards.into_iter().filter_map(choice).collect()
}

/// Grades a member. Lower is better.
fn grade(member: &TopologyMember, wanted: SweepRole) -> u8 {
    match (member.role, wanted) {
        _ if member.is_failing => 3,
        (MemberRole::Replica, SweepRole::Replica) if member.is_in_sync => 0,
        (MemberRole::Primary, _) => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sentinel::member;
    use super::*;
    use SweepRole::{Primary, Replica};
    use proptest::prelude::*;

    fn at(port: u16) -> HostPort {
        HostPort::new("h", port).unwrap()
    }

    fn primary(port: u16, is_failing: bool) -> TopologyMember {
        member(at(port), MemberRole::Primary, is_failing, false)
    }

    fn replica(port: u16, is_failing: bool, is_in_sync: bool) -> TopologyMember {
        member(at(port), MemberRole::Replica, is_failing, is_in_sync)
    }

    fn port(members: &[TopologyMember], role: SweepRole, before: Option<u16>) -> u16 {
        let before = before.map(|port| ("0".to_owned(), at(port)));
        let chosen = choose(members, role, &before.into_iter().collect());
        assert_eq!(chosen.len(), 1);
        chosen["0"].port
    }

    #[test]
    fn replica_in_sync_is_swept_else_the_primary() {
        let in_sync = [
            primary(1, false),
            replica(2, false, true),
            replica(3, false, true),
        ];
        assert_eq!(port(&in_sync, Replica, None), 2);
        assert_eq!(port(&in_sync, Replica, Some(3)), 3);
        assert_eq!(port(&in_sync, Primary, Some(3)), 1);
        let loading = [primary(1, false), replica(2, false, false)];
        assert_eq!(port(&loading, Replica, Some(2)), 1);
    }

    #[test]
    fn member_stays_until_another_is_better() {
        let after_failover = [primary(2, false), primary(1, true)];
        assert_eq!(port(&after_failover, Replica, Some(2)), 2);
        let back = [primary(2, false), replica(1, false, true)];
        assert_eq!(port(&back, Replica, Some(2)), 1);
        let down = [primary(1, true), replica(2, true, false)];
        assert_eq!(port(&down, Replica, Some(2)), 2);
        assert_eq!(port(&down, Primary, Some(1)), 1);
    }

    #[test]
    fn shard_without_slots_is_not_swept() {
        let empty = TopologyMember {
            has_keys: false,
            ..primary(1, false)
        };
        assert!(choose(&[empty], Replica, &SweptMembers::new()).is_empty());
    }

    proptest! {
        #[test]
        fn each_shard_with_keys_has_one_member(of in prop::collection::vec((0_u8..3, any::<[bool; 4]>()), 0..12), role in prop::sample::select(vec![Replica, Primary])) {
            let members: Vec<_> = of.iter().zip(1..).map(|((shard, [is_primary, is_failing, is_in_sync, has_keys]), port)| {
                let member = if *is_primary { primary(port, *is_failing) } else { replica(port, *is_failing, *is_in_sync) };
                TopologyMember { shard: shard.to_string(), has_keys: *has_keys, ..member }
            }).collect();
            let chosen = choose(&members, role, &SweptMembers::new());
            for member in &members {
                prop_assert!(!member.has_keys || chosen.contains_key(&member.shard));
            }
            for (shard, at) in &chosen {
                let same = members.iter().filter(|member| member.at == *at);
                prop_assert!(same.clone().count() == 1 && same.into_iter().all(|member| member.shard == *shard && member.has_keys));
            }
            // A second choice changes nothing.
            prop_assert_eq!(choose(&members, role, &chosen), chosen);
        }
    }
}
