//! Pages of a server that is up.

use std::process::Command;

use crate::support::{Exporter, Launch, RedisServer, http};
use redis_namespace_exporter::collector;

#[test]
fn server_is_up_with_all_default_families() {
    let server = RedisServer::start(&["--slowlog-log-slower-than", "0"]);
    server.ask(&["SET", "key", "value", "EX", "100"]);
    let exporter = Exporter::of(&server);
    let page = exporter.polls(1);
    assert_eq!(page.value("redis_up", &[]), 1.0);
    for (name, labels) in [
        ("redis_uptime_in_seconds", &[][..]),
        ("redis_memory_used_bytes", &[]),
        ("redis_connected_clients", &[]),
        (
            "redis_instance_info",
            &[("redis_version", "7.0.15"), ("role", "master")],
        ),
        ("redis_db_keys", &[("db", "db0")]),
        ("redis_db_keys_expiring", &[("db", "db0")]),
        ("redis_commands_total", &[("cmd", "set")]),
        ("redis_commands_duration_seconds_total", &[("cmd", "set")]),
        ("redis_errors_total", &[("err", "ERR")]),
        (
            "redis_latency_percentiles_usec",
            &[("cmd", "set"), ("quantile", "50")],
        ),
        ("redis_commands_latencies_usec_count", &[("cmd", "set")]),
        ("redis_config_maxclients", &[]),
        ("redis_config_maxmemory", &[]),
        ("redis_slowlog_length", &[]),
        ("redis_slowlog_last_id", &[]),
        ("redis_last_slow_execution_duration_seconds", &[]),
        ("redis_exporter_last_scrape_ping_time_seconds", &[]),
        ("redis_exporter_last_scrape_connect_time_seconds", &[]),
    ] {
        page.value(name, labels);
    }
    assert_eq!(page.value("redis_db_keys", &[("db", "db0")]), 1.0);
    let count = page.all("redis_exporter_collector_success", &[]).len();
    assert!((14..=collector::names().len()).contains(&count), "{count}");
    assert!(
        page.label_values("redis_exporter_collector_success", "collector", 0.0)
            .is_empty()
    );
}

#[test]
fn target_label_is_off_by_default_for_one_target() {
    let server = RedisServer::start(&[]);
    let url = server.url();
    let page = Exporter::of(&server).polls(1);
    assert!(page.is_up());
    assert!(!page.0.contains("target=\""), "{}", page.0);
    page.value(
        "redis_exporter_poll_failures_total",
        &[("reason", "timeout")],
    );

    let page = Launch::of(&url).flag("--target-label").start().polls(1);
    let target = [("target", &*server.address())];
    for name in ["redis_up", "redis_db_keys", "redis_exporter_polls_total"] {
        assert_eq!(page.all(name, &[]), page.all(name, &target), "{name}");
    }

    let text = format!("targets: [{{ name: cache, url: '{url}' }}]\n");
    let page = Launch::configured(&text).start().page();
    page.value("redis_up", &[("target", "cache")]);
    page.value("redis_exporter_polls_total", &[("target", "cache")]);

    let text = format!("target_label: false\n{text}");
    let page = Launch::configured(&text).start().page();
    assert!(page.is_up() && !page.0.contains("target=\""), "{}", page.0);
}

#[test]
fn page_of_one_target_is_found_by_name_or_address() {
    let server = RedisServer::start(&[]);
    let address = server.address();
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 500ms }}\ntargets: [{{ name: cache, url: '{address}' }}]\n"
    ))
    .start();
    assert!(exporter.page().0.contains("redis_up{target=\"cache\"} 1"));
    for path in [
        "/probe?target=cache".to_owned(),
        format!("/probe?target={address}"),
        format!("/scrape?target=redis://{address}"),
        format!("/scrape?target=redis%3A%2F%2Fuser%3Apass%40{address}"),
    ] {
        let response = exporter.get(&path);
        assert_eq!(response.status, 200, "{path}");
        assert!(response.text().contains("\nredis_up 1\n"), "{path}");
        assert!(!response.text().contains("target="), "{path}");
    }
    assert_eq!(exporter.get("/probe?target=127.0.0.1:1").status, 404);
    assert_eq!(exporter.get("/probe").status, 400);
    let index = exporter.get("/").text();
    for part in [
        "cache",
        &address,
        "redis 7.0 standalone",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(index.contains(part), "{part} is not in {index}");
    }
}

#[test]
fn each_path_returns_its_own_status() {
    let server = RedisServer::start(&[]);
    let exporter = Exporter::of(&server);
    for (method, path, status) in [
        ("GET", "/metrics", 200),
        ("HEAD", "/metrics", 200),
        ("POST", "/metrics", 405),
        ("GET", "/", 200),
        ("GET", "/-/healthy", 200),
        ("GET", "/-/ready", 200),
        ("GET", "/health", 200),
        ("GET", "/-/reload", 405),
        ("GET", "/nothing", 404),
    ] {
        let response = http::send(exporter.port, method, path, "").unwrap();
        assert_eq!(response.status, status, "{method} {path}");
    }
    let head = exporter.get("/metrics").head;
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    let zipped = http::send(
        exporter.port,
        "GET",
        "/metrics",
        "Accept-Encoding: gzip\r\n",
    )
    .unwrap();
    assert!(
        zipped
            .head
            .to_lowercase()
            .contains("content-encoding: gzip"),
        "{}",
        zipped.head
    );
    assert_eq!(zipped.body[..2], [0x1f, 0x8b]);
}

#[test]
fn curl_gets_documents_compressed_if_it_accepts_that() {
    let server = RedisServer::start(&[]);
    let dead = (0..20).map(|at| format!(", {{ name: dead-{at}, url: 'redis://127.0.0.1:1' }}"));
    let targets = format!(
        "targets: [{{ name: cache, url: '{}' }}{}]\n",
        server.url(),
        dead.collect::<String>()
    );
    let exporter = Launch::configured(&targets).start();
    let curl = |path: &str, flags: &[&str]| {
        let url = format!("http://127.0.0.1:{}{path}", exporter.port);
        let output = Command::new("curl")
            .args([
                "--silent",
                "--fail",
                "--include",
                "--write-out",
                "\n%{size_download}",
            ])
            .args(flags)
            .arg(&url)
            .output()
            .expect("curl is there");
        assert!(output.status.success(), "{path} {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let (head, rest) = text.split_once("\r\n\r\n").unwrap();
        let (body, size) = rest.rsplit_once('\n').unwrap();
        (
            head.to_lowercase(),
            body.to_owned(),
            size.parse::<usize>().unwrap(),
        )
    };
    for (path, part) in [
        ("/", "</html>"),
        ("/targets/cache", "</html>"),
        ("/api/v1/targets", "\"name\":\"cache\""),
        ("/api/v1/targets/cache", "\"name\":\"cache\""),
        ("/sd", "\"__param_target\":\"cache\""),
        ("/runbooks/RedisDown", "</html>"),
        ("/assets/page.css", ".problems"),
    ] {
        let (head, body, size) = curl(path, &["--compressed"]);
        assert!(head.contains("content-encoding: gzip"), "{path} {head}");
        assert!(body.contains(part), "{path} {body}");
        assert!(size < 3 * body.len() / 4, "{path} {size}");
        let (plain_head, plain, _) = curl(path, &[]);
        assert!(
            !plain_head.contains("content-encoding"),
            "{path} {plain_head}"
        );
        assert!(plain.contains(part), "{path} {plain}");
        for head in [head, plain_head] {
            assert!(head.contains("vary: accept-encoding"), "{path} {head}");
        }
    }
    let (small, ..) = curl("/assets/icon.svg", &["--compressed"]);
    assert!(!small.contains("content-encoding"), "{small}");
}

#[test]
fn exporter_is_not_ready_before_the_first_poll() {
    let server = RedisServer::start(&[]);
    server.freeze();
    let exporter = Launch::new()
        .flag(&format!("--redis.addr={}", server.url()))
        .flag("--poll.timeout=4s")
        .flag("--poll.interval=4s")
        .start_without_waiting();
    let ready = || http::get(exporter.port, "/-/ready").ok();
    let first = crate::support::until(crate::support::wait::LONG, "a response", ready);
    assert_eq!(first.status, 503);
    assert_eq!(exporter.get("/-/healthy").status, 200);
    crate::support::until(crate::support::wait::LONG, "a page", || {
        (exporter.get("/metrics").status == 200).then_some(())
    });
    server.thaw();
    crate::support::until(crate::support::wait::LONG, "readiness", || {
        (exporter.get("/-/ready").status == 200).then_some(())
    });
    assert!(exporter.page().is_up());
}
