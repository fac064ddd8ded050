//! Reads what a sentinel reports about primaries and their replicas. Pure.

use super::cluster::Authority;
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

/// A primary that a sentinel monitors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitoredPrimary {
    /// Its name.
    pub name: String,
    /// Its address.
    pub at: HostPort,
    /// How much the sentinel knows about it.
    pub authority: Authority,
}

/// Flags of a primary that may have a successor: it is down, or being replaced.
const DOUBTFUL: [&str; 3] = ["s_down", "o_down", "failover_in_progress"];

/// Reads the fields of a primary in the reply to SENTINEL MASTER or MASTERS. A primary that the
/// sentinel considers down may have a successor that other sentinels know.
#[must_use]
pub fn authority(fields: &Reply) -> Authority {
    let text = |name: &str| fields.value_of(name).and_then(Reply::text);
    let flags = text("flags").unwrap_or_default();
    let epoch = text("config-epoch").and_then(|epoch| epoch.parse().ok());
    Authority {
        is_ok: !flags.split(',').any(|flag| DOUBTFUL.contains(&flag)),
        epoch: epoch.unwrap_or(0),
    }
}

/// Maximum length of a name. Each member of a group has a copy of it.
const NAME_BYTES_MAX: usize = 256;

/// Reads the reply to SENTINEL MASTERS. A primary without a usable name and address is left out. A
/// usable name has 1 to 256 bytes.
#[must_use]
pub fn primaries(reply: &Reply) -> Vec<MonitoredPrimary> {
    let primaries = reply.items().iter().take(MEMBERS_MAX);
    let primaries = primaries.filter_map(|fields| {
        let text = |name: &str| fields.value_of(name).and_then(Reply::text);
        let is_usable = |name: &str| (1..=NAME_BYTES_MAX).contains(&name.len());
        let name = text("name").filter(|name| is_usable(name))?;
        Some(MonitoredPrimary {
            name: name.into_owned(),
            at: HostPort::new(&text("ip")?, text("port")?.parse().ok()?)?,
            authority: authority(fields),
        })
    });
    primaries.collect()
}

/// Maximum number of other sentinels to remember.
const OTHERS_MAX: usize = 16;

/// Reads the addresses in the reply to SENTINEL SENTINELS. Those that are down come last: a sentinel
/// that is cut off reports all others as down.
#[must_use]
pub fn others(reply: &Reply, map: &AddressMap) -> Vec<HostPort> {
    let others = reply.items().iter().filter_map(|fields| {
        let text = |name: &str| fields.value_of(name).and_then(Reply::text);
        let is_down = text("flags")?.split(',').any(|flag| flag == "s_down");
        let at = HostPort::new(&text("ip")?, text("port")?.parse().ok()?)?;
        Some((is_down, map.get(&at).cloned().unwrap_or(at)))
    });
    let mut others: Vec<_> = others.take(OTHERS_MAX).collect();
    others.sort_by_key(|(is_down, _)| *is_down);
    others.into_iter().map(|(_, at)| at).collect()
}

/// Returns the primary and its replicas as members of a shard, from the reply to SENTINEL REPLICAS.
///
/// Replicas that are down stay in the list. One that never had an address is left out.
#[must_use]
pub fn members(
    shard: &str,
    primary: &HostPort,
    replicas: &Reply,
    map: &AddressMap,
) -> Vec<TopologyMember> {
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
        shard.clone_into(&mut member.shard);
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
                .map(|word| Reply::Bytes(word.as_bytes().into()))
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
    fn other_sentinels_are_read_with_their_addresses() {
        let one = |ip, port, flags| list(&["name", "x", "ip", ip, "port", port, "flags", flags]);
        let reply = Reply::List(vec![
            one("10.0.0.1", "26379", "sentinel"),
            one("10.0.0.2", "26379", "s_down,sentinel"),
            one("", "0", "sentinel"),
            Reply::Nil,
            one("10.0.0.3", "26379", "sentinel"),
        ]);
        let map = AddressMap::from([(at("10.0.0.3:26379"), at("nat:1"))]);
        let expected = ["10.0.0.1:26379", "nat:1", "10.0.0.2:26379"].map(at);
        assert_eq!(others(&reply, &map), expected);
        let many = Reply::List(vec![one("10.0.0.1", "1", "sentinel"); 100]);
        assert_eq!(others(&many, &map).len(), OTHERS_MAX);
    }

    #[test]
    fn primaries_are_read_with_their_names() {
        let one = |name, ip, port| list(&["name", name, "ip", ip, "port", port, "flags", "master"]);
        let reply = Reply::List(vec![
            one("cache", "10.0.0.1", "6379"),
            one("lost", "", "0"),
            one(&"x".repeat(NAME_BYTES_MAX + 1), "10.0.0.2", "6379"),
            one("", "10.0.0.3", "6379"),
            one("jobs", "jobs.internal", "6380"),
            Reply::Nil,
        ]);
        let found = primaries(&reply);
        let found: Vec<_> = found
            .iter()
            .map(|primary| (primary.name.as_str(), primary.at.to_string()))
            .collect();
        let expected = [("cache", "10.0.0.1:6379"), ("jobs", "jobs.internal:6380")];
        assert_eq!(found, expected.map(|(name, at)| (name, at.to_owned())));
        assert!(primaries(&Reply::Nil).is_empty());
    }

    #[test]
    fn primary_that_is_down_makes_a_view_doubtful() {
        let one = |flags, epoch| {
            let words = ["flags", flags, "config-epoch", epoch, "name", "m"];
            list(&[&words[..], &["ip", "h", "port", "1"]].concat())
        };
        let up = authority(&one("master", "3"));
        assert_eq!((up.is_ok, up.epoch), (true, 3));
        for flags in [
            "s_down,master",
            "master,s_down,o_down",
            "o_down",
            "master,failover_in_progress",
        ] {
            let down = authority(&one(flags, "9"));
            assert_eq!((down.is_ok, down.epoch), (false, 9), "{flags}");
            assert!(down < up, "{flags}");
        }
        // It is not connected right after a failover either.
        assert!(authority(&one("master,disconnected", "x")).is_ok);
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
        let members = members(
            ONLY_SHARD,
            &at("10.0.0.1:6379"),
            &replicas,
            &AddressMap::new(),
        );
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
        let members = members(ONLY_SHARD, &at("10.0.0.1:6379"), &replicas, &map);
        let seen: Vec<_> = members.iter().map(|member| member.at.to_string()).collect();
        assert_eq!(seen, ["nat:1", "nat:2"]);
    }
}
