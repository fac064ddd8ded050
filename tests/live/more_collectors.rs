//! Optional collectors: all parameters, the ACL log, scripts, the RDB file, and unknown commands.

use std::fs;

use crate::support::redis::Client;
use crate::support::redis_exporter::{Exposition, RedisExporter};
use crate::support::{Exporter, Launch, Page, RedisServer};

/// Starts an exporter of one target with additional configuration keys.
fn exporter_of(url: &str, keys: &str) -> Exporter {
    Launch::configured(&format!(
        "poll: {{ interval: 200ms }}\ntargets: [{{ name: cache, url: '{url}', {keys} }}]\n"
    ))
    .start()
}

fn collector_success(page: &Page, collector: &str) -> f64 {
    let label = [("collector", collector)];
    page.value("redis_exporter_collector_success", &label)
}

#[test]
fn config_values_are_shown_without_passwords() {
    let server = RedisServer::start(&["--requirepass", "4711", "--masterauth", "hunter2"]);
    let url = format!("redis://:4711@{}", server.address());
    let page = exporter_of(&url, "collectors: { config_values: true }").polls(2);
    assert_eq!(page.value("redis_config_value", &[("key", "hz")]), 10.0);
    for key in ["requirepass", "masterauth"] {
        let labels = [("key", key), ("value", "***")];
        assert_eq!(page.value("redis_config_key_value", &labels), 1.0);
        assert_eq!(page.get("redis_config_value", &[("key", key)]), None);
    }
    assert!(!page.0.contains("4711") && !page.0.contains("hunter2"));
}

#[test]
fn acl_denials_are_counted_without_names() {
    let server = RedisServer::start(&[]);
    server.ask(&["ACL", "SETUSER", "alice", "on", ">secret", "+get", "~open"]);
    let mut alice = Client::connect(server.port).unwrap();
    alice.ask(&["AUTH", "alice", "secret"]);
    let denied: [&[&str]; 5] = [
        &["GET", "private-key"],
        &["GET", "private-key"],
        &["GET", "private-key"],
        &["DEL", "open"],
        &["AUTH", "alice", "wrong"],
    ];
    for words in denied {
        assert!(alice.try_ask(words).unwrap().is_err(), "{words:?}");
    }
    let page = exporter_of(&server.url(), "collectors: { acl_log: true }").polls(2);
    for (reason, count) in [("key", 3.0), ("command", 1.0), ("auth", 1.0)] {
        let labels = [("reason", reason), ("context", "toplevel")];
        assert_eq!(page.value("redis_acl_log_denials", &labels), count);
    }
    assert_eq!(page.value("redis_acl_log_entries", &[]), 3.0);
    for word in ["alice", "private-key"] {
        assert!(!page.0.contains(word), "{word}");
    }
}

/// Writes scripts into a folder and returns the option that names them.
fn scripts(folder: &tempfile::TempDir, scripts: &[(&str, &str)]) -> String {
    let items = scripts.iter().map(|(name, text)| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        format!("{{ name: {name}, file: '{}' }}", path.display())
    });
    let items: Vec<String> = items.collect();
    format!("scripts: [{}]", items.join(", "))
}

fn result(page: &Page, name: &str) -> f64 {
    page.value("redis_script_result", &[("filename", name)])
}

#[test]
fn scripts_show_results_and_fail_independently() {
    let server = RedisServer::start(&[]);
    server.ask(&["RPUSH", "queue", "a", "b"]);
    let folder = tempfile::tempdir().unwrap();
    let option = scripts(
        &folder,
        &[
            ("depth", "return {'depth', redis.call('LLEN', 'queue')}"),
            ("text", "return {'ratio', '0.25'}"),
            ("empty", "return {}"),
            ("none", "local x = 1"),
            ("broken", "this is no Lua"),
            ("writes", "redis.call('SET', 'k', 'v') return {'n', 1}"),
            ("raises", "return redis.error_reply('NOPERM made up')"),
            ("bytes", "return redis.error_reply('ERR \\255')"),
        ],
    );
    let exporter = exporter_of(&server.url(), &option);
    let page = exporter.polls(3);
    assert!(page.is_up());
    let value = |key, name| page.value("redis_script_values", &[("key", key), ("filename", name)]);
    assert_eq!(value("depth", "depth"), 2.0);
    assert_eq!(value("ratio", "text"), 0.25);
    for (name, expected) in [
        ("depth", 1.0),
        ("text", 1.0),
        ("empty", 2.0),
        ("none", 2.0),
        ("broken", 0.0),
        ("writes", 0.0),
        ("raises", 0.0),
        ("bytes", 0.0),
    ] {
        assert_eq!(result(&page, name), expected, "{name}");
    }
    assert_eq!(server.ask(&["EXISTS", "k"]), "0");
    page.value("redis_slowlog_length", &[]);
    server.ask(&["RPUSH", "queue", "c"]);
    exporter.until("another value", |page| {
        page.all("redis_script_values", &[("key", "depth")]) == [3.0]
    });
}

#[test]
fn script_runs_in_the_database_of_the_target() {
    let server = RedisServer::start(&[]);
    let mut client = Client::connect(server.port).unwrap();
    client.ask(&["SELECT", "3"]);
    client.ask(&["SET", "x", "1"]);
    let folder = tempfile::tempdir().unwrap();
    let option = scripts(
        &folder,
        &[("size", "return {'keys', redis.call('DBSIZE')}")],
    );
    let page = exporter_of(&server.url(), &format!("db: 3, {option}")).polls(1);
    assert_eq!(page.all("redis_script_values", &[]), [1.0]);
}

#[test]
fn denied_script_does_not_affect_the_others() {
    let server = RedisServer::start(&[]);
    let rules = "on >secret ~* +@all -get -slowlog";
    let mut words = vec!["ACL", "SETUSER", "watcher"];
    words.extend(rules.split(' '));
    server.ask(&words);
    let folder = tempfile::tempdir().unwrap();
    let option = scripts(
        &folder,
        &[
            ("denied", "return {'n', redis.call('GET', 'k')}"),
            ("good", "return {'keys', redis.call('DBSIZE')}"),
        ],
    );
    let url = format!("redis://watcher:secret@{}", server.address());
    let page = exporter_of(&url, &option).polls(3);
    assert_eq!(result(&page, "denied"), 0.0);
    assert_eq!(result(&page, "good"), 1.0);

    server.ask(&["ACL", "SETUSER", "watcher", "-eval_ro"]);
    let exporter = exporter_of(&url, &option);
    let page = exporter.polls(3);
    assert_eq!(result(&page, "good"), 0.0);
    assert_eq!(collector_success(&page, "scripts"), 0.0);
    assert!(page.is_up());
}

#[test]
fn script_is_suspended_after_a_timeout() {
    let server = RedisServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    // Takes much longer than the timeout, which is half the interval.
    let text = "local n = 0 for i = 1, 3e7 do n = n + i end return {'n', n}";
    let option = scripts(&folder, &[("slow", text)]);
    let exporter = exporter_of(&server.url(), &option);
    let page = exporter.until("a poll without the script", |page| {
        page.is_up() && page.get("redis_script_result", &[]) == Some(0.0)
    });
    let log = exporter.log();
    assert_eq!(
        log.matches("a script broke the connection or timed out")
            .count(),
        1
    );
    let failures = |page: &Page| {
        let of = |reason| page.value("redis_exporter_poll_failures_total", &[("reason", reason)]);
        of("timeout")
    };
    assert_eq!(failures(&exporter.polls(3)), failures(&page));
}

#[test]
fn script_closing_its_connection_does_not_affect_others() {
    let server = RedisServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let deep = "local t = {1} for i = 1, 200 do t = {t} end return t";
    let option = scripts(
        &folder,
        &[
            ("deep", deep),
            ("good", "return {'keys', redis.call('DBSIZE')}"),
        ],
    );
    let exporter = exporter_of(&server.url(), &option);
    for _ in 0..3 {
        let page = exporter.polls(1);
        assert!(page.is_up());
        assert_eq!(result(&page, "deep"), 0.0);
        assert_eq!(result(&page, "good"), 1.0);
    }
    let log = exporter.log();
    let runs = log.matches("a script broke the connection").count();
    assert_eq!(runs, 1, "the script was not suspended");
}

#[test]
fn rdb_file_size_appears_after_the_first_save() {
    let server = RedisServer::start(&[]);
    let exporter = exporter_of(&server.url(), "collectors: { rdb_file_size: true }");
    let name = "redis_rdb_current_size_bytes";
    assert_eq!(exporter.polls(2).get(name, &[]), None);
    server.ask(&["SAVE"]);
    let page = exporter.until("a size", |page| page.get(name, &[]).is_some());
    let size = fs::metadata(server.file("dump.rdb")).unwrap().len();
    assert_eq!(page.value(name, &[]).to_string(), size.to_string());

    let path = server.file("dump.rdb");
    let keys = format!(
        "rdb_file: '{}', collectors: {{ config: false, rdb_file_size: true }}",
        path.display()
    );
    let page = exporter_of(&server.url(), &keys).polls(1);
    assert_eq!(page.value(name, &[]).to_string(), size.to_string());
}

#[test]
fn missing_search_module_fails_only_its_collector() {
    let server = RedisServer::start(&[]);
    let page = exporter_of(&server.url(), "collectors: { search_indexes: true }").polls(3);
    assert!(page.is_up());
    assert_eq!(collector_success(&page, "search_indexes"), 0.0);
    page.value("redis_slowlog_length", &[]);
}

#[test]
fn config_values_and_scripts_match_redis_exporter() {
    let server = RedisServer::start(&["--requirepass", ""]);
    server.ask(&["RPUSH", "queue", "a", "b"]);
    let folder = tempfile::tempdir().unwrap();
    let text = "return {'depth', tostring(redis.call('LLEN', 'queue')), 'ratio', '0.25'}";
    let path = folder.path().join("queue.lua");
    fs::write(&path, text).unwrap();
    let path = path.display();
    let keys = format!("scripts: [{{ file: '{path}' }}], collectors: {{ config_values: true }}");
    let exporter = exporter_of(&server.url(), &keys);
    exporter.polls(2);
    let ours = Exposition::parse(&exporter.get("/scrape?target=cache").text());
    let script = format!("-script={path}");
    let theirs = RedisExporter::of(&server, &["-include-config-metrics", &script]).exposition();
    let mut compared = 0;
    for ((name, labels), value) in &theirs.samples {
        let is_secret = labels.iter().any(|label| label.ends_with("user\""));
        if !name.starts_with("redis_config_") && !name.starts_with("redis_script_") || is_secret {
            continue;
        }
        compared += 1;
        let mut labels = labels.clone();
        // This version of redis_exporter supports a single script and does not add its name.
        if name.starts_with("redis_script_") {
            labels.insert(format!("filename=\"{path}\""));
        }
        // An empty label is equivalent to an absent one.
        labels.retain(|label| label != "value=\"\"");
        let here = ours.samples.get(&(name.clone(), labels.clone()));
        assert_eq!(here, Some(value), "{name} {labels:?}");
        assert_eq!(ours.kinds.get(name), theirs.kinds.get(name), "{name}");
    }
    assert!(compared > 200, "only {compared} samples");
}
