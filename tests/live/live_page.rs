//! The live page, its JSON, and the record of the last poll.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, RedisServer, http, until};

/// Returns a JSON document that was checked against its schema.
fn checked(exporter: &Exporter, path: &str, schema: &str) -> Value {
    const CHECK: &str = "import json, sys, jsonschema\n\
        schema, document = (json.load(open(path)) for path in sys.argv[1:])\n\
        jsonschema.Draft7Validator.check_schema(schema)\n\
        jsonschema.validate(document, schema)\n";
    let response = exporter.get(path);
    assert_eq!(response.status, 200, "{path}: {}", response.text());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("document.json");
    std::fs::write(&file, &response.body).unwrap();
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas");
    // Debian's Python, for which the package is installed.
    let output = Command::new("/usr/bin/python3")
        .args(["-c", CHECK])
        .args([&schemas.join(schema), &file])
        .output()
        .expect("python3 is installed: scripts/install-tools python3-jsonschema");
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{path}: {problem}");
    serde_json::from_slice(&response.body).unwrap()
}

fn target(exporter: &Exporter, name: &str) -> Value {
    checked(
        exporter,
        &format!("/api/v1/targets/{name}"),
        "live-target-v1.json",
    )
}

#[test]
fn json_has_the_values_of_the_server() {
    let arguments = ["--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru"];
    let server = RedisServer::start(&arguments);
    for number in 0..200 {
        let key = format!("session:{number}");
        server.ask(&["SET", &key, "value", "EX", "3000"]);
    }
    for number in 0..50 {
        server.ask(&["SET", &format!("ratelimit:{number}"), "1"]);
    }
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 500ms }}\nsweep: {{ min_pass_interval: 1s, lookups_per_minute: 100000 }}\n\
         targets:\n- {{ name: cache, url: '{}' }}\n- {{ name: dead, url: 'redis://127.0.0.1:1' }}\n\
         namespaces:\n- {{ name: session, match: 'session:*', memory_quota: 1MB }}\n\
         - {{ name: ratelimit, match: 'ratelimit:*', ttl: {{ required: true }} }}\n",
        server.url()
    ))
    .start();
    let cache = until(LONG, "the namespaces", || {
        let cache = target(&exporter, "cache");
        let found = cache["namespaces"].as_array().unwrap().iter();
        let sum = |field: &str| {
            found
                .clone()
                .filter_map(|one| one[field].as_f64())
                .sum::<f64>()
        };
        let is_complete = sum("keys") == 250.0
            && sum("keys_without_ttl") == 50.0
            && !cache["target"]["commands_per_second"].is_null();
        is_complete.then_some(cache)
    });
    let card = &cache["target"];
    assert_eq!(
        (&card["state"], &card["role"]),
        (&"up".into(), &"primary".into())
    );
    assert_eq!(card["keys"], 250.0);
    assert_eq!(card["memory"]["limit"], 8.0 * 1_048_576.0);
    assert_eq!(card["maxmemory_policy"], "allkeys-lru");
    let namespaces = cache["namespaces"].as_array().unwrap().iter();
    let ratelimit = namespaces
        .clone()
        .find(|one| one["name"] == "ratelimit")
        .unwrap();
    assert_eq!(ratelimit["keys_without_ttl"], 50.0);
    assert_eq!(ratelimit["violations_ttl_required"], 50.0);
    let alerts = card["problems"].as_array().unwrap().iter();
    let alerts = alerts.filter_map(|one| one["alert"].as_str());
    // A busy machine delays a PING now and then.
    let alerts = alerts.filter(|alert| *alert != "RedisExporterPingSlow");
    let alerts: Vec<&str> = alerts.collect();
    assert_eq!(alerts, ["RedisNamespaceTTLPolicyViolated"]);
    let all = checked(&exporter, "/api/v1/targets", "live-targets-v1.json");
    let names = all["targets"].as_array().unwrap().iter();
    let names: Vec<&str> = names.filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["dead", "cache"]);
    assert_eq!(all["summary"]["down"], 1);
    let found = checked(&exporter, "/api/v1/targets?q=CACHE", "live-targets-v1.json");
    assert_eq!(
        (&found["matching"], &found["summary"]["total"]),
        (&1.into(), &2.into())
    );
    let page = exporter.get("/").text();
    for part in [
        "class=\"map\"",
        "<bdi>session</bdi>",
        "<bdi>ratelimit</bdi>",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let page = exporter.get("/targets/cache").text();
    for part in [
        "<span class=\"wrong\">50",
        " without a TTL</span>",
        "250 keys",
        "allkeys-lru",
        "8.0 MiB",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
}

#[test]
fn rates_leave_out_the_exporter_and_history_can_be_off() {
    let server = RedisServer::start(&[]);
    let url = server.url();
    let launch = |history: bool| {
        let exporter = Launch::configured(&format!(
            "web: {{ history: {history} }}\npoll: {{ interval: 300ms }}\n\
             targets: [{{ name: a, url: '{url}' }}]\n"
        ));
        exporter.start()
    };
    let (with, without) = (launch(true), launch(false));
    let rate = until(LONG, "a rate", || {
        let card = target(&with, "a")["target"].clone();
        card["commands_per_second"].as_f64()
    });
    // The commands of the other exporter are the only ones: about two for each of its polls.
    assert!(rate < 200.0, "{rate}");
    without.polls(3);
    let other = target(&without, "a");
    assert_eq!(other["target"]["commands_per_second"], Value::Null);
    assert_eq!(other["history"]["memory_bytes"], Value::Array(Vec::new()));
    without.reconfigure(&format!(
        "poll: {{ interval: 300ms }}\ntargets: [{{ name: a, url: '{url}' }}]\n"
    ));
    assert_eq!(without.reload().status, 200);
    until(LONG, "the history", || {
        let history = target(&without, "a")["history"]["memory_bytes"].clone();
        (history != Value::Array(Vec::new())).then_some(())
    });
}

#[test]
fn record_of_a_poll_has_commands_and_remedies_but_no_secret() {
    let server = RedisServer::start(&[]);
    let rules = [
        "ACL", "SETUSER", "w", "on", ">hunter2", "~*", "+info", "+ping",
    ];
    server.ask(&rules);
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 500ms }}\ntargets: [{{ name: a, url: 'redis://w:hunter2@{}' }}]\n",
        server.address()
    ))
    .start();
    let scrapes = "redis_exporter_scrapes_total";
    let before = exporter.page().value(scrapes, &[]);
    let record = exporter.get("/probe?target=a&debug=1").text();
    for part in [
        "The last poll succeeded",
        "INFO",
        "µs",
        "denied: grant the user +slowlog|len",
        "denied: grant the user +config|get",
    ] {
        assert!(record.contains(part), "{part} is not in {record}");
    }
    assert!(!record.contains("hunter2"), "{record}");
    // One more for the page with this number.
    assert!(exporter.page().value(scrapes, &[]) <= before + 1.0);
    let detail = target(&exporter, "a");
    let rejected = detail["rejected"].to_string();
    assert!(rejected.contains("+slowlog|len"), "{rejected}");
    server.ask(&["ACL", "SETUSER", "w", "off"]);
    server.ask(&["CLIENT", "KILL", "USER", "w"]);
    exporter.until_failed("auth");
    let record = exporter.get("/probe?target=a&debug=1").text();
    assert!(record.contains("The last poll failed"), "{record}");
    assert!(record.contains("Failure: auth"), "{record}");
    assert!(!record.contains("hunter2"), "{record}");
}

#[test]
fn reload_from_another_site_is_rejected() {
    let server = RedisServer::start(&[]);
    let exporter = Exporter::of(&server);
    let post = |headers: &str| {
        let response = http::send(exporter.port, "POST", "/-/reload", headers);
        response.unwrap().status
    };
    assert_eq!(post("Origin: http://evil.example\r\n"), 403);
    assert_eq!(post("Sec-Fetch-Site: cross-site\r\n"), 403);
    let own = "Origin: http://localhost\r\n";
    assert_ne!(post(&format!("{own}Sec-Fetch-Site: same-origin\r\n")), 403);
}

#[test]
fn command_on_the_page_grants_what_is_missing() {
    let server = RedisServer::start(&[]);
    let rules = [
        "ACL", "SETUSER", "w", "on", ">hunter2", "~*", "+info", "+ping",
    ];
    server.ask(&rules);
    server.ask(&["SET", "session:1", "value"]);
    let exporter = Launch::configured(&format!(
        "sweep: {{ enabled: true, min_pass_interval: 1s }}\npoll: {{ interval: 300ms }}\n\
         targets: [{{ name: a, url: 'redis://w:hunter2@{}' }}]\n",
        server.address()
    ))
    .start();
    let command = until(LONG, "the command", || {
        let grant = target(&exporter, "a")["grant"].clone();
        grant["command"].as_str().map(str::to_owned)
    });
    assert!(
        command.starts_with("ACL SETUSER w resetkeys %R~* "),
        "{command}"
    );
    for path in ["/", "/targets/a"] {
        let page = exporter.get(path).text();
        assert!(page.contains(&format!("<code>{command}</code>")), "{page}");
        assert!(page.contains("key scans (SCAN)."), "{page}");
    }
    let page = exporter.get("/targets/a").text();
    assert!(!page.contains("hunter2"), "{page}");
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(server.ask(&words), "OK");
    // Rejected commands are not sent again over the same connection.
    server.ask(&["CLIENT", "KILL", "USER", "w"]);
    until(LONG, "no rejection", || {
        let detail = target(&exporter, "a");
        // The sweep only sends rejected commands again after minutes.
        let mut rejected = detail["rejected"].as_array().unwrap().iter();
        rejected
            .all(|row| row["collector"] == "sweep")
            .then_some(())
    });
}

#[test]
fn failed_reload_and_discovery_are_on_the_page() {
    let server = RedisServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.json");
    let configuration = format!(
        "targets: [{{ name: a, url: '{}' }}]\n\
         targets_from: [{{ name: hosts, file: {}, interval: 1s }}]\n",
        server.url(),
        file.display()
    );
    let exporter = Launch::configured(&configuration).start();
    let alerts = || -> Vec<String> {
        let all = checked(&exporter, "/api/v1/targets", "live-targets-v1.json");
        let problems = all["problems"].as_array().unwrap().iter();
        let alerts = problems.filter_map(|one| one["alert"].as_str());
        alerts.map(str::to_owned).collect()
    };
    let wait_for = |expected: &[&str]| {
        until(LONG, "the problems", || {
            (alerts() == expected).then_some(())
        });
    };
    wait_for(&["RedisDiscoveryFailed"]);
    let loaded_at = || {
        let all = checked(&exporter, "/api/v1/targets", "live-targets-v1.json");
        all["config_loaded_at"].as_f64().unwrap()
    };
    let first = loaded_at();
    exporter.reconfigure("targets: [{ name: a, url: 'http://wrong' }]\n");
    assert_eq!(exporter.reload().status, 500);
    wait_for(&["RedisExporterConfigReloadFailed", "RedisDiscoveryFailed"]);
    let page = exporter.get("/").text();
    for part in [
        "The exporter needs attention",
        "Configuration loaded ",
        "so the previous one stays in effect",
        "their last lists stay in effect: hosts.",
        "<a href=\"runbooks/RedisExporterConfigReloadFailed\">",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!((loaded_at() - first).abs() < 1e-6, "a failed load counts");
    std::fs::write(&file, "[]").unwrap();
    // The time is in whole seconds.
    until(LONG, "the next second", || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        (now.as_secs_f64() >= first + 1.0).then_some(())
    });
    exporter.reconfigure(&configuration);
    assert_eq!(exporter.reload().status, 200);
    wait_for(&[]);
    until(LONG, "the time of the load", || {
        (loaded_at() > first).then_some(())
    });
    assert!(exporter.get("/").text().contains("The target is fine"));
}
