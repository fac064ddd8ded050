//! Options of the file that have a flag and a variable of our own, for use without a file.
//!
//! Rows have the form of those of `redis_exporter`, so that both are read in one way.

use super::meaning::{self, names, names_and_globs, switch, switched_off, switched_on, text};
use super::{Fate, PeerOption, Setting, Takes};
use Takes::{Secret, Switch, Text};

const fn row(
    key: &'static [&'static str],
    flag: &'static str,
    variable: &'static str,
    takes: Takes,
    default: &'static str,
    remark: &'static str,
) -> PeerOption {
    let read = match takes {
        Switch => switch,
        _ => text,
    };
    PeerOption {
        flag,
        variable,
        default,
        takes,
        fate: Fate::Sets(Setting { keys: key, read }),
        remark,
    }
}

const fn read_by(option: PeerOption, read: meaning::Read) -> PeerOption {
    let fate = match option.fate {
        Fate::Sets(Setting { keys, .. }) => Fate::Sets(Setting { keys, read }),
        other => other,
    };
    PeerOption { fate, ..option }
}

/// Every option of our own that is a spelling of keys of the file.
#[rustfmt::skip]
pub static OWN_OPTIONS: &[PeerOption] = &[
    PeerOption {
        flag: "redis.memory-limit",
        variable: "REDIS_MEMORY_LIMIT",
        default: "",
        takes: Text,
        fate: Fate::Same("targets[].memory_limit"),
        remark: "Memory that the one target may use, such as 256MiB, if it hides maxmemory",
    },
    PeerOption {
        flag: "redis.expect-full",
        variable: "REDIS_EXPECT_FULL",
        default: "false",
        takes: Switch,
        fate: Fate::Same("targets[].expect_full"),
        remark: "Whether the one target is a cache that is meant to be full",
    },
    row(&["poll.follow_scrapes"], "poll.follow-scrapes", "REDIS_EXPORTER_POLL_FOLLOW_SCRAPES", Switch, "true", "Whether a poll also comes shortly before each expected scrape"),
    row(&["target_label"], "target-label", "REDIS_EXPORTER_TARGET_LABEL", Switch, "", "Whether samples on `/metrics` have the label `target`; by default if the file has `targets`"),
    row(&["legacy_names"], "legacy-names", "REDIS_EXPORTER_LEGACY_NAMES", Switch, "true", "Whether names of redis_exporter that break Prometheus naming are served too"),
    read_by(row(&["namespaces"], "key-namespaces", "REDIS_EXPORTER_KEY_NAMESPACES", Text, "", "Key namespaces, in order, such as `session=session:*,cache=api:cache:*`"), names_and_globs),
    read_by(row(&["channels"], "channel-groups", "REDIS_EXPORTER_CHANNEL_GROUPS", Text, "", "Groups of pub/sub channels, in order, such as `prism=prism:*`"), names_and_globs),
    read_by(row(&["collectors"], "collectors.enable", "REDIS_EXPORTER_COLLECTORS_ENABLE", Text, "", "Collectors to switch on, such as client_list,hotkeys"), switched_on),
    read_by(row(&["collectors"], "collectors.disable", "REDIS_EXPORTER_COLLECTORS_DISABLE", Text, "", "Collectors to switch off, such as slowlog"), switched_off),
    read_by(row(&["commands.include"], "commands.include", "REDIS_EXPORTER_COMMANDS_INCLUDE", Text, "", "Commands with series of their own, as globs, such as `get,set,*del`"), names),
    read_by(row(&["commands.exclude"], "commands.exclude", "REDIS_EXPORTER_COMMANDS_EXCLUDE", Text, "", "Commands without series of their own, as globs"), names),
    row(&["sweep.enabled"], "sweep.enabled", "REDIS_EXPORTER_SWEEP_ENABLED", Switch, "true", "Whether the keyspace is scanned for its namespaces"),
    row(&["sweep.cpu_share"], "sweep.cpu-share", "REDIS_EXPORTER_SWEEP_CPU_SHARE", Text, "1%", "Share of one core of the server that the sweep may use"),
    row(&["sweep.commands_per_second"], "sweep.commands-per-second", "REDIS_EXPORTER_SWEEP_COMMANDS_PER_SECOND", Text, "", "Most commands that the sweep sends in a second; in proportion to the server's traffic by default"),
    row(&["sweep.lookup_share"], "sweep.lookup-share", "REDIS_EXPORTER_SWEEP_LOOKUP_SHARE", Text, "", "Most lookups of keys by the sweep, as a share of those of other clients; 0.15% by default"),
    row(&["sweep.lookups_per_minute"], "sweep.lookups-per-minute", "REDIS_EXPORTER_SWEEP_LOOKUPS_PER_MINUTE", Text, "", "Lookups of keys in a minute that the sweep may always cause; 1 by default"),
    row(&["sweep.keys_per_second"], "sweep.keys-per-second", "REDIS_EXPORTER_SWEEP_KEYS_PER_SECOND", Text, "", "Most keys that the sweep scans in a second"),
    row(&["sweep.count"], "sweep.count", "REDIS_EXPORTER_SWEEP_COUNT", Text, "100", "COUNT of a SCAN, from 10 to 1000"),
    row(&["sweep.first_keys"], "sweep.first-keys", "REDIS_EXPORTER_SWEEP_FIRST_KEYS", Text, "10000", "Keys that are scanned quickly at the start"),
    row(&["sweep.min_pass_interval"], "sweep.min-pass-interval", "REDIS_EXPORTER_SWEEP_MIN_PASS_INTERVAL", Text, "1m", "Least time from the start of one pass to the start of the next"),
    row(&["sweep.max_latency"], "sweep.max-latency", "REDIS_EXPORTER_SWEEP_MAX_LATENCY", Text, "5ms", "Latency of its own queries above which the sweep slows down"),
    row(&["sweep.while_saving"], "sweep.while-saving", "REDIS_EXPORTER_SWEEP_WHILE_SAVING", Switch, "true", "Whether the sweep continues while the server saves"),
    read_by(row(&["sweep.databases"], "sweep.databases", "REDIS_EXPORTER_SWEEP_DATABASES", Text, "", "Databases to scan, such as 0,3; all by default"), names),
    row(&["sweep.from"], "sweep.from", "REDIS_EXPORTER_SWEEP_FROM", Secret, "", "URL of a replica to scan instead of the target"),
    row(&["sweep.delimiter"], "sweep.delimiter", "REDIS_EXPORTER_SWEEP_DELIMITER", Text, ":", "What ends the first part of a key, which is its group if no namespaces are declared"),
    row(&["sweep.max_groups"], "sweep.max-groups", "REDIS_EXPORTER_SWEEP_MAX_GROUPS", Text, "100", "Most groups that are shown if no namespaces are declared"),
    row(&["sweep.largest_keys"], "sweep.largest-keys", "REDIS_EXPORTER_SWEEP_LARGEST_KEYS", Text, "0", "How many of the largest keys are shown by name"),
    row(&["keys.values"], "keys.values", "REDIS_EXPORTER_KEYS_VALUES", Text, "off", "What is shown of the values of checked keys: off, number or text"),
    row(&["keys.max_checked"], "keys.max-checked", "REDIS_EXPORTER_KEYS_MAX_CHECKED", Text, "500", "Most keys that --check-keys shows"),
    row(&["keys.max_streams"], "keys.max-streams", "REDIS_EXPORTER_KEYS_MAX_STREAMS", Text, "100", "Most streams that --check-streams shows"),
    row(&["keys.max_stream_groups"], "keys.max-stream-groups", "REDIS_EXPORTER_KEYS_MAX_STREAM_GROUPS", Text, "100", "Most groups of one stream that are shown"),
    row(&["keys.max_stream_consumers"], "keys.max-stream-consumers", "REDIS_EXPORTER_KEYS_MAX_STREAM_CONSUMERS", Text, "100", "Most consumers of one stream that are shown"),
    row(&["web.reload"], "web.reload", "REDIS_EXPORTER_WEB_RELOAD", Switch, "true", "Whether a POST to `/-/reload` loads the configuration again"),
    row(&["clients.max"], "clients.max", "REDIS_EXPORTER_CLIENTS_MAX", Text, "500", "Most clients that are shown one by one"),
    row(&["slots.top"], "slots.top", "REDIS_EXPORTER_SLOTS_TOP", Text, "10", "How many slots of a cluster node are shown"),
    row(&["web.basic_auth.password_file"], "basic-auth-password-file", "REDIS_EXPORTER_BASIC_AUTH_PASSWORD_FILE", Text, "", "File that holds the password of --basic-auth-username"),
];
