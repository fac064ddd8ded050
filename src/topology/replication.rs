//! Reads the replicas of a primary from its INFO. Pure.

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

/// Returns a member that its primary does not list: it is down, or it has another primary now.
#[must_use]
pub fn unlisted(at: HostPort) -> TopologyMember {
    member(at, MemberRole::Replica, true, false)
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

    #[test]
    fn replica_names_its_primary() {
        let text = "role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n";
        let primary = HostPort::parse("10.0.0.1:6379").unwrap();
        assert_eq!(seen(text), Some(Replication::ReplicaOf(primary)));
        assert_eq!(seen("role:slave\r\n"), None);
        assert_eq!(seen(""), None);
    }
}
