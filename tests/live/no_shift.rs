//! If some queries are denied, every reply is still paired with its own query. All values are those
//! that a client with full permissions reads, or they are absent.

use std::collections::BTreeMap;

use crate::support::redis::Client;
use crate::support::{Exporter, Launch, Page, RedisServer};

/// Samples as written on the page, without the target label.
type Samples = BTreeMap<String, f64>;

/// Families of which every sample is compared.
const COMPARED: &[&str] = &[
    "redis_key_size",
    "redis_key_memory_usage_bytes",
    "redis_key_value",
    "redis_key_value_as_string",
    "redis_keys_count",
    "redis_key_group_count",
    "redis_key_group_memory_usage_bytes",
    "redis_stream_length",
    "redis_stream_group_messages_pending",
    "redis_stream_group_consumer_messages_pending",
    "redis_db_keys",
    "redis_config_maxclients",
    "redis_config_maxmemory",
    "redis_slowlog_length",
    "redis_slowlog_last_id",
];

/// This key is only queried as a stream, so that no other query finds out that it is denied.
const STREAM_ONLY: &str = "another";

/// The keys of one database: name, command that writes it, and command that returns its size.
const KEYS: [(&str, &[&str], &str); 9] = [
    ("another", &["XADD", "", "4-1", "a", "1"], "XLEN"),
    ("hash", &["HSET", "", "a", "1", "b", "2", "c", "3"], "HLEN"),
    ("list", &["RPUSH", "", "a", "b", "c", "d"], "LLEN"),
    ("number", &["SET", "", "12.5"], "STRLEN"),
    ("set", &["SADD", "", "a", "b"], "SCARD"),
    ("stream", &["XADD", "", "5-1", "a", "1"], "XLEN"),
    ("stream2", &["XADD", "", "6-1", "a", "1"], "XLEN"),
    ("text", &["SET", "", "five"], "STRLEN"),
    ("zset", &["ZADD", "", "1", "a"], "ZCARD"),
];

/// Databases with keys, and the prefix of the key names.
const DATABASES: [(u32, &str); 2] = [(0, "a"), (3, "b")];

/// ACL rules of the user, databases of the sweep, and a test for the samples that must be absent.
type Case = (
    &'static [&'static str],
    &'static str,
    fn(name: &str) -> bool,
);

/// Denied keys in the middle of a pipeline, and a denied SELECT.
const OF_KEYS: &[Case] = &[
    (&["~*"], "[0, 3]", |_| false),
    // For these streams only TYPE, MEMORY USAGE and PTTL are allowed.
    (
        &["~?:[hlnstz]*", "(+type +memory|usage +pttl ~?:another)"],
        "[0, 3]",
        |name| name.contains(":another"),
    ),
    (
        &["~a:[lsz]*", "~a:number", "~b:[hnst]*"],
        "[0, 3]",
        |name| {
            let denied = [
                "a:another",
                "a:hash",
                "a:text",
                "b:another",
                "b:list",
                "b:zset",
            ];
            let is_denied = |key| name.contains(&format!("=\"{key}\""));
            // The sweep treats one such denial as a denial of the whole query.
            denied.into_iter().any(is_denied) || name.contains("group_memory")
        },
    ),
    (&["~*", "-select"], "[0]", |name| {
        name.contains("db=\"db3\"") && !name.contains("redis_db_keys")
    }),
];

/// Denied key commands in the middle of a pipeline.
const OF_COMMANDS: &[Case] = &[
    (&["~*", "-strlen", "-xlen"], "[0, 3]", |name| {
        let is_text = name.contains(":text") || name.contains(":number");
        (is_text && !name.contains("memory"))
            || (name.contains("key_size") && name.contains(":stream"))
    }),
    (&["~*", "-getrange", "-llen"], "[0, 3]", |name| {
        name.contains("key_value") || (name.contains("key_size") && name.contains(":list"))
    }),
    (&["~*", "-memory"], "[0, 3]", |name| {
        name.contains("memory_usage")
    }),
    (&["~*", "-type"], "[0, 3]", |name| {
        let needs_type = ["key_size", "key_value", "redis_stream"];
        needs_type.into_iter().any(|part| name.contains(part))
    }),
    (&["~*", "-xinfo|groups"], "[0, 3]", |name| {
        name.contains("stream_group")
    }),
    (&["~*", "-xinfo|stream"], "[0, 3]", |name| {
        name.contains("stream_length")
    }),
    (&["~*", "-xinfo|consumers"], "[0, 3]", |name| {
        name.contains("consumer")
    }),
];

/// Denied commands of the poll.
const OF_THE_POLL: &[Case] = &[
    (&["~*", "-config"], "[0, 3]", |name| name.contains("config")),
    (&["~*", "-slowlog"], "[0, 3]", |name| {
        name.contains("slowlog")
    }),
    (&["~*", "-slowlog|len", "-latency"], "[0, 3]", |name| {
        name.contains("slowlog_length")
    }),
    (&["~*", "-ping", "-client", "-cluster"], "[0, 3]", |_| false),
];

fn fill(client: &mut Client) {
    for (database, prefix) in DATABASES {
        client.ask(&["SELECT", &database.to_string()]);
        for (kind, words, _) in KEYS {
            let key = format!("{prefix}:{kind}");
            let words: Vec<&str> = words
                .iter()
                .enumerate()
                .map(|(at, word)| if at == 1 { key.as_str() } else { *word })
                .collect();
            client.ask(&words);
            // All streams differ.
            let read = match kind {
                STREAM_ONLY => 3,
                "stream" => 1,
                "stream2" => 2,
                _ => continue,
            };
            for number in 0..read + database {
                client.ask(&["XADD", &key, &format!("7{number}-1"), "a", "1"]);
            }
            client.ask(&["XGROUP", "CREATE", &key, "g", "0"]);
            let read = read.to_string();
            let read = ["GROUP", "g", "c", "COUNT", &read, "STREAMS", &key, ">"];
            client.ask(&[&["XREADGROUP"], &read[..]].concat());
        }
        client.ask(&["APPEND", &format!("{prefix}:text"), prefix]);
    }
    client.ask(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    for _ in 0..5 {
        client.ask(&["PING"]);
    }
    client.ask(&["CONFIG", "SET", "slowlog-log-slower-than", "-1"]);
}

/// Returns the values that a client with full permissions reads.
fn truth(client: &mut Client) -> Samples {
    let mut truth = Samples::new();
    let mut note = |name: String, value: &str| truth.insert(name, value.parse().unwrap());
    for (database, prefix) in DATABASES {
        client.ask(&["SELECT", &database.to_string()]);
        let db = format!("db=\"db{database}\"");
        let mut sum = 0.0;
        for (kind, _, size) in KEYS {
            let key = format!("{prefix}:{kind}");
            let labels = format!("{db},key=\"{key}\"");
            let memory = client.ask(&["MEMORY", "USAGE", &key]);
            sum += memory.parse::<f64>().unwrap();
            if kind != STREAM_ONLY {
                note(format!("redis_key_memory_usage_bytes{{{labels}}}"), &memory);
                note(
                    format!("redis_key_size{{{labels}}}"),
                    &client.ask(&[size, &key]),
                );
            }
            match kind {
                "number" => {
                    note(
                        format!("redis_key_value{{{labels}}}"),
                        &client.ask(&["GET", &key]),
                    );
                }
                "text" => {
                    let text = client.ask(&["GET", &key]);
                    note(
                        format!("redis_key_value_as_string{{{labels},val=\"{text}\"}}"),
                        "1",
                    );
                }
                STREAM_ONLY | "stream" | "stream2" => {
                    let stream = format!("{db},stream=\"{key}\"");
                    note(
                        format!("redis_stream_length{{{stream}}}"),
                        &client.ask(&["XLEN", &key]),
                    );
                    let pending = client.ask(&["XPENDING", &key, "g"]);
                    let pending = pending.split('\n').next().unwrap();
                    let group = format!("{stream},group=\"g\"");
                    note(
                        format!("redis_stream_group_messages_pending{{{group}}}"),
                        pending,
                    );
                    let consumer = format!("{group},consumer=\"c\"");
                    note(
                        format!("redis_stream_group_consumer_messages_pending{{{consumer}}}"),
                        pending,
                    );
                }
                _ => {}
            }
        }
        let keys = client.ask(&["DBSIZE"]);
        for name in [
            format!("redis_db_keys{{{db}}}"),
            format!("redis_keys_count{{{db},key=\"*\"}}"),
            format!("redis_key_group_count{{{db},key_group=\"{prefix}\"}}"),
        ] {
            note(name, &keys);
        }
        let group = format!("{db},key_group=\"{prefix}\"");
        note(
            format!("redis_key_group_memory_usage_bytes{{{group}}}"),
            &sum.to_string(),
        );
        let strings = format!("{db},key=\"{prefix}:[nt]*\"");
        note(format!("redis_keys_count{{{strings}}}"), "2");
    }
    for parameter in ["maxclients", "maxmemory"] {
        let reply = client.ask(&["CONFIG", "GET", parameter]);
        note(
            format!("redis_config_{parameter}"),
            reply.split('\n').next_back().unwrap(),
        );
    }
    note(
        "redis_slowlog_length".to_owned(),
        &client.ask(&["SLOWLOG", "LEN"]),
    );
    let newest = client.ask(&["SLOWLOG", "GET", "1"]);
    note(
        "redis_slowlog_last_id".to_owned(),
        newest.split('\n').next().unwrap(),
    );
    truth
}

/// Returns the samples of the compared families from a page without the target label.
fn shown(exporter: &Exporter) -> Samples {
    let page = Page(exporter.get("/probe?target=cache").text());
    let samples = page.0.lines().filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        let family = name.split('{').next()?;
        let is_compared = COMPARED.contains(&family) && !line.starts_with('#');
        is_compared.then(|| (name.to_owned(), value.parse().unwrap()))
    });
    // If CONFIG is allowed, the page also contains databases without keys.
    let is_empty_database =
        |(name, value): &(String, f64)| name.starts_with("redis_db_keys") && *value == 0.0;
    samples
        .filter(|sample| !is_empty_database(sample))
        .collect()
}

fn exporter(server: &RedisServer, databases: &str) -> Exporter {
    let missing = "'db15=a:list', 'db1=a:list', missing";
    Launch::configured(&format!(
        "poll: {{ interval: 500ms }}\n\
         targets:\n- name: cache\n  url: 'redis://watcher:pw@{}'\n  \
         sweep: {{ enabled: true, min_pass_interval: 500ms, cpu_share: 50%, databases: {databases} }}\n\
         keys:\n  \
         check: ['a:[hl]*', 'db3=b:[hlnstz]*', 'db15=*']\n  \
         check_single: [{missing}, 'a:stream2', 'a:stream', 'a:number', 'a:set', 'a:text', 'a:zset']\n  \
         values: text\n  \
         streams: ['*', 'db3=b:stream', 'db3=b:a*', 'db15=*']\n  \
         single_streams: [{missing}, 'a:list', 'db3=b:stream2']\n  \
         count: ['*', 'db3=*', 'a:[nt]*', 'db3=b:[nt]*']\n  \
         groups: ['^([a-z]):']\n",
        server.address()
    ))
    .start()
}

#[test]
fn denied_keys_do_not_shift_other_values() {
    check(OF_KEYS);
}

#[test]
fn denied_key_commands_do_not_shift_other_values() {
    check(OF_COMMANDS);
}

#[test]
fn denied_poll_queries_do_not_shift_other_values() {
    check(OF_THE_POLL);
}

/// Checks that denied values are absent and all others are correct.
fn check(cases: &[Case]) {
    for (rules, databases, is_absent) in cases {
        let server = RedisServer::start(&["--databases", "4"]);
        let mut client = Client::connect(server.port).unwrap();
        fill(&mut client);
        let mut words = vec!["ACL", "SETUSER", "watcher", "reset", "on", ">pw", "+@all"];
        words.extend(*rules);
        server.ask(&words);
        let truth = truth(&mut client);
        let expected: Samples = truth
            .into_iter()
            .filter(|(name, _)| !is_absent(name))
            .collect();
        let exporter = exporter(&server, databases);
        let passes = |page: &Page| page.get("redis_exporter_sweep_passes_total", &[]) >= Some(2.0);
        exporter.until("two passes", passes);
        for _ in 0..3 {
            exporter.polls(1);
            let shown = shown(&exporter);
            let differs = |one: &Samples, other: &Samples| -> Vec<String> {
                let samples = one.iter();
                let differing = samples.filter(|(name, value)| other.get(*name) != Some(*value));
                differing
                    .map(|(name, value)| format!("{name} {value}"))
                    .collect()
            };
            assert_eq!(
                differs(&shown, &expected),
                differs(&expected, &shown),
                "{rules:?}: shown on the left, expected on the right"
            );
        }
    }
}
