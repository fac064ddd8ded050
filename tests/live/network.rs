//! The network between exporter and server: round trips that take long, connections that break.

use std::time::{Duration, Instant};

use crate::support::redis::Client;
use crate::support::{Proxy, RedisServer};

#[test]
fn the_proxy_delays_and_cuts() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::to(server.port);
    let mut client = Client::connect(proxy.port).unwrap();
    assert_eq!(client.ask(&["PING"]), "PONG");
    let delay = Duration::from_millis(60);
    proxy.delay(delay);
    let started = Instant::now();
    assert_eq!(client.ask(&["PING"]), "PONG");
    assert!(started.elapsed() >= delay, "{:?}", started.elapsed());
    proxy.cut();
    assert!(client.try_ask(&["PING"]).is_err());
    proxy.refuse(true);
    assert!(
        Client::connect(proxy.port)
            .and_then(|mut client| client.try_ask(&["PING"]))
            .is_err()
    );
    assert_eq!(proxy.accepted(), 2);
    assert!(proxy.url().ends_with(&proxy.port.to_string()));
}
