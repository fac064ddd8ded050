//! Reads what a sentinel reports about one primary and its replicas. Pure.

use super::{AddressMap, HostPort, MEMBERS_MAX, MemberRole, ONLY_SHARD, TopologyMember, distinct};
use crate::reply::Reply;

/// Reads the reply to SENTINEL GET-MASTER-ADDR-BY-NAME; `None` if the sentinel does not know the
/// name.
#[must_use]
pub fn primary(reply: &Reply) -> Option<HostPort> {
    let [host, port] = reply.items() else {
        return None;
    };
    HostPort::new(&host.text()?, port.text()?.parse().ok()?)
}

/// Returns the primary and its replicas, from the reply to SENTINEL REPLICAS.
///
/// Replicas that are down stay in the list. One that never had an address is left out.
#[must_use]
pub fn members(primary: &HostPort, replicas: &Reply, map: &AddressMap) -> Vec<TopologyMember> {
    let replicas = replicas.items().iter().take(MEMBERS_MAX);
    let replicas = replicas.filter_map(|fields| {
        let text = |name: &str| {
            fields
                .value_of(name)
                .and_then(Reply::text)
                .unwrap_or_default()
        };
        let at = HostPort::new(&text("ip"), text("port").parse().ok()?)?;
        let flags = text("flags");
        let has = |flag: &str| flags.split(',').any(|has| has == flag);
        let is_failing = ["s_down", "o_down", "disconnected"].into_iter().any(has);
        let is_in_sync = !is_failing && text("master-link-status") == "ok";
        Some(member(at, MemberRole::Replica, is_failing, is_in_sync))
    });
    let mut members: Vec<_> = replicas.filter(|replica| replica.at != *primary).collect();
    members.push(member(primary.clone(), MemberRole::Primary, false, false));
    for member in &mut members {
        if let Some(other) = map.get(&member.at) {
            other.clone_into(&mut member.at);
        }
    }
    distinct(members)
}

pub(super) fn member(
    at: HostPort,
    role: MemberRole,
    is_failing: bool,
    is_in_sync: bool,
) -> TopologyMember {
    TopologyMember {
        at,
        node_id: String::new(),
        role,
        shard: ONLY_SHARD.to_owned(),
        is_failing,
        is_in_sync,
        has_keys: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Reply {
        Reply::List(
            words
                .iter()
                .map(|word| Reply::Bytes(word.as_bytes().to_vec()))
                .collect(),
        )
    }

    fn replica(port: &str, flags: &str, link: &str) -> Reply {
        list(&[
            "ip",
            "10.0.0.2",
            "port",
            port,
            "flags",
            flags,
            "master-link-status",
            link,
        ])
    }

    fn at(text: &str) -> HostPort {
        HostPort::parse(text).unwrap()
    }

    #[test]
    fn unknown_name_has_no_primary() {
        assert_eq!(
            primary(&list(&["10.0.0.1", "6379"])),
            Some(at("10.0.0.1:6379"))
        );
        for reply in [
            Reply::Nil,
            list(&["a"]),
            list(&["a", "b"]),
            list(&["", "1"]),
        ] {
            assert_eq!(primary(&reply), None);
        }
    }

    #[test]
    fn replicas_that_are_down_stay_listed() {
        let replicas = Reply::List(vec![
            replica("1", "slave", "ok"),
            replica("2", "s_down,slave,disconnected", "err"),
            replica("3", "slave", "err"),
            replica("0", "slave", "ok"),
            // A sentinel may list the new primary as a replica for a moment.
            list(&["ip", "10.0.0.1", "port", "6379", "flags", "slave"]),
            Reply::Nil,
        ]);
        let members = members(&at("10.0.0.1:6379"), &replicas, &AddressMap::new());
        let seen: Vec<_> = members
            .iter()
            .map(|member| {
                (
                    member.at.to_string(),
                    member.role,
                    member.is_failing,
                    member.is_in_sync,
                )
            })
            .collect();
        let expected = [
            (
                "10.0.0.1:6379".to_owned(),
                MemberRole::Primary,
                false,
                false,
            ),
            ("10.0.0.2:1".to_owned(), MemberRole::Replica, false, true),
            ("10.0.0.2:2".to_owned(), MemberRole::Replica, true, false),
            ("10.0.0.2:3".to_owned(), MemberRole::Replica, false, false),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn mapped_addresses_are_used() {
        let map = AddressMap::from([
            (at("10.0.0.2:1"), at("nat:1")),
            (at("10.0.0.1:6379"), at("nat:2")),
        ]);
        let replicas = Reply::List(vec![replica("1", "slave", "ok")]);
        let members = members(&at("10.0.0.1:6379"), &replicas, &map);
        let seen: Vec<_> = members.iter().map(|member| member.at.to_string()).collect();
        assert_eq!(seen, ["nat:1", "nat:2"]);
    }
}
