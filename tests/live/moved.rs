//! Names and addresses that another server takes over.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::support::cutter::Cutter;
use crate::support::keys;
use crate::support::port;
use crate::support::{Exporter, Launch, Page, RedisServer};

/// Enough for some DNS lookups, 15 seconds apart, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(2 * 60);

const NAME: &str = "cache.example";

fn launch(url: &str) -> Launch {
    Launch::configured(&format!(
        "poll: {{ interval: 1s, timeout: 1s }}\n\
         sweep: {{ enabled: true, cpu_share: 50%, min_pass_interval: 1s }}\n\
         targets:\n- {{ name: cache, url: '{url}' }}\n"
    ))
}

fn failures(page: &Page) -> f64 {
    page.all("redis_exporter_poll_failures_total", &[])
        .iter()
        .sum()
}

/// Returns the lines of a page that help to explain a failure.
fn samples(page: &Page) -> String {
    let names = [
        "redis_up",
        "redis_exporter_poll",
        "redis_exporter_reconnects",
        "redis_db_keys{",
    ];
    let lines = page.0.lines();
    let wanted = lines.filter(|line| names.iter().any(|name| line.starts_with(name)));
    wanted.collect::<Vec<_>>().join("\n")
}

fn reconnects(page: &Page, cause: &str) -> f64 {
    page.value("redis_exporter_reconnects_total", &[("cause", cause)])
}

/// Waits until the poll and the sweep show the server with this many keys. No poll may fail.
fn shows(exporter: &Exporter, keys: f64) -> Page {
    let page = exporter.within(PATIENCE, "the other server", |page| {
        assert!(page.is_up(), "{}\n{}", samples(page), exporter.log());
        let of = |name: &str| page.get(name, &[("db", "db0")]) == Some(keys);
        let swept: f64 = page.all("redis_key_namespace_keys", &[]).iter().sum();
        of("redis_db_keys") && swept == keys
    });
    assert_eq!(failures(&page), 0.0, "{}", samples(&page));
    page
}

/// Waits for enough polls to cover the next two DNS lookups.
fn several_lookups(exporter: &Exporter) -> Page {
    for _ in 0..4 {
        exporter.polls(5);
    }
    exporter.page()
}

fn server(keys: u32) -> RedisServer {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, keys, "call('SET', 'session:' .. i, 1)");
    server
}

#[test]
fn changed_dns_record_is_followed() {
    let (first, second) = (server(10), server(20));
    let port = port::free();
    let _first = Cutter::at(Ipv4Addr::new(127, 0, 0, 2), port, first.port);
    let _second = Cutter::at(Ipv4Addr::new(127, 0, 0, 3), port, second.port);
    let exporter = launch(&format!("redis://{NAME}:{port}"))
        .with_hosts(&format!("127.0.0.2 {NAME}\n"))
        .start();
    shows(&exporter, 10.0);
    // The old address is still in the list.
    exporter.set_hosts(&format!("127.0.0.3 {NAME}\n127.0.0.2 {NAME}\n"));
    let page = several_lookups(&exporter);
    assert_eq!(reconnects(&page, "moved"), 0.0, "{}", samples(&page));
    exporter.set_hosts(&format!("127.0.0.3 {NAME}\n"));
    let page = shows(&exporter, 20.0);
    assert!(reconnects(&page, "moved") >= 1.0, "{}", samples(&page));
    // A name that cannot be resolved does not end a working connection.
    exporter.set_hosts("");
    let before = reconnects(&page, "moved");
    let page = several_lookups(&exporter);
    assert!(page.is_up(), "{}", samples(&page));
    assert_eq!(failures(&page), 0.0, "{}", samples(&page));
    assert_eq!(reconnects(&page, "moved"), before, "{}", samples(&page));
}

#[test]
fn role_change_switches_to_the_new_primary_at_once() {
    let (first, second) = (server(10), server(20));
    let address = Ipv4Addr::new(127, 0, 0, 4);
    let port = port::free();
    let virtual_address = Cutter::at(address, port, first.port);
    let exporter = launch(&format!("redis://{address}:{port}")).start();
    shows(&exporter, 10.0);
    // Open connections stay with the first server. New connections go to the second.
    virtual_address.lead_to(second.port);
    let page = exporter.polls(3);
    assert_eq!(
        page.value("redis_db_keys", &[("db", "db0")]),
        10.0,
        "{}",
        samples(&page)
    );
    first.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    let page = shows(&exporter, 20.0);
    assert!(
        reconnects(&page, "role_changed") >= 1.0,
        "{}",
        samples(&page)
    );
}
