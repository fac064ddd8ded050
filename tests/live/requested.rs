//! Targets that requests name, like those of `redis_exporter`'s `/scrape`.

use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::fake::FakeServer;
use crate::support::prometheus::Prometheus;
use crate::support::wait::{LONG, slack};
use crate::support::{Exporter, Launch, Page, RedisServer, http, until};

/// Starts an exporter without configured targets that allows these servers.
fn start(allow: &str, more: &str) -> Exporter {
    let text = format!("poll: {{ interval: 500ms }}\nscrape: {{ allow: [{allow}]{more} }}\n");
    Launch::configured(&text).start()
}

fn scraped(exporter: &Exporter, target: &str) -> Page {
    let response = exporter.get(&format!("/scrape?target={target}"));
    assert_eq!(response.status, 200, "{}", response.text());
    Page(response.text())
}

fn watched(exporter: &Exporter) -> f64 {
    let labels = [("discovery", "scrape"), ("state", "watched")];
    let page = exporter.page();
    page.value("redis_exporter_discovery_targets", &labels)
}

fn refused(exporter: &Exporter, reason: &str) -> f64 {
    let name = "redis_exporter_refused_scrape_requests_total";
    exporter.page().value(name, &[("reason", reason)])
}

#[test]
fn first_request_returns_the_keys_of_its_server() {
    let [first, second] = [(); 2].map(|()| RedisServer::start(&[]));
    first.ask(&["MSET", "a", "1", "b", "2"]);
    second.ask(&["SET", "a", "1"]);
    let allow = format!("'{}', '127.0.0.1/32:{}'", first.address(), second.port);
    let exporter = start(&allow, "");
    for (server, keys) in [(&first, 2.0), (&second, 1.0)] {
        let page = scraped(&exporter, &server.url());
        assert_eq!(page.value("redis_up", &[]), 1.0);
        assert_eq!(page.value("redis_db_keys", &[("db", "db0")]), keys);
    }
    assert_eq!(watched(&exporter), 2.0);
    let all = exporter.page();
    assert_eq!(all.all("redis_up", &[]), [0.0; 0], "{}", all.0);
    assert_eq!(all.all("redis_exporter_polls_total", &[]), [0.0; 0]);
    assert_eq!(exporter.get("/sd").text().trim(), "[]");
}

#[test]
fn requested_server_has_a_page_and_a_record() {
    let server = RedisServer::start(&[]);
    let exporter = start(&format!("'{}'", server.address()), "");
    scraped(&exporter, &server.address());
    let name = format!("scrape%2F{}", server.address());
    let all = exporter.get("/").text();
    assert!(all.contains(&format!("targets/{name}\"")), "{all}");
    for path in ["/targets/", "/api/v1/targets/"] {
        let response = exporter.get(&format!("{path}{name}"));
        assert_eq!(response.status, 200, "{path}: {}", response.text());
    }
    for target in [name, server.address()] {
        let record = exporter.get(&format!("/probe?target={target}&debug=1"));
        let record = record.text();
        assert!(record.contains("The last poll succeeded"), "{record}");
    }
    let unknown = exporter.get("/targets/scrape%2F127.0.0.1:2");
    assert_eq!(unknown.status, 404);
}

#[test]
fn server_is_forgotten_without_requests() {
    let server = RedisServer::start(&[]);
    let exporter = start(&format!("'{}'", server.address()), ", forget_after: 1s");
    assert_eq!(
        scraped(&exporter, &server.address()).value("redis_up", &[]),
        1.0
    );
    until(LONG, "the end of the target", || {
        let connections = server.exporter_connections();
        (connections.is_empty() && watched(&exporter) == 0.0).then_some(())
    });
    assert_eq!(
        scraped(&exporter, &server.address()).value("redis_up", &[]),
        1.0
    );
}

#[test]
fn slow_server_is_not_forgotten_during_the_first_request() {
    let server = RedisServer::start(&[]);
    let text = format!(
        "poll: {{ interval: 10s, timeout: 8s }}\nscrape: {{ allow: ['{}'], forget_after: 1s }}\n",
        server.address()
    );
    let exporter = Launch::configured(&text).start();
    server.ask(&["CLIENT", "PAUSE", "3000"]);
    let page = scraped(&exporter, &server.address());
    assert_eq!(page.value("redis_up", &[]), 1.0);
}

/// A server that never accepts, so that every connection stays in its queue.
struct Trap(TcpListener);

impl Trap {
    fn set() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    fn assert_untouched(&self) {
        assert!(self.0.accept().is_err(), "someone has connected");
    }
}

#[test]
fn servers_that_are_not_allowed_are_not_dialed() {
    let trap = Trap::set();
    let port = trap.port();
    let allow = format!("'redis-*.svc:{port}', '10.0.0.0/16:6379', '0.0.0.0/0:{port}'");
    let exporter = start(&allow, "");
    let targets = [
        format!("127.0.0.1:{port}"),
        format!("redis://127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("0.0.0.0:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("user:hunter2@127.0.0.1:{port}"),
        format!("169.254.169.254:{port}"),
        "10.0.0.1:22".to_owned(),
        "redis-1.svc:22".to_owned(),
        "unix:///tmp/redis.sock".to_owned(),
        "%".to_owned(),
    ];
    for path in ["scrape", "probe"] {
        for target in &targets {
            let response = exporter.get(&format!("/{path}?target={target}"));
            assert_eq!(response.status, 404, "{target}: {}", response.text());
            assert!(!response.text().contains("hunter2"));
        }
    }
    assert_eq!(refused(&exporter, "not_allowed"), 22.0);
    assert_eq!(watched(&exporter), 0.0);
    trap.assert_untouched();
}

#[test]
fn name_of_a_local_address_is_not_dialed_unless_it_is_named() {
    let server = RedisServer::start(&[]);
    let trap = Trap::set();
    let target = format!("localhost:{}", trap.port());
    let exporter = start(&format!("'{target}'"), "");
    let page = scraped(&exporter, &target);
    assert_eq!(page.value("redis_up", &[]), 0.0);
    assert_eq!(page.failure().as_deref(), Some("denied"));
    trap.assert_untouched();
    let exporter = start("localhost, 127.0.0.1, '::1'", "");
    let page = scraped(&exporter, &format!("localhost:{}", server.port));
    assert_eq!(page.value("redis_up", &[]), 1.0);
}

#[test]
fn redirects_cause_no_connection() {
    let trap = Trap::set();
    let exporter = start("127.0.0.1", "");
    for kind in ["MOVED 1", "ASK 1", "REDIRECT"] {
        let redirect = format!("-{kind} 127.0.0.1:{}\r\n", trap.port());
        let fake = FakeServer::start(move |_| redirect.clone());
        let page = scraped(&exporter, &format!("127.0.0.1:{}", fake.port));
        assert_eq!(page.value("redis_up", &[]), 0.0, "{kind}");
    }
    trap.assert_untouched();
}

#[test]
fn concurrent_first_requests_cause_one_connection() {
    let server = RedisServer::start(&[]);
    let exporter = start(&format!("'{}'", server.address()), "");
    let before = server.info("total_connections_received");
    let before: u32 = before.unwrap().parse().unwrap();
    let path = format!("/scrape?target={}", server.url());
    let port = exporter.port;
    let pages = thread::scope(|scope| {
        let get = || http::get(port, &path).unwrap();
        let threads: Vec<_> = (0..200).map(|_| scope.spawn(get)).collect();
        let threads = threads.into_iter();
        threads.map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    for page in pages {
        assert_eq!(page.status, 200, "{}", page.text());
        assert_eq!(Page(page.text()).value("redis_up", &[]), 1.0);
    }
    let after = server.info("total_connections_received");
    let after: u32 = after.unwrap().parse().unwrap();
    // One of the exporter, and one of each INFO of this test.
    assert_eq!(after - before, 2);
}

#[test]
fn spellings_of_a_server_are_one_target() {
    let server = RedisServer::start(&[]);
    let (address, port) = (server.address(), server.port);
    let exporter = start("127.0.0.1", "");
    for spelling in [
        format!("redis://{address}"),
        address.clone(),
        format!("redis://{address}/0"),
        format!("REDIS://{address}/3"),
        format!("redis://user:hunter2@{address}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("scrape/{address}"),
    ] {
        let page = scraped(&exporter, &spelling);
        assert_eq!(page.value("redis_up", &[]), 1.0, "{spelling}");
        assert_eq!(page.value("redis_exporter_connects_total", &[]), 1.0);
    }
    assert_eq!(watched(&exporter), 1.0);
    assert!(!exporter.log().contains("hunter2"), "{}", exporter.log());
}

#[test]
fn servers_beyond_the_maximum_get_status_503() {
    let [first, second] = [(); 2].map(|()| RedisServer::start(&[]));
    let exporter = start("127.0.0.1", ", max_targets: 1");
    scraped(&exporter, &first.address());
    let response = exporter.get(&format!("/scrape?target={}", second.address()));
    assert_eq!(response.status, 503);
    assert!(
        response.text().contains("scrape.max_targets"),
        "{}",
        response.text()
    );
    assert_eq!(refused(&exporter, "over_limit"), 1.0);
    assert_eq!(second.exporter_connections(), Vec::<String>::new());
    scraped(&exporter, &first.address());
}

#[test]
fn silent_server_is_down_within_the_scrape_timeout() {
    let trap = Trap::set();
    let silent = format!("127.0.0.1:{}", trap.port());
    let text = "poll: { interval: 1m, timeout: 50s }\nscrape: { allow: ['127.0.0.1'] }\n";
    let exporter = Launch::configured(text).start();
    for _ in 0..2 {
        let started = Instant::now();
        let header = "X-Prometheus-Scrape-Timeout-Seconds: 2\r\n";
        let path = format!("/scrape?target={silent}");
        let response = http::send(exporter.port, "GET", &path, header).unwrap();
        let took = started.elapsed();
        assert_eq!(response.status, 200, "{}", response.text());
        let page = Page(response.text());
        assert_eq!(page.value("redis_up", &[]), 0.0, "{}", page.0);
        assert_eq!(page.failure().as_deref(), Some("timeout"));
        assert!(took < Duration::from_secs(2) + slack(), "{took:?}");
    }
    drop(trap);
    let closed = scraped(&exporter, "127.0.0.1:1");
    assert_eq!(closed.value("redis_up", &[]), 0.0);
    assert_eq!(closed.failure().as_deref(), Some("refused"));
}

#[test]
fn refusal_takes_as_long_as_that_of_an_unknown_name() {
    let exporter = start("'redis-*.svc:6379'", "");
    let kinds = [
        "localhost:6379",
        "127.0.0.1:6379",
        "no-such-name.invalid",
        "nothing",
    ];
    let mut times = kinds.map(|_| Vec::new());
    for _ in 0..300 {
        for (target, times) in kinds.iter().zip(&mut times) {
            let started = Instant::now();
            let response = exporter.get(&format!("/scrape?target={target}"));
            times.push(started.elapsed());
            assert_eq!(response.status, 404);
        }
    }
    let medians = times.map(|mut times| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    });
    let (least, most) = medians
        .iter()
        .fold((f64::MAX, 0.0), |(least, most), median| {
            (median.min(least), median.max(most))
        });
    assert!(most / least < 2.0, "{kinds:?}: {medians:?}");
}

#[test]
fn empty_address_leaves_targets_to_requests() {
    let server = RedisServer::start(&["--requirepass", "hunter2"]);
    let allowed = server.address();
    for by_variable in [false, true] {
        let launch = Launch::new().flag("--redis.password=hunter2");
        let launch = if by_variable {
            let launch = launch.variable("REDIS_EXPORTER_SCRAPE_ALLOW", &allowed);
            launch.variable("REDIS_ADDR", "")
        } else {
            launch
                .flag("--redis.addr=")
                .flag(&format!("--scrape.allow=redis-*.svc,{allowed}"))
        };
        let exporter = launch.start();
        assert_eq!(exporter.page().all("redis_up", &[]), [0.0; 0]);
        let page = scraped(&exporter, &format!("redis://x:wrong@{allowed}"));
        assert_eq!(page.value("redis_up", &[]), 1.0);
    }
    let none = Launch::new().flag("--redis.addr=").run();
    assert_ne!(none.code(), 0);
    let problem = "--redis.addr: is empty, and nothing else names a target";
    assert_eq!(none.stderr.matches(problem).count(), 1, "{}", none.stderr);
}

#[test]
fn credentials_of_requested_servers_are_those_of_their_host() {
    let server = RedisServer::start(&["--requirepass", "hunter2", "--bind", "0.0.0.0"]);
    let port = server.port;
    let text = format!(
        "poll: {{ interval: 500ms }}\nscrape: {{ allow: ['127.0.0.0/8:{port}'] }}\n\
         credentials:\n- {{ hosts: ['127.0.0.1:{port}'], password: hunter2 }}\n"
    );
    let exporter = Launch::configured(&text).start();
    let up = |host: &str| scraped(&exporter, &format!("{host}:{port}")).value("redis_up", &[]);
    assert_eq!((up("127.0.0.1"), up("127.0.0.2")), (1.0, 0.0));
    let check = Launch::configured(&text).flag("check").run();
    let line = format!("requests may name 127.0.0.0/8:{port}");
    assert!(check.stdout.contains(&line), "{}", check.stdout);
    assert_eq!(check.code(), 0, "{}", check.stdout);
}

#[test]
fn reload_keeps_requested_targets() {
    let server = RedisServer::start(&[]);
    let exporter = start("127.0.0.1", "");
    scraped(&exporter, &server.address());
    let text = "poll: { interval: 500ms }\nscrape: { allow: [127.0.0.1] }\n";
    exporter.reconfigure(&format!(
        "{text}targets: [{{ name: one, url: '{}' }}]\n",
        server.url()
    ));
    let summary = exporter.reload().text();
    assert_eq!(summary.trim(), "targets: 1 started, 0 ended, 1 kept");
    exporter.until("the configured target", |page| {
        page.get("redis_up", &[("target", "one")]) == Some(1.0)
    });
    // The configured target is preferred.
    let page = scraped(&exporter, &server.address());
    assert_eq!(page.value("redis_exporter_connects_total", &[]), 1.0);
    exporter.reconfigure("poll: { interval: 500ms }\nscrape: { allow: ['10.0.0.0/8'] }\n");
    assert_eq!(exporter.reload().status, 500, "the file lost its targets");
    exporter.reconfigure("poll: { interval: 500ms }\ntargets: [{ url: '127.0.0.1:1' }]\n");
    assert_eq!(exporter.reload().status, 200);
    let response = exporter.get(&format!("/scrape?target={}", server.address()));
    assert_eq!(response.status, 404);
    until(LONG, "the end of the connections", || {
        server.exporter_connections().is_empty().then_some(())
    });
}

/// The jobs of the README of `redis_exporter`, for several servers.
#[test]
fn prometheus_scrapes_the_servers_of_its_own_configuration() {
    let [first, second] = [(); 2].map(|()| RedisServer::start(&[]));
    first.ask(&["SET", "a", "1"]);
    let exporter = start("127.0.0.1", "");
    let (port, urls) = (exporter.port, [first.url(), second.url()]);
    let jobs = format!(
        "  - job_name: 'redis_exporter_targets'
    static_configs:
      - targets: ['{}', '{}']
    metrics_path: /scrape
    relabel_configs:
      - source_labels: [__address__]
        target_label: __param_target
      - source_labels: [__param_target]
        target_label: instance
      - target_label: __address__
        replacement: 127.0.0.1:{port}
  - job_name: 'redis_exporter'
    static_configs:
      - targets: ['127.0.0.1:{port}']
",
        urls[0], urls[1]
    );
    let prometheus = Prometheus::configured("1s", &jobs);
    for (url, keys) in urls.iter().zip([1.0, 0.0]) {
        until(LONG, "the keys of the server", || {
            let expression = format!("redis_db_keys{{instance=\"{url}\", db=\"db0\"}}");
            (prometheus.query(&expression) == Some(keys)).then_some(())
        });
    }
    until(LONG, "a scrape of each job", || {
        (prometheus.query("count(up == 1)") == Some(3.0)).then_some(())
    });
    assert_eq!(prometheus.query("count(redis_up == 1)"), Some(2.0));
    assert_eq!(
        prometheus.query("count(redis_up{job='redis_exporter'})"),
        None
    );
}

/// Needs permission to mount, for a file of host names of its own.
#[test]
fn address_of_a_name_is_checked_at_each_connect() {
    let server = RedisServer::start(&[]);
    let trap = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), server.port)).unwrap();
    trap.set_nonblocking(true).unwrap();
    let text = "poll: { interval: 500ms }\nscrape: { allow: [redis-a.test, 127.0.0.1] }\n";
    let launch = Launch::configured(text).with_hosts("127.0.0.1 redis-a.test\n");
    let exporter = launch.start();
    let target = format!("redis-a.test:{}", server.port);
    assert_eq!(scraped(&exporter, &target).value("redis_up", &[]), 1.0);
    exporter.set_hosts("127.0.0.2 redis-a.test\n");
    server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    until(LONG, "the refusal of the new address", || {
        server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        let failure = scraped(&exporter, &target).failure();
        (failure.as_deref() == Some("denied")).then_some(())
    });
    assert!(trap.accept().is_err(), "the exporter has connected");
}
