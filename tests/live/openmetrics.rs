//! Prometheus prefers `OpenMetrics`. Compares what it ingests with the text format.

use serde_yaml::Value;

use crate::support::prometheus::Prometheus;
use crate::support::redis::Client;
use crate::support::wait::LONG;
use crate::support::{Launch, RedisServer, http, until};

const ACCEPT: &str = "Accept: application/openmetrics-text;version=1.0.0\r\n";

fn samples(page: &str) -> Vec<String> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let mut names: Vec<_> = lines
        .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
        .collect();
    names.sort();
    names
}

/// Returns the scrape errors of all targets.
fn errors(prometheus: &Prometheus) -> Vec<String> {
    let targets = prometheus.api("targets?state=active");
    let targets = targets.get("activeTargets").and_then(Value::as_sequence);
    let errors = targets.unwrap().iter().map(|target| {
        let part = |key: &str| target.get(key).and_then(Value::as_str).unwrap_or_default();
        (part("scrapePool"), part("health"), part("lastError"))
    });
    let failed = errors.filter(|(_, health, _)| *health != "up");
    failed
        .map(|(job, health, error)| format!("{job}: {health} {error}"))
        .collect()
}

#[test]
fn openmetrics_has_the_same_series_as_text() {
    let server = RedisServer::start(&[]);
    let mut client = Client::connect(server.port).unwrap();
    for number in 0..50 {
        client.ask(&["SET", &format!("session:{number}"), "v"]);
        client.ask(&["LPUSH", "list", "v"]);
    }
    let exporter = |options: &str| {
        let configuration = format!(
            "{options}\npoll: {{ interval: 500ms }}\nsweep: {{ min_pass_interval: 1s }}\n\
             targets: [{{ name: cache, url: '{}' }}]\n",
            server.url()
        );
        Launch::configured(&configuration).start()
    };
    let legacy = exporter("legacy_names: true");
    let clean = exporter("legacy_names: false\nseries: full");
    for exporter in [&legacy, &clean] {
        exporter.until("the namespaces", |page| {
            !page.all("redis_key_namespace_keys", &[]).is_empty()
        });
    }
    let jobs = [
        ("legacy", legacy.port, "/metrics"),
        ("clean", clean.port, "/metrics"),
        ("probe", legacy.port, "/probe?target=cache"),
    ];
    let prometheus = Prometheus::start("1s", &jobs);
    until(LONG, "three scrapes of each", || {
        let scrapes = prometheus.query("min(count_over_time(up[1h]))");
        (scrapes >= Some(3.0)).then_some(())
    });
    assert_eq!(errors(&prometheus), Vec::<String>::new());
    for (job, port, path) in jobs {
        // Only this format declares counters without their suffix.
        let declared = prometheus.api("targets/metadata?metric=redis_commands_processed");
        let declared = declared.as_sequence().unwrap();
        let of_job = |entry: &&Value| entry.get("target").unwrap().get("job") == Some(&job.into());
        let kind = declared
            .iter()
            .find(of_job)
            .and_then(|entry| entry.get("type"));
        assert_eq!(kind, Some(&"counter".into()), "{job}: {declared:?}");

        let open = http::send(port, "GET", path, ACCEPT).unwrap();
        assert!(
            open.head
                .contains("application/openmetrics-text; version=1.0.0")
        );
        assert!(open.text().ends_with("\n# EOF\n"));
        let text = http::get(port, path).unwrap().text();
        assert_eq!(samples(&open.text()), samples(&text), "{job}");
    }
    let edges = |job: &str, name: &str| {
        prometheus
            .query(&format!("count({name}_bucket{{job='{job}',cmd='set'}})"))
            .unwrap()
    };
    assert_eq!(edges("legacy", "redis_commands_latencies_usec"), 9.0);
    assert_eq!(edges("clean", "redis_commands_latencies_seconds"), 22.0);
}
