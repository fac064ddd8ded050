//! Runs exporters with a sweep.

use super::exporter::{Exporter, Launch};
use super::page::Page;
use super::redis::RedisServer;

/// Maximum speed, with frequent passes.
pub const FULL_SPEED: &str = "cpu_share: 100%, min_pass_interval: 1s";

/// Namespaces for the keys of [`super::keys::FIVE_KINDS`].
pub const NAMESPACES: &str = "namespaces:\n\
    - { name: session, match: 'session:*' }\n\
    - { name: api-cache, match: 'api:cache:*' }\n\
    - { name: ratelimit, match: 'ratelimit:*' }\n\
    - { name: websocket, match: 'websocket:*' }\n";

/// Creates a launch with one target, these settings of the sweep, and further sections.
pub fn launch(server: &RedisServer, sweep: &str, sections: &str) -> Launch {
    Launch::configured(&configuration(server, sweep, sections))
}

/// Returns the text of that configuration.
pub fn configuration(server: &RedisServer, sweep: &str, sections: &str) -> String {
    configuration_of(&server.url(), sweep, sections)
}

/// Returns the configuration for a server at this URL.
pub fn configuration_of(url: &str, sweep: &str, sections: &str) -> String {
    // On a busy machine, round trips are long although the server is idle.
    let patience = "max_latency: 10s";
    // A server under test has no traffic to derive a number of commands from.
    let commands = "commands_per_second: 1000000";
    // Passes are complete and exact.
    let lookups = "lookup_share: 100%";
    let unset = [patience, commands, lookups].into_iter().filter(|setting| {
        let (name, _) = setting.split_once(':').unwrap();
        !sweep.contains(name)
    });
    let unset: Vec<String> = unset.map(|setting| format!("{setting}, ")).collect();
    let unset = unset.concat();
    format!(
        "poll: {{ interval: 500ms, timeout: 500ms }}\nsweep: {{ {unset}{sweep} }}\n{sections}\
         targets: [{{ name: cache, url: '{url}' }}]\n"
    )
}

/// Returns the value of a metric of one namespace in database 0.
pub fn of(page: &Page, metric: &str, namespace: &str) -> f64 {
    page.value(
        &format!("redis_key_namespace_{metric}"),
        &[("db", "db0"), ("key_namespace", namespace)],
    )
}

/// Returns the number of complete passes.
pub fn passes(page: &Page) -> f64 {
    page.get("redis_exporter_sweep_passes_total", &[])
        .unwrap_or(0.0)
}

/// Returns whether the sweep is running.
pub fn goes_on(page: &Page) -> bool {
    page.get("redis_exporter_sweep_success", &[]) == Some(1.0)
}

/// Waits until this many more passes are complete.
pub fn more_passes(exporter: &Exporter, more: f64) -> Page {
    let wanted = passes(&exporter.page()) + more;
    exporter.until("complete passes", |page| passes(page) >= wanted)
}

/// Returns the lines of CLIENT LIST that are sweeps of an exporter.
pub fn connections(server: &RedisServer) -> Vec<String> {
    let clients = server.ask(&["CLIENT", "LIST"]);
    let is_ours = |line: &&str| line.contains(" name=redis-namespace-exporter-sweep ");
    clients
        .lines()
        .filter(is_ours)
        .map(ToOwned::to_owned)
        .collect()
}

/// Returns a number in a record of INFO, such as `calls` of `cmdstat_scan`. It is 0 if it is
/// missing.
pub fn in_record(server: &RedisServer, field: &str, name: &str) -> f64 {
    let record = server.info(field).unwrap_or_default();
    let values = record
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| *key == name);
    values.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

/// Returns the maximum number of connections that the sweep of the only target has opened,
/// including reconnects. The exporter must log at the level debug.
///
/// It is one, unless a busy machine breaks a connection. Rejected queries are sent once over each.
pub fn connections_so_far(exporter: &Exporter) -> f64 {
    let replaced = exporter.page().all("redis_exporter_reconnects_total", &[]);
    let broken = exporter.log().matches("the sweep failed").count();
    1.0 + f64::from(u32::try_from(broken).unwrap()) + replaced.iter().sum::<f64>()
}
