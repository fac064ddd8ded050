//! All options of the file, one row each.
//!
//! A row has the key, type, default, meaning, flag and environment variable of an option, whether
//! targets may have it, and what it sets.
//!
//! Parsing, unknown keys, defaults, `--help`, our own flags and variables, the reference and the
//! check of `config.example.yaml` derive from these rows. The options of `redis_exporter` have
//! their own table, in `redis_exporter/table.rs`, which refers to keys of this one.

use super::draft::{give, give_text, put};
use super::keys::shown_values;
use super::namespace::{
    compiled, finish_channel, finish_namespace, glob, group_name, label_value, regex,
};
pub use super::reference::reference;
use super::row::{OptionRow, Set, Takes, items, row};
use super::script::Script;
use super::secret::{Secret, trimmed};
use super::sweep::{delimiter, events, from, share, share_of_lookups};
use super::unit::{
    absolute_path, database, duration, listen_address, log_format, log_level, metric_prefix,
    on_eviction, path, poll_interval, series, size, switch, whole,
};
use super::{
    canary, clients, credentials, discover, dns_source, script, shard, target_groups,
    target_source, tls, url, web, web_source,
};

use Set::{File, List as Lists, Named, Targets, Value};
use Takes::Secret as Hidden;
use Takes::{
    Address, Duration, Glob, Maps, Number, Numbers, Path, Regex, Share, Size, Switch, Text, Texts,
    Word,
};

/// Only limited by the size of the file.
const ANY: usize = usize::MAX;

/// Limited because each key of a keyspace is matched against all patterns.
const MOST_PATTERNS: usize = 100;

/// Limited because of the size of the page.
const MOST_KEYS: u32 = 1000;

/// Limited because of the size of the page.
const MOST_CLIENTS: u32 = 2000;

/// Each target needs two connections, and thousands of series.
const MOST_TARGETS: u32 = 20_000;

/// Enough to reach a group while most of its servers are down.
const MOST_SEEDS: usize = 16;

/// Limited because each of them makes each line of a page longer.
const MOST_LABELS: usize = 8;

/// All options of the file.
#[rustfmt::skip]
pub static ROWS: &[OptionRow] = &[
    row("listen", Address, ":9121", "IP address and port to serve at; without an address, all addresses",
        Value(|d, v| put(&mut d.top.listen, listen_address(v)))).flag("web.listen-address", "REDIS_EXPORTER_WEB_LISTEN_ADDRESS").strict().hidden(),
    row("poll.interval", Duration, "15s", "Time between the starts of two polls",
        Value(|d, v| put(&mut d.each.poll.interval, poll_interval(v)))).each().flag("poll.interval", "REDIS_EXPORTER_POLL_INTERVAL").strict(),
    row("poll.timeout", Duration, "5s", "Timeout of a poll, including the connection; at most the interval",
        Value(|d, v| give(&mut d.each.timeout, duration(v)))).each().flag("poll.timeout", "REDIS_EXPORTER_POLL_TIMEOUT").strict(),
    row("poll.follow_scrapes", Switch, "true", "Whether to also poll shortly before each expected scrape",
        Value(|d, v| put(&mut d.each.poll.follow_scrapes, switch(v)))).each().flag("poll.follow-scrapes", "REDIS_EXPORTER_POLL_FOLLOW_SCRAPES"),
    row("log.level", Word, "info", "Log level: error, warn, info, debug or trace",
        Value(|d, v| put(&mut d.top.log.level, log_level(v)))).flag("log-level", "REDIS_EXPORTER_LOG_LEVEL").strict(),
    row("log.format", Word, "text", "Log format: text (logfmt) or json, to standard error",
        Value(|d, v| put(&mut d.top.log.format, log_format(v)))).flag("log-format", "REDIS_EXPORTER_LOG_FORMAT").strict(),
    row("legacy_names", Switch, "true", "Whether to also serve redis_exporter names that break Prometheus naming conventions",
        Value(|d, v| put(&mut d.top.names.legacy, switch(v)))).flag("legacy-names", "REDIS_EXPORTER_LEGACY_NAMES"),
    row("target_label", Switch, "", "Whether samples on `/metrics` have the label `target`; by default, if the file has `targets`",
        Value(|d, v| give(&mut d.top.target_label, switch(v)))).flag("target-label", "REDIS_EXPORTER_TARGET_LABEL"),
    row("series", Word, "compact", "Series to serve: compact, or full for every bucket of every histogram",
        Value(|d, v| put(&mut d.top.names.series, series(v)))).flag("series", "REDIS_EXPORTER_SERIES").strict(),
    row("metric_prefix", Text, "redis", "First word of metric names; the bundled alerts and dashboards expect redis",
        Value(|d, v| give(&mut d.top.names.prefix, metric_prefix(v)))).hidden(),
    row("telemetry_path", Text, "/metrics", "Path of the page of all targets",
        Value(|d, v| put(&mut d.top.paths.telemetry, path(v)))).hidden(),
    row("scrape_endpoint", Switch, "true", "Whether to serve single targets at /scrape and /probe",
        Value(|d, v| put(&mut d.top.paths.has_scrape, switch(v)))),
    row("process_metrics", Switch, "true", "Whether to export process metrics and the version of the exporter",
        Value(|d, v| put(&mut d.top.process_metrics, switch(v)))),
    row("set_client_name", Switch, "true", "Whether to set a connection name, which CLIENT LIST shows",
        Value(|d, v| put(&mut d.each.set_client_name, switch(v)))),
    row("empty_databases", Switch, "true", "Whether to export databases without keys",
        Value(|d, v| put(&mut d.options().empty_databases, switch(v)))),
    row("collectors.*", Switch, "", "Whether this collector is on; the metrics reference lists them with their defaults",
        Named(|d, name, v| switch(v).map(|on| d.each.collectors.choose(name, on)))).each(),

    row("targets", Maps, "", "Servers to poll; by default the one of --redis.addr, REDIS_URL or REDIS_ADDR", Targets),
    row("targets[].name", Text, "", "Value of the label `target`, unique; by default host:port or the path of the socket",
        Value(|d, v| give(&mut d.one.name, label_value(v)))).hidden(),
    row("targets[].url", Hidden, "", "URL of the server: redis://, rediss:// with TLS, unix://, or host:port; required",
        Value(|d, v| give(&mut d.one.url, url::parse(v)))).hidden(),
    row("targets[].username", Hidden, "", "ACL user; by default that of the URL",
        Value(|d, v| give_text(&mut d.one.username, trimmed(v)))).hidden(),
    row("targets[].password", Hidden, "", "Password; by default that of the URL",
        Value(|d, v| give_text(&mut d.one.password, trimmed(v)))).hidden(),
    row("targets[].password_file", Path, "", "File with the password, or with a JSON map from addresses to passwords; read for each connection",
        Value(|d, v| give_text(&mut d.one.password_file, v))).hidden(),
    row("targets[].db", Number, "", "Database to select; by default that of the URL",
        Value(|d, v| give(&mut d.one.database, database(v)))).hidden(),
    row("targets[].memory_limit", Size, "", "Memory limit of the server, such as 256MiB, if it hides maxmemory",
        Value(|d, v| give(&mut d.one.memory_limit, size(v)))).flag("redis.memory-limit", "REDIS_MEMORY_LIMIT").hidden(),
    row("targets[].expect_full", Switch, "false", "Whether the server is a cache that is meant to be full",
        Value(|d, v| put(&mut d.one.expect_full, switch(v)))).flag("redis.expect-full", "REDIS_EXPECT_FULL").hidden(),
    row("targets[].rdb_file", Path, "", "Path of the RDB file on the machine of the exporter; by default the path that the server reports",
        Value(|d, v| give(&mut d.options().rdb_file, absolute_path(v)))).hidden(),

    row("targets[].discover.kind", Word, "", "Polls all servers of a group, one of which is at the URL: cluster, sentinel (the URL is that of a sentinel), or replicas (of a primary)",
        Value(|d, v| give(&mut d.one.discover.kind, discover::kind(v)))),
    row("targets[].discover.primary", Text, "", "Name of the primary that the sentinels monitor; by default all of them",
        Value(|d, v| give_text(&mut d.one.discover.primary, v))).hidden(),
    row("targets[].discover.seeds", Texts, "", "Further servers of the group, or sentinels, to query if the one at the URL does not reply; up to 16",
        Lists(MOST_SEEDS, |d| &mut d.one.discover.seeds)).hidden(),
    row("targets[].discover.interval", Duration, "", "Time between two queries; by default 30s for clusters, 5s for sentinels, 15s for replicas",
        Value(|d, v| give(&mut d.one.discover.interval, target_source::interval(v)))),
    row("targets[].discover.nodes", Word, "all", "Servers to poll: all, or primaries",
        Value(|d, v| put(&mut d.one.discover.has_primaries_only, discover::nodes(v)))),
    row("targets[].discover.hostnames", Switch, "false", "Whether to name nodes of a cluster by the host name that they announce, if any; by default by the endpoint that they prefer",
        Value(|d, v| put(&mut d.one.discover.with_hostnames, switch(v)))),
    row("targets[].discover.sweep", Word, "replica", "Server of each shard to sweep: replica (one in sync, else the primary), or primary",
        Value(|d, v| put(&mut d.one.discover.sweep, discover::sweep_role(v)))),
    row("targets[].discover.allow", Texts, "", "Networks and globs of host names that may be polled, such as 10.0.0.0/16 or *.shop.internal:6379; by default all but loopback, link-local and metadata addresses",
        Lists(MOST_PATTERNS, |d| &mut d.one.discover.allow)),
    row("targets[].discover.map", Texts, "", "Addresses to use instead of reported ones, each as `reported=used`, such as `10.0.0.5:6379=nat.example:16379`",
        Lists(ANY, |d| &mut d.one.discover.map)).hidden(),
    row("targets[].discover.max_nodes", Number, "500", "Maximum number of servers of the group; others are counted, not polled",
        Value(|d, v| put(&mut d.one.discover.max_nodes, whole(v, 1, MOST_TARGETS)))),
    row("targets[].discover.username", Hidden, "", "ACL user of the sentinels",
        Value(|d, v| give_text(&mut d.one.discover.username, trimmed(v)))).hidden(),
    row("targets[].discover.password", Hidden, "", "Password of the sentinels",
        Value(|d, v| give_text(&mut d.one.discover.password, trimmed(v)))).hidden(),
    row("targets[].discover.password_file", Path, "", "File with the password of the sentinels",
        Value(|d, v| give_text(&mut d.one.discover.password_file, v))).hidden(),

    row("targets_from", Maps, "", "Sources that name targets while the exporter runs", Targets),
    row("targets_from[].name", Text, "", "Name of the source, unique; the names of its targets are `name/host:port`; required",
        Value(|d, v| give(&mut d.one.name, label_value(v)))).hidden(),
    row("targets_from[].file", Path, "", "JSON or YAML file with targets, in the format of Prometheus's file_sd_configs; the last part may be a glob",
        Value(|d, v| give(&mut d.source.file, target_groups::target_file(v)))).hidden(),
    row("targets_from[].http.url", Text, "", "URL of a list of targets, in the format of Prometheus's http_sd_configs",
        Value(|d, v| give(&mut d.source.resource, web_source::web_resource(v)))).hidden(),
    row("targets_from[].http.username", Text, "", "Username for the HTTP server; required with password_file",
        Value(|d, v| give(&mut d.source.username, web::username(v)))).hidden(),
    row("targets_from[].http.password_file", Path, "", "File with the password for the HTTP server",
        Value(|d, v| give_text(&mut d.source.password_file, v))).hidden(),
    row("targets_from[].http.bearer_file", Path, "", "File with a bearer token for the HTTP server",
        Value(|d, v| give_text(&mut d.source.bearer_file, v))).hidden(),
    row("targets_from[].http.ca_file", Path, "", "Certificates of the authorities to trust; by default the root certificates of the system",
        Value(|d, v| give_text(&mut d.source.ca_file, v))).hidden(),
    row("targets_from[].dns", Text, "", "Host name and port, such as redis.internal:6379; each of its addresses is a target",
        Value(|d, v| give(&mut d.source.dns, dns_source::host_and_port(v)))).hidden(),
    row("targets_from[].type", Word, "", "Records of the name in dns that list servers: A, AAAA, or SRV with host names and ports; by default A and AAAA",
        Value(|d, v| give(&mut d.source.records, dns_source::records(v)))),
    row("targets_from[].interval", Duration, "", "Time between two reads of the source; by default 5s for file, 1m for http and 30s for dns",
        Value(|d, v| give(&mut d.source.interval, target_source::interval(v)))),
    row("targets_from[].labels", Texts, "", "Labels of the source that become labels of the series of its targets; up to 8",
        Lists(MOST_LABELS, |d| &mut d.source.labels)),
    row("targets_from[].scheme", Word, "redis", "Scheme of addresses without one: redis, or rediss with TLS",
        Value(|d, v| put(&mut d.source.has_tls, target_source::scheme(v)))),
    row("targets_from[].db", Number, "", "Database to select; by default that of the URL",
        Value(|d, v| give(&mut d.one.database, database(v)))).hidden(),
    row("targets_from[].memory_limit", Size, "", "Memory limit of the servers, such as 256MiB, if they hide maxmemory",
        Value(|d, v| give(&mut d.one.memory_limit, size(v)))).hidden(),
    row("targets_from[].expect_full", Switch, "false", "Whether the servers are caches that are meant to be full",
        Value(|d, v| put(&mut d.one.expect_full, switch(v)))),
    row("targets_from[].max_targets", Number, "500", "Maximum number of targets of the source; others are counted, not polled",
        Value(|d, v| put(&mut d.source.max_targets, whole(v, 1, MOST_TARGETS)))),
    row("max_targets", Number, "2000", "Maximum number of targets; further targets of sources are counted but not polled",
        Value(|d, v| put(&mut d.top.max_targets, whole(v, 1, MOST_TARGETS)))).flag("max-targets", "REDIS_EXPORTER_MAX_TARGETS"),

    row("scrape.allow", Texts, "", "Networks and globs of host names that requests for `/scrape` and `/probe` may name, such as redis-*.svc:6379 or 10.0.0.0/16:6379; by default none",
        Lists(MOST_PATTERNS, |d| &mut d.top.scrape.allow)).flag("scrape.allow", "REDIS_EXPORTER_SCRAPE_ALLOW"),
    row("scrape.forget_after", Duration, "10m", "Time after the last request for a server until it is no longer polled",
        Value(|d, v| put(&mut d.top.scrape.forget_after, target_source::interval(v)))).flag("scrape.forget-after", "REDIS_EXPORTER_SCRAPE_FORGET_AFTER"),
    row("scrape.max_targets", Number, "500", "Maximum number of servers that are polled because requests name them; requests for others get status 503",
        Value(|d, v| put(&mut d.top.scrape.max_targets, whole(v, 1, MOST_TARGETS)))).flag("scrape.max-targets", "REDIS_EXPORTER_SCRAPE_MAX_TARGETS"),

    row("shard", Text, "", "Share of the targets that this process watches, such as 1/3, or ordinal/3 in a StatefulSet",
        Value(|d, v| give(&mut d.top.shard, shard::shard(v)))).flag("shard", "REDIS_EXPORTER_SHARD"),

    row("credentials", Maps, "", "Users and passwords for targets without any, by host; the first match wins",
        items("credentials[].", ANY, |d| d.top.credentials.clear(), credentials::finish)),
    row("credentials[].hosts", Texts, "", "Globs over host names and addresses, or networks, such as *.shop.internal, 10.0.0.0/16 or redis-*:6379; required",
        Lists(ANY, |d| &mut d.item.hosts)).hidden(),
    row("credentials[].username", Hidden, "", "ACL user",
        Value(|d, v| give_text(&mut d.item.username, trimmed(v)))).hidden(),
    row("credentials[].password", Hidden, "", "Password; this or password_file is required",
        Value(|d, v| give_text(&mut d.item.password, trimmed(v)))).hidden(),
    row("credentials[].password_file", Path, "", "File with the password, or with a JSON map from addresses to passwords; read for each connection",
        Value(|d, v| give_text(&mut d.item.password_file, v))).hidden(),

    row("namespaces", Maps, "", "Key namespaces in order of precedence, such as `session=session:*,cache=api:cache:*`",
        items("namespaces[].", ANY, |d| d.top.namespaces.clear(), finish_namespace)).flag("key-namespaces", "REDIS_EXPORTER_KEY_NAMESPACES"),
    row("namespaces[].name", Text, "", "Value of the label `key_namespace`, unique; required",
        Value(|d, v| give(&mut d.item.name, group_name(v)))),
    row("namespaces[].match", Glob, "", "Redis glob over the whole key",
        Value(|d, v| give(&mut d.item.glob, glob(v)))),
    row("namespaces[].regex", Regex, "", "Regular expression, unanchored",
        Value(|d, v| give(&mut d.item.regex, regex(v)))),
    row("namespaces[].db", Number, "", "The only database of the namespace; by default all databases",
        Value(|d, v| give(&mut d.item.database, database(v)))).hidden(),
    row("namespaces[].ttl.required", Switch, "false", "Whether every key must have a TTL",
        Value(|d, v| put(&mut d.item.ttl.required, switch(v)))),
    row("namespaces[].ttl.max", Duration, "", "Longest allowed TTL; by default unlimited",
        Value(|d, v| give(&mut d.item.ttl.max, duration(v)))),
    row("namespaces[].memory_quota", Size, "", "Maximum memory of all keys together; by default unlimited",
        Value(|d, v| give(&mut d.item.memory_quota, size(v)))),
    row("namespaces[].on_eviction", Word, "", "Effect of the eviction of keys: harmful, such as for sessions, or harmless; by default not declared",
        Value(|d, v| give(&mut d.item.on_eviction, on_eviction(v)))),

    row("channels", Maps, "", "Pub/sub channel groups in order of precedence, such as `prism=prism:*`",
        items("channels[].", ANY, |d| d.top.channels.clear(), finish_channel)).flag("channel-groups", "REDIS_EXPORTER_CHANNEL_GROUPS"),
    row("channels[].name", Text, "", "Value of the label `channel_group`, unique; required",
        Value(|d, v| give(&mut d.item.name, group_name(v)))),
    row("channels[].match", Glob, "", "Redis glob over the whole channel name",
        Value(|d, v| give(&mut d.item.glob, glob(v)))),
    row("channels[].regex", Regex, "", "Regular expression, unanchored",
        Value(|d, v| give(&mut d.item.regex, regex(v)))),
    row("channels[].expect_subscribers", Texts, "", "Names of channels of the group that must have a subscriber; up to 100",
        Lists(MOST_PATTERNS, |d| &mut d.item.expect_subscribers)),

    row("commands.include", Texts, "", "Globs of commands that get their own series, such as `get,set,*del`",
        Lists(MOST_PATTERNS, |d| d.options().commands.include.get_or_insert_default())).each().flag("commands.include", "REDIS_EXPORTER_COMMANDS_INCLUDE"),
    row("commands.exclude", Texts, "", "Globs of commands that get no series",
        Lists(MOST_PATTERNS, |d| &mut d.options().commands.exclude)).each().flag("commands.exclude", "REDIS_EXPORTER_COMMANDS_EXCLUDE"),

    row("sweep.enabled", Switch, "true", "Whether to scan the keyspace for namespaces",
        Value(|d, v| put(&mut d.each.sweep.enabled, switch(v)))).each().flag("sweep.enabled", "REDIS_EXPORTER_SWEEP_ENABLED"),
    row("sweep.cpu_share", Share, "1%", "Maximum share of one core of the server for the sweep",
        Value(|d, v| put(&mut d.each.sweep.cpu_share, share(v)))).each().flag("sweep.cpu-share", "REDIS_EXPORTER_SWEEP_CPU_SHARE"),
    row("sweep.commands_per_second", Number, "", "Maximum commands per second of the sweep; by default in proportion to the traffic of the server",
        Value(|d, v| give(&mut d.each.sweep.commands_per_second, whole(v, 1, 10_000_000)))).each().flag("sweep.commands-per-second", "REDIS_EXPORTER_SWEEP_COMMANDS_PER_SECOND"),
    row("sweep.lookup_share", Share, "", "Maximum key lookups of the sweep, as a share of the lookups of other clients; by default 0.15%",
        Value(|d, v| give(&mut d.each.sweep.lookup_share, share_of_lookups(v)))).each().flag("sweep.lookup-share", "REDIS_EXPORTER_SWEEP_LOOKUP_SHARE"),
    row("sweep.lookups_per_minute", Number, "", "Key lookups per minute that are always allowed; by default 1",
        Value(|d, v| give(&mut d.each.sweep.lookups_per_minute, whole(v, 0, 1_000_000)))).each().flag("sweep.lookups-per-minute", "REDIS_EXPORTER_SWEEP_LOOKUPS_PER_MINUTE"),
    row("sweep.keys_per_second", Number, "", "Maximum keys per second that the sweep scans",
        Value(|d, v| give(&mut d.each.sweep.keys_per_second, whole(v, 1, 10_000_000)))).each().flag("sweep.keys-per-second", "REDIS_EXPORTER_SWEEP_KEYS_PER_SECOND"),
    row("sweep.count", Number, "100", "COUNT of each SCAN, from 10 to 1000",
        Value(|d, v| put(&mut d.each.sweep.count, whole(v, 10, 1000)))).each().flag("sweep.count", "REDIS_EXPORTER_SWEEP_COUNT"),
    row("sweep.first_keys", Number, "10000", "Number of keys to scan quickly at startup",
        Value(|d, v| put(&mut d.each.sweep.first_keys, whole(v, 0, 1_000_000)))).each().flag("sweep.first-keys", "REDIS_EXPORTER_SWEEP_FIRST_KEYS"),
    row("sweep.min_pass_interval", Duration, "1m", "Minimum time between the starts of two passes",
        Value(|d, v| put(&mut d.each.sweep.min_pass_interval, duration(v)))).each().flag("sweep.min-pass-interval", "REDIS_EXPORTER_SWEEP_MIN_PASS_INTERVAL"),
    row("sweep.max_latency", Duration, "5ms", "Additional query latency above which the sweep slows down",
        Value(|d, v| put(&mut d.each.sweep.max_latency, duration(v)))).each().flag("sweep.max-latency", "REDIS_EXPORTER_SWEEP_MAX_LATENCY"),
    row("sweep.while_saving", Switch, "true", "Whether the sweep continues while the server saves",
        Value(|d, v| put(&mut d.each.sweep.while_saving, switch(v)))).each().flag("sweep.while-saving", "REDIS_EXPORTER_SWEEP_WHILE_SAVING"),
    row("sweep.databases", Numbers, "", "Databases to scan, such as 0,3; by default all",
        Lists(ANY, |d| d.each.sweep.databases.get_or_insert_default())).each().flag("sweep.databases", "REDIS_EXPORTER_SWEEP_DATABASES"),
    row("sweep.from", Hidden, "", "URL of a replica to scan instead of the target",
        Value(from)).each().flag("sweep.from", "REDIS_EXPORTER_SWEEP_FROM").hidden(),
    row("sweep.delimiter", Text, ":", "Delimiter after the first part of a key; that part is its group if no namespaces are declared",
        Value(|d, v| put(&mut d.each.sweep.delimiter, delimiter(v)))).each().flag("sweep.delimiter", "REDIS_EXPORTER_SWEEP_DELIMITER"),
    row("sweep.max_groups", Number, "100", "Maximum number of exported groups if no namespaces are declared",
        Value(|d, v| put(&mut d.each.sweep.max_groups, whole(v, 1, 1000)))).each().flag("sweep.max-groups", "REDIS_EXPORTER_SWEEP_MAX_GROUPS"),
    row("sweep.largest_keys", Number, "0", "Number of largest keys to export by name, of those that a pass measures, which is a sample of a large keyspace",
        Value(|d, v| put(&mut d.each.sweep.largest_keys, whole(v, 0, 1000)))).each().flag("sweep.largest-keys", "REDIS_EXPORTER_SWEEP_LARGEST_KEYS"),
    row("sweep.panel", Switch, "true", "Whether to follow sampled keys to find out which namespaces lose keys",
        Value(|d, v| put(&mut d.each.sweep.panel, switch(v)))).each().flag("sweep.panel", "REDIS_EXPORTER_SWEEP_PANEL"),
    row("sweep.idle", Switch, "true", "Whether to sample how long keys have not been used",
        Value(|d, v| put(&mut d.each.sweep.idle, switch(v)))).each().flag("sweep.idle", "REDIS_EXPORTER_SWEEP_IDLE"),
    row("sweep.events", Word, "off", "Exact counts of evicted and expired keys from key events: off; listen, if the server sends them; configure, to make the server send them",
        Value(|d, v| put(&mut d.each.sweep.events, events(v)))).each().flag("sweep.events", "REDIS_EXPORTER_SWEEP_EVENTS").strict(),
    row("sweep.misses", Word, "off", "Counts of lookups that find no key, by namespace, from key events: off; listen, if the server sends them; configure, to make the server send them",
        Value(|d, v| put(&mut d.each.sweep.misses, events(v)))).each().flag("sweep.misses", "REDIS_EXPORTER_SWEEP_MISSES").strict(),
    row("sweep.changes", Switch, "false", "Whether to count changes of the keys of each namespace, from the messages that Redis sends for client-side caching",
        Value(|d, v| put(&mut d.each.sweep.changes, switch(v)))).each().flag("sweep.changes", "REDIS_EXPORTER_SWEEP_CHANGES"),

    row("canary.enabled", Switch, "false", "Whether to publish messages to a channel of the exporter's own, to measure the latency and loss of pub/sub",
        Value(|d, v| put(&mut d.each.canary.enabled, switch(v)))).each().flag("canary.enabled", "REDIS_EXPORTER_CANARY_ENABLED"),
    row("canary.interval", Duration, "5s", "Time between two of these messages, from 1s to 1m",
        Value(|d, v| put(&mut d.each.canary.interval, canary::interval(v)))).each().flag("canary.interval", "REDIS_EXPORTER_CANARY_INTERVAL"),

    row("keys.values", Word, "off", "Values of checked keys to export: off, number or text",
        Value(|d, v| put(&mut d.each.keys.values, shown_values(v)))).each().flag("keys.values", "REDIS_EXPORTER_KEYS_VALUES"),
    row("keys.count", Texts, "", "Globs whose keys are counted, such as db0=session:*; up to 100",
        Lists(MOST_PATTERNS, |d| &mut d.each.keys.count)).each(),
    row("keys.check", Texts, "", "Globs whose keys are exported individually; up to 100",
        Lists(MOST_PATTERNS, |d| &mut d.each.keys.check)).each(),
    row("keys.check_single", Texts, "", "Keys to export individually, such as db3=config:version; up to 1000",
        Lists(MOST_KEYS as usize, |d| &mut d.each.keys.check_single)).each(),
    row("keys.max_checked", Number, "500", "Maximum number of keys that `keys.check` exports",
        Value(|d, v| put(&mut d.each.keys.max_checked, whole(v, 1, MOST_KEYS)))).each().flag("keys.max-checked", "REDIS_EXPORTER_KEYS_MAX_CHECKED"),
    row("keys.groups", Texts, "", "Regular expressions whose ( ) capture the group of a key; the first match wins; up to 100",
        Lists(MOST_PATTERNS, |d| &mut d.each.keys.groups)).each(),
    row("keys.max_groups", Number, "100", "Maximum number of exported groups of a database, the largest by memory",
        Value(|d, v| put(&mut d.each.keys.max_groups, whole(v, 1, MOST_KEYS)))).each(),
    row("keys.streams", Texts, "", "Globs whose streams are exported with their groups and consumers; up to 100",
        Lists(MOST_PATTERNS, |d| &mut d.each.keys.streams.patterns)).each(),
    row("keys.single_streams", Texts, "", "Streams to export individually; up to 1000",
        Lists(MOST_KEYS as usize, |d| &mut d.each.keys.streams.singles)).each(),
    row("keys.max_streams", Number, "100", "Maximum number of streams that `keys.streams` exports",
        Value(|d, v| put(&mut d.each.keys.streams.max, whole(v, 1, MOST_KEYS)))).each().flag("keys.max-streams", "REDIS_EXPORTER_KEYS_MAX_STREAMS"),
    row("keys.stream_consumers", Switch, "true", "Whether to export the consumers of groups individually",
        Value(|d, v| put(&mut d.each.keys.streams.consumers, switch(v)))).each(),
    row("keys.max_stream_groups", Number, "100", "Maximum number of exported groups of one stream",
        Value(|d, v| put(&mut d.each.keys.streams.max_groups, whole(v, 1, MOST_KEYS)))).each().flag("keys.max-stream-groups", "REDIS_EXPORTER_KEYS_MAX_STREAM_GROUPS"),
    row("keys.max_stream_consumers", Number, "100", "Maximum number of exported consumers of one stream",
        Value(|d, v| put(&mut d.each.keys.streams.max_consumers, whole(v, 1, MOST_KEYS)))).each().flag("keys.max-stream-consumers", "REDIS_EXPORTER_KEYS_MAX_STREAM_CONSUMERS"),

    row("tls.ca_file", Path, "", "Certificates of the authorities to trust; by default the root certificates of the system",
        Value(|d, v| give_text(&mut d.each.tls_files.authorities, v))).each().hidden(),
    row("tls.cert_file", Path, "", "Client certificate for servers that require one",
        Value(|d, v| give_text(&mut d.each.tls_files.certificate, v))).each().hidden(),
    row("tls.key_file", Path, "", "Private key without a password; required with cert_file",
        Value(|d, v| give_text(&mut d.each.tls_files.key, v))).each().hidden(),
    row("tls.server_name", Text, "", "Name that the certificate of the server must have; by default the host of the URL",
        Value(|d, v| give(&mut d.each.tls.server_name, tls::server_name(v)))).each().hidden(),
    row("tls.insecure_skip_verify", Switch, "false", "Whether to accept any certificate; an attacker on the network can then read the password",
        Value(|d, v| put(&mut d.each.tls.insecure_skip_verify, switch(v)))).each(),

    row("web.reload", Switch, "true", "Whether a POST to `/-/reload` reloads the configuration",
        Value(|d, v| give(&mut d.top.web.reload, switch(v)))).flag("web.reload", "REDIS_EXPORTER_WEB_RELOAD"),
    row("web.history", Switch, "true", "Whether the page at `/` shows the last hour; it needs up to 18 KB for each target",
        Value(|d, v| put(&mut d.top.web.history, switch(v)))).flag("web.history", "REDIS_EXPORTER_WEB_HISTORY"),
    row("web.external_address", Text, "", "Host and port at which Prometheus reaches the exporter, for /sd; by default those of the request",
        Value(|d, v| give(&mut d.top.web.external_address, web::external_address(v)))).flag("web.external-address", "REDIS_EXPORTER_WEB_EXTERNAL_ADDRESS").hidden(),
    row("web.tls.cert_file", Path, "", "Certificate of the exporter; enables HTTPS",
        Value(|d, v| give_text(&mut d.top.web.files.certificate, v))).hidden(),
    row("web.tls.key_file", Path, "", "Private key without a password; required with cert_file",
        Value(|d, v| give_text(&mut d.top.web.files.key, v))).hidden(),
    row("web.tls.client_ca_file", Path, "", "Certificate authorities; clients must present a certificate that one of them issued",
        Value(|d, v| give_text(&mut d.top.web.files.authorities, v))).hidden(),
    row("web.tls.min_version", Word, "1.2", "Minimum version of TLS: 1.2 or 1.3",
        Value(|d, v| put(&mut d.top.web.min_version, web::version(v)))),
    row("web.basic_auth.username", Hidden, "", "Username for clients, without a colon; required with a password",
        Value(|d, v| give(&mut d.top.web.username, web::username(v)))).hidden(),
    row("web.basic_auth.password", Hidden, "", "Password for clients",
        Value(|d, v| give(&mut d.top.web.password, Ok(Secret::new(v))))).hidden(),
    row("web.basic_auth.password_file", Path, "", "File with the password for clients",
        Value(|d, v| give_text(&mut d.top.web.password_file, v))).flag("basic-auth-password-file", "REDIS_EXPORTER_BASIC_AUTH_PASSWORD_FILE").hidden(),
    row("web.basic_auth.password_hash", Hidden, "", "bcrypt hash of the password, in the format of `htpasswd -nB`, with a cost up to 15",
        Value(|d, v| give(&mut d.top.web.password_hash, web::password_hash(v)))).hidden(),

    row("clients.list", Switch, "false", "Whether to export clients individually, with several series for each",
        Value(|d, v| put(&mut d.options().clients.list, switch(v)))).each(),
    row("clients.port", Switch, "false", "Whether to export the port of each client",
        Value(|d, v| put(&mut d.options().clients.port, switch(v)))).each(),
    row("clients.max", Number, "500", "Maximum number of clients to export individually",
        Value(|d, v| put(&mut d.options().clients.max, whole(v, 1, MOST_CLIENTS)))).each().flag("clients.max", "REDIS_EXPORTER_CLIENTS_MAX"),
    row("clients.groups", Maps, "", "Groups of clients; the first match wins",
        items("clients.groups[].", ANY, |d| d.each.client_groups.clear(), clients::finish)).each(),
    row("clients.groups[].name", Text, "", "Value of the label `client_group`, unique; required",
        Value(|d, v| give(&mut d.item.name, group_name(v)))),
    row("clients.groups[].match.name", Glob, "", "Name that the client set with CLIENT SETNAME; all given patterns must match",
        Value(|d, v| give(&mut d.item.clients.name, glob(v)))),
    row("clients.groups[].match.user", Glob, "", "The ACL user",
        Value(|d, v| give(&mut d.item.clients.user, glob(v)))),
    row("clients.groups[].match.lib", Glob, "", "Name of the client library",
        Value(|d, v| give(&mut d.item.clients.library, glob(v)))),
    row("clients.groups[].match.address", Glob, "", "Address without its port",
        Value(|d, v| give(&mut d.item.clients.address, glob(v)))),
    row("clients.groups[].match.cmd", Glob, "", "Last command, in the spelling of CLIENT LIST",
        Value(|d, v| give(&mut d.item.clients.command, glob(v)))),
    row("clients.groups[].pool_max", Number, "", "Maximum number of connections of all pools together; by default unlimited",
        Value(|d, v| give(&mut d.item.pool_max, whole(v, 1, u32::MAX)))),

    row("slots.top", Number, "10", "Number of slots of a cluster node to export",
        Value(|d, v| put(&mut d.options().slots.top, whole(v, 1, 100)))).flag("slots.top", "REDIS_EXPORTER_SLOTS_TOP"),
    row("search_indexes", Regex, "", "Regular expression for the search indexes to export, unanchored; by default all",
        Value(|d, v| give(&mut d.options().search_indexes, compiled(v)))).each(),
    row("scripts", Maps, "", "Lua scripts to run at each poll; up to 20",
        items("scripts[].", script::MOST_SCRIPTS, |d| d.options().scripts.clear(), script::finish)).each(),
    row("scripts[].name", Text, "", "Value of the label `filename`, unique; by default the path in `file`",
        Value(|d, v| give(&mut d.item.name, label_value(v)))),
    row("scripts[].file", Path, "", "File with the script, up to 64 KiB; required",
        File(|d, v, read_file| give(&mut d.item.script, Script::read(v, read_file)))),
    row("scripts[].read_only", Switch, "true", "Whether to run the script with EVAL_RO, so that the server rejects writes",
        Value(|d, v| put(&mut d.item.read_only, switch(v)))),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_default_is_valid() {
        for row in ROWS.iter().filter(|row| !row.default.is_empty()) {
            assert!(matches!(row.set, Value(_)), "{}", row.key);
            assert_eq!(row.check(row.default), Ok(()), "{}", row.key);
        }
    }

    #[test]
    fn rows_are_complete_and_unique() {
        let unique = |names: Vec<&str>| names.iter().collect::<BTreeSet<_>>().len() == names.len();
        assert!(unique(ROWS.iter().map(|row| row.key).collect()));
        let flags = || ROWS.iter().filter(|row| !row.flag.is_empty());
        assert!(unique(flags().map(|row| row.flag).collect()));
        assert!(unique(flags().map(|row| row.variable).collect()));
        for row in ROWS {
            assert_eq!(row.flag.is_empty(), row.variable.is_empty(), "{}", row.key);
            assert!(
                !row.meaning.is_empty() && !row.meaning.ends_with('.'),
                "{}",
                row.key
            );
            assert!(row.is_hidden || row.takes != Takes::Secret, "{}", row.key);
            if let Set::Items(items) = row.set {
                assert_eq!(items.level, format!("{}[].", row.key));
            }
        }
    }
}
