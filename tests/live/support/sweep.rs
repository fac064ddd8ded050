//! An exporter whose walk over the keyspace is what matters.

use super::exporter::{Exporter, Launch};
use super::page::Page;
use super::redis::RedisServer;

/// As fast as it gets, again and again.
pub const FULL_SPEED: &str = "cpu_share: 100%, min_pass_interval: 1s";

/// The namespaces of which [`super::keys::FIVE_KINDS`] writes keys.
pub const NAMESPACES: &str = "namespaces:\n\
    - { name: session, match: 'session:*' }\n\
    - { name: api-cache, match: 'api:cache:*' }\n\
    - { name: ratelimit, match: 'ratelimit:*' }\n\
    - { name: websocket, match: 'websocket:*' }\n";

/// One target with these settings of the walk, and these further sections.
pub fn launch(server: &RedisServer, sweep: &str, sections: &str) -> Launch {
    Launch::configured(&configuration(server, sweep, sections))
}

/// The text of that configuration.
pub fn configuration(server: &RedisServer, sweep: &str, sections: &str) -> String {
    configuration_of(&server.url(), sweep, sections)
}

/// The same for a server at this URL.
pub fn configuration_of(url: &str, sweep: &str, sections: &str) -> String {
    // On a busy machine round trips are long though the server is idle.
    let patience = "max_latency: 10s";
    // A server under test has no traffic that commands could be in proportion to.
    let commands = "commands_per_second: 1000000";
    // Passes are whole and exact.
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

/// The value of a metric of one namespace in database 0.
pub fn of(page: &Page, metric: &str, namespace: &str) -> f64 {
    page.value(
        &format!("redis_key_namespace_{metric}"),
        &[("db", "db0"), ("key_namespace", namespace)],
    )
}

/// How many passes are complete.
pub fn passes(page: &Page) -> f64 {
    page.get("redis_exporter_sweep_passes_total", &[])
        .unwrap_or(0.0)
}

/// Whether the walk goes on.
pub fn goes_on(page: &Page) -> bool {
    page.get("redis_exporter_sweep_success", &[]) == Some(1.0)
}

/// Waits until so many more passes are complete than now.
pub fn more_passes(exporter: &Exporter, more: f64) -> Page {
    let wanted = passes(&exporter.page()) + more;
    exporter.until("complete passes", |page| passes(page) >= wanted)
}

/// The lines of CLIENT LIST that are walks of an exporter.
pub fn connections(server: &RedisServer) -> Vec<String> {
    let clients = server.ask(&["CLIENT", "LIST"]);
    let is_ours = |line: &&str| line.contains(" name=redis-namespace-exporter-sweep ");
    clients
        .lines()
        .filter(is_ours)
        .map(ToOwned::to_owned)
        .collect()
}

/// A number in a record of INFO, as `calls` of `cmdstat_scan`; 0 where it is not there.
pub fn in_record(server: &RedisServer, field: &str, name: &str) -> f64 {
    let record = server.info(field).unwrap_or_default();
    let values = record
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| *key == name);
    values.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

/// How many connections the walk of the only target has had at most: dialed for it, or in place of
/// another one. It is one, unless a busy machine breaks it; what is refused is asked once over each.
pub fn connections_so_far(exporter: &Exporter) -> f64 {
    let replaced = exporter.page().all("redis_exporter_reconnects_total", &[]);
    let dialed = exporter.log().matches("walking the keyspace").count();
    f64::from(u32::try_from(dialed).unwrap()) + replaced.iter().sum::<f64>()
}
