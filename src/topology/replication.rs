//! Reads the replicas of a primary from its INFO. Pure.

use super::cluster::Authority;
use super::sentinel::member;
use super::{AddressMap, HostPort, MEMBERS_MAX, MemberRole, TopologyMember, distinct};
use crate::info::Info;

/// The place of a server in its replication group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replication {
    /// It is a primary, and these are all members including itself.
    Members(Vec<TopologyMember>),
    /// It is a replica of this primary.
    ReplicaOf(HostPort),
}

/// Reads the section `replication` of INFO. Returns `None` if it is missing.
///
/// Only replicas that are connected are listed.
#[must_use]
pub fn read(text: &str, dialed: &HostPort, map: &AddressMap) -> Option<Replication> {
    let info = Info::parse(text);
    if info.get("role")? == "slave" {
        let (host, port) = (info.get("master_host")?, info.get("master_port")?);
        let primary = HostPort::new(host, port.parse().ok()?)?;
        let mapped = map.get(&primary).cloned();
        return Some(Replication::ReplicaOf(mapped.unwrap_or(primary)));
    }
    let own = member(dialed.clone(), MemberRole::Primary, false, false);
    let replicas = info.fields().filter_map(|field| {
        let number = field.name.strip_prefix("slave")?;
        number.parse::<u32>().ok()?;
        let port = field.in_record("port")?.parse().ok()?;
        let at = HostPort::new(field.in_record("ip")?, port)?;
        let at = map.get(&at).cloned().unwrap_or(at);
        let is_online = field.in_record("state") == Some("online");
        Some(member(at, MemberRole::Replica, false, is_online))
    });
    let members = replicas
        .take(MEMBERS_MAX)
        .filter(|replica| replica.at != own.at);
    Some(Replication::Members(distinct(
        members.chain([own.clone()]).collect(),
    )))
}

/// Returns how much a primary knows about its group, compared with what is known of it. The most
/// replicas win, then the known primary.
///
/// A primary without known replicas, or without any beside another primary, may have restarted after
/// a failover. The first seed stays a member without being listed, so it may be missing.
#[must_use]
pub fn authority(
    members: &[TopologyMember],
    known: &[TopologyMember],
    first_seed: Option<&HostPort>,
) -> Authority {
    let is_replica = |member: &&TopologyMember| member.role == MemberRole::Replica;
    let replicas = members.iter().filter(is_replica).count();
    let is_down_seed =
        |member: &TopologyMember| member.is_failing && first_seed == Some(&member.at);
    let is_listed = |other: &TopologyMember| members.iter().any(|member| member.at == other.at);
    let lacks = |member: &TopologyMember| !is_listed(member) && !is_down_seed(member);
    let counts = |member: &TopologyMember| replicas == 0 || is_replica(&member);
    let has_known_primary = known.iter().any(|member| {
        let is_primary = !is_replica(&member) && !member.is_failing;
        is_primary
            && members
                .iter()
                .any(|own| own.at == member.at && !is_replica(&own))
    });
    let replicas = u64::try_from(replicas).unwrap_or(u64::MAX);
    Authority {
        is_ok: !known.iter().any(|member| counts(member) && lacks(member)),
        epoch: replicas.saturating_mul(2) + u64::from(has_known_primary),
    }
}

/// Returns a member that its primary does not list: it is down, or it has another primary now.
#[must_use]
pub fn unlisted(at: HostPort) -> TopologyMember {
    member(at, MemberRole::Replica, true, false)
}

/// Returns a replica that waits for its primary, which does not list it: the primary restarts, or the
/// connection between them is broken.
#[must_use]
pub fn waiting(at: HostPort) -> TopologyMember {
    member(at, MemberRole::Replica, false, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Option<Replication> {
        read(
            text,
            &HostPort::parse("p:6379").unwrap(),
            &AddressMap::new(),
        )
    }

    #[test]
    fn primary_lists_its_replicas() {
        let text = "role:master\r\nconnected_slaves:2\r\n\
            slave0:ip=10.0.0.2,port=1,state=online,offset=1,lag=0,type=replica\r\n\
            slave1:ip=::1,port=2,state=wait_bgsave,offset=0,lag=0\r\n\
            slave_repl_offset:7\r\nslave2:nonsense\r\n";
        let Some(Replication::Members(members)) = seen(text) else {
            panic!();
        };
        let seen: Vec<_> = members
            .iter()
            .map(|member| (member.at.to_string(), member.role, member.is_in_sync))
            .collect();
        let expected = [
            ("10.0.0.2:1".to_owned(), MemberRole::Replica, true),
            ("[::1]:2".to_owned(), MemberRole::Replica, false),
            ("p:6379".to_owned(), MemberRole::Primary, false),
        ];
        assert_eq!(seen, expected);
    }

    fn group(primary: &str, replicas: &[&str]) -> Vec<TopologyMember> {
        let at = |text: &str| HostPort::parse(text).unwrap();
        let replica = |text: &&str| member(at(text), MemberRole::Replica, false, true);
        let own = member(at(primary), MemberRole::Primary, false, false);
        replicas.iter().map(replica).chain([own]).collect()
    }

    #[test]
    fn lone_primary_is_doubtful_after_a_failover() {
        let seed = HostPort::parse("p:1").unwrap();
        let known_after = |members: Vec<TopologyMember>| {
            let unlisted = unlisted(seed.clone());
            members.into_iter().chain([unlisted]).collect::<Vec<_>>()
        };
        let of = |members: &[TopologyMember], known: &[TopologyMember]| {
            authority(members, known, Some(&seed))
        };
        for replicas in [&["r2:1"][..], &[]] {
            let (lone, new) = (group("p:1", &[]), group("r1:1", replicas));
            let known = known_after(new.clone());
            let (doubtful, sure) = (of(&lone, &known), of(&new, &known));
            assert!(!doubtful.is_ok && sure.is_ok, "{replicas:?}");
            assert!(doubtful < sure && doubtful.epoch < sure.epoch);
        }
        // Nothing is known at first.
        assert!(of(&group("p:1", &[]), &[]).is_ok);
    }

    #[test]
    fn primary_without_a_known_replica_is_compared_with_others() {
        let seed = HostPort::parse("p:1").unwrap();
        let known = group("p:1", &["r1:1", "r2:1"]);
        let of = |members: &[TopologyMember]| authority(members, &known, Some(&seed));
        assert!(of(&known).is_ok);
        assert!(of(&group("p:1", &["r1:1", "r2:1", "r3:1"])).is_ok);
        // The replica has left: its primary still has more replicas, or is the known one.
        let left = group("r2:1", &[]);
        assert!(!of(&group("p:1", &["r1:1"])).is_ok && !of(&left).is_ok);
        assert!(of(&group("p:1", &["r1:1"])) > of(&left));
        assert!(of(&group("p:1", &[])) > of(&left));
        // The same primary by another address.
        assert!(of(&group("10.0.0.1:1", &["r1:1", "r2:1"])).is_ok);
    }

    #[test]
    fn replica_names_its_primary() {
        let text = "role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n";
        let primary = HostPort::parse("10.0.0.1:6379").unwrap();
        assert_eq!(seen(text), Some(Replication::ReplicaOf(primary)));
        assert_eq!(seen("role:slave\r\n"), None);
        assert_eq!(seen(""), None);
    }
}
