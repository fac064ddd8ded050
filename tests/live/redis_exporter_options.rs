//! A Deployment of `redis_exporter` in which only the image was replaced.

use std::collections::BTreeSet;
use std::fs;

use crate::support::redis_exporter::RedisExporter;
use crate::support::wait::{LONG, until};
use crate::support::{Exporter, Launch, Page, RedisServer};

/// Starts a server with a password and keys.
fn server() -> RedisServer {
    let server = RedisServer::start(&["--requirepass", "hunter2"]);
    let ask = |words: &[&str]| server.ask_as("hunter2", words);
    ask(&["SET", "a", "7"]);
    for number in ["1", "2", "3"] {
        ask(&["SET", &format!("session:{number}"), "x"]);
    }
    ask(&["SET", "user:1", "x"]);
    server
}

/// Prepares an exporter without a configuration file and without the listen address of the tests.
fn bare() -> Launch {
    Launch::new()
        .without_listen_flag()
        .variable("REDIS_EXPORTER_CONFIG", "")
}

/// Returns the page at this path once the sweep has counted the keys.
fn counted(exporter: &Exporter, path: &str, metric: &str) -> Page {
    until(LONG, "counted keys", || {
        let response = exporter.get(path);
        assert_eq!(response.status, 200, "{}", exporter.log());
        let page = Page(response.text());
        let is_counted = page.get(metric, &[("key", "session:*")]) == Some(3.0);
        is_counted.then_some(page)
    })
}

fn shows_everything(page: &Page, prefix: &str) {
    let value = |name: &str, labels| page.value(&format!("{prefix}_{name}"), labels);
    assert_eq!(value("up", &[]), 1.0);
    assert_eq!(value("key_value", &[("db", "db0"), ("key", "a")]), 7.0);
    assert_eq!(value("key_group_count", &[("key_group", "user")]), 1.0);
    assert!(value("total_system_memory_bytes", &[]) > 0.0);
}

#[test]
fn redis_exporter_flags_take_effect() {
    let server = server();
    let launch = bare();
    let port = launch.port();
    let script = launch.file("queue.lua");
    fs::write(&script, "return {'jobs', '3'}").unwrap();
    let flags = [
        &format!("-script={}", script.display()),
        "-include-config-metrics",
        "-export-client-list",
        &format!("-redis.addr=redis://{}", server.address()),
        "-redis.password",
        "hunter2",
        &format!("-web.listen-address=127.0.0.1:{port}"),
        "-web.telemetry-path=/m",
        "-check-single-keys=db0=a",
        "-count-keys=db0=session:*",
        "-check-key-groups=^(%a+):",
        "-namespace=redis",
        "-debug",
        "-connection-timeout=10s",
        "-log-format=txt",
        "-include-system-metrics=true",
        "-append-instance-role-label",
    ];
    let exporter = flags.into_iter().fold(launch, Launch::flag).start();
    let page = counted(&exporter, "/m", "redis_keys_count");
    shows_everything(&page, "redis");
    let filename = script.to_str().unwrap();
    let labels = [("filename", filename), ("key", "jobs")];
    assert_eq!(page.value("redis_script_values", &labels), 3.0);
    assert!(!page.all("redis_connected_client_info", &[]).is_empty());
    let parameter = [("key", "hz")];
    assert_eq!(page.value("redis_config_value", &parameter), 10.0);
    assert_eq!(exporter.get("/metrics").status, 404);
    assert!(exporter.get("/").text().contains("href=\"m\""));
    let log = exporter.log();
    assert!(
        log.contains("--append-instance-role-label is not supported"),
        "{log}"
    );
    assert_eq!(log.matches(" level=warn ").count(), 1, "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn redis_exporter_variables_take_effect() {
    let server = server();
    let launch = bare();
    let passwords = launch.file("passwords.json");
    let (port, address) = (launch.port(), server.address());
    let map = format!(
        "{{\"redis://{address}\": \"hunter2\", \"redis://other@{address}\": \"hunter3\"}}\n"
    );
    fs::write(&passwords, map).unwrap();
    let variables = [
        ("REDIS_ADDR", &*format!("redis://{address}")),
        ("REDIS_PASSWORD_FILE", passwords.to_str().unwrap()),
        (
            "REDIS_EXPORTER_WEB_LISTEN_ADDRESS",
            &format!("127.0.0.1:{port}"),
        ),
        ("REDIS_EXPORTER_WEB_TELEMETRY_PATH", "/m"),
        ("REDIS_EXPORTER_CHECK_SINGLE_KEYS", "db0=a"),
        ("REDIS_EXPORTER_COUNT_KEYS", "db0=session:*"),
        ("REDIS_EXPORTER_CHECK_KEY_GROUPS", "^(%a+):"),
        ("REDIS_EXPORTER_NAMESPACE", "kv"),
        ("REDIS_EXPORTER_DEBUG", "yes"),
        ("REDIS_EXPORTER_CONNECTION_TIMEOUT", "10s"),
        ("REDIS_EXPORTER_LOG_FORMAT", "txt"),
        ("REDIS_EXPORTER_INCL_SYSTEM_METRICS", "true"),
        ("REDIS_EXPORTER_SET_CLIENT_NAME", "false"),
        ("REDIS_EXPORTER_INCL_METRICS_FOR_EMPTY_DATABASES", "0"),
        ("REDIS_EXPORTER_EXCLUDE_LATENCY_HISTOGRAM_METRICS", "true"),
        ("REDIS_EXPORTER_REDIS_ONLY_METRICS", "true"),
        ("REDIS_EXPORTER_DISABLE_SCRAPE_ENDPOINT", "true"),
    ];
    let exporter = variables
        .into_iter()
        .fold(launch, |launch, (name, value)| launch.variable(name, value))
        .start();
    let page = counted(&exporter, "/m", "kv_keys_count");
    shows_everything(&page, "kv");
    for absent in [
        "\nredis_",
        "# TYPE redis_",
        "\nprocess_",
        "build_info{",
        "latencies_usec_bucket",
        "db=\"db1\"",
    ] {
        assert!(!page.0.contains(absent), "{absent}");
    }
    assert_eq!(
        exporter.get(&format!("/scrape?target={address}")).status,
        404
    );
    assert!(
        server
            .ask_as("hunter2", &["CLIENT", "LIST"])
            .lines()
            .all(|line| !line.contains("name=redis"))
    );
    let log = exporter.log();
    assert!(
        log.contains("REDIS_EXPORTER_DEBUG is neither true nor false"),
        "{log}"
    );
    assert!(!log.contains("hunter"), "{log}");
}

#[test]
fn password_map_is_reread_at_each_connect() {
    let server = server();
    let launch = bare();
    let passwords = launch.file("passwords.json");
    let (port, address) = (launch.port(), server.address());
    let write = |password: &str| {
        let map = format!("{{\"redis://{address}\": \"{password}\"}}");
        fs::write(&passwords, map).unwrap();
    };
    write("wrong");
    let exporter = launch
        .flag(&format!("-redis.addr={address}"))
        .flag(&format!("-redis.password-file={}", passwords.display()))
        .flag(&format!("-web.listen-address=127.0.0.1:{port}"))
        .flag("-poll.interval=300ms")
        .start();
    exporter.until_failed("auth");
    write("hunter2");
    exporter.until("the password of the map", Page::is_up);
    fs::write(&passwords, "{\"redis://broken\": \"hunter2\"").unwrap();
    server.ask_as(
        "hunter2",
        &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"],
    );
    exporter.until_failed("auth");
    assert!(
        exporter.log().contains("not a JSON map"),
        "{}",
        exporter.log()
    );
    assert!(!exporter.log().contains("hunter2"));
}

/// Since version 1.0, `redis_exporter` does not split them, and polls none of the servers.
#[test]
fn several_addresses_are_one_error_with_the_remedy() {
    let servers = [(); 2].map(|()| RedisServer::start(&[]));
    let [first, second] = &servers;
    for addresses in [
        format!("{},{}", first.address(), second.address()),
        format!("{},{}", first.url(), second.url()),
    ] {
        let flag = format!("-redis.addr={addresses}");
        let theirs = RedisExporter::of(first, &[&flag]).exposition();
        let up = ("redis_up".to_owned(), BTreeSet::new());
        assert_eq!(theirs.samples.get(&up), Some(&0.0), "{addresses}");
        for (launch, place, status) in [
            (bare().flag(&flag), "the value of --redis.addr", 64),
            (
                bare().variable("REDIS_ADDR", &addresses),
                "REDIS_ADDR: the value",
                78,
            ),
        ] {
            let refused = launch.run();
            assert_eq!(refused.code(), status, "{}", refused.stderr);
            let problem = format!("{place} names more than one server; list each of them under");
            assert_eq!(
                refused.stderr.matches(&problem).count(),
                1,
                "{}",
                refused.stderr
            );
            assert!(
                refused.stderr.contains("`scrape.allow`"),
                "{}",
                refused.stderr
            );
        }
    }

    // The two remedies in the message.
    let targets = servers
        .iter()
        .map(|server| format!("- url: '{}'\n", server.url()));
    let exporter =
        Launch::configured(&format!("targets:\n{}", targets.collect::<String>())).start();
    assert_eq!(exporter.page().all("redis_up", &[]), [1.0; 2]);
    let launch = bare().flag("--redis.addr=");
    let listen = format!("--web.listen-address=127.0.0.1:{}", launch.port());
    let allow = format!("--scrape.allow={},{}", first.address(), second.address());
    let exporter = launch.flag(&listen).flag(&allow).start();
    for server in &servers {
        let page = Page(
            exporter
                .get(&format!("/scrape?target={}", server.url()))
                .text(),
        );
        assert_eq!(page.value("redis_up", &[]), 1.0, "{}", page.0);
    }
}
