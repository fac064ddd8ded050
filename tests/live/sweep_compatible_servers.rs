//! Servers that are compatible with Redis but have sorted scans, other cursors, or fewer INFO
//! sections.

use crate::support::Launch;
use crate::support::fake::{FakeServer, bulk, scanned};
use crate::support::page::Page;
use crate::support::sweep::{NAMESPACES, of};

/// Number of keys in each of two namespaces, in sorted order.
const KEYS: usize = 10_000;

fn keys(from: usize, count: usize) -> Vec<String> {
    let key = |number: usize| {
        if number < KEYS {
            format!("session:{number}")
        } else {
            format!("websocket:{number}")
        }
    };
    (from..(from + count).min(2 * KEYS)).map(key).collect()
}

const INFO: &str = "# Server\r\nredis_version:7.2.4\r\nredis_mode:standalone\r\nrun_id:a\r\n\
    # Persistence\r\nloading:0\r\n\
    rdb_changes_since_last_save:0\r\n# Keyspace\r\ndb0:keys=20000,expires=0,avg_ttl=0\r\n";

/// Returns the reply of such a server to all commands except SCAN.
fn reply(words: &[String]) -> String {
    let word = |at: usize| {
        words
            .get(at)
            .map_or("", String::as_str)
            .to_ascii_uppercase()
    };
    match (word(0).as_str(), word(1).as_str()) {
        ("PING", _) => "+PONG\r\n".to_owned(),
        ("SELECT" | "CLIENT", _) => "+OK\r\n".to_owned(),
        ("INFO", "COMMANDSTATS" | "REPLICATION") => "-ERR Invalid section name\r\n".to_owned(),
        ("INFO", _) if words.len() > 2 => "-ERR syntax error\r\n".to_owned(),
        ("INFO", _) => bulk(INFO),
        ("DBSIZE", _) => ":20000\r\n".to_owned(),
        ("PTTL", _) => ":-1\r\n".to_owned(),
        ("TYPE", _) => "+string\r\n".to_owned(),
        ("MEMORY", _) => ":64\r\n".to_owned(),
        _ => "-ERR unknown command\r\n".to_owned(),
    }
}

/// Checks that an exporter of this server only shows intervals that cover the truth, which is half
/// of the keys in each namespace, and finally shows exact values.
fn assert_right(server: &FakeServer) {
    let text = format!(
        "poll: {{ interval: 500ms, timeout: 500ms }}\n\
         sweep: {{ max_latency: 10s, cpu_share: 5%, commands_per_second: 5000, first_keys: 0, \
          min_pass_interval: 1s }}\n\
         {NAMESPACES}targets: [{{ name: cache, url: 'redis://127.0.0.1:{}' }}]\n",
        server.port
    );
    let exporter = Launch::configured(&text).start();
    let shown = |page: &Page| {
        page.0.contains("redis_key_namespace_keys{").then(|| {
            ["session", "websocket"]
                .map(|name| (of(page, "keys", name), of(page, "keys_error", name)))
        })
    };
    let all = f64::from(u32::try_from(KEYS).unwrap());
    exporter.until("all keys", |page| {
        let found = shown(page);
        for (keys, error) in found.into_iter().flatten() {
            assert!((keys - all).abs() <= error, "{keys} ± {error} is not {all}");
        }
        found == Some([(all, 0.0); 2])
    });
    let page = exporter.page();
    assert_eq!(page.value("redis_exporter_sweep_success", &[]), 1.0);
    assert_eq!(page.value("redis_exporter_sweep_random_order", &[]), 0.0);
}

#[test]
fn sorted_scan_is_not_used_as_a_sample() {
    let server = FakeServer::start(|words| {
        if words[0].eq_ignore_ascii_case("SCAN") {
            let from: usize = words[1].parse().unwrap();
            let count: usize = words[3].parse().unwrap();
            let next = if from + count < 2 * KEYS {
                from + count
            } else {
                0
            };
            return scanned(&next.to_string(), &keys(from, count));
        }
        reply(words)
    });
    assert_right(&server);
}

#[test]
fn server_rejecting_other_cursors_is_swept_in_order() {
    // This server issues large cursors and rejects all others.
    const TOKEN: usize = 1 << 40;
    let server = FakeServer::start(|words| {
        if words[0].eq_ignore_ascii_case("SCAN") {
            let from: usize = words[1].parse().unwrap();
            if from != 0 && from < TOKEN {
                return "-ERR invalid cursor\r\n".to_owned();
            }
            let from = from.saturating_sub(TOKEN);
            let count: usize = words[3].parse().unwrap();
            let next = if from + count < 2 * KEYS {
                TOKEN + from + count
            } else {
                0
            };
            return scanned(&next.to_string(), &keys(from, count));
        }
        reply(words)
    });
    assert_right(&server);
}
