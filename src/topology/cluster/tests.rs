use proptest::prelude::*;

use super::super::preferred::Preferred;
use super::*;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "cccccccccccccccccccccccccccccccccccccccc";

fn at(text: &str) -> HostPort {
    HostPort::parse(text).unwrap()
}

fn online(host: PreferredHost) -> Preferred {
    Preferred {
        host,
        shard_id: String::new(),
        is_online: true,
    }
}

fn named(host: &str) -> PreferredHost {
    PreferredHost::Named(host.to_owned())
}

/// Returns the members, each as `address role shard`.
fn seen(text: &str, preferred: &PreferredHosts, known: &mut KnownShards) -> Vec<String> {
    let members = members(text, preferred, &at("seed:7"), &AddressMap::new(), known);
    let lines = members
        .iter()
        .map(|member| format!("{} {} {}", member.at, member.role.as_str(), member.shard));
    lines.collect()
}

fn fresh(text: &str, preferred: &PreferredHosts) -> Vec<String> {
    seen(text, preferred, &mut KnownShards::new())
}

#[test]
fn members_have_address_role_and_shard() {
    let text = format!(
        "{A} 10.0.0.1:1@9 myself,master - 0 0 1 connected 0-99\n\
         {B} 10.0.0.2:2@9 slave {A} 0 0 1 connected\n\
         {C} 10.0.0.3:3@9 master - 0 0 2 connected 100-16383\n"
    );
    let expected = [
        "10.0.0.1:1 primary 0",
        "10.0.0.2:2 replica 0",
        "10.0.0.3:3 primary 100",
    ];
    assert_eq!(fresh(&text, &PreferredHosts::new()), expected);
    let mut with_id = online(named("10.0.0.1"));
    with_id.shard_id = "247079a2a3b3403b180310ff80e1dafa0f7e49aa".to_owned();
    let preferred = PreferredHosts::from([(A.to_owned(), with_id)]);
    let expected = [
        "10.0.0.1:1 primary 247079a2",
        "10.0.0.2:2 replica 247079a2",
        "10.0.0.3:3 primary 100",
    ];
    assert_eq!(fresh(&text, &preferred), expected);
}

#[test]
fn preferred_host_wins_over_ip_and_dialed_host() {
    let text = format!("{A} 10.0.0.1:1@9,a.b master - 0 0 1 connected 0-9\n");
    let of = |host| fresh(&text, &PreferredHosts::from([(A.to_owned(), online(host))]));
    assert_eq!(of(named("a.b")), ["a.b:1 primary 0"]);
    assert_eq!(of(PreferredHost::Unknown), ["10.0.0.1:1 primary 0"]);
    assert_eq!(of(PreferredHost::Dialed), ["seed:1 primary 0"]);
    let own = format!("{A} :7912@17912 myself,master - 0 0 0 connected 0-16383\n");
    assert_eq!(fresh(&own, &PreferredHosts::new()), ["seed:7912 primary 0"]);
    let foreign = format!("{A} :7912@17912 master - 0 0 0 connected 0-16383\n");
    assert!(fresh(&foreign, &PreferredHosts::new()).is_empty());
}

#[test]
fn nodes_without_details_are_named_like_the_others() {
    let text = format!(
        "{A} 10.0.0.1:1@9,a.b myself,master - 0 0 1 connected 0-99\n\
         {B} 10.0.0.2:2@9,b.b master - 0 0 1 connected 100-200\n\
         {C} 10.0.0.3:3@9,c.b slave {A} 0 0 2 connected\n"
    );
    let of = |host| fresh(&text, &PreferredHosts::from([(B.to_owned(), online(host))]));
    assert_eq!(of(named("b.b")).last().unwrap(), "c.b:3 replica 0");
    assert_eq!(
        of(named("10.0.0.2")).last().unwrap(),
        "10.0.0.3:3 replica 0"
    );
    assert_eq!(
        of(PreferredHost::Dialed).last().unwrap(),
        "seed:3 replica 0"
    );
}

#[test]
fn mapped_address_is_used() {
    let text = format!("{A} 10.0.0.1:1@9 master - 0 0 1 connected 0-9\n");
    let map = AddressMap::from([(at("10.0.0.1:1"), at("nat.example:16379"))]);
    let none = PreferredHosts::new();
    let found = members(&text, &none, &at("seed:7"), &map, &mut KnownShards::new());
    assert_eq!(found[0].at, at("nat.example:16379"));
}

#[test]
fn failed_primary_keeps_its_shard() {
    let before = format!(
        "{A} 10.0.0.1:1@9 master - 0 0 1 connected 50-99\n{B} 10.0.0.2:2@9 slave {A} 0 0 1 connected\n"
    );
    let after = format!(
        "{A} 10.0.0.1:1@9 master,fail - 0 0 1 disconnected\n{B} 10.0.0.2:2@9 master - 0 0 2 connected 50-99\n"
    );
    let again = format!(
        "{A} 10.0.0.1:1@9 slave {B} 0 0 2 connected\n{B} 10.0.0.2:2@9 master - 0 0 2 connected 50-99\n"
    );
    let (mut known, none) = (KnownShards::new(), PreferredHosts::new());
    seen(&before, &none, &mut known);
    let expected = ["10.0.0.1:1 primary 50", "10.0.0.2:2 primary 50"];
    assert_eq!(seen(&after, &none, &mut known), expected);
    assert_eq!(seen(&after, &none, &mut known), expected);
    let expected = ["10.0.0.1:1 replica 50", "10.0.0.2:2 primary 50"];
    assert_eq!(seen(&again, &none, &mut known), expected);
    assert_eq!(fresh(&after, &none)[0], "10.0.0.1:1 primary ");
}

#[test]
fn only_connected_online_replicas_are_in_sync() {
    let of = |flags: &str, link: &str, is_online| {
        let text = format!("{B} 10.0.0.2:2@9 {flags} {A} 0 0 1 {link}\n");
        let details = Preferred {
            is_online,
            ..online(named("x"))
        };
        let preferred = PreferredHosts::from([(B.to_owned(), details)]);
        let mut known = KnownShards::new();
        members(
            &text,
            &preferred,
            &at("seed:7"),
            &AddressMap::new(),
            &mut known,
        )[0]
        .is_in_sync
    };
    assert!(of("slave", "connected", true));
    assert!(!of("slave", "connected", false));
    assert!(!of("slave", "disconnected", true));
    assert!(!of("slave,fail?", "connected", true));
}

#[test]
fn shard_without_slots_has_no_keys() {
    let text = format!(
        "{A} 10.0.0.1:1@9 master - 0 0 1 connected\n{B} 10.0.0.2:2@9 slave {A} 0 0 1 connected\n\
         {C} 10.0.0.3:3@9 master - 0 0 1 connected 5\n"
    );
    let mut known = KnownShards::from([(A.to_owned(), "5".to_owned())]);
    let none = PreferredHosts::new();
    let found = members(&text, &none, &at("seed:7"), &AddressMap::new(), &mut known);
    let found: Vec<_> = found
        .iter()
        .map(|member| (member.shard.as_str(), member.has_keys))
        .collect();
    assert_eq!(found, [("5", false), ("5", false), ("5", true)]);
}

#[test]
fn authority_prefers_a_healthy_cluster() {
    let of = |text: &str| Authority::from_info(text);
    let ok = of("cluster_state:ok\r\ncluster_current_epoch:3\r\n");
    let late = of("cluster_state:fail\r\ncluster_current_epoch:9\r\n");
    assert!(ok > late && late > of("cluster_state:fail\r\ncluster_current_epoch:8\r\n"));
    assert_eq!(of("nonsense"), Authority::default());
}

proptest! {
    #[test]
    fn addresses_are_distinct_and_usable(text in "([ab]{40} [0-9a-f.:]{0,12}:[0-9]{1,5}@[0-9],[a-z.]{0,5} (myself,)?(master|slave|fail) [-ab]{1,2} 0 0 1 connected [0-9]{1,5}\n){0,6}") {
        let mut known = KnownShards::new();
        let found = members(&text, &PreferredHosts::new(), &at("seed:7"), &AddressMap::new(), &mut known);
        for pair in found.windows(2) {
            prop_assert!(pair[0].at < pair[1].at);
        }
        for member in found {
            prop_assert_eq!(HostPort::parse(&member.at.to_string()), Some(member.at));
        }
    }
}

#[test]
fn announced_host_names_can_be_preferred() {
    let text = format!(
        "{A} 10.0.0.1:1@9,a.b master - 0 0 1 connected 0-9\n\
         {B} 10.0.0.2:1@9,b.b slave {A} 0 0 1 connected\n\
         {C} 10.0.0.3:1@9 master - 0 0 1 connected 10-16383\n"
    );
    let mut preferred = PreferredHosts::from([(A.to_owned(), online(named("10.0.0.1")))]);
    prefer_hostnames(&text, &mut preferred);
    let expected = [
        "10.0.0.3:1 primary 10",
        "a.b:1 primary 0",
        "b.b:1 replica 0",
    ];
    assert_eq!(fresh(&text, &preferred), expected);
    assert!(preferred[A].is_online && !preferred[B].is_online);
}
