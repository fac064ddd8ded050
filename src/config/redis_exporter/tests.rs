//! Tests each option alone: its keys, its notices, and its errors.

use super::*;
use crate::config::document::{self, Node, YamlValue};
use crate::config::problem::Problem;

/// The result of one option.
struct Outcome {
    /// The keys that it sets, by their paths.
    keys: Node,
    notices: Vec<Notice>,
    problems: Vec<Problem>,
}

fn of_variables(pairs: &[(&str, &str)]) -> Outcome {
    let environment = |name: &str| {
        let found = pairs.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let (mut notices, mut problems) = (Vec::new(), Vec::new());
    let given = Given::read(&Flags::default(), &environment, &mut notices);
    let overlay = Overlay::of(&given, &mut notices, &mut problems);
    Outcome {
        keys: YamlValue::Map(overlay.entries()).into(),
        notices,
        problems,
    }
}

fn of(flag: &str, value: &str) -> Outcome {
    let option = OPTIONS.iter().find(|option| option.flag == flag).unwrap();
    of_variables(&[(option.variable, value)])
}

fn sets(rows: &[(&str, &str, &str)]) {
    for (flag, value, expected) in rows.iter().copied() {
        let Outcome {
            keys,
            notices,
            problems,
        } = of(flag, value);
        let expected = match expected {
            "" => YamlValue::Map(Vec::new()).into(),
            expected => document::read(expected).unwrap(),
        };
        assert_eq!(keys, expected, "{flag} {value}");
        assert!(notices.is_empty(), "{flag}: {notices:?}");
        assert!(problems.is_empty(), "{flag}: {problems:?}");
    }
}

#[test]
fn options_set_the_equivalent_keys() {
    sets(&[
        ("namespace", "kv", "metric_prefix: kv"),
        (
            "check-keys",
            "db1=a*,b",
            "keys.check: [db1=a*, db0=b]\nsweep.enabled: true\nkeys.values: text",
        ),
        (
            "check-single-keys",
            "a b",
            "keys.check_single: ['db0=a\\x20b']\nsweep.enabled: true\nkeys.values: text",
        ),
        (
            "count-keys",
            "db0=session:*",
            "keys.count: ['db0=session:*']\nsweep.enabled: true",
        ),
        (
            "count-keys",
            "$${x}",
            "keys.count: ['db0=$$${x}']\nsweep.enabled: true",
        ),
        (
            "check-streams",
            "s*",
            "keys.streams: [db0=s*]\nsweep.enabled: true",
        ),
        (
            "check-single-streams",
            "s",
            "keys.single_streams: [db0=s]\nsweep.enabled: true",
        ),
        (
            "streams-exclude-consumer-metrics",
            "1",
            "keys.stream_consumers: false",
        ),
        (
            "check-key-groups",
            "^(.*):",
            "keys.groups: ['(?s-u)^(.*):']\nsweep.enabled: true",
        ),
        ("check-keys-batch-size", "500", "sweep.count: 500"),
        ("max-distinct-key-groups", "7", "keys.max_groups: 7"),
        ("disable-exporting-key-values", "true", "keys.values: 'off'"),
        ("disable-exporting-key-values", "false", ""),
        ("web.telemetry-path", "/m", "telemetry_path: /m"),
        (
            "config-command",
            "-",
            "{collectors.config: false, collectors.commandlog: false, collectors.config_values: false, \
             collectors.rdb_file_size: false}",
        ),
        ("config-command", "config", ""),
        ("set-client-name", "F", "set_client_name: false"),
        (
            "script",
            "/a,b.lua",
            "scripts: [{file: /a, read_only: false}, {file: b.lua, read_only: false}]",
        ),
        (
            "lua-script-read-only",
            "true",
            "'scripts[].read_only': true",
        ),
        ("check-search-indexes", "^a", "search_indexes: ^a"),
        ("export-client-list", "true", "clients.list: true"),
        ("export-client-port", "true", "clients.port: true"),
        (
            "include-config-metrics",
            "true",
            "collectors.config_values: true",
        ),
        ("is-tile38", "T", "collectors.tile38: true"),
        ("redis-only-metrics", "true", "process_metrics: false"),
        ("disable-scrape-endpoint", "true", "scrape_endpoint: false"),
        (
            "include-metrics-for-empty-databases",
            "0",
            "empty_databases: false",
        ),
        (
            "exclude-latency-histogram-metrics",
            "true",
            "{collectors.latency_histogram: false, collectors.latency: false}",
        ),
    ]);
}

#[test]
fn certificates_and_passwords_are_keys_of_their_sections() {
    sets(&[
        ("tls-ca-cert-file", "/a", "tls.ca_file: /a"),
        ("tls-server-name", "h", "tls.server_name: h"),
        (
            "skip-tls-verification",
            "true",
            "tls.insecure_skip_verify: true",
        ),
        ("tls-server-cert-file", "/a", "web.tls.cert_file: /a"),
        (
            "tls-server-min-version",
            "TLS1.3",
            "web.tls.min_version: '1.3'",
        ),
        ("tls-server-min-version", "TLS1.2", ""),
        ("basic-auth-password", "x", "web.basic_auth.password: x"),
    ]);
}

#[test]
fn unsupported_option_is_reported_without_its_value() {
    for (flag, value, severity, expected) in [
        (
            "append-instance-role-label",
            "true",
            Severity::Warning,
            "redis_instance_info",
        ),
        (
            "skip-checkkeys-for-role-master",
            "true",
            Severity::Warning,
            "sweep.from",
        ),
        (
            "redact-config-metrics",
            "false",
            Severity::Warning,
            "secret",
        ),
        (
            "include-go-runtime-metrics",
            "true",
            Severity::Info,
            "no Go runtime",
        ),
        ("ping-on-connect", "true", Severity::Info, "PING"),
        (
            "config-command",
            "hunter2",
            Severity::Warning,
            "memory_limit",
        ),
        (
            "check-keys-batch-size",
            "100000",
            Severity::Warning,
            "using 1000",
        ),
        (
            "check-keys-batch-size",
            "hunter2",
            Severity::Warning,
            "left out",
        ),
        ("debug", "yes", Severity::Warning, "neither true nor false"),
        ("tls-server-min-version", "TLS1.0", Severity::Warning, "1.2"),
    ] {
        let notices = of(flag, value).notices;
        let [notice] = &notices[..] else {
            panic!("{flag}: {notices:?}")
        };
        assert_eq!(notice.severity, severity, "{flag}");
        assert!(notice.text.contains(expected), "{flag}: {}", notice.text);
        assert!(!notice.text.contains("hunter2"), "{flag}: {}", notice.text);
        assert!(notice.place.starts_with("REDIS_EXPORTER_"), "{flag}");
    }
}

#[test]
fn an_option_at_its_default_changes_nothing() {
    for option in OPTIONS.iter().filter(|option| !option.variable.is_empty()) {
        let pairs = [(option.variable, option.default)];
        let outcome = of_variables(&pairs);
        assert!(outcome.notices.is_empty(), "{}", option.flag);
        assert!(outcome.problems.is_empty(), "{}", option.flag);
    }
}

#[test]
fn a_wrong_value_is_a_problem_of_its_option() {
    for (flag, value, expected) in [
        ("check-keys", "a=b=c", "more than one ="),
        ("check-keys", "%ff", "not UTF-8"),
        ("check-key-groups", "%b()", "%b"),
        ("tls-server-min-version", "1.2", "TLS1.2"),
    ] {
        let outcome = of(flag, value);
        let [problem] = &outcome.problems[..] else {
            panic!("{flag} has {} problems", outcome.problems.len())
        };
        assert!(problem.to_string().contains(expected), "{problem}");
        assert!(problem.place.starts_with("REDIS_EXPORTER_"), "{problem}");
    }
}

#[test]
fn durations_are_parsed_as_in_go() {
    for (text, seconds) in [
        ("15s", 15.0),
        ("1m30s", 90.0),
        ("1.5h", 5400.0),
        ("250ms", 0.25),
        ("1500000us", 1.5),
        ("1h0m0.5s", 3600.5),
    ] {
        let found = time_out(text).unwrap().unwrap().as_secs_f64();
        assert!((found - seconds).abs() < 1e-9, "{text}: {found}");
    }
    for text in [
        "",
        "15",
        "s",
        "-1s",
        "1d",
        "1..5s",
        "1s2",
        "1e400h",
        "9999999999999999999999h",
    ] {
        assert!(time_out(text).is_err(), "{text}");
    }
    for text in ["0", "0s", "0ms"] {
        assert_eq!(time_out(text), Ok(None), "{text}");
    }
}

#[test]
fn unread_password_file_is_reported() {
    let outcome = of_variables(&[("REDIS_PASSWORD", "hunter2"), ("REDIS_PASSWORD_FILE", "/f")]);
    let [notice] = &*outcome.notices else {
        panic!("{:?}", outcome.notices);
    };
    assert_eq!(notice.place, "REDIS_PASSWORD_FILE");
    assert!(!notice.text.contains("hunter2"));
}
