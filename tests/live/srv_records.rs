//! Sources that read SRV records.

use std::collections::BTreeSet;

use crate::support::name_server::NameServer;
use crate::support::wait::LONG;
use crate::support::{Launch, Page, RedisServer, until};

const NAME: &str = "_redis._tcp.shop.test";

fn names(servers: &[&RedisServer]) -> BTreeSet<String> {
    let name = |server: &&RedisServer| format!("shop/localhost:{}", server.port);
    servers.iter().map(name).collect()
}

fn up(page: &Page) -> BTreeSet<String> {
    let names = page.label_values("redis_up", "target", 1.0);
    names.into_iter().collect()
}

fn success(page: &Page) -> f64 {
    page.value("redis_exporter_discovery_success", &[("discovery", "shop")])
}

#[test]
fn servers_in_srv_records_are_polled() {
    // The resolver of the exporter uses port 53, which is free on this loopback address.
    let Some(name_server) = NameServer::start("127.0.0.78", NAME) else {
        eprintln!("left out: binding port 53 and mounting need root");
        return;
    };
    let servers = [RedisServer::start(&[]), RedisServer::start(&[])];
    let [first, second] = [&servers[0], &servers[1]];
    name_server.set(&[("localhost", first.port)]);
    let exporter = Launch::configured(
        "poll: { interval: 500ms }\ntargets_from:\n\
         - { name: shop, dns: _redis._tcp, type: SRV, interval: 1s }\n",
    )
    .with_resolver("nameserver 127.0.0.78\nsearch none.test shop.test\noptions timeout:1\n")
    .start();
    exporter.until("the first server", |page| up(page) == names(&[first]));
    name_server.set(&[("localhost", second.port), ("localhost", first.port)]);
    exporter.until("both servers", |page| up(page) == names(&[first, second]));
    assert_eq!(name_server.over_tcp(), 0);

    // A failure, or a name without records, changes nothing.
    name_server.fail(true);
    let page = exporter.until("a failure", |page| success(page) == 0.0);
    assert_eq!(up(&page), names(&[first, second]));
    until(LONG, "its reason", || {
        exporter
            .log()
            .contains("replied ServerFailure")
            .then_some(())
    });
    name_server.fail(false);
    exporter.until("a success", |page| success(page) == 1.0);
    name_server.set(&[]);
    let page = exporter.until("no records", |page| success(page) == 0.0);
    assert_eq!(up(&page), names(&[first, second]));

    // Too long for UDP. Nobody listens on the ports of the others.
    let mut many: Vec<_> = (1..=40).map(|port| ("localhost", port)).collect();
    many.push(("localhost", second.port));
    name_server.set(&many);
    let watched = [("discovery", "shop"), ("state", "watched")];
    let page = exporter.until("all records", |page| {
        page.get("redis_exporter_discovery_targets", &watched) == Some(41.0)
    });
    assert!(name_server.over_tcp() > 0);
    let change = |page: &Page, change| {
        let labels = [("discovery", "shop"), ("change", change)];
        page.value("redis_exporter_discovery_changes_total", &labels)
    };
    assert_eq!(change(&page, "added"), 41.0);
    assert_eq!(change(&page, "removed"), 1.0);
}
