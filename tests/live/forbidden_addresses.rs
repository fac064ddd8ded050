//! Names and servers that lead to addresses of this machine, of its links, and of metadata services,
//! which hand out credentials. A listener at each of them must see nothing.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr, TcpListener};

use crate::support::cutter::Cutter;
use crate::support::fake::{FakeServer, bulk};
use crate::support::private_network;
use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, Page, RedisServer, until};

/// The port of all listeners and servers.
const PORT: u16 = 6379;

/// The address of a server that may be polled.
const HARMLESS: &str = "10.0.0.1";

/// Addresses of the network in which the tests run.
const ADDRESSES: [&str; 6] = [
    "10.0.0.1/32",
    "169.254.7.7/32",
    "169.254.169.254/32",
    "169.254.170.2/32",
    "100.100.100.200/32",
    "fd00:ec2::254/128",
];

/// Addresses that no name and no server may lead to.
const FORBIDDEN: [&str; 7] = [
    "127.0.0.1",
    "::1",
    "169.254.7.7",
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "fd00:ec2::254",
];

/// Listeners at all forbidden addresses. They never accept, so that every connection stays in their
/// queues.
struct Traps(Vec<TcpListener>);

impl Traps {
    fn set() -> Self {
        let trap = |address: &str| {
            let at = SocketAddr::new(address.parse::<IpAddr>().unwrap(), PORT);
            // An IPv6 address can be used a moment after it was added.
            let listener = until(LONG, "the address", || TcpListener::bind(at).ok());
            listener.set_nonblocking(true).unwrap();
            listener
        };
        Self(FORBIDDEN.into_iter().map(trap).collect())
    }

    /// Returns the addresses that someone has connected to since the last call.
    fn touched(&self) -> Vec<IpAddr> {
        let touched = self.0.iter().filter(|trap| trap.accept().is_ok());
        touched
            .map(|trap| trap.local_addr().unwrap().ip())
            .collect()
    }
}

fn in_url(address: &str) -> String {
    if address.contains(':') {
        format!("[{address}]")
    } else {
        address.to_owned()
    }
}

/// Returns the page of a requested target.
fn scraped(exporter: &Exporter, host: &str) -> Page {
    let response = exporter.get(&format!("/scrape?target={}", in_url(host)));
    assert_eq!(response.status, 200, "{host}: {}", response.text());
    Page(response.text())
}

/// Returns the lines of a file of host names: a name for each forbidden address.
fn hosts() -> String {
    let lines = FORBIDDEN.iter().enumerate();
    let lines = lines.map(|(at, address)| format!("{address} {}\n", name(at)));
    lines.collect()
}

fn name(at: usize) -> String {
    format!("server-{at}.test")
}

/// Makes a server on loopback available at the harmless address and this port.
fn expose(server: u16, port: u16) -> Cutter {
    Cutter::at(HARMLESS.parse().unwrap(), port, server)
}

/// Starts an exporter to which requests may name servers. A poll times out after its interval.
fn requested(allow: &str, hosts: &str, interval: &str) -> Exporter {
    let text = format!("poll: {{ interval: {interval} }}\nscrape: {{ allow: [{allow}] }}\n");
    Launch::configured(&text).with_hosts(hosts).start()
}

#[test]
fn names_of_forbidden_addresses_are_not_dialed() {
    let test = "forbidden_addresses::names_of_forbidden_addresses_are_not_dialed";
    private_network::within(test, &ADDRESSES, || {
        let traps = Traps::set();
        let all = FORBIDDEN.join(" both.test\n");
        let hosts = format!(
            "{}{HARMLESS} good.test both.test\n{all} both.test\n",
            hosts()
        );
        let exporter = requested("'*.test', '0.0.0.0/0', '::/0'", &hosts, "8s");
        for (at, address) in FORBIDDEN.iter().enumerate() {
            let page = scraped(&exporter, &name(at));
            assert_eq!(page.value("redis_up", &[]), 0.0, "{address}");
            assert_eq!(page.failure().as_deref(), Some("denied"), "{address}");
            let literal = exporter.get(&format!("/scrape?target={}", in_url(address)));
            assert_eq!(literal.status, 404, "{address}: {}", literal.text());
        }
        let server = RedisServer::start(&[]);
        let _exposed = expose(server.port, PORT);
        for name in ["good.test", "both.test"] {
            let page = scraped(&exporter, name);
            assert_eq!(page.value("redis_up", &[]), 1.0, "{name}: {}", page.0);
        }
        assert_eq!(traps.touched(), [] as [IpAddr; 0]);

        // The listeners do see what is allowed literally.
        let literal = FORBIDDEN.map(|address| format!("'{address}'")).join(", ");
        let exporter = requested(&literal, &hosts, "500ms");
        for address in FORBIDDEN {
            scraped(&exporter, address);
        }
        let expected = FORBIDDEN.map(|address| address.parse::<IpAddr>().unwrap());
        assert_eq!(traps.touched(), expected);
    });
}

fn list(texts: &[&str]) -> String {
    let items: String = texts.iter().map(|text| bulk(text)).collect();
    format!("*{}\r\n{items}", texts.len())
}

/// Returns the reply of a node to CLUSTER NODES. It lists each forbidden address and the name of each.
fn cluster_nodes() -> String {
    let node = |number: usize, at: &str, flags: &str, slots: &str| {
        format!("{number:040x} {at} {flags} - 0 0 {number} connected{slots}\n")
    };
    let own = format!("{HARMLESS}:{PORT}@16379");
    let mut text = node(1, &own, "myself,master", " 0-16383");
    for (at, address) in FORBIDDEN.iter().enumerate() {
        text += &node(10 + at, &format!("{address}:{PORT}@16379"), "master", "");
        // Each node needs an address of its own, which its name replaces.
        let named = format!("10.0.1.{at}:{PORT}@16379,{}", name(at));
        text += &node(30 + at, &named, "master", "");
    }
    text
}

/// Returns the reply of a primary to INFO. All forbidden addresses and their names are its replicas.
fn primary_info() -> String {
    let mut text = "# Replication\r\nrole:master\r\n".to_owned();
    let names: Vec<_> = (0..FORBIDDEN.len()).map(name).collect();
    let hosts = FORBIDDEN
        .into_iter()
        .chain(names.iter().map(String::as_str));
    for (at, host) in hosts.enumerate() {
        let state = "state=online,offset=1,lag=0";
        write!(text, "slave{at}:ip={host},port={PORT},{state}\r\n").unwrap();
    }
    text
}

/// Returns the reply of a replica of this primary to INFO.
fn replica_info(primary: &str) -> String {
    format!(
        "# Replication\r\nrole:slave\r\nmaster_host:{primary}\r\nmaster_port:{PORT}\r\n\
         master_link_status:up\r\n"
    )
}

/// Replies as a node of a cluster, as a primary, and as a sentinel. The name of a primary is what the
/// sentinel returns as its host.
fn misled(words: &[String]) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["CLUSTER", "NODES"] => bulk(&cluster_nodes()),
        ["CLUSTER", "INFO"] => bulk("cluster_state:ok\r\n"),
        ["CLUSTER", "MYID"] => bulk(&format!("{:040x}", 1)),
        ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", host] => list(&[host, &PORT.to_string()]),
        ["SENTINEL", "REPLICAS", _] => list(&[]),
        ["INFO", ..] => bulk(&primary_info()),
        ["AUTH" | "CLIENT", ..] => "+OK\r\n".to_owned(),
        _ => "-ERR unknown command\r\n".to_owned(),
    }
}

#[test]
fn forbidden_members_of_groups_are_not_dialed() {
    let test = "forbidden_addresses::forbidden_members_of_groups_are_not_dialed";
    private_network::within(test, &ADDRESSES, || {
        let traps = Traps::set();
        let fake = FakeServer::start(misled);
        let _exposed = expose(fake.port, PORT);
        let names: Vec<_> = (0..FORBIDDEN.len()).map(name).collect();
        let hosts_of_primaries = FORBIDDEN
            .into_iter()
            .chain(names.iter().map(String::as_str));
        let mut targets = format!(
            "- {{ name: nodes, url: 'redis://{HARMLESS}:{PORT}', password: hush, \
             discover: {{ kind: cluster, interval: 1s, hostnames: true }} }}\n\
             - {{ name: replicas, url: 'redis://{HARMLESS}:{PORT}', password: hush, \
             discover: {{ kind: replicas, interval: 1s }} }}\n"
        );
        let mut replicas = Vec::new();
        for (at, host) in hosts_of_primaries.enumerate() {
            let info = bulk(&replica_info(host));
            let replica = FakeServer::start(move |words| match words.first().map(String::as_str) {
                Some("INFO") => info.clone(),
                _ => "+OK\r\n".to_owned(),
            });
            let port = PORT + 1 + u16::try_from(at).unwrap();
            write!(
                targets,
                "- {{ name: sentinel-{at}, url: 'redis://{HARMLESS}:{PORT}', password: hush, \
                 discover: {{ kind: sentinel, primary: '{host}', interval: 1s }} }}\n\
                 - {{ name: replica-{at}, url: 'redis://{HARMLESS}:{port}', password: hush, \
                 discover: {{ kind: replicas, interval: 1s }} }}\n"
            )
            .unwrap();
            replicas.push((expose(replica.port, port), replica));
        }
        let configuration = format!("poll: {{ interval: 500ms }}\ntargets:\n{targets}");
        let launch = Launch::configured(&configuration).with_hosts(&hosts());
        let exporter = launch.start();
        let (all, half) = (2 * FORBIDDEN.len(), FORBIDDEN.len());
        let refused = |page: &Page, source: &str| {
            let labels = [("discovery", source), ("state", "refused")];
            page.get("redis_exporter_discovery_targets", &labels)
        };
        let is_denied = |page: &Page, target: &str| {
            let labels = [("target", target), ("err", "denied")];
            page.get("redis_exporter_last_scrape_error", &labels) == Some(1.0)
        };
        exporter.until("the refusal of each member", |page| {
            let count = u32::try_from(half).unwrap().into();
            let groups = ["nodes", "replicas"].map(|source| {
                let is_named_denied =
                    |name: &String| is_denied(page, &format!("{source}/{name}:{PORT}"));
                refused(page, source) == Some(count) && names.iter().all(is_named_denied)
            });
            let primaries = (0..all).map(|at| {
                let source = format!("sentinel-{at}");
                if at < half {
                    return refused(page, &source) == Some(1.0);
                }
                is_denied(page, &format!("{source}/{}:{PORT}", name(at - half)))
            });
            groups.into_iter().chain(primaries).all(|is_done| is_done)
        });
        // The primary of a replica is queried first.
        let log = until(LONG, "the failures of the replicas", || {
            let log = exporter.log();
            let is_logged = |at: usize| log.contains(&format!("source=replica-{at} "));
            (0..all).all(is_logged).then_some(log)
        });
        assert!(
            log.matches("is not an allowed address").count() >= all,
            "{log}"
        );
        exporter.polls_of(&format!("nodes/{HARMLESS}:{PORT}"), 5);
        assert_eq!(traps.touched(), [] as [IpAddr; 0]);
    });
}
