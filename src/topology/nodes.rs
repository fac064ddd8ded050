//! Parses CLUSTER NODES, the only complete list of the nodes of a cluster. Pure.
//!
//! A line is `id ip:port@bus[,hostname[,name=value…]] flags primary ping pong epoch link slots…`.
//! Unknown flags and columns are ignored.

use super::{MEMBERS_MAX, MemberRole};

/// A node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNode {
    /// Its id.
    pub id: String,
    /// Its IP address, or an empty text if the node does not know its own.
    pub ip: String,
    /// The host name that it announces, or an empty text.
    pub hostname: String,
    /// Its port for clients: the TLS port on a TLS connection.
    pub port: u16,
    /// The id of its shard, or an empty text.
    pub shard_id: String,
    /// Whether this node has sent the list.
    pub is_myself: bool,
    /// Its role.
    pub role: MemberRole,
    /// The id of its primary if it is a replica.
    pub primary: Option<String>,
    /// Whether it is marked as down, or as possibly down.
    pub is_failing: bool,
    /// Whether the sender is connected to it.
    pub is_linked: bool,
    /// Its lowest slot.
    pub first_slot: Option<u16>,
}

/// Parses the reply to CLUSTER NODES. Leaves out nodes that cannot be reached: without address,
/// during their handshake, or without a port.
#[must_use]
pub fn parse(text: &str) -> Vec<ClusterNode> {
    text.lines().take(MEMBERS_MAX).filter_map(line).collect()
}

fn line(line: &str) -> Option<ClusterNode> {
    let mut columns = line.split_ascii_whitespace();
    let (id, place, flags, primary) = (
        columns.next()?,
        columns.next()?,
        columns.next()?,
        columns.next()?,
    );
    let flags: Vec<&str> = flags.split(',').collect();
    let has = |flag: &str| flags.contains(&flag);
    let (ip, port, hostname, shard_id) = address(place)?;
    if has("noaddr") || has("handshake") || port == 0 || !is_id(id) {
        return None;
    }
    let primary = (primary != "-").then(|| primary.to_owned());
    let is_replica = has("slave") || has("replica") || primary.is_some();
    // After the times of ping and pong, and the epoch.
    let mut rest = columns.skip(3);
    let is_linked = rest.next() == Some("connected");
    Some(ClusterNode {
        id: id.to_owned(),
        ip: ip.to_owned(),
        hostname: hostname.to_owned(),
        port,
        shard_id: shard_id.to_owned(),
        is_myself: has("myself"),
        role: if is_replica {
            MemberRole::Replica
        } else {
            MemberRole::Primary
        },
        primary,
        is_failing: has("fail") || has("fail?") || has("pfail"),
        is_linked: is_linked || has("myself"),
        first_slot: rest.filter_map(first_slot).min(),
    })
}

/// Ids are 40 hexadecimal digits. Other text must not become a label value.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Splits `ip:port@bus,hostname,shard-id=…`. An IPv6 address has no brackets. Old servers write no
/// bus port.
fn address(text: &str) -> Option<(&str, u16, &str, &str)> {
    let mut parts = text.split(',');
    let place = parts.next()?;
    let place = place.split_once('@').map_or(place, |(place, _)| place);
    let (ip, port) = place.rsplit_once(':')?;
    let (mut hostname, mut shard_id) = ("", "");
    for part in parts {
        match part.split_once('=') {
            Some(("shard-id", id)) if is_id(id) => shard_id = id,
            Some(_) => {}
            None => hostname = part,
        }
    }
    Some((ip, port.parse().ok()?, hostname, shard_id))
}

/// Returns the first slot of a range such as `0-5460`. A slot that moves, in brackets, still belongs
/// to the range of its owner.
fn first_slot(text: &str) -> Option<u16> {
    let (first, _) = text.split_once('-').unwrap_or((text, ""));
    first.parse().ok().filter(|slot| *slot < 16_384)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "07c37dfeb235213a872192d90877d0cd55635b91";

    fn one(rest: &str) -> Option<ClusterNode> {
        let mut nodes = parse(&format!("{ID} {rest}"));
        assert!(nodes.len() <= 1);
        nodes.pop()
    }

    #[test]
    fn documented_lines_are_read() {
        let text = "\
07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.1:30004@31004,hostname4 slave e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 0 1426238317239 4 connected
67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 127.0.0.1:30002@31002,hostname2 master - 0 1426238316232 2 connected 5461-10922
292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f 127.0.0.1:30003@31003,hostname3 master - 0 1426238318243 3 connected 10923-16383
6ec23923021cf3ffec47632106199cb7f496ce01 127.0.0.1:30005@31005,hostname5 slave 67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 0 1426238316232 5 connected
824fe116063bc5fcf9f4ffd895bc17aee7731ac3 127.0.0.1:30006@31006,hostname6 slave 292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f 0 1426238317741 6 disconnected
e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 127.0.0.1:30001@31001,hostname1 myself,master - 0 0 1 connected 0-5460
";
        let nodes = parse(text);
        let slots: Vec<_> = nodes.iter().filter_map(|node| node.first_slot).collect();
        assert_eq!(slots, [5461, 10923, 0]);
        let first = nodes.first().unwrap();
        assert_eq!(
            (first.ip.as_str(), first.port, first.hostname.as_str()),
            ("127.0.0.1", 30_004, "hostname4")
        );
        assert_eq!(
            first.primary.as_deref(),
            Some("e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca")
        );
        assert_eq!(first.role, MemberRole::Replica);
        let linked: Vec<_> = nodes.iter().map(|node| node.is_linked).collect();
        assert_eq!(linked, [true, true, true, true, false, true]);
        let own: Vec<_> = nodes.iter().map(|node| node.is_myself).collect();
        assert_eq!(own, [false, false, false, false, false, true]);
    }

    #[test]
    fn addresses_of_all_forms_are_read() {
        let of = |place: &str| {
            let node = one(&format!("{place} master - 0 0 1 connected")).unwrap();
            (node.ip, node.port, node.hostname, node.shard_id)
        };
        let expected = |ip: &str, port, name: &str, shard: &str| {
            (ip.to_owned(), port, name.to_owned(), shard.to_owned())
        };
        assert_eq!(of("10.0.0.1:7000"), expected("10.0.0.1", 7000, "", ""));
        assert_eq!(of(":7912@17912"), expected("", 7912, "", ""));
        assert_eq!(
            of("2001:db8::7:7000@17000"),
            expected("2001:db8::7", 7000, "", "")
        );
        assert_eq!(
            of("10.0.0.1:7000@17000,"),
            expected("10.0.0.1", 7000, "", "")
        );
        assert_eq!(
            of("10.0.0.1:7000@17000,,tls-port=0,shard-id=69bc0806"),
            expected("10.0.0.1", 7000, "", "69bc0806")
        );
        assert_eq!(
            of("10.0.0.1:7000@17000,a.b,nodename=x"),
            expected("10.0.0.1", 7000, "a.b", "")
        );
    }

    #[test]
    fn unreachable_nodes_are_left_out() {
        for rest in [
            ":0@0 master,noaddr - 0 0 1 disconnected",
            "10.0.0.1:7000@17000 handshake - 0 0 0 disconnected",
            "10.0.0.1:0@0 master - 0 0 1 connected",
            "10.0.0.1:99999@1 master - 0 0 1 connected",
            "nonsense master - 0 0 1 connected",
            "10.0.0.1:7000@17000 master",
        ] {
            assert_eq!(one(rest), None, "{rest}");
        }
    }

    #[test]
    fn flags_and_slots_are_read() {
        let node = one("1.2.3.4:1@2 master,fail?,nofailover,shiny - 0 0 1 connected 9 7-8 [5->-x] [4-<-x] what").unwrap();
        assert!(node.is_failing);
        assert_eq!(node.first_slot, Some(7));
        let node = one("1.2.3.4:1@2 slave,fail x 0 0 1 disconnected").unwrap();
        assert!(node.is_failing && !node.is_linked);
        assert_eq!((node.first_slot, node.role), (None, MemberRole::Replica));
        // The words of future servers.
        assert_eq!(
            one("1.2.3.4:1@2 replica x 0 0 1 connected").unwrap().role,
            MemberRole::Replica
        );
        assert_eq!(
            one("1.2.3.4:1@2 primary - 0 0 1 connected").unwrap().role,
            MemberRole::Primary
        );
        assert!(!one("1.2.3.4:1@2 noflags -").unwrap().is_failing);
    }

    #[test]
    fn recorded_list_is_read() {
        let nodes = parse(
            "3765f2258c987aedae2594dbba8a316cc2d8c8eb :7912@17912 myself,master - 0 0 0 connected 0-16383\n",
        );
        let node = nodes.first().unwrap();
        assert_eq!(
            (node.port, node.first_slot, node.is_myself),
            (7912, Some(0), true)
        );
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(text in "\\PC*", line in "[0-9a-f]{40} [0-9.:@,=a-z-]{0,40} [a-z,?]{0,20} [-a-f]{0,4} [0-9 ]{0,9}[a-z \\[\\]<>0-9-]{0,40}") {
            for node in parse(&text).into_iter().chain(parse(&line)) {
                prop_assert!(node.port > 0);
                prop_assert!(node.first_slot.is_none_or(|slot| slot < 16_384));
            }
        }
    }
}
