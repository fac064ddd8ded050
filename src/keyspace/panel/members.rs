//! The followed keys of a run, in little memory. Pure.

use super::run::{Lifetime, Member, Purpose, SinceDraw};
use crate::keyspace::NamespaceId;

/// The followed keys of a run. Common properties are kept once: the TTLs of most keys are unknown, and
/// those of a namespace are then checked at the same time, for the same purpose.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Members {
    groups: Box<[MemberGroup]>,
    /// The hashes of the names, in the order of the groups.
    ids: Box<[u32]>,
}

/// Keys that differ only in their names.
#[derive(Clone, Copy, Debug, PartialEq)]
struct MemberGroup {
    namespace: NamespaceId,
    age: SinceDraw,
    purpose: Purpose,
    /// The end of its part of the hashes. It starts where the group before ends.
    end: u32,
}

impl MemberGroup {
    const fn member(&self, id: u32) -> Member {
        Member {
            id,
            namespace: self.namespace,
            age: self.age,
            purpose: self.purpose,
        }
    }
}

impl Members {
    /// Returns the number of keys.
    pub(super) const fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns whether there are no keys.
    pub(super) const fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Yields the keys by group.
    pub(super) fn iter(&self) -> impl Iterator<Item = Member> {
        let mut start = 0;
        self.groups.iter().flat_map(move |group| {
            let end = group.end as usize;
            let ids = self.ids.get(start..end).unwrap_or_default();
            start = end;
            ids.iter().map(|id| group.member(*id))
        })
    }

    /// Returns whether a key is to be checked once this many seconds have passed since the draw.
    pub(super) fn are_due(&self, seconds: f64) -> bool {
        let mut groups = self.groups.iter();
        groups.any(|group| group.member(0).is_due(seconds))
    }
}

impl FromIterator<Member> for Members {
    fn from_iter<I: IntoIterator<Item = Member>>(members: I) -> Self {
        let mut members: Vec<Member> = members.into_iter().collect();
        let order = |purpose: Purpose| match purpose {
            Purpose::Count(Lifetime::Unknown) => (0, 0),
            Purpose::Count(Lifetime::Unlimited) => (1, 0),
            Purpose::Count(Lifetime::Until(time)) => (2, time.to_bits()),
            Purpose::BeforeExpiry(time) => (3, time.to_bits()),
            Purpose::AfterExpiry => (4, 0),
            Purpose::LaterAfterExpiry => (5, 0),
            Purpose::Renewal(time) => (6, time.to_bits()),
        };
        // Any order will do that has equal keys next to each other.
        members.sort_by_key(|key| (key.namespace, key.age.to_bits(), order(key.purpose)));
        let mut groups: Vec<MemberGroup> = Vec::new();
        for (end, member) in (1..).zip(&members) {
            match groups.last_mut() {
                Some(last) if last.member(member.id) == *member => last.end = end,
                _ => groups.push(MemberGroup {
                    namespace: member.namespace,
                    age: member.age,
                    purpose: member.purpose,
                    end,
                }),
            }
        }
        Self {
            groups: groups.into(),
            ids: members.iter().map(|member| member.id).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u32, namespace: u32, purpose: Purpose) -> Member {
        Member {
            id,
            namespace: NamespaceId(namespace),
            age: 8.0,
            purpose,
        }
    }

    #[test]
    fn members_are_kept_by_group() {
        let unknown = Purpose::Count(Lifetime::Unknown);
        let until = Purpose::Count(Lifetime::Until(9.0));
        let all = [
            member(1, 2, unknown),
            member(2, 1, until),
            member(3, 2, unknown),
            member(4, 2, Purpose::AfterExpiry),
        ];
        let members: Members = all.into_iter().collect();
        assert_eq!((members.len(), members.groups.len()), (4, 3));
        let found: Vec<Member> = members.iter().collect();
        assert_eq!(found, [all[1], all[0], all[2], all[3]]);
        assert!(members.are_due(8.0) && !members.are_due(7.9));
    }

    #[test]
    fn keys_with_unknown_ttls_take_little_memory() {
        let unknown = Purpose::Count(Lifetime::Unknown);
        let members: Members = (0..100).map(|id| member(id, id % 5, unknown)).collect();
        let bytes = size_of_val(&*members.groups) + size_of_val(&*members.ids);
        assert!(bytes <= 500, "{bytes}");
    }
}
