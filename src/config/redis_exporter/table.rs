//! All options of `redis_exporter`, in its order, with their equivalents.

use super::meaning::{
    ReadOption, batch_size, cluster, config_command, groups, min_version, most_groups, negated,
    no_values, patterns, scripts, singles, switch, switched_off, switched_on, text,
};
use super::{CommandLineOption, Fate, Setting};
use crate::config::row::Takes;

const fn option(
    flag: &'static str,
    variable: &'static str,
    takes: (Takes, &'static str),
    fate: Fate,
    remark: &'static str,
) -> CommandLineOption {
    CommandLineOption {
        flag,
        variable,
        default: takes.1,
        takes: takes.0,
        fate,
        remark,
    }
}

const fn any(default: &'static str) -> (Takes, &'static str) {
    (Takes::Text, default)
}

const NOTHING: (Takes, &str) = any("");
const FILE: (Takes, &str) = (Takes::Path, "");
const SECRET: (Takes, &str) = (Takes::Secret, "");
const OFF: (Takes, &str) = (Takes::Switch, "false");
const ON: (Takes, &str) = (Takes::Switch, "true");

const fn number(default: &'static str) -> (Takes, &'static str) {
    (Takes::Number, default)
}

const fn sets(keys: &'static [&'static str], read: ReadOption) -> Fate {
    Fate::Sets(Setting { keys, read })
}

/// All options of `redis_exporter`.
#[rustfmt::skip]
pub static OPTIONS: &[CommandLineOption] = &[
    option("redis.addr", "REDIS_ADDR", any("redis://localhost:6379"), Fate::Own("targets[].url"), "`REDIS_URL` takes precedence over the variable. Empty means that there is no such target, but requires others, such as those of `scrape.allow`. Several addresses, and an address in addition to `targets` in the file, are an error"),
    option("redis.user", "REDIS_USER", NOTHING, Fate::Same("targets[].username"), "ACL user of the single target, if its URL has none"),
    option("redis.password", "REDIS_PASSWORD", SECRET, Fate::Same("targets[].password"), "Password of the single target, if its URL has none"),
    option("redis.password-file", "REDIS_PASSWORD_FILE", FILE, Fate::Same("targets[].password_file"), "File with the password, or with a JSON map from addresses to passwords"),
    option("namespace", "REDIS_EXPORTER_NAMESPACE", any("redis"), sets(&["metric_prefix"], text), "the bundled alerts and dashboards expect `redis`"),
    option("check-keys", "REDIS_EXPORTER_CHECK_KEYS", NOTHING, sets(&["keys.check"], patterns), "with `keys.values: text`; at most `keys.max_checked` keys are exported"),
    option("check-single-keys", "REDIS_EXPORTER_CHECK_SINGLE_KEYS", NOTHING, sets(&["keys.check_single"], singles), "with `keys.values: text`"),
    option("check-key-groups", "REDIS_EXPORTER_CHECK_KEY_GROUPS", NOTHING, sets(&["keys.groups"], groups), "Lua patterns are translated to regular expressions, except `%b`, `%f`, `%1` and `()`, which are an error"),
    option("check-streams", "REDIS_EXPORTER_CHECK_STREAMS", NOTHING, sets(&["keys.streams"], patterns), ""),
    option("check-single-streams", "REDIS_EXPORTER_CHECK_SINGLE_STREAMS", NOTHING, sets(&["keys.single_streams"], singles), ""),
    option("streams-exclude-consumer-metrics", "REDIS_EXPORTER_STREAMS_EXCLUDE_CONSUMER_METRICS", OFF, sets(&["keys.stream_consumers"], negated), ""),
    option("count-keys", "REDIS_EXPORTER_COUNT_KEYS", NOTHING, sets(&["keys.count"], patterns), "counted by the sweep, not at each scrape"),
    option("check-keys-batch-size", "REDIS_EXPORTER_CHECK_KEYS_BATCH_SIZE", number("1000"), sets(&["sweep.count"], batch_size), "from 10 to 1000, by default 100"),
    option("script", "REDIS_EXPORTER_SCRIPT", NOTHING, sets(&["scripts"], scripts), "each with `read_only: false`"),
    option("lua-script-read-only", "REDIS_EXPORTER_LUA_SCRIPT_READ_ONLY", OFF, sets(&["scripts[].read_only"], switch), ""),
    option("web.listen-address", "REDIS_EXPORTER_WEB_LISTEN_ADDRESS", any(":9121"), Fate::Own("listen"), "an IP address or `localhost`, and a port"),
    option("web.telemetry-path", "REDIS_EXPORTER_WEB_TELEMETRY_PATH", any("/metrics"), sets(&["telemetry_path"], text), ""),
    option("config-command", "REDIS_EXPORTER_CONFIG_COMMAND", any("CONFIG"), sets(&["collectors.config", "collectors.commandlog", "collectors.config_values", "collectors.rdb_file_size"], config_command), "`-` disables them. A renamed command disables them too, with a warning"),
    option("connection-timeout", "REDIS_EXPORTER_CONNECTION_TIMEOUT", any("15s"), Fate::Same("poll.timeout"), "Timeout of a poll, at most the interval; --poll.timeout takes precedence"),
    option("tls-client-key-file", "REDIS_EXPORTER_TLS_CLIENT_KEY_FILE", FILE, sets(&["tls.key_file"], text), ""),
    option("tls-client-cert-file", "REDIS_EXPORTER_TLS_CLIENT_CERT_FILE", FILE, sets(&["tls.cert_file"], text), ""),
    option("tls-ca-cert-file", "REDIS_EXPORTER_TLS_CA_CERT_FILE", FILE, sets(&["tls.ca_file"], text), ""),
    option("tls-server-name", "REDIS_EXPORTER_TLS_SERVER_NAME", NOTHING, sets(&["tls.server_name"], text), ""),
    option("tls-server-key-file", "REDIS_EXPORTER_TLS_SERVER_KEY_FILE", FILE, sets(&["web.tls.key_file"], text), ""),
    option("tls-server-cert-file", "REDIS_EXPORTER_TLS_SERVER_CERT_FILE", FILE, sets(&["web.tls.cert_file"], text), ""),
    option("tls-server-ca-cert-file", "REDIS_EXPORTER_TLS_SERVER_CA_CERT_FILE", FILE, sets(&["web.tls.client_ca_file"], text), ""),
    option("tls-server-min-version", "REDIS_EXPORTER_TLS_SERVER_MIN_VERSION", any("TLS1.2"), sets(&["web.tls.min_version"], min_version), "`TLS1.0` and `TLS1.1` are not supported; the minimum is 1.2"),
    option("max-distinct-key-groups", "REDIS_EXPORTER_MAX_DISTINCT_KEY_GROUPS", number("100"), sets(&["keys.max_groups"], most_groups), "from 1 to 1000"),
    option("debug", "REDIS_EXPORTER_DEBUG", OFF, Fate::Same("log.level"), "Same as --log-level=debug; overrides --log-level"),
    option("log-level", "REDIS_EXPORTER_LOG_LEVEL", any("INFO"), Fate::Own("log.level"), ""),
    option("log-format", "REDIS_EXPORTER_LOG_FORMAT", any("txt"), Fate::Own("log.format"), ""),
    option("set-client-name", "REDIS_EXPORTER_SET_CLIENT_NAME", ON, sets(&["set_client_name"], switch), "the name is `redis-namespace-exporter`"),
    option("is-tile38", "REDIS_EXPORTER_IS_TILE38", OFF, sets(&["collectors.tile38"], switch), ""),
    option("is-cluster", "REDIS_EXPORTER_IS_CLUSTER", OFF, sets(&["targets[].discover.kind"], cluster), "all nodes of the cluster of the single target are polled; with `targets` in the file, it is an error"),
    option("cluster-discover-hostnames", "REDIS_EXPORTER_CLUSTER_DISCOVER_HOSTNAMES", OFF, sets(&["targets[].discover.hostnames"], switch), "without it, a node is named by the endpoint that it prefers. Needs `is-cluster`"),
    option("export-client-list", "REDIS_EXPORTER_EXPORT_CLIENT_LIST", OFF, sets(&["clients.list"], switch), ""),
    option("export-client-port", "REDIS_EXPORTER_EXPORT_CLIENT_PORT", OFF, sets(&["clients.port"], switch), ""),
    option("version", "", OFF, Fate::Own(""), "prints the version"),
    option("redis-only-metrics", "REDIS_EXPORTER_REDIS_ONLY_METRICS", OFF, sets(&["process_metrics"], negated), "omits `process_*` and `redis_exporter_build_info`"),
    option("include-go-runtime-metrics", "REDIS_EXPORTER_INCLUDE_GO_RUNTIME_METRICS", OFF, Fate::NotNeeded, "there is no Go runtime"),
    option("ping-on-connect", "REDIS_EXPORTER_PING_ON_CONNECT", OFF, Fate::NotNeeded, "every poll sends PING and measures its duration"),
    option("include-config-metrics", "REDIS_EXPORTER_INCL_CONFIG_METRICS", OFF, sets(&["collectors.config_values"], switch), ""),
    option("include-modules-metrics", "REDIS_EXPORTER_INCL_MODULES_METRICS", OFF, sets(&["collectors.modules"], switch), ""),
    option("include-search-indexes-metrics", "REDIS_EXPORTER_INCL_SEARCH_INDEXES_METRICS", OFF, sets(&["collectors.search_indexes"], switch), ""),
    option("include-sentinel-peer-info", "REDIS_EXPORTER_INCL_SENTINEL_PEER_INFO", OFF, sets(&["collectors.sentinel_peers"], switch), ""),
    option("check-search-indexes", "REDIS_EXPORTER_CHECK_SEARCH_INDEXES", any(".*"), sets(&["search_indexes"], text), ""),
    option("disable-exporting-key-values", "REDIS_EXPORTER_DISABLE_EXPORTING_KEY_VALUES", OFF, sets(&["keys.values"], no_values), "true is `off`"),
    option("exclude-latency-histogram-metrics", "REDIS_EXPORTER_EXCLUDE_LATENCY_HISTOGRAM_METRICS", OFF, sets(&["collectors.latency_histogram", "collectors.latency"], negated), ""),
    option("redact-config-metrics", "REDIS_EXPORTER_REDACT_CONFIG_METRICS", ON, Fate::Unsupported, "a setting that may be a secret is always exported as `***`"),
    option("include-system-metrics", "REDIS_EXPORTER_INCL_SYSTEM_METRICS", OFF, sets(&["collectors.system_memory"], switch), ""),
    option("include-rdb-file-size-metric", "REDIS_EXPORTER_INCL_RDB_FILE_SIZE_METRIC", OFF, sets(&["collectors.rdb_file_size"], switch), ""),
    option("skip-tls-verification", "REDIS_EXPORTER_SKIP_TLS_VERIFICATION", OFF, sets(&["tls.insecure_skip_verify"], switch), ""),
    option("skip-checkkeys-for-role-master", "REDIS_EXPORTER_SKIP_CHECKKEYS_FOR_ROLE_MASTER", OFF, Fate::Unsupported, "name a replica in `sweep.from`, or set `sweep.enabled` to false for a primary"),
    option("basic-auth-username", "REDIS_EXPORTER_BASIC_AUTH_USERNAME", NOTHING, sets(&["web.basic_auth.username"], text), "an error without a password"),
    option("basic-auth-password", "REDIS_EXPORTER_BASIC_AUTH_PASSWORD", SECRET, sets(&["web.basic_auth.password"], text), "an error without a username"),
    option("basic-auth-hash-password", "REDIS_EXPORTER_BASIC_AUTH_HASH_PASSWORD", SECRET, sets(&["web.basic_auth.password_hash"], text), "an error without a username; the cost is at most 15"),
    option("disable-scrape-endpoint", "REDIS_EXPORTER_DISABLE_SCRAPE_ENDPOINT", OFF, sets(&["scrape_endpoint"], negated), "disables `/probe` too"),
    option("include-metrics-for-empty-databases", "REDIS_EXPORTER_INCL_METRICS_FOR_EMPTY_DATABASES", ON, sets(&["empty_databases"], switch), ""),
    option("append-instance-role-label", "REDIS_EXPORTER_APPEND_INSTANCE_ROLE_LABEL", OFF, Fate::Unsupported, "join with `redis_instance_info`, which has the label `role`"),
];

/// Lists of collectors of our own. In the file, each is a map of switches.
#[rustfmt::skip]
pub(super) static COLLECTORS: &[CommandLineOption] = &[
    option("collectors.enable", "REDIS_EXPORTER_COLLECTORS_ENABLE", NOTHING, sets(&["collectors"], switched_on), "Collectors to enable, such as client_list,hotkeys"),
    option("collectors.disable", "REDIS_EXPORTER_COLLECTORS_DISABLE", NOTHING, sets(&["collectors"], switched_off), "Collectors to disable, such as slowlog"),
];
