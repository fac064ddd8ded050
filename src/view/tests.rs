use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::condition::AlertSeverity;
use super::*;
use crate::failure::{Failure, Reason};
use crate::history::LastHour;
use crate::metric::{Descriptor, Edge, Histogram, Kind, Snapshot, Unit, Value, source};
use crate::publish::Publication;
use crate::trace::{AccessGrant, RejectedQuery};

/// The time of the tests, in seconds since the epoch.
const NOW: f64 = 1_000_000.0;

/// A snapshot whose families are made as they are needed.
#[derive(Default)]
struct Made {
    snapshot: Snapshot,
    families: HashMap<&'static str, &'static Descriptor>,
}

impl Made {
    fn with(mut self, name: &'static str, labels: &[(&'static str, &str)], number: f64) -> Self {
        self.store(name, labels, Value::Number(number));
        self
    }

    fn store(&mut self, name: &'static str, labels: &[(&'static str, &str)], value: Value) {
        let family = self.families.entry(name).or_insert_with(|| {
            let names: Vec<&'static str> = labels.iter().map(|(label, _)| *label).collect();
            Box::leak(Box::new(Descriptor {
                name,
                kind: Kind::Gauge,
                unit: Unit::One,
                labels: names.leak(),
                help: "",
                source: source("", ""),
                legacy: None,
            }))
        });
        let values: Vec<&str> = labels.iter().map(|(_, value)| *value).collect();
        self.snapshot.store(family, &values, value);
    }

    fn done(self) -> Snapshot {
        self.snapshot.finish()
    }
}

/// Returns the samples of a healthy primary.
fn healthy() -> Made {
    let instance = [
        ("role", "master"),
        ("redis_version", "7.0.15"),
        ("redis_mode", "standalone"),
        ("maxmemory_policy", "allkeys-lru"),
    ];
    Made::default()
        .with("redis_instance_info", &instance, 1.0)
        .with("redis_exporter_poll_interval_seconds", &[], 15.0)
        .with("redis_memory_max_bytes", &[], 1_000.0)
        .with("redis_memory_limit_bytes", &[], 1_000.0)
        .with("redis_connected_clients", &[], 7.0)
        .with("redis_config_maxclients", &[], 100.0)
        .with("redis_db_keys", &[("db", "db0")], 40.0)
}

fn poll(snapshot: Snapshot, failure: Option<Reason>) -> Publication {
    Publication {
        snapshot,
        failure,
        polled_at: SystemTime::UNIX_EPOCH + Duration::from_secs_f64(NOW - 3.0),
        server: "redis 7.0 standalone".to_owned(),
        ..Publication::empty()
    }
}

fn seen<'a>(
    name: &'a str,
    poll: Option<&'a Publication>,
    namespaces: Option<&'a Snapshot>,
    history: &'a LastHour,
) -> Seen<'a> {
    Seen {
        name,
        address: "redis://cache:6379",
        poll,
        namespaces,
        history,
        now: NOW,
    }
}

fn card_of(name: &str, snapshot: Made, failure: Option<Reason>) -> Card {
    let (poll, history) = (poll(snapshot.done(), failure), LastHour::default());
    Card::of(&seen(name, Some(&poll), None, &history))
}

fn everything() -> Filter {
    Filter::default()
}

fn alerts(card: &Card) -> Vec<(&'static str, AlertSeverity)> {
    let problems = card.problems.iter();
    problems
        .map(|problem| (problem.alert, problem.severity))
        .collect()
}

/// Returns the samples of namespaces with these names.
fn swept(names: &[&str]) -> Snapshot {
    static EDGES: [Edge; 2] = [
        Edge::new(60_000, "60000", "60"),
        Edge::new(3_600_000, "3600000", "3600"),
    ];
    let mut made = Made::default().with("redis_exporter_sweep_success", &[], 1.0);
    for (size, name) in (1_u32..).zip(names.iter().rev()) {
        let labels = [("db", "db0"), ("key_namespace", *name)];
        let size = f64::from(size);
        made = made
            .with("redis_key_namespace_keys", &labels, 10.0 * size)
            .with("redis_key_namespace_keys_error", &labels, 3.0)
            .with("redis_key_namespace_memory_bytes", &labels, 100.0 * size)
            .with("redis_key_namespace_memory_error_bytes", &labels, 1.0)
            .with("redis_key_namespace_memory_quota_bytes", &labels, 150.0)
            .with(
                "redis_key_namespace_policy_violations",
                &[labels[0], labels[1], ("policy", "ttl_required")],
                size - 1.0,
            );
        let times = Histogram {
            edges: &EDGES,
            counts: vec![2, 9].into(),
            count: 10,
            sum: f64::NAN,
            only_full: false,
        };
        let value = Value::Histogram(Arc::new(times));
        made.store("redis_key_namespace_ttl_seconds", &labels, value);
    }
    made.done()
}

#[test]
fn healthy_target_has_figures_and_no_problem() {
    let card = card_of(
        "cache",
        healthy().with("redis_memory_used_bytes", &[], 480.0),
        None,
    );
    assert_eq!(alerts(&card), []);
    assert_eq!((card.keys, card.age_seconds), (Some(40.0), Some(3.0)));
    assert_eq!(
        (card.memory.ratio, card.clients.ratio),
        (Some(0.48), Some(0.07))
    );
    assert_eq!((card.hit_ratio, card.commands_per_second), (None, None));
    let page = overview_page(
        &Overview::new(vec![card], &everything(), &ExporterState::default(), NOW),
        "/metrics",
        &[],
    );
    for part in [
        "<h1 class=\"fine\">The target is fine</h1>",
        "redis 7.0 standalone (7.0.15)",
        "primary",
        "48%",
        "480 B",
        "As of 13:46:40 UTC",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
}

#[test]
fn thresholds_are_those_of_the_alerts() {
    let used = |bytes| healthy().with("redis_memory_used_bytes", &[], bytes);
    let high = ("RedisMemoryUsageHigh", AlertSeverity::Warning);
    assert_eq!(alerts(&card_of("a", used(900.0), None)), []);
    assert_eq!(alerts(&card_of("a", used(901.0), None)), [high]);
    let expected = used(990.0).with("redis_memory_expect_full", &[], 1.0);
    let note = ("RedisMemoryUsageHigh", AlertSeverity::Info);
    assert_eq!(alerts(&card_of("a", expected, None)), [note]);
    let mut crowded = healthy();
    crowded = crowded.with("redis_rejected_connections_total", &[], 5.0);
    assert_eq!(alerts(&card_of("a", crowded, None)), []);
}

#[test]
fn one_database_is_enough_for_a_problem() {
    let keys = |made: Made, db, keys, folded| {
        made.with(
            "redis_key_namespace_keys",
            &[("db", db), ("key_namespace", "other")],
            keys,
        )
        .with("redis_key_namespace_folded_keys", &[("db", db)], folded)
    };
    let made = keys(
        keys(Made::default(), "db0", 1_000.0, 0.0),
        "db1",
        100.0,
        11.0,
    );
    let fewest = "redis_key_namespace_policy_violations_min";
    let labels = |db| [("db", db), ("policy", "ttl_required")];
    let made = made.with(fewest, &labels("db0"), 0.0);
    let namespaces = made.with(fewest, &labels("db1"), 2.0).done();
    let (poll, history) = (poll(healthy().done(), None), LastHour::default());
    let card = Card::of(&seen("a", Some(&poll), Some(&namespaces), &history));
    let texts: Vec<&str> = card.problems.iter().map(|one| &*one.text).collect();
    assert_eq!(
        texts,
        [
            "At least 2 keys of db1 never expire, although their namespaces require a TTL.",
            "11% of the keys of db1 are in no exported namespace."
        ]
    );
}

/// A rule fires for each namespace, and the page has one line for all of them.
#[test]
fn problem_states_how_many_namespaces_have_it() {
    let texts = |names: &[&str]| {
        let namespaces = swept(names);
        let (poll, history) = (poll(healthy().done(), None), LastHour::default());
        let card = Card::of(&seen("a", Some(&poll), Some(&namespaces), &history));
        let texts = card.problems.into_iter().map(|one| one.text);
        texts.collect::<Vec<String>>()
    };
    let of_three = texts(&["session", "api-cache", "ratelimit"]);
    let expected = [
        "2 keys of namespace session never expire. 1 more namespace is affected.",
        "Namespace session uses 300 B; its quota is 150 B. 1 more namespace is affected.",
    ];
    for text in expected {
        assert!(of_three.iter().any(|found| found == text), "{of_three:?}");
    }
    let of_two = texts(&["session", "api-cache"]);
    assert!(
        of_two.iter().all(|text| !text.contains("affected")),
        "{of_two:?}"
    );
}

#[test]
fn largest_of_several_cliffs_is_named() {
    let mut made = Made::default();
    for (name, keys) in [("session", 2_000.0), ("api-cache", 6_000.0)] {
        let labels = [("db", "db0"), ("key_namespace", name)];
        let burst = |what| format!("redis_key_namespace_expiry_burst_{what}").leak();
        made = made
            .with("redis_key_namespace_keys", &labels, keys)
            .with(burst("ratio"), &labels, 0.9)
            .with(burst("timestamp_seconds"), &labels, NOW + 120.0);
    }
    let (namespaces, history) = (made.done(), LastHour::default());
    let poll = poll(
        healthy()
            .with("redis_db_keys", &[("db", "db0")], 8_000.0)
            .done(),
        None,
    );
    let card = Card::of(&seen("a", Some(&poll), Some(&namespaces), &history));
    let texts: Vec<&str> = card.problems.iter().map(|one| &*one.text).collect();
    let expected = "5,400 keys of namespace api-cache expire together in 2 min. 1 more namespace \
                    is affected.";
    assert_eq!(texts, [expected]);
}

#[test]
fn policy_is_unknown_while_ttls_are() {
    let labels = [("db", "db0"), ("key_namespace", "ratelimit")];
    let shown = |made: Made| {
        let namespaces = made.with("redis_key_namespace_keys", &labels, 9.0).done();
        let (poll, history) = (poll(healthy().done(), None), LastHour::default());
        let seen = seen("a", Some(&poll), Some(&namespaces), &history);
        let page = detail_page(&TargetDetail::of(&seen), true);
        let (_, rest) = page.split_once("data-name=\"Policy\">").unwrap();
        rest.split_once("</td>").unwrap().0.to_owned()
    };
    let word = |word| format!("<span class=\"quiet\">{word}</span>");
    assert_eq!(shown(Made::default()), word("–"));
    let without = Made::default().with("redis_key_namespace_keys_without_ttl", &labels, 9.0);
    assert_eq!(shown(without), word("none"));
}

#[test]
fn numbers_of_ttls_have_their_errors() {
    let labels = [("db", "db0"), ("key_namespace", "ratelimit")];
    let shown = |required: [f64; 2], long: [f64; 2]| {
        let mut made = Made::default()
            .with("redis_key_namespace_keys", &labels, 900.0)
            .with("redis_key_namespace_keys_without_ttl", &labels, 292.0)
            .with("redis_key_namespace_keys_without_ttl_error", &labels, 31.0);
        for (policy, [keys, error]) in [("ttl_required", required), ("ttl_max", long)] {
            let labels = [labels[0], labels[1], ("policy", policy)];
            made = made
                .with("redis_key_namespace_policy_violations", &labels, keys)
                .with(
                    "redis_key_namespace_policy_violations_error",
                    &labels,
                    error,
                );
        }
        let (namespaces, history) = (made.done(), LastHour::default());
        let poll = poll(healthy().done(), None);
        let detail = TargetDetail::of(&seen("a", Some(&poll), Some(&namespaces), &history));
        let page = detail_page(&detail, true);
        let cell = |name: &str| {
            let (_, rest) = page.split_once(&format!("data-name=\"{name}\">")).unwrap();
            rest.split_once("</td>").unwrap().0.to_owned()
        };
        (cell("Without TTL"), cell("Policy"), json(&detail))
    };
    let (without, policy, json) = shown([292.0, 31.0], [7.0, 0.2]);
    assert_eq!(without, "<span>292</span><small>± 31</small>");
    assert_eq!(
        policy,
        "<span class=\"wrong\">292 ± 31 without a TTL</span>\
         <span class=\"wrong\">7 with a TTL that is too long</span>"
    );
    let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
    let row = &parsed["namespaces"][0];
    assert_eq!(row["keys_without_ttl_error"], 31.0);
    assert_eq!(row["violations_ttl_required_error"], 31.0);
    assert_eq!(row["violations_ttl_max_error"], 0.2);
    let right = "<span class=\"right\">TTLs are as declared</span>";
    let (_, policy, _) = shown([0.0, 0.0], [0.0, 12.0]);
    assert_eq!(policy, "<span class=\"quiet\">at most 12 violations</span>");
    let (_, policy, _) = shown([0.0, 0.0], [0.0, 0.0]);
    assert_eq!(policy, right);
}

#[test]
fn record_of_a_poll_is_aligned() {
    let rejected = |collector, command: &str, remedy: &str| RejectedQuery {
        collector,
        command: command.to_owned(),
        remedy: remedy.to_owned(),
    };
    let mut poll = poll(healthy().done(), None);
    poll.trace.took = Duration::from_micros(3_400);
    poll.trace.rejected = vec![
        rejected(
            "slowlog",
            "SLOWLOG LEN",
            "denied: grant the user +slowlog|len",
        ),
        rejected("config", "CONFIG GET client-output-buffer-limit", "denied"),
        rejected("scripts", "EVAL 会话", "failed"),
        rejected("a_collector_with_a_long_name", "TYPE", "unknown\u{202e}"),
    ];
    let history = LastHour::default();
    let record = debug(&seen("cache", Some(&poll), None, &history));
    let expected = "\
Target cache (redis://cache:6379)
The last poll succeeded. It ended 3 s ago and took 3.4 ms.

Rejected by the server, and not sent again over this connection:
  slowlog                       SLOWLOG LEN                            denied: grant the user +slowlog|len
  config                        CONFIG GET client-output-buffer-limit  denied
  scripts                       EVAL 会话                              failed
  a_collector_with_a_long_name  TYPE                                   unknown\\u{202e}
";
    assert_eq!(record, expected);
}

#[test]
fn sweep_that_retries_after_an_outage_is_no_problem() {
    let swept = Made::default().with("redis_exporter_sweep_success", &[], 0.0);
    let (swept, poll) = (swept.done(), poll(healthy().done(), None));
    let found = |failed_at: Option<f64>| {
        let mut history = LastHour::default();
        if let Some(at) = failed_at {
            history.record_failure(at);
        }
        Card::of(&seen("a", Some(&poll), Some(&swept), &history)).problems
    };
    assert!(found(Some(NOW - 74.0)).is_empty());
    for failed_at in [None, Some(NOW - 76.0)] {
        let problems = found(failed_at);
        assert_eq!(problems[0].alert, "RedisExporterSweepFailing");
        assert!(problems[0].text.contains("is retried"), "{problems:?}");
    }
}

#[test]
fn old_pass_is_no_problem_in_the_hour_after_an_outage() {
    let scanned = Made::default()
        .with(
            "redis_exporter_sweep_last_pass_timestamp_seconds",
            &[],
            NOW - 3_000.0,
        )
        .with("redis_exporter_sweep_pass_duration_seconds", &[], 60.0)
        .with("redis_exporter_sweep_min_pass_interval_seconds", &[], 60.0)
        .done();
    let poll = poll(healthy().done(), None);
    let found = |failed_at: Option<f64>, keeps_history: bool| {
        let mut history = LastHour::default();
        if let Some(at) = failed_at {
            history.record_failure(at);
        }
        if !keeps_history {
            history.clear();
        }
        alerts(&Card::of(&seen("a", Some(&poll), Some(&scanned), &history)))
    };
    let stale = [("RedisExporterKeyScanStale", AlertSeverity::Warning)];
    assert_eq!(found(None, true), stale);
    assert_eq!(found(Some(NOW - 3_601.0), true), stale);
    for keeps_history in [true, false] {
        assert_eq!(found(Some(NOW - 3_599.0), keeps_history), []);
    }
}

#[test]
fn problems_of_the_exporter_are_above_all_targets() {
    let state = ExporterState {
        is_config_loaded: false,
        config_loaded_at: Some(NOW - 7_200.0),
        failed_sources: vec!["<file>".to_owned(), "dns:b".to_owned()],
        panics: vec![
            ("target cache".to_owned(), 899.0),
            ("pages".to_owned(), 901.0),
        ],
    };
    let model = |state: &ExporterState| {
        Overview::new(
            vec![card_of("a", healthy(), None)],
            &everything(),
            state,
            NOW,
        )
    };
    let model_of_state = model(&state);
    let found: Vec<_> = model_of_state
        .problems
        .iter()
        .map(|one| one.alert)
        .collect();
    let expected = [
        "RedisExporterConfigReloadFailed",
        "RedisDiscoveryFailed",
        "RedisExporterTaskPanicked",
    ];
    assert_eq!(found, expected);
    let page = overview_page(&model_of_state, "/metrics", &[]);
    for part in [
        "<h1 class=\"warning\">The exporter needs attention</h1>",
        "their last lists stay in effect: &lt;file&gt;, dns:b.",
        "were restarted: target cache. The log",
        "Configuration loaded 2 h ago</p></footer>",
        "<a href=\"runbooks/RedisDiscoveryFailed\">",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let json: serde_json::Value = serde_json::from_str(&json(&model_of_state)).unwrap();
    assert_eq!(json["config_loaded_at"], NOW - 7_200.0);
    assert_eq!(
        json["problems"][1]["runbook"],
        "/runbooks/RedisDiscoveryFailed"
    );
    for name in expected {
        assert!(runbook_page(name).is_some(), "{name}");
    }
    let fine = overview_page(&model(&ExporterState::default()), "/metrics", &[]);
    assert!(fine.contains("The target is fine") && !fine.contains("class=\"problems\""));
    assert!(!fine.contains("Configuration loaded"));
}

#[test]
fn missing_permissions_are_one_command_to_copy() {
    let mut poll = poll(healthy().done(), None);
    poll.trace.rejected = vec![RejectedQuery {
        collector: "slowlog",
        command: "SLOWLOG LEN".to_owned(),
        remedy: "denied: grant the user +slowlog|len".to_owned(),
    }];
    let history = LastHour::default();
    let page = |poll: &Publication| {
        let model = TargetDetail::of(&seen("a", Some(poll), None, &history));
        (detail_page(&model, true), json(&model))
    };
    assert!(!page(&poll).0.contains("ACL SETUSER"));
    let grant = |replaces| AccessGrant {
        command: "ACL SETUSER <watcher> -@all +ping".to_owned(),
        replaces,
        also_at: Some("redis://replica:6379".to_owned()),
    };
    // A poll that fails for lack of a permission has no list of rejected queries.
    let mut failed = poll.clone();
    failed.trace.rejected.clear();
    failed.failure = Some(Reason::Denied);
    failed.trace.grant = Some(grant(false));
    let (html, _) = page(&failed);
    assert!(html.contains("Missing permissions"), "{html}");
    assert!(!html.contains("default user"), "{html}");
    for (replaces, text) in [(true, "takes all others"), (false, "only adds permissions")] {
        poll.trace.grant = Some(grant(replaces));
        let (page, json) = page(&poll);
        assert_eq!(page.matches("ACL SETUSER").count(), 1, "{page}");
        let command = "<code>ACL SETUSER &lt;watcher&gt; -@all +ping</code>";
        for part in [command, text, "<bdi>redis://replica:6379</bdi>"] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["grant"]["replaces"], replaces);
    }
}

#[test]
fn rejected_key_scans_are_a_problem_with_the_command_that_permits_them() {
    let question = |made: Made, name, success| {
        made.with(
            "redis_exporter_sweep_question_success",
            &[("question", name)],
            success,
        )
    };
    let made = question(question(Made::default(), "scan", 1.0), "ttl", 0.0);
    let namespaces = question(made, "memory", 0.0).done();
    let mut poll = poll(healthy().done(), None);
    poll.trace.grant = Some(AccessGrant {
        command: "ACL SETUSER <watcher> -@all +ping".to_owned(),
        replaces: true,
        also_at: None,
    });
    let history = LastHour::default();
    let shown = |poll: &Publication| {
        let card = Card::of_few(&seen("a", Some(poll), Some(&namespaces), &history));
        let texts: Vec<String> = card.problems.iter().map(|one| one.text.clone()).collect();
        (texts, page_of(vec![card]))
    };
    let (texts, page) = shown(&poll);
    let expected = "The server rejects queries of: key scans (MEMORY USAGE, PTTL).";
    assert_eq!(texts, [expected]);
    let command = "<code>ACL SETUSER &lt;watcher&gt; -@all +ping</code>";
    assert!(page.contains(command), "{page}");
    poll.refused = vec!["slowlog", "config"];
    poll.trace.grant = None;
    let (texts, page) = shown(&poll);
    let expected =
        "The server rejects queries of: slowlog, config, key scans (MEMORY USAGE, PTTL).";
    assert_eq!(texts, [expected]);
    assert!(!page.contains("Grant the missing"), "{page}");
}

#[test]
fn severe_condition_replaces_a_mild_one_of_the_same_alert() {
    let clients = |clients| {
        let made = Made::default().with("redis_config_maxclients", &[], 100.0);
        card_of(
            "a",
            made.with("redis_connected_clients", &[], clients),
            None,
        )
    };
    let near = |severity| [("RedisClientsNearLimit", severity)];
    assert_eq!(alerts(&clients(80.0)), []);
    assert_eq!(alerts(&clients(81.0)), near(AlertSeverity::Warning));
    assert_eq!(alerts(&clients(96.0)), near(AlertSeverity::Critical));
}

#[test]
fn target_that_is_down_shows_no_old_figure() {
    let failed = Made::default().with("redis_memory_used_bytes", &[], 480.0);
    let (poll, history) = (poll(failed.done(), Some(Reason::Auth)), LastHour::default());
    let namespaces = swept(&["session"]);
    let seen = seen("cache", Some(&poll), Some(&namespaces), &history);
    let detail = TargetDetail::of(&seen);
    assert_eq!(detail.target.memory.used, None);
    assert!(detail.namespaces.is_empty());
    assert_eq!(
        alerts(&detail.target),
        [("RedisDown", AlertSeverity::Critical)]
    );
}

#[test]
fn failed_poll_is_one_problem_with_cause_and_remedy() {
    let history = LastHour::default();
    for reason in Reason::ALL {
        let poll = poll(Snapshot::default(), Some(reason));
        let detail = TargetDetail::of(&seen("cache", Some(&poll), None, &history));
        let problems = &detail.target.problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        let text = problems[0].text.to_lowercase();
        for part in [reason.meaning(), reason.remedy()] {
            assert!(text.contains(&part.to_lowercase()), "{text}");
        }
        let page = detail_page(&detail, true);
        assert_eq!(page.matches("The last poll failed").count(), 1, "{page}");
    }
    let poll = poll(Snapshot::default(), Some(Reason::Auth));
    let card = Card::of(&seen("cache", Some(&poll), None, &history));
    assert_eq!(
        card.problems[0].text,
        "The last poll failed: the user or password is missing or wrong. Check username and password."
    );
}

#[test]
fn failed_poll_has_the_remedy_and_details_of_its_failure() {
    let history = LastHour::default();
    let mut poll = poll(Snapshot::default(), Some(Reason::Closed));
    let failure = Failure::new(Reason::Closed, "closed before <its> first reply");
    poll.trace.failure = Some(failure.with_remedy("if it expects TLS, use `rediss://`"));
    let detail = TargetDetail::of(&seen("cache", Some(&poll), None, &history));
    assert_eq!(
        detail.target.problems[0].text,
        "The last poll failed: closed before <its> first reply. If it expects TLS, use `rediss://`."
    );
    let page = detail_page(&detail, true);
    let text =
        "closed before &lt;its&gt; first reply. If it expects TLS, use <code>rediss://</code>.";
    assert!(page.contains(text), "{page}");
    assert!(!page.contains("Details:"), "{page}");
    assert!(page.contains(">State: polled 3 s ago.<"), "{page}");
    assert!(!page.contains("How old"), "{page}");
    let parsed: serde_json::Value = serde_json::from_str(&json(&detail)).unwrap();
    let failure = &parsed["target"]["failure"];
    assert_eq!(failure["detail"], "closed before <its> first reply");
    assert_eq!(failure["remedy"], "if it expects TLS, use `rediss://`");
    // Without a remedy of its own, the meaning of the reason is plainer.
    poll.trace.failure = Some(Failure::new(Reason::Closed, "os error <104>"));
    let detail = TargetDetail::of(&seen("cache", Some(&poll), None, &history));
    let text = &detail.target.problems[0].text;
    assert!(
        text.contains("the connection was closed. Check that"),
        "{text}"
    );
    let page = detail_page(&detail, true);
    assert!(
        page.contains("Details: <bdi>os error &lt;104&gt;</bdi>"),
        "{page}"
    );
}

#[test]
fn members_of_a_cluster_have_their_shard() {
    let member = [("redis_cluster", "orders"), ("shard", "5461")];
    let made = || healthy().with("redis_cluster_member_info", &member, 1.0);
    // Failed polls have it too.
    for failure in [None, Some(Reason::Refused)] {
        let card = card_of("a", made(), failure);
        let parsed: serde_json::Value = serde_json::from_str(&json(&card)).unwrap();
        assert_eq!(
            (&parsed["cluster"], &parsed["shard"]),
            (&"orders".into(), &"5461".into())
        );
        let page = page_of(vec![card]);
        assert!(page.contains("<bdi>shard 5461</bdi>"), "{page}");
    }
    assert!(!page_of(vec![card_of("a", healthy(), None)]).contains("shard"));
}

#[test]
fn card_links_to_the_problems_that_it_does_not_show() {
    let problem = |alert| condition::TargetProblem {
        alert,
        severity: AlertSeverity::Warning,
        text: "A `problem`.".to_owned(),
        runbook: "/runbooks/RedisDown".to_owned(),
    };
    let mut card = card_of("a/b", healthy(), None);
    card.problems = ["a", "b", "c"].map(problem).into();
    let page = page_of(vec![card]);
    assert!(!page.contains("class=\"more\""), "{page}");
    assert!(page.contains("A <code>problem</code>."), "{page}");
    let mut card = card_of("a/b", healthy(), None);
    card.problems = ["a", "b", "c", "d", "e"].map(problem).into();
    let page = page_of(vec![card]);
    let link = "<p class=\"more\">and <a href=\"targets/a%2Fb\">2 more<span";
    assert!(page.contains(link), "{page}");
}

#[test]
fn worst_targets_come_first_and_hidden_ones_are_counted() {
    let mut cards: Vec<Card> = (0..2_000)
        .map(|at| card_of(&format!("cache-{at:04}"), healthy(), None))
        .collect();
    cards.push(card_of("zz-dead", Made::default(), Some(Reason::Refused)));
    cards.push(card_of(
        "zz-full",
        healthy().with("redis_memory_used_bytes", &[], 950.0),
        None,
    ));
    let model = Overview::new(cards, &everything(), &ExporterState::default(), NOW);
    let names: Vec<&str> = model.targets.iter().map(|card| &*card.name).collect();
    assert_eq!(names[..3], ["zz-dead", "zz-full", "cache-0000"]);
    let summary = model.summary;
    assert_eq!(
        (summary.total, summary.down, summary.warning),
        (2_002, 1, 1)
    );
    assert_eq!((model.targets.len(), model.remaining), (30, 1_972));
    let page = overview_page(&model, "/metrics", &[]);
    assert!(page.contains("1 of 2002 targets is down"));
    assert!(
        page.contains("1–30 of 2002; 1972 more are not shown"),
        "{page}"
    );
    assert!(page.contains("<a href=\"?q=&amp;offset=30\">"));
    let bytes = bytes_to_load(&page);
    assert!(bytes < 50_000, "{bytes}");
}

#[test]
fn lists_without_targets_have_no_range() {
    let cards = || vec![card_of("a", healthy(), None), card_of("b", healthy(), None)];
    for (query, offset, text) in [
        ("", 9, "<p>The list ends here: it has 2 targets</p>"),
        ("z", 0, "<p>No target matches, of 2 in all</p>"),
        ("b", 0, "<p>1–1 of 1 that match, of 2 in all</p>"),
    ] {
        let filter = Filter {
            query: query.to_owned(),
            offset,
            ..everything()
        };
        let page = overview_page(
            &Overview::new(cards(), &filter, &ExporterState::default(), NOW),
            "/m",
            &[],
        );
        assert!(page.contains(text), "{text} is not in {page}");
    }
}

#[test]
fn page_of_many_targets_with_problems_is_small() {
    let full = || healthy().with("redis_memory_used_bytes", &[], 950.0);
    let name = |at| format!("cache-{at}.production.example.com:6379");
    let cards = (0..100).map(|at| card_of(&name(at), full(), None));
    let model = Overview::new(
        cards.collect(),
        &everything(),
        &ExporterState::default(),
        NOW,
    );
    let page = overview_page(&model, "/metrics", &[]);
    assert_eq!(page.matches("Memory is at 95.0%").count(), 30);
    let bytes = bytes_to_load(&page);
    assert!(bytes < 50_000, "{bytes}");
}

/// Returns the size of a page with the files that it loads.
fn bytes_to_load(page: &str) -> usize {
    let files = ["page.css", "page.js", "icon.svg"].map(|name| asset(name).unwrap().content.len());
    page.len() + files.iter().sum::<usize>()
}

/// Returns the last hour of a target whose numbers are different at each poll.
fn busy_hour() -> LastHour {
    let mut hour = LastHour::default();
    let mut counts = [0.0; 4];
    for minute in 0..240_u32 {
        let noise = |seed: u32| f64::from(minute.wrapping_mul(0x9e37_79b1 ^ seed) >> 24);
        for (seed, count) in (1..).zip(&mut counts) {
            *count += noise(seed);
        }
        let [commands, hits, misses, evicted] = counts;
        let snapshot = healthy()
            .with("redis_memory_used_bytes", &[], 500.0 + noise(9))
            .with("redis_commands_processed_total", &[], commands)
            .with("redis_keyspace_hits_total", &[], hits)
            .with("redis_keyspace_misses_total", &[], misses)
            .with("redis_evicted_keys_total", &[], evicted);
        let at = NOW - 15.0 * f64::from(240 - minute);
        hour.record(at, &snapshot.done());
    }
    hour
}

#[test]
fn page_of_twelve_targets_with_a_busy_hour_is_small() {
    let hour = busy_hour();
    let last = healthy().with("redis_memory_used_bytes", &[], 700.0);
    let poll = poll(last.done(), None);
    let names: Vec<String> = (0..12)
        .map(|at| format!("cache-{at}.production.example.com:6379"))
        .collect();
    let cards = names
        .iter()
        .map(|name| Card::of(&seen(name, Some(&poll), None, &hour)));
    let page = overview_page(
        &Overview::new(
            cards.collect(),
            &everything(),
            &ExporterState::default(),
            NOW,
        ),
        "/metrics",
        &[],
    );
    let lines = page.matches("class=\"line\"").count();
    assert!(lines >= 36, "{lines}");
    let bytes = bytes_to_load(&page);
    println!("{bytes} bytes, {lines} sparklines");
    assert!(bytes < 50_000, "{bytes}");
}

/// Returns the page of all targets.
fn page_of(cards: Vec<Card>) -> String {
    let model = Overview::new(cards, &everything(), &ExporterState::default(), NOW);
    overview_page(&model, "/metrics", &[])
}

#[test]
fn cards_of_few_targets_show_their_largest_namespaces() {
    let namespaces = swept(&["api", "session", "cart", "<b>", "queue", "sixth"]);
    let evicted = |keys| {
        let labels = [("db", "db0"), ("key_namespace", "api")];
        let family = "redis_key_namespace_evicted_keys_total";
        Made::default().with(family, &labels, keys).done()
    };
    let mut hour = busy_hour();
    let poll = poll(healthy().done(), None);
    let page = |hour: &LastHour| {
        let seen = seen("a/b", Some(&poll), Some(&namespaces), hour);
        page_of(vec![Card::of_few(&seen)])
    };
    let without_rates = page(&hour);
    for part in [
        "<svg class=\"map\"",
        "<bdi>api</bdi></th><td class=\"number\">60 <small>± 3</small></td>\
         <td class=\"number\">600 B <small>29%</small></td>",
        "<bdi>&lt;b&gt;</bdi>",
        "<bdi>queue</bdi>",
        "<a href=\"targets/a%2Fb#namespaces\">More about 6 namespaces<span",
    ] {
        assert!(
            without_rates.contains(part),
            "{part} is not in {without_rates}"
        );
    }
    // The map has all of them.
    assert!(!without_rates.contains("<bdi>sixth</bdi>"));
    assert!(!without_rates.contains("Evicted/s"));
    hour.record_namespaces(NOW - 120.0, &evicted(1_000.0));
    hour.record_namespaces(NOW - 20.0, &evicted(1_400.0));
    let with_rates = page(&hour);
    for part in [
        "Evicted/s</th>",
        "<td class=\"number\">4.0</td>",
        "<td class=\"number\">–</td>",
    ] {
        assert!(with_rates.contains(part), "{part} is not in {with_rates}");
    }
    let seen = seen("a/b", Some(&poll), Some(&namespaces), &hour);
    let detail = TargetDetail::of(&seen);
    assert_eq!(detail.namespaces[0].evictions_per_second, Some(4.0));
    assert!(!page_of(vec![Card::of(&seen)]).contains("class=\"map\""));
    let labels = [("db", "db0"), ("key_namespace", "declared")];
    let empty = Made::default().with("redis_key_namespace_keys", &labels, 0.0);
    let (empty, hour) = (empty.done(), LastHour::default());
    let card = Card::of_few(&self::seen("a", Some(&poll), Some(&empty), &hour));
    assert!(!page_of(vec![card]).contains("declared"));
}

#[test]
fn page_of_few_targets_with_long_names_is_small() {
    let hour = busy_hour();
    let names: Vec<String> = (0..500)
        .map(|at| format!("{at}{}", "<\u{202e}&".repeat(170)))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let namespaces = swept(&names);
    let mut poll = poll(
        healthy().with("redis_memory_used_bytes", &[], 950.0).done(),
        None,
    );
    poll.trace.grant = Some(AccessGrant {
        command: "ACL SETUSER watcher +command|subcommand".repeat(16),
        replaces: true,
        also_at: None,
    });
    let cards = ["cache-1.production.example.com:6379", "b", "c"]
        .map(|name| Card::of_few(&seen(name, Some(&poll), Some(&namespaces), &hour)));
    let page = page_of(cards.into());
    assert_eq!(page.matches("class=\"map\"").count(), 3);
    let bytes = bytes_to_load(&page);
    println!("{bytes} bytes");
    assert!(bytes < 50_000, "{bytes}");
}

#[test]
fn filter_selects_by_name_and_place() {
    let cards = ["vacation", "Queue", "Scar"].map(|name| {
        let mut card = card_of(name, healthy(), None);
        card.address = "redis://q:1".to_owned();
        card
    });
    let filter = Filter {
        query: "CA".to_owned(),
        offset: 1,
        limit: 1,
    };
    let model = Overview::new(cards.into(), &filter, &ExporterState::default(), NOW);
    assert_eq!(
        (model.matching, model.offset, model.limit, model.remaining),
        (2, 1, 1, 0)
    );
    assert_eq!(model.targets[0].name, "vacation");
    let page = overview_page(&model, "/m", &[]);
    assert!(
        page.contains("<a href=\"?q=CA&amp;offset=0&amp;limit=1\">"),
        "{page}"
    );
}

#[test]
fn namespaces_have_shares_policies_and_quotas() {
    let (poll, history) = (poll(healthy().done(), None), LastHour::default());
    let namespaces = swept(&["api", "session"]);
    let detail = TargetDetail::of(&seen("cache", Some(&poll), Some(&namespaces), &history));
    let [api, session] = &detail.namespaces[..] else {
        panic!("{detail:?}")
    };
    assert_eq!((&*api.name, api.memory_share), ("api", Some(2.0 / 3.0)));
    assert_eq!(api.violations_ttl_required, Some(1.0));
    assert_eq!(session.memory_quota_ratio, Some(100.0 / 150.0));
    let keys: Vec<f64> = api.ttl.iter().map(|range| range.keys).collect();
    assert_eq!(keys, [2.0, 7.0, 1.0]);
    let wrong = [
        ("RedisNamespaceTTLPolicyViolated", AlertSeverity::Warning),
        ("RedisNamespaceMemoryQuotaExceeded", AlertSeverity::Warning),
    ];
    assert_eq!(alerts(&detail.target), wrong);
    let page = detail_page(&detail, true);
    for part in [
        "1 without a TTL",
        "133% of 150 B",
        "mostly 1 h or less",
        "67%",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
}

#[test]
fn page_of_a_target_is_small() {
    let names: Vec<String> = (0..500)
        .map(|at| format!("namespace-number-{at}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (poll, history) = (poll(healthy().done(), None), busy_hour());
    let namespaces = swept(&names);
    let detail = TargetDetail::of(&seen("cache", Some(&poll), Some(&namespaces), &history));
    let page = detail_page(&detail, true);
    assert!(page.contains("485 smaller namespaces are not shown"));
    let bytes = bytes_to_load(&page);
    println!("{bytes} bytes of a target");
    assert!(bytes < 50_000, "{bytes}");
}

#[test]
fn hostile_names_are_text() {
    let names = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='x",
        "a\u{202e}b",
        "\u{1b}[31mred\0",
    ];
    let (poll, history) = (poll(healthy().done(), None), LastHour::default());
    let namespaces = swept(&names);
    for name in names {
        let seen = seen(name, Some(&poll), Some(&namespaces), &history);
        let pages = [
            detail_page(&TargetDetail::of(&seen), true),
            overview_page(
                &Overview::new(
                    vec![Card::of_few(&seen)],
                    &everything(),
                    &ExporterState::default(),
                    NOW,
                ),
                "/m",
                &[],
            ),
        ];
        for page in pages {
            for part in [
                "<script>",
                "<img",
                "onerror=alert(1)>",
                "' onmouse",
                "\u{202e}",
                "\u{1b}",
                "\0",
            ] {
                assert!(!page.contains(part), "{part:?} is in {page}");
            }
        }
        let debug = debug(&seen);
        assert!(
            !debug.contains('\u{202e}') && !debug.contains('\u{1b}'),
            "{debug}"
        );
        let json: serde_json::Value =
            serde_json::from_str(&json(&TargetDetail::of(&seen))).unwrap();
        assert_eq!(json["target"]["name"], name);
    }
}

#[test]
fn role_has_the_same_word_on_the_page_and_in_json() {
    for (reported, word) in [
        ("master", "primary"),
        ("slave", "replica"),
        ("active-replica", "active-replica"),
    ] {
        let made = Made::default().with("redis_instance_info", &[("role", reported)], 1.0);
        let card = card_of("a", made, None);
        let parsed: serde_json::Value = serde_json::from_str(&json(&card)).unwrap();
        assert_eq!(parsed["role"], word);
        let page = page_of(vec![card]);
        assert!(page.contains(&format!("<bdi>{word}</bdi>")), "{page}");
    }
}

#[test]
fn json_has_every_field_and_null_for_unknown_ones() {
    let history = LastHour::default();
    let card = Card::of(&seen("new", None, None, &history));
    let json: serde_json::Value = serde_json::from_str(&json(&card)).unwrap();
    assert_eq!(json["state"], "waiting");
    for field in [
        "failure",
        "version",
        "keys",
        "hit_ratio",
        "polled_at",
        "severity",
    ] {
        assert_eq!(json.get(field), Some(&serde_json::Value::Null), "{field}");
    }
    assert_eq!(
        json["memory"],
        serde_json::json!({"used": null, "limit": null, "ratio": null})
    );
}

#[test]
fn pages_have_no_inline_script_or_style() {
    let (poll, history) = (poll(healthy().done(), None), LastHour::default());
    let namespaces = swept(&["session"]);
    let seen = seen("cache", Some(&poll), Some(&namespaces), &history);
    let page = detail_page(&TargetDetail::of(&seen), true);
    for part in [
        " style=",
        "<style",
        " onclick=",
        "javascript:",
        "http://",
        "https://",
    ] {
        assert!(!page.contains(part), "{part} is in {page}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains("<script defer src=\"../assets/page.js?"));
}
