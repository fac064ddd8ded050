//! Whole configurations: precedence, problems with their places, and the example.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;

use super::context::FileUse;
use super::*;
use crate::pattern::Expression;
use rows::ROWS;

/// The names of the collectors in the example. At run time, the list comes from the collectors.
pub(super) static COLLECTORS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let (_, list) = EXAMPLE.split_once("\n    collectors:\n").unwrap();
    let rows = list.lines().map_while(|line| line.strip_prefix("      "));
    let names = rows.filter_map(|row| Some(row.split_once(": ")?.0));
    names.collect()
});
const EXAMPLE: &str = include_str!("../../config.example.yaml");

fn environment(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    let pairs: BTreeMap<String, String> = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    move |name| pairs.get(name).cloned()
}

fn flags(words: &[&str]) -> Arguments {
    let program = std::iter::once("exporter");
    arguments::parse_from(program.chain(words.iter().copied()).map(OsString::from)).unwrap()
}

fn read(
    text: Option<&str>,
    words: &[&str],
    variables: &[(&str, &str)],
) -> Result<Config, Vec<String>> {
    let unreadable = || Invalid::new("cannot be read", "check the path");
    let is_missing = |path: &Path| path.starts_with("/missing");
    let missing = |path: &Path, _: FileUse<'_>| {
        if is_missing(path) {
            return Err(unreadable());
        }
        Ok(())
    };
    let scripts = |path: &Path, _| match path.to_str() {
        _ if is_missing(path) => Err(unreadable()),
        Some("/blank.lua") => Ok(b" \n".to_vec()),
        _ => Ok(b"return {}".to_vec()),
    };
    parse(
        text.map(|text| ("c.yaml", text)),
        &flags(words),
        &environment(variables),
        (&missing, &scripts),
        &COLLECTORS,
    )
    .map_err(|problems| problems.iter().map(Problem::to_string).collect())
}

fn file(text: &str) -> Config {
    read(Some(text), &[], &[]).unwrap()
}

fn problems(text: &str) -> Vec<String> {
    read(Some(text), &[], &[]).unwrap_err()
}

/// Removes the line and column of a problem, which must be there.
fn without_position(problem: &str) -> String {
    let Some(rest) = problem.strip_prefix("c.yaml:") else {
        return problem.to_owned();
    };
    let mut parts = rest.splitn(3, ':');
    for _ in 0..2 {
        let number: usize = parts.next().unwrap().parse().expect(problem);
        assert!(number > 0, "{problem}");
    }
    format!("c.yaml:{}", parts.next().unwrap())
}

fn given(password: &str) -> Password {
    Password::Given(Secret::new(password))
}

fn seconds(interval: u64, timeout: u64) -> PollTimes {
    PollTimes {
        interval: Duration::from_secs(interval),
        timeout: Duration::from_secs(timeout),
        follow_scrapes: true,
        is_set: true,
    }
}

#[test]
fn polls_follow_faster_scrapes_unless_an_interval_is_set() {
    let follows = |text: &str, flags: &[&str], variables: &[(&str, &str)]| {
        let config = read(Some(text), flags, variables).unwrap();
        let targets = config.targets.iter();
        targets
            .map(|target| target.poll.follows_faster_scrapes())
            .collect::<Vec<_>>()
    };
    let two = "targets: [{url: a}, {url: b, poll: {interval: 15s}}]\n";
    assert_eq!(follows(two, &[], &[]), [true, false]);
    let set = format!("poll: {{interval: 15s}}\n{two}");
    assert_eq!(follows(&set, &[], &[]), [false, false]);
    assert_eq!(follows(two, &["--poll.interval=15s"], &[]), [false, false]);
    let variable = ("REDIS_EXPORTER_POLL_INTERVAL", "15s");
    assert_eq!(follows(two, &[], &[variable]), [false, false]);
    let off = format!("poll: {{follow_scrapes: false}}\n{two}");
    assert_eq!(follows(&off, &[], &[]), [false, false]);
}

#[test]
fn default_configuration_has_one_local_target() {
    let config = read(None, &[], &[]).unwrap();
    assert_eq!(config.listen.to_string(), "[::]:9121");
    assert_eq!(config.poll, PollTimes::default());
    assert!(config.poll.follows_faster_scrapes());
    assert_eq!(config.log.level, Level::INFO);
    assert_eq!(config.log.format, LogFormat::Text);
    assert!(config.names.legacy);
    assert_eq!(config.targets.len(), 1);
    assert_eq!(config.targets[0].name, "127.0.0.1:6379");
    assert_eq!(config.targets[0].poll, config.poll);
    let from_empty_file = Config {
        notices: Vec::new(),
        ..file("")
    };
    assert_eq!(config, from_empty_file);
}

#[test]
fn flag_overrides_variable_file_and_default() {
    let text = "listen: 127.0.0.1:1\npoll: {interval: 61s, timeout: 11s}\n\
                log: {level: error, format: json}\nlegacy_names: false\n";
    let variables = [
        ("REDIS_EXPORTER_WEB_LISTEN_ADDRESS", "127.0.0.1:2"),
        ("REDIS_EXPORTER_POLL_INTERVAL", "62s"),
        ("REDIS_EXPORTER_POLL_TIMEOUT", "12s"),
        ("REDIS_EXPORTER_LOG_LEVEL", "debug"),
        ("REDIS_EXPORTER_LOG_FORMAT", "text"),
    ];
    let words = [
        "--web.listen-address=127.0.0.1:3",
        "--poll.interval=63s",
        "--poll.timeout=13s",
        "--log-level=trace",
        "--log-format=json",
    ];
    for (words, variables, port, poll, level, format) in [
        (
            &[][..],
            &[][..],
            1,
            seconds(61, 11),
            Level::ERROR,
            LogFormat::Json,
        ),
        (
            &[],
            &variables,
            2,
            seconds(62, 12),
            Level::DEBUG,
            LogFormat::Text,
        ),
        (
            &words,
            &variables,
            3,
            seconds(63, 13),
            Level::TRACE,
            LogFormat::Json,
        ),
    ] {
        let config = read(Some(text), words, variables).unwrap();
        assert_eq!(config.listen.port(), port);
        assert_eq!(config.poll, poll);
        assert_eq!(config.targets[0].poll, poll);
        assert_eq!(config.log, Log { level, format });
        assert!(!config.names.legacy);
    }
}

#[test]
fn an_empty_variable_is_unset() {
    let config = read(
        None,
        &[],
        &[("REDIS_URL", ""), ("REDIS_EXPORTER_POLL_INTERVAL", "")],
    );
    let notices = Vec::new();
    let config = config.map(|config| Config { notices, ..config });
    assert_eq!(config, read(None, &[], &[]));
}

#[test]
fn the_implicit_target_comes_from_flag_then_url_then_address() {
    let both = [("REDIS_URL", "redis://url"), ("REDIS_ADDR", "address:1")];
    for (words, variables, name) in [
        (&["--redis.addr=flag"][..], &both[..], "flag:6379"),
        (&[], &both, "url:6379"),
        (&[], &both[1..], "address:1"),
    ] {
        let config = read(None, words, variables).unwrap();
        assert_eq!(config.targets.len(), 1);
        assert_eq!(config.targets[0].name, name);
    }
}

#[test]
fn environment_credentials_complete_the_url() {
    let variables = |url| {
        [
            ("REDIS_URL", url),
            ("REDIS_USER", "u"),
            ("REDIS_PASSWORD", "p"),
        ]
    };
    for (url, username, password) in [
        ("redis://h", "u", "p"),
        ("redis://v@h", "v", "p"),
        ("redis://:q@h", "u", "q"),
        ("redis://v:q@h", "v", "q"),
    ] {
        let config = read(None, &[], &variables(url)).unwrap();
        assert_eq!(
            config.targets[0].endpoint.username.as_deref(),
            Some(username),
            "{url}"
        );
        assert_eq!(
            config.targets[0].endpoint.password,
            Some(given(password)),
            "{url}"
        );
    }
    let config = read(None, &[], &[("REDIS_PASSWORD_FILE", "/secret")]).unwrap();
    let expected = Some(Password::File("/secret".into()));
    assert_eq!(config.targets[0].endpoint.password, expected);
}

#[test]
fn environment_credentials_do_not_apply_to_file_targets() {
    let variables = [
        ("REDIS_URL", "redis://elsewhere"),
        ("REDIS_USER", "u"),
        ("REDIS_PASSWORD", "p"),
    ];
    let config = read(Some("targets: [{url: h}]"), &[], &variables).unwrap();
    assert_eq!(config.targets.len(), 1);
    assert_eq!(config.targets[0].name, "h:6379");
    assert_eq!(config.targets[0].endpoint.username, None);
    assert_eq!(config.targets[0].endpoint.password, None);
}

#[test]
fn a_target_is_read_with_all_its_keys() {
    let config = read(
        Some(
            "poll: {interval: 30s, timeout: 10s}\ntargets:\n\
             - name: cache\n  url: rediss://${HOST}:7000\n  username: \"u\"\n  password: ${PW}\n  \
             db: \"${DB}\"\n  memory_limit: 256MiB\n  poll: {interval: 2s}\n  \
             collectors: {slowlog: false, latency: \"${ON}\"}\n\
             - url: unix:///run/s\n  password_file: /secret\n  poll: {timeout: 1s}\n",
        ),
        &[],
        &[("HOST", "h"), ("PW", "a: [b"), ("DB", "3"), ("ON", "true")],
    )
    .unwrap();
    let [first, second] = &config.targets[..] else {
        panic!("{config:?}");
    };
    assert_eq!(first.name, "cache");
    assert_eq!(first.endpoint.address.to_string(), "rediss://h:7000");
    assert_eq!(first.endpoint.username.as_deref(), Some("u"));
    assert_eq!(first.endpoint.password, Some(given("a: [b")));
    assert_eq!(first.endpoint.database, Some(3));
    assert_eq!(first.memory_limit, Some(256 << 20));
    assert_eq!(first.poll, seconds(2, 1));
    assert!(!first.collectors.is_on("slowlog", true));
    assert!(first.collectors.is_on("latency", false));
    assert!(first.collectors.is_on("config", true));
    assert!(!first.collectors.is_on("config", false));
    assert_eq!(second.name, "/run/s");
    assert_eq!(
        second.endpoint.password,
        Some(Password::File("/secret".into()))
    );
    assert_eq!(second.poll, seconds(30, 1));
}

#[test]
fn target_streams_extend_the_top_level() {
    let config = file(
        "keys: {streams: [\"db2=a:*\"], max_streams: 7, stream_consumers: false}\n\
         targets: [{url: h}, {url: i, keys: {single_streams: [b], max_stream_groups: 2}}]",
    );
    let [first, second] = [0, 1].map(|at| &config.targets[at].keys.streams);
    assert_eq!(
        (first.max, first.consumers, first.max_groups),
        (7, false, 100)
    );
    assert_eq!(
        (second.max, second.consumers, second.max_groups),
        (7, false, 2)
    );
    assert_eq!(second.patterns, first.patterns);
    assert_eq!(
        (
            second.patterns[0].database,
            second.patterns[0].pattern.as_glob()
        ),
        (2, Some("a:*"))
    );
    assert_eq!(
        (first.singles.len(), &*second.singles[0].key),
        (0, &b"b"[..])
    );
}

#[test]
fn target_overrides_scripts_search_indexes_and_rdb_file() {
    let config = file(
        "scripts: [{file: /a.lua}, {name: b, file: /b.lua, read_only: false}]\n\
         search_indexes: ^a\n\
         targets:\n- {url: one}\n- {url: two, scripts: [], rdb_file: /d/x.rdb}\n\
         - {url: three, scripts: [{file: /c.lua}], search_indexes: ^b}\n",
    );
    let options = |at: usize| &*config.targets[at].options;
    let names = |at: usize| {
        let scripts = options(at).scripts.iter();
        scripts
            .map(|script| script.name.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(0), ["/a.lua", "b"]);
    let read_only = options(0).scripts.iter().map(|script| script.read_only);
    assert_eq!(read_only.collect::<Vec<_>>(), [true, false]);
    assert_eq!(options(0).scripts[0].text, b"return {}");
    assert_eq!(names(1), [""; 0]);
    assert_eq!(names(2), ["/c.lua"]);
    assert_eq!(options(0).rdb_file, None);
    assert_eq!(options(1).rdb_file, Some(PathBuf::from("/d/x.rdb")));
    let expression = |text| Some(Expression::new(text).unwrap());
    assert_eq!(options(1).search_indexes, expression("^a"));
    assert_eq!(options(2).search_indexes, expression("^b"));
    assert_eq!(file("").targets[0].options.search_indexes, None);
}

#[test]
fn keys_and_url_may_agree() {
    let config = file("targets: [{url: \"redis://u:p@h/1\", username: u, password: p, db: 1}]");
    assert_eq!(config.targets[0].endpoint.password, Some(given("p")));
    let config = file("targets: [{url: \"redis://u:p@h/1\", username: \"\", password: \"\"}]");
    assert_eq!(config.targets[0].endpoint.username.as_deref(), Some("u"));
    assert_eq!(config.targets[0].endpoint.password, Some(given("p")));
}

#[test]
fn target_inherits_unset_command_filters() {
    let config = file(
        "commands: { include: [\"get\", \"config|*\"], exclude: [\"*|set\"] }\n\
         targets:\n\
         - { name: a, url: redis://a }\n\
         - { name: b, url: redis://b, commands: { exclude: [GET] } }\n\
         - { name: c, url: redis://c, commands: { include: [\"*\"] } }\n",
    );
    let shown = |target: usize| {
        let commands = &config.targets[target].options.commands;
        ["get", "set", "config|get", "config|set"].map(|name| commands.has(name))
    };
    assert_eq!(shown(0), [true, false, true, false]);
    assert_eq!(shown(1), [false, false, true, true]);
    assert_eq!(shown(2), [true, true, true, false]);
}

#[test]
fn namespaces_and_channels_are_read_in_order() {
    let config = file(
        "namespaces:\n\
         - {name: session, match: \"session:*\", ttl: {required: true, max: 1h}, \
            memory_quota: 64MiB, on_eviction: harmful, db: 2}\n\
         - {name: api, regex: \"^api:\"}\n\
         channels:\n- {name: prism, match: \"prism:*\", \
            expect_subscribers: [\"prism:b\", \"prism:a\", \"prism:b\"]}\n",
    );
    let [session, api] = &config.namespaces[..] else {
        panic!("{config:?}");
    };
    assert_eq!(session.name, "session");
    assert_eq!(session.pattern, Pattern::glob("session:*"));
    assert_eq!(session.database, Some(2));
    assert!(session.ttl.required);
    assert_eq!(session.ttl.max, Some(Duration::from_secs(60 * 60)));
    assert_eq!(session.memory_quota, Some(64 << 20));
    assert_eq!(session.on_eviction, Some(OnEviction::Harmful));
    assert_eq!(api.on_eviction, None);
    assert_eq!(api.pattern, Pattern::regex("^api:").unwrap());
    assert_eq!(api.ttl, TtlPolicy::default());
    assert_eq!(config.targets[0].options.channels[0].name, "prism");
    assert_eq!(
        config.targets[0].options.channels[0].pattern,
        Pattern::glob("prism:*")
    );
    let expected = ["prism:a", "prism:b"].map(|name| ChannelName::new(name).unwrap());
    assert_eq!(config.targets[0].options.channels[0].expected, expected);
}

/// A text, the place of its only problem, and part of the message.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("- a", "c.yaml:", "is a list, not a map"),
    ("lissten: x", "c.yaml:", "did you mean `listen`?"),
    (
        "scripts: [{name: a}]",
        "c.yaml: scripts[0]",
        "has no `file`",
    ),
    (
        "scripts: [{file: /missing}]",
        "c.yaml: scripts[0].file:",
        "`/missing` cannot be read",
    ),
    (
        "scripts: [{file: /blank.lua}]",
        "c.yaml: scripts[0].file:",
        "is an empty file",
    ),
    (
        "scripts: [{file: /a}, {name: /a, file: /b}]",
        "c.yaml: scripts[1]:",
        "`/a` is the name of an earlier script",
    ),
    (
        "scripts: [{file: /a, read_only: maybe}]",
        "c.yaml: scripts[0].read_only:",
        "neither true nor false",
    ),
    (
        "search_indexes: (",
        "c.yaml: search_indexes:",
        "is not a regular expression",
    ),
    (
        "targets: [{url: h, rdb_file: dump.rdb}]",
        "c.yaml: targets[0].rdb_file:",
        "is not an absolute path",
    ),
    (
        "listen: :1\nlisten: :2",
        "c.yaml:",
        "has the key `listen` twice",
    ),
    (
        "listen: here",
        "c.yaml: listen:",
        "the value is not an address",
    ),
    ("poll: 5s", "c.yaml: poll:", "is a text, not a map"),
    (
        "poll: {interval: 15}",
        "c.yaml: poll.interval:",
        "`15` has no unit",
    ),
    (
        "poll: {interval: 99ms}",
        "c.yaml: poll.interval:",
        "at least 100ms",
    ),
    (
        "poll: {timeout: 16s}",
        "c.yaml: poll.timeout:",
        "16s is longer than the poll interval, 15s",
    ),
    (
        "poll: {interval: 30, timeout: 20s}",
        "c.yaml: poll.interval:",
        "has no unit",
    ),
    ("poll: {timeout: }", "c.yaml: poll.timeout:", "has no value"),
    (
        "poll: {interval: [1s]}",
        "c.yaml: poll.interval:",
        "is a list",
    ),
    (
        "sweep: {events: always}",
        "c.yaml: sweep.events:",
        "write off, listen or configure",
    ),
    (
        "log: {level: loud}",
        "c.yaml: log.level:",
        "write error, warn",
    ),
    (
        "log: {colour: true}",
        "c.yaml: log:",
        "unknown key `colour`",
    ),
    (
        "legacy_names: yes",
        "c.yaml: legacy_names:",
        "`yes` is neither true nor false",
    ),
    (
        "listen: \"${PORT}\"",
        "c.yaml: listen:",
        "variable PORT, which is not set",
    ),
    ("targets: []", "c.yaml: targets:", "is empty"),
    ("targets:", "c.yaml: targets:", "is empty"),
    (
        "targets: {url: h}",
        "c.yaml: targets:",
        "is a map, not a list",
    ),
    (
        "targets: [h]",
        "c.yaml: targets[0]:",
        "is a text, not a map",
    ),
    (
        "targets: [{name: a}]",
        "c.yaml: targets[0]:",
        "has no `url`",
    ),
    (
        "targets: [{url: \"h:x\"}]",
        "c.yaml: targets[0].url:",
        "port",
    ),
    (
        "targets: [{url: h}, {url: \"h:6379/1\"}]",
        "c.yaml: targets[1]:",
        "has the name of an earlier target",
    ),
    (
        "targets: [{url: h, name: \"\"}]",
        "c.yaml: targets[0].name:",
        "is an empty name",
    ),
    (
        "targets: [{url: h, name: 5}]",
        "c.yaml: targets[0].name:",
        "is a number, not a text; put it in quotes",
    ),
    (
        "targets: [{url: h, password: 12345}]",
        "c.yaml: targets[0].password:",
        "put it in quotes",
    ),
    (
        "targets: [{url: h, db: x}]",
        "c.yaml: targets[0].db:",
        "the value is not the number",
    ),
    (
        "targets: [{url: h/1, db: 2}]",
        "c.yaml: targets[0].db:",
        "differs from the db in the url",
    ),
    (
        "targets: [{url: \"a:b@h\", username: c}]",
        "c.yaml: targets[0].username:",
        "differs",
    ),
    (
        "targets: [{url: \"a:b@h\", password: c}]",
        "c.yaml: targets[0].password:",
        "differs",
    ),
    (
        "targets: [{url: \"a:b@h\", password_file: /c}]",
        "c.yaml: targets[0].password_file:",
        "differs",
    ),
    (
        "targets: [{url: h, password: c, password_file: /c}]",
        "c.yaml: targets[0].password_file:",
        "conflicts with",
    ),
    (
        "targets: [{url: h, password_file: /missing}]",
        "c.yaml: targets[0].password_file:",
        "the file cannot be read",
    ),
    ("sweep: {cpu_share: 200%}", "c.yaml: sweep.cpu_share:", "1%"),
    (
        "sweep: {count: 5000}",
        "c.yaml: sweep.count:",
        "from 10 to 1000",
    ),
    (
        "sweep: {databases: [0, x]}",
        "c.yaml: sweep.databases[1]:",
        "such as 0",
    ),
    (
        "sweep: {from: \"ftp://h\"}",
        "c.yaml: sweep.from:",
        "redis, rediss",
    ),
    (
        "targets: [{url: h, sweep: {delimiter: \"\"}}]",
        "c.yaml: targets[0].sweep.delimiter:",
        "one to eight",
    ),
    (
        "keys: {count: [\"db0=a[b\"]}",
        "c.yaml: keys.count[0]:",
        "close it",
    ),
    (
        "keys: {check: [5]}",
        "c.yaml: keys.check[0]:",
        "put it in quotes",
    ),
    (
        "targets: [{url: h, keys: {check_single: [\"db1=\"]}}]",
        "c.yaml: targets[0].keys.check_single[0]:",
        "db0=session:*",
    ),
    (
        "keys: {groups: [\"^user:\"]}",
        "c.yaml: keys.groups[0]:",
        "put ( ) around",
    ),
    (
        "keys: {values: all}",
        "c.yaml: keys.values:",
        "off, number or text",
    ),
    (
        "keys: {streams: [\"db0=a[b\"]}",
        "c.yaml: keys.streams[0]:",
        "close it",
    ),
    (
        "targets: [{url: h, keys: {single_streams: [\"db1=\"]}}]",
        "c.yaml: targets[0].keys.single_streams[0]:",
        "db0=session:*",
    ),
    (
        "keys: {max_streams: 1001}",
        "c.yaml: keys.max_streams:",
        "from 1 to 1000",
    ),
    (
        "keys: {stream_consumers: 1}",
        "c.yaml: keys.stream_consumers:",
        "true or false",
    ),
    (
        "keys: {max_groups: 0}",
        "c.yaml: keys.max_groups:",
        "from 1 to 1000",
    ),
    (
        "targets: [{url: h, memory_limit: 1mb}]",
        "c.yaml: targets[0].memory_limit:",
        "256MiB",
    ),
    (
        "targets: [{url: h, poll: {interval: 1s, timeout: 2s}}]",
        "c.yaml: targets[0].poll.timeout:",
        "longer",
    ),
    (
        "targets: [{url: h, collectors: {slowlogs: true}}]",
        "c.yaml: targets[0].collectors:",
        "did you mean `slowlog`? Known: info, instance, ",
    ),
    (
        "targets: [{url: h, collectors: {slowlog: 1}}]",
        "c.yaml: targets[0].collectors.slowlog:",
        "true or false",
    ),
    (
        "namespaces: [{match: a}]",
        "c.yaml: namespaces[0]:",
        "has no `name`",
    ),
    (
        "namespaces: [{name: a}]",
        "c.yaml: namespaces[0]:",
        "has no pattern",
    ),
    (
        "namespaces: [{name: \"\", match: a}]",
        "c.yaml: namespaces[0].name:",
        "is an empty name",
    ),
    (
        "namespaces: [{name: other, match: a}]",
        "c.yaml: namespaces[0].name:",
        "match no pattern",
    ),
    (
        "namespaces: [{name: a, match: b}, {name: a, match: c}]",
        "c.yaml: namespaces[1].name:",
        "earlier",
    ),
    (
        "namespaces: [{name: a, match: b, regex: c}]",
        "c.yaml: namespaces[0].regex:",
        "conflicts with",
    ),
    (
        "namespaces: [{name: a, regex: (}]",
        "c.yaml: namespaces[0].regex:",
        "unclosed group",
    ),
    (
        "namespaces: [{name: a, match: b, ttl: 1h}]",
        "c.yaml: namespaces[0].ttl:",
        "known keys: required, max",
    ),
    (
        "namespaces: [{name: a, match: b, ttl: {max: 0s}}]",
        "c.yaml: namespaces[0].ttl.max:",
        "greater than zero",
    ),
    (
        "namespaces: [{name: a, match: b, memory_quota: 0}]",
        "c.yaml: namespaces[0].memory_quota:",
        "greater than zero",
    ),
    (
        "namespaces: [{name: a, match: b, on_eviction: bad}]",
        "c.yaml: namespaces[0].on_eviction:",
        "write harmful or harmless",
    ),
    (
        "slots: {top: 0}",
        "c.yaml: slots.top:",
        "write a whole number from 1 to 100",
    ),
    (
        "channels: [{name: a, match: b, ttl: {}}]",
        "c.yaml: channels[0]:",
        "unknown key `ttl`",
    ),
    (
        "channels: [{name: a, match: 'b:*', expect_subscribers: ['b:1', 'c:1']}]",
        "c.yaml: channels[0].expect_subscribers:",
        "`c:1` does not match the pattern of the group; move it to the group whose pattern",
    ),
    (
        "channels: [{name: a, match: '*', expect_subscribers: ['']}]",
        "c.yaml: channels[0].expect_subscribers[0]:",
        "write a name without control characters",
    ),
    ("a: {", "c.yaml:", "is not YAML: "),
];

#[test]
fn misplaced_secret_is_not_shown() {
    let problems = problems(
        "listen: hunter2\ntelemetry_path: hunter2\nmetric_prefix: 'hunter2!'\n\
         targets:\n\
         - { url: h, db: hunter2, password_file: /missing/hunter2, memory_limit: hunter2 }\n\
         - { url: f, expect_full: hunter2 }\n\
         - { name: ' hunter2', url: h }\n\
         - { name: hunter2, url: g }\n\
         - { name: hunter2, url: i, tls: { ca_file: /missing/hunter2 } }\n",
    );
    assert!(problems.len() >= 10, "{problems:#?}");
    for problem in problems {
        assert!(!problem.contains("hunter2"), "{problem}");
    }
    for (word, variable) in [
        ("--redis.memory-limit=hunter2", ""),
        ("--key-namespaces=a=a:*,hunter2", ""),
        ("--channel-groups=hunter2", ""),
        ("", "REDIS_MEMORY_LIMIT"),
        ("", "REDIS_EXPORTER_WEB_LISTEN_ADDRESS"),
        ("", "REDIS_EXPORTER_KEY_NAMESPACES"),
        ("", "REDIS_EXPORTER_CHANNEL_GROUPS"),
        ("", "REDIS_EXPORTER_SWEEP_ENABLED"),
    ] {
        let words: Vec<_> = [word].into_iter().filter(|word| !word.is_empty()).collect();
        let problems = read(None, &words, &[(variable, "hunter2")]).unwrap_err();
        let [problem] = &problems[..] else {
            panic!("{word}{variable}: {problems:#?}");
        };
        let place = word.split('=').next().unwrap().to_owned() + variable;
        assert!(
            problem.starts_with(&format!("{place}: the value ")),
            "{problem}"
        );
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}

#[test]
fn path_of_a_file_near_a_password_is_not_shown() {
    let path = "/missing/hunter2";
    let flag = |name: &str| format!("--{name}={path}");
    for (words, variable, place) in [
        (
            vec![flag("redis.password-file")],
            "",
            "--redis.password-file",
        ),
        (vec![], "REDIS_PASSWORD_FILE", "REDIS_PASSWORD_FILE"),
        (
            vec![
                flag("basic-auth-password-file"),
                "--basic-auth-username=u".to_owned(),
            ],
            "",
            "--basic-auth-password-file",
        ),
        (vec![flag("tls-ca-cert-file")], "", "--tls-ca-cert-file"),
        (
            vec![
                "--tls-client-cert-file=/c".to_owned(),
                flag("tls-client-key-file"),
            ],
            "",
            "--tls-client-key-file",
        ),
        (
            vec![
                flag("tls-server-cert-file"),
                "--tls-server-key-file=/k".to_owned(),
            ],
            "",
            "--tls-server-cert-file",
        ),
    ] {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let problems = read(None, &words, &[(variable, path)]).unwrap_err();
        assert_eq!(
            problems,
            [format!("{place}: the file cannot be read; check the path")]
        );
    }
}

#[test]
fn each_mistake_is_one_problem_with_its_place_and_remedy() {
    for (text, place, notices) in MISTAKES {
        let problems = problems(text);
        let [problem] = &problems[..] else {
            panic!("{text}: {problems:#?}");
        };
        assert!(
            without_position(problem).starts_with(place),
            "{text}: {problem}"
        );
        assert!(problem.contains(notices), "{text}: {problem}");
        assert!(problem.contains("; "), "{text}: {problem}");
        assert!(!problem.contains('\n'), "{text}: {problem}");
    }
}

#[test]
fn empty_address_leaves_targets_to_others() {
    let problems = read(None, &["--redis.addr="], &[]).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    let problem = &problems[0];
    for part in ["is empty", "under `targets`", "--scrape.allow"] {
        assert!(problem.contains(part), "{problem}");
    }
    let allow = "--scrape.allow=redis-*.svc:6379, 10.0.0.0/16:6379";
    for (file, flags, variables, targets) in [
        (None, &["--redis.addr=", allow][..], &[][..], 0),
        (None, &[allow], &[], 0),
        (None, &[allow], &[("REDIS_ADDR", "")], 0),
        (None, &[allow], &[("REDIS_ADDR", "h")], 1),
        (None, &[allow, "--redis.addr=h"], &[], 1),
        (Some("scrape: { allow: [h] }"), &[], &[], 0),
        (
            Some("scrape: { allow: [h] }\ntargets: [{url: h}]"),
            &["--redis.addr="],
            &[],
            1,
        ),
        (
            None,
            &["--redis.addr="],
            &[("REDIS_EXPORTER_SCRAPE_ALLOW", "h")],
            0,
        ),
    ] {
        let config = read(file, flags, variables).unwrap();
        let found = (config.targets.len(), config.sources.len());
        assert_eq!(found, (targets, 1), "{file:?} {flags:?} {variables:?}");
        assert!(!config.names.target_label || file.is_some_and(|text| text.contains("targets")));
    }
    assert!(
        read(Some("scrape: { allow: [] }"), &[], &[])
            .unwrap()
            .sources
            .is_empty()
    );
}

#[test]
fn requested_targets_come_after_those_of_other_sources() {
    let text = "scrape: { allow: [h] }\ntargets_from: [{name: s, dns: 'h:1'}]\n\
                targets: [{name: c, url: h, discover: {kind: cluster}}]";
    let config = read(Some(text), &[], &[]).unwrap();
    let names: Vec<_> = config.sources.iter().map(|source| &*source.name).collect();
    assert_eq!(names, ["s", "c", "scrape"]);
}

#[test]
fn credentials_of_flags_apply_to_requested_servers_without_an_address() {
    let allow = [
        "--scrape.allow=h",
        "--redis.password=hunter2",
        "--redis.user=u",
    ];
    let file = "credentials: [{hosts: [x], password: y}]";
    let hosts = |flags: &[&str]| {
        let config = read(Some(file), flags, &[]).unwrap();
        let credentials = config.sources[0].credentials.iter();
        let hosts = credentials.map(|one| one.hosts[0].to_string());
        hosts.collect::<Vec<_>>()
    };
    assert_eq!(hosts(&allow), ["x", "h"]);
    assert_eq!(hosts(&[&allow[..], &["--redis.addr=a"]].concat()), ["x"]);
}

#[test]
fn cluster_of_flags_is_a_source() {
    let config = read(None, &["--redis.addr=redis://u:p@h:1", "--is-cluster"], &[]).unwrap();
    let source = &config.sources[0];
    assert_eq!((config.targets.len(), &*source.name), (0, "cluster"));
    let SourceKind::Group(discover) = &source.kind else {
        panic!("{source:?}");
    };
    assert_eq!(
        (&discover.kind, discover.with_hostnames),
        (&GroupKind::Cluster, false)
    );
    assert_eq!(discover.seeds[0].username.as_deref(), Some("u"));
    assert!(config.names.target_label);
    let flags = ["--is-cluster", "--cluster-discover-hostnames"];
    let config = read(None, &flags, &[]).unwrap();
    let hostnames = |source: &TargetSource| match &source.kind {
        SourceKind::Group(discover) => discover.with_hostnames,
        _ => false,
    };
    assert!(hostnames(&config.sources[0]));
    let config = read(None, &["--is-cluster=false", flags[1]], &[]).unwrap();
    assert_eq!((config.targets.len(), config.sources.len()), (1, 0));
    assert!(!config.names.target_label);
    let targets = Some("targets: [{url: h}]");
    let problems = read(targets, &["--is-cluster"], &[]).unwrap_err();
    assert!(
        problems[0].contains("--is-cluster: is given although"),
        "{problems:?}"
    );
    let unused = warnings(
        None,
        &["--redis.addr=", "--scrape.allow=h", "--is-cluster"],
        &[],
    );
    assert!(unused[0].contains("--is-cluster is not used"), "{unused:?}");
}

#[test]
fn mistakes_in_the_list_of_requested_servers_are_reported() {
    for (text, place, problem) in [
        (
            "scrape: { allow: ['10.*'] }",
            "scrape.allow[0]",
            "would also match",
        ),
        (
            "scrape: { allow: ['redis://h'] }",
            "scrape.allow[0]",
            "without a scheme",
        ),
        (
            "scrape: { allow: ['h:x'] }",
            "scrape.allow[0]",
            "has a port",
        ),
        (
            "scrape: { allow: [h], forget_after: 5ms }",
            "scrape.forget_after",
            "is too short",
        ),
        (
            "scrape: { allow: [h], max_targets: 0 }",
            "scrape.max_targets",
            "",
        ),
        (
            "scrape: { allow: [h] }\nscrape_endpoint: false",
            "scrape.allow",
            "no effect",
        ),
        (
            "scrape: { allow: [h] }\ntargets_from: [{name: scrape, dns: 'h:1'}]",
            "scrape.allow",
            "conflicts",
        ),
    ] {
        let problems = read(Some(text), &[], &[]).unwrap_err();
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        let found = &problems[0];
        assert!(
            found.contains(place) && found.contains(problem),
            "{text}: {found}"
        );
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let problems = read(
        Some(
            "listn: x\npoll: {interval: 5}\ntargets:\n- {url: \"ftp://h\", colour: red}\n\
             - {url: h, password_file: /missing, db: x}\nnamespaces: [{}]\n",
        ),
        &["--redis.addr=h"],
        &[("REDIS_EXPORTER_LOG_LEVEL", "loud")],
    )
    .unwrap_err();
    let places: Vec<String> = problems
        .iter()
        .map(|problem| without_position(problem))
        .collect();
    for place in [
        "c.yaml: has an unknown key `listn`",
        "c.yaml: poll.interval: ",
        "REDIS_EXPORTER_LOG_LEVEL: `loud`",
        "--redis.addr: is given although",
        "c.yaml: targets[0]: has an unknown key `colour`",
        "c.yaml: targets[0].url: ",
        "c.yaml: targets[1].password_file: ",
        "c.yaml: targets[1].db: ",
        "c.yaml: namespaces[0]: has no `name`",
        "c.yaml: namespaces[0]: has no pattern",
    ] {
        let found = places.iter().filter(|found| found.starts_with(place));
        assert_eq!(found.count(), 1, "{place}: {problems:#?}");
    }
    assert_eq!(problems.len(), 10, "{problems:#?}");
}

#[test]
fn mistakes_in_the_environment_name_their_variable() {
    for (variables, place) in [
        (
            &[("REDIS_URL", "ftp://h")][..],
            "REDIS_URL: the value has an unknown scheme",
        ),
        (&[("REDIS_ADDR", "h:x")], "REDIS_ADDR: the value has a port"),
        (
            &[("REDIS_PASSWORD_FILE", "/missing")],
            "REDIS_PASSWORD_FILE: the file cannot",
        ),
        (
            &[("REDIS_EXPORTER_CHECK_KEYS", "db0=[a")],
            "REDIS_EXPORTER_CHECK_KEYS: `db0=[a` has a [ without ]",
        ),
        (
            &[("REDIS_EXPORTER_CONNECTION_TIMEOUT", "5")],
            "REDIS_EXPORTER_CONNECTION_TIMEOUT: the value is not a duration",
        ),
        (
            &[("REDIS_EXPORTER_BASIC_AUTH_PASSWORD", "hunter2")],
            "REDIS_EXPORTER_BASIC_AUTH_PASSWORD: has no `username`",
        ),
        (
            &[("REDIS_EXPORTER_TLS_CLIENT_CERT_FILE", "/f")],
            "REDIS_EXPORTER_TLS_CLIENT_CERT_FILE: ",
        ),
        (
            &[("REDIS_EXPORTER_POLL_TIMEOUT", "1m")],
            "REDIS_EXPORTER_POLL_TIMEOUT: 60s is longer",
        ),
    ] {
        let problems = read(None, &[], variables).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].starts_with(place), "{problems:#?}");
    }
}

#[test]
fn redis_exporter_options_override_the_file_but_not_a_target() {
    let text = "keys: {max_groups: 3, check: [a]}\nmetric_prefix: kv\n\
                targets:\n- {url: a}\n\
                - {url: b, collectors: {latency: true}, keys: {max_groups: 5}}\n";
    let words = [
        "-namespace=redis",
        "-max-distinct-key-groups=4",
        "-exclude-latency-histogram-metrics",
        "-set-client-name=false",
        "-web.telemetry-path=/m",
        "-redis-only-metrics",
    ];
    let config = read(Some(text), &words, &[]).unwrap();
    assert_eq!(config.names, Names::default());
    assert_eq!(config.paths.telemetry, "/m");
    assert!(!config.process_metrics);
    let of = |at: usize| {
        let target: &Target = &config.targets[at];
        let is_on = |name| target.collectors.is_on(name, true);
        (
            target.keys.max_groups,
            is_on("latency"),
            is_on("latency_histogram"),
            target.endpoint.client_name.is_some(),
        )
    };
    assert_eq!(of(0), (4, false, false, false));
    assert_eq!(of(1), (5, true, false, false));
    assert_eq!(config.targets[0].keys.values, ShownValues::Off);
}

#[test]
fn redis_exporter_options_apply_to_the_implicit_target() {
    let variables = [
        ("REDIS_ADDR", "h:1"),
        ("REDIS_USER", "of-variable"),
        ("REDIS_PASSWORD", "p"),
        ("REDIS_PASSWORD_FILE", "/missing"),
        ("REDIS_EXPORTER_CHECK_SINGLE_KEYS", "db1=a"),
        ("REDIS_EXPORTER_CHECK_KEY_GROUPS", "^(%a+):"),
        ("REDIS_EXPORTER_STREAMS_EXCLUDE_CONSUMER_METRICS", "true"),
        ("REDIS_EXPORTER_DEBUG", "1"),
        ("REDIS_EXPORTER_LOG_LEVEL", "error"),
        ("REDIS_EXPORTER_CONFIG_COMMAND", "-"),
        ("REDIS_EXPORTER_INCL_METRICS_FOR_EMPTY_DATABASES", "false"),
    ];
    let words = ["-redis.user=of-flag", "-connection-timeout=1m30s"];
    let config = read(None, &words, &variables).unwrap();
    let target = &config.targets[0];
    assert_eq!(target.endpoint.username.as_deref(), Some("of-flag"));
    assert_eq!(target.endpoint.password, Some(given("p")));
    assert_eq!(config.poll.timeout, Duration::from_secs(15));
    assert_eq!(target.poll, config.poll);
    assert_eq!(config.log.level, Level::DEBUG);
    assert_eq!(target.keys.values, ShownValues::Text);
    let key = KeyName {
        database: 1,
        key: b"a".to_vec(),
    };
    assert_eq!(target.keys.check_single, [key]);
    let group = Expression::new("(?s-u)^([A-Za-z]+):").unwrap();
    assert_eq!(target.keys.groups, [group]);
    assert!(!target.keys.streams.consumers);
    assert!(!target.collectors.is_on("config", true));
    assert!(!target.options.empty_databases);
    let notices: Vec<_> = config.notices.iter().map(|notice| &*notice.place).collect();
    assert_eq!(notices, ["REDIS_PASSWORD_FILE"]);
}

#[test]
fn unset_redis_exporter_options_keep_the_file() {
    let pairs = [
        ("REDIS_EXPORTER_CHECK_KEYS", "a"),
        ("REDIS_EXPORTER_NAMESPACE", "x"),
    ];
    let text = "keys: {check: [b], values: number, max_groups: 3}\n\
                sweep: {enabled: false, count: 50}\n";
    let config = read(Some(text), &[], &pairs).unwrap();
    let Target { keys, sweep, .. } = &*config.targets[0];
    assert_eq!(keys.check.len(), 1);
    assert_eq!(keys.check[0].pattern.as_glob(), Some("a"));
    assert_eq!((keys.values, keys.max_groups), (ShownValues::Number, 3));
    // Checking keys requires the sweep, which the file has disabled.
    assert_eq!((sweep.enabled, sweep.count), (true, 50));
    assert_eq!(config.names.prefix.as_deref(), Some("x"));
    let broken = read(Some("keys: [a]"), &[], &pairs).unwrap_err();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert!(broken[0].starts_with("c.yaml:1:1: keys: is a list, not a map"));
    let off = [
        pairs[0],
        ("REDIS_EXPORTER_DISABLE_EXPORTING_KEY_VALUES", "true"),
    ];
    let config = read(None, &[], &off).unwrap();
    assert_eq!(config.targets[0].keys.values, ShownValues::Off);
}

#[test]
fn scripts_are_read_only_if_the_option_is_set() {
    let pairs = [
        ("REDIS_EXPORTER_LUA_SCRIPT_READ_ONLY", "true"),
        ("REDIS_EXPORTER_SCRIPT", "/a,/b"),
    ];
    let read_only = |text, pairs| {
        let config = read(text, &[], pairs).unwrap();
        let scripts = config.targets[0].options.scripts.iter();
        scripts.map(|script| script.read_only).collect::<Vec<_>>()
    };
    assert_eq!(read_only(None, &pairs[1..]), [false, false]);
    assert_eq!(read_only(None, &pairs), [true, true]);
    let text = Some("scripts: [{file: /c, read_only: false}]");
    assert_eq!(read_only(text, &[]), [false]);
    assert_eq!(read_only(text, &pairs[..1]), [true]);
}

#[test]
fn overridden_value_of_the_file_is_not_read() {
    let text = "clients: {max: 0}\ncollectors: {tile38: 5, slowlog: false}\n";
    let words = ["--clients.max=7", "-is-tile38"];
    let config = read(Some(text), &words, &[]).unwrap();
    let target = &config.targets[0];
    assert_eq!(target.options.clients.max, 7);
    assert!(target.collectors.is_on("tile38", false));
    assert!(!target.collectors.is_on("slowlog", true));
    // Values that are also checked on the command line are still read.
    let problems = read(Some("poll: {interval: 5}"), &["--poll.interval=7s"], &[]).unwrap_err();
    assert!(problems[0].starts_with("c.yaml:1:18: poll.interval: `5` has no unit"));
}

#[test]
fn problems_are_in_the_order_of_the_file() {
    let text = "sweep: {count: 1}\ntargets:\n- url: h\n  sweep: {count: 2}\n  \
                poll: {timeout: 1m}\n  colour: 1\n- {}\nlisten: x\n\
                namespaces: [{name: a, match: a}, {name: a, match: b}]\n";
    let problems = read(Some(text), &["--redis.addr=h"], &[]).unwrap_err();
    let places: Vec<&str> = problems
        .iter()
        .map(|problem| problem.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "c.yaml:1:16",
            "c.yaml:4:18",
            "c.yaml:5:19",
            "c.yaml:6:3",
            "c.yaml:7:3",
            "c.yaml:8:9",
            "c.yaml:9:42",
            "--redis.addr",
        ],
        "{problems:#?}"
    );
}

#[test]
fn redis_exporter_options_only_set_known_keys() {
    let options = redis_exporter::OPTIONS.iter().copied();
    for option in options.chain(redis_exporter::own_options()) {
        let value = match option.takes {
            row::Takes::Switch if option.default == "true" => "false",
            row::Takes::Switch => "true",
            row::Takes::Number => "50",
            _ => "a",
        };
        if option.flag.starts_with("collectors.") {
            continue;
        }
        // Many values are wrong, but no key may be.
        let problems = read(None, &[], &[(option.variable, value)]).err();
        let problems = problems.unwrap_or_default().join("\n");
        assert!(
            !problems.contains("unknown key"),
            "{}: {problems}",
            option.flag
        );
    }
}

fn warnings(text: Option<&str>, words: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    let config = read(text, words, variables).unwrap();
    let notices = config.notices.iter();
    notices
        .map(|notice| format!("{} {}", notice.place, notice.text))
        .collect()
}

#[test]
fn empty_file_is_reported() {
    for empty in ["", "# targets: [{url: h}]\n", "---\n"] {
        let notices = warnings(Some(empty), &[], &[]);
        assert_eq!(notices.len(), 1, "{empty:?}: {notices:#?}");
        assert!(notices[0].contains("c.yaml") && notices[0].contains("the file is empty"));
    }
    assert!(warnings(Some("{}"), &[], &[]).is_empty());
    assert!(warnings(None, &[], &[]).is_empty());
}

#[test]
fn events_without_a_sweep_are_reported() {
    let text = "targets: [{url: h}]\nsweep: {enabled: false, events: listen}\n";
    let notices = warnings(Some(text), &[], &[]);
    assert_eq!(notices.len(), 1, "{notices:#?}");
    assert!(
        notices[0].starts_with("c.yaml:2:33: sweep.events has no effect"),
        "{notices:#?}"
    );
    assert!(warnings(Some(&text.replace("false", "true")), &[], &[]).is_empty());
}

#[test]
fn ignored_parts_of_a_url_are_reported_once() {
    let text = "targets: [{url: 'redis://h?family=0&timeout=5&pool_size=3', password: p}]\n";
    let notices = warnings(Some(text), &[], &[]);
    assert_eq!(notices.len(), 1, "{notices:#?}");
    assert!(notices[0].starts_with("c.yaml:1:17: targets[0].url has parameters that are ignored"));
    let notices = warnings(None, &[], &[("REDIS_URL", "rediss://h?ssl_cert_reqs=none")]);
    assert_eq!(notices.len(), 1, "{notices:#?}");
    assert!(notices[0].starts_with("REDIS_URL disables TLS verification: any"));
}

#[test]
fn stricter_tls_settings_override_the_url() {
    let url = "rediss://h?ssl_cert_reqs=none&db=3&password=p&sslHost=redis.example";
    let target = &read(None, &[&format!("--redis.addr={url}")], &[])
        .unwrap()
        .targets[0];
    assert_eq!(
        (target.endpoint.database, &target.endpoint.password),
        (Some(3), &Some(given("p")))
    );
    assert!(target.endpoint.tls.insecure_skip_verify);
    assert_eq!(
        target.endpoint.tls.server_name.as_deref(),
        Some("redis.example")
    );
    let text = format!("tls: {{ca_file: /ca.pem}}\ntargets: [{{url: '{url}'}}]\n");
    let config = file(&text);
    assert!(!config.targets[0].endpoint.tls.insecure_skip_verify);
    assert!(
        config.notices[0]
            .text
            .contains("ignored because ca_file is set")
    );
}

#[test]
fn user_without_a_colon_becomes_the_password() {
    let url = "redis://hunter2@h";
    for (words, variables, expected) in [
        (&[][..], &[("REDIS_URL", url)][..], (None, Some("hunter2"))),
        (
            &[],
            &[("REDIS_URL", url), ("REDIS_PASSWORD", "p")],
            (Some("hunter2"), Some("p")),
        ),
        (
            &["--redis.addr=redis://hunter2:@h"],
            &[],
            (Some("hunter2"), None),
        ),
        (
            &["--redis.addr=redis://hunter2@h", "--redis.user=u"],
            &[],
            (Some("u"), Some("hunter2")),
        ),
    ] {
        let config = read(None, words, variables).unwrap();
        let target = &config.targets[0];
        let (username, password) = expected;
        assert_eq!(
            target.endpoint.username.as_deref(),
            username,
            "{words:?} {variables:?}"
        );
        assert_eq!(
            target.endpoint.password,
            password.map(given),
            "{words:?} {variables:?}"
        );
        let notices: Vec<_> = config.notices.iter().map(|notice| &*notice.text).collect();
        let is_taken = password == Some("hunter2");
        assert_eq!(
            notices
                .iter()
                .any(|text| text.contains("redis://:password@host")),
            is_taken
        );
        assert!(!notices.concat().contains("hunter2"), "{notices:?}");
    }
    let text = "sweep: {from: 'redis://hunter2@r'}\ntargets: [{url: 'redis://hunter2@h'}]\n";
    let config = file(text);
    assert_eq!(config.targets[0].endpoint.password, Some(given("hunter2")));
    assert_eq!(config.notices.len(), 2, "{:?}", config.notices);
    let from = config.targets[0].sweep.from.as_ref().unwrap();
    assert_eq!(
        (&from.username, &from.password),
        (&None, &Some(given("hunter2")))
    );
}

#[test]
fn line_ends_of_variables_are_removed() {
    let variables = [
        ("REDIS_URL", "redis://h:1\r\n"),
        ("REDIS_PASSWORD", "\u{feff}hunter2\n"),
        ("REDIS_EXPORTER_POLL_INTERVAL", "20s\n"),
    ];
    let config = read(None, &[], &variables).unwrap();
    assert_eq!(config.targets[0].endpoint.password, Some(given("hunter2")));
    assert_eq!(config.poll.interval, Duration::from_secs(20));
    assert!(config.notices.is_empty(), "{:?}", config.notices);
    let text = "targets: [{url: '${REDIS_URL}', password: \"${REDIS_PASSWORD}\\n\"}]\n";
    let config = read(Some(text), &[], &variables).unwrap();
    assert_eq!(config.targets[0].endpoint.password, Some(given("hunter2")));
}

#[test]
fn warning_about_a_secret_does_not_show_it() {
    let text = "targets: [{url: h, password: 'hunter2 '}]\n";
    let quoted = [("REDIS_PASSWORD", "\"hunter2\"")];
    for (notices, place, expected) in [
        (
            warnings(None, &[], &quoted),
            "REDIS_PASSWORD ",
            "is in quotes",
        ),
        (
            warnings(Some(text), &[], &[]),
            "c.yaml:1:30: targets[0].password ",
            "white space",
        ),
    ] {
        assert_eq!(notices.len(), 1, "{notices:#?}");
        assert!(
            notices[0].starts_with(place) && notices[0].contains(expected),
            "{notices:#?}"
        );
        assert!(!notices[0].contains("hunter2"), "{notices:#?}");
    }
}

#[test]
fn unused_target_variables_are_reported() {
    let targets = "targets: [{url: h}]\n";
    let uses_it = "targets: [{url: '${REDIS_URL}'}]\n";
    for (text, words, variables, expected) in [
        (
            None,
            &[][..],
            &[("REDIS_URL", "")][..],
            "REDIS_URL is empty, so redis://127.0.0.1:6379 is polled",
        ),
        (
            None,
            &[],
            &[("REDIS_URL", "\n"), ("REDIS_ADDR", "a")],
            "REDIS_URL is empty, so REDIS_ADDR is polled",
        ),
        (None, &["--redis.addr=h"], &[("REDIS_URL", "")], ""),
        (None, &["--redis.addr=h"], &[("REDIS_ADDR", "")], ""),
        (
            None,
            &[],
            &[("REDIS_ADDR", "")],
            "REDIS_ADDR is empty, so redis://127.0.0.1:6379 is polled",
        ),
        (None, &[], &[("REDIS_URL", "a"), ("REDIS_ADDR", "")], ""),
        (
            Some(targets),
            &[],
            &[("REDIS_URL", "")],
            "REDIS_URL is empty, and not used as the file has `targets`",
        ),
        (
            Some(targets),
            &[],
            &[("REDIS_ADDR", "")],
            "REDIS_ADDR is empty, and not used as the file has `targets`",
        ),
        (
            Some(uses_it),
            &[],
            &[("REDIS_URL", "a"), ("REDIS_PASSWORD", "")],
            "",
        ),
        (
            None,
            &[],
            &[("REDIS_URL", "a"), ("REDIS_ADDR", "b")],
            "REDIS_ADDR is not used",
        ),
        (
            None,
            &[],
            &[("REDIS_URL", "redis://a/1"), ("REDIS_ADDR", "a:6379")],
            "",
        ),
        (
            None,
            &["--redis.addr=h"],
            &[("REDIS_URL", "a"), ("REDIS_ADDR", "b")],
            "",
        ),
        (
            Some(targets),
            &[],
            &[("REDIS_URL", "a")],
            "REDIS_URL is not used, as the file has `targets`",
        ),
        (
            Some(targets),
            &[],
            &[("REDIS_URL", "a"), ("REDIS_PASSWORD", "p")],
            "REDIS_URL, REDIS_PASSWORD are not used",
        ),
        (Some(uses_it), &[], &[("REDIS_URL", "a")], ""),
    ] {
        let notices = warnings(text, words, variables);
        assert_eq!(
            notices.len(),
            usize::from(!expected.is_empty()),
            "{notices:#?}"
        );
        assert!(
            notices.concat().starts_with(expected),
            "{notices:#?} {expected}"
        );
    }
}

#[test]
fn useless_namespaces_cause_a_warning() {
    let text = "namespaces:\n- {name: api, match: 'api:*'}\n\
                - {name: api-cache, match: 'api:cache:*'}\n\
                - {name: one, match: 'session:', db: 1}\n\
                - {name: two, match: 'a*', db: 0}\n- {name: three, match: 'a*', db: 1}\n\
                - {name: four, match: 'ab*', db: 1}\n\
                channels:\n- {name: all, match: '*'}\n- {name: prism, regex: '^prism:'}\n";
    let config = file(text);
    let doubts = doubts(&config.namespaces, &config.targets[0].options.channels);
    let expected = [
        "namespace `api-cache` stays empty: `api` before it matches all of its keys; move it up",
        "namespace `one` matches one name only; for all keys that begin with it write `session:*`",
        "namespace `four` stays empty: `three` before it matches all of its keys; move it up",
        "channel group `prism` stays empty: `all` before it matches all of its channels; move it up",
    ];
    assert_eq!(doubts, expected);
    let example = read(Some(EXAMPLE), &[], &[]).unwrap();
    assert!(super::doubts(&example.namespaces, &example.targets[0].options.channels).is_empty());
}

#[test]
fn implicit_target_has_no_target_label() {
    let one = "targets: [{url: a}]\n";
    let two = "targets: [{url: a}, {url: b}]\n";
    for (text, words, variable, expected) in [
        (None, &[][..], "", false),
        (
            Some("poll: {interval: 1s}\n"),
            &["--redis.addr=h"],
            "",
            false,
        ),
        (Some(one), &[], "", true),
        (Some(two), &[], "", true),
        (None, &["--target-label"], "", true),
        (None, &[], "true", true),
        (Some("target_label: true\n"), &[], "", true),
        (
            Some("target_label: true\n"),
            &["--target-label=false"],
            "",
            false,
        ),
        (Some(one), &[], "false", false),
    ] {
        let config = read(text, words, &[("REDIS_EXPORTER_TARGET_LABEL", variable)]).unwrap();
        assert_eq!(config.names.target_label, expected, "{text:?} {words:?}");
    }
    let problems = read(Some(two), &["--target-label=false"], &[]).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(
        problems[0].starts_with("--target-label: is false"),
        "{problems:#?}"
    );
}

#[test]
fn own_options_set_the_configuration() {
    let words = [
        "--redis.memory-limit=256MiB",
        "--redis.expect-full",
        "--key-namespaces=session=session:*, cache=api:cache:*",
        "--channel-groups=prism=prism:*",
        "--collectors.enable=client_list,hotkeys",
        "--collectors.disable=slowlog",
        "--commands.include=get,set",
        "--sweep.enabled=false",
        "--sweep.cpu-share=2%",
        "--sweep.databases=0,3",
        "--sweep.from=redis://replica",
        "--legacy-names=false",
    ];
    let text = "collectors: {latency: false}\nsweep: {cpu_share: 5%, count: 50}\n";
    let config = read(Some(text), &words, &[]).unwrap();
    let target = &config.targets[0];
    assert_eq!(target.memory_limit, Some(256 << 20));
    assert!(target.expect_full);
    let names: Vec<_> = config.namespaces.iter().map(|space| &*space.name).collect();
    assert_eq!(names, ["session", "cache"]);
    assert_eq!(target.options.channels[0].name, "prism");
    let is_on = |name| target.collectors.is_on(name, true);
    assert!(is_on("client_list") && is_on("hotkeys"));
    assert!(!is_on("slowlog") && !is_on("latency"));
    assert!(!target.sweep.enabled && !config.names.legacy);
    assert!((target.sweep.cpu_share.as_f64() - 0.02).abs() < 1e-9);
    assert_eq!(target.sweep.count, 50);
    assert_eq!(target.sweep.databases, Some(vec![0, 3]));
    assert!(target.sweep.from.is_some());
}

#[test]
fn expect_full_can_be_set_by_flag_or_variable() {
    for (words, variable, expected) in [
        (&[][..], "", false),
        (&[], "true", true),
        (&[], "0", false),
        (&["--redis.expect-full"], "", true),
        (&["--redis.expect-full=false"], "true", false),
    ] {
        let config = read(None, words, &[("REDIS_EXPECT_FULL", variable)]).unwrap();
        let found = config.targets[0].expect_full;
        assert_eq!(found, expected, "{words:?} {variable}");
    }
    let notices = warnings(
        Some("targets: [{url: h}]\n"),
        &[],
        &[("REDIS_EXPECT_FULL", "true")],
    );
    assert!(
        notices
            .concat()
            .starts_with("REDIS_EXPECT_FULL is not used")
    );
}

#[test]
fn wrong_own_option_is_reported_with_its_place() {
    for (word, variable, expected) in [
        ("--sweep.cpu-share=lots", ("", ""), "--sweep.cpu-share: "),
        (
            "",
            ("REDIS_EXPORTER_SWEEP_ENABLED", "no"),
            "REDIS_EXPORTER_SWEEP_ENABLED: ",
        ),
        (
            "--collectors.enable=slowlogs",
            ("", ""),
            "--collectors.enable: has an unknown key",
        ),
        ("--key-namespaces=session", ("", ""), "--key-namespaces: "),
        ("", ("REDIS_MEMORY_LIMIT", "much"), "REDIS_MEMORY_LIMIT: "),
        ("", ("REDIS_EXPECT_FULL", "much"), "REDIS_EXPECT_FULL: "),
    ] {
        let words: Vec<_> = [word].into_iter().filter(|word| !word.is_empty()).collect();
        let problems = read(None, &words, &[variable]).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].starts_with(expected), "{problems:#?}");
    }
}

#[test]
fn single_target_flags_conflict_with_targets() {
    let words = [
        "-redis.user=u",
        "-redis.password=hunter2",
        "-redis.password-file=/f",
        "--redis.memory-limit=1MiB",
        "--redis.expect-full=true",
    ];
    let variables = [("REDIS_USER", "u"), ("REDIS_PASSWORD", "hunter2")];
    let text = "targets: [{url: a}]\n";
    let problems = read(Some(text), &words, &[]).unwrap_err();
    assert_eq!(problems.len(), 5, "{problems:#?}");
    for problem in problems {
        assert!(problem.starts_with("--redis."), "{problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
    let config = read(Some(text), &[], &variables).unwrap();
    assert_eq!(
        (
            &config.targets[0].endpoint.username,
            &config.targets[0].endpoint.password
        ),
        (&None, &None)
    );
}

#[test]
fn each_mistake_of_a_source_is_one_problem() {
    for (text, expected) in [
        ("targets_from: [{file: /a.json}]", "has no `name`"),
        ("targets_from: [{name: s}]", "names no source"),
        (
            "targets_from: [{name: s, file: /a.json, dns: 'a:1'}]",
            "names more than one source",
        ),
        (
            "targets_from: [{name: s, file: /a.txt}]",
            "is not a JSON or YAML file",
        ),
        (
            "targets_from: [{name: s, file: '/a*/b.json'}]",
            "has a glob in the name of a folder",
        ),
        (
            "targets_from: [{name: s, http: {url: 'http://a', username: u}}]",
            "has only a part of the credentials",
        ),
        (
            "targets_from: [{name: s, http: {url: 'http://u:hunter2@a'}}]",
            "contains credentials",
        ),
        (
            "targets_from: [{name: s, dns: 'redis://:hunter2@a'}]",
            "is not a host name with a port",
        ),
        (
            "targets_from: [{name: s, dns: 'a:1', labels: [db]}]",
            "is a label that the exporter or Prometheus uses",
        ),
        (
            "targets_from: [{name: s, dns: 'a:1', labels: [env, env]}]",
            "has a label twice",
        ),
        (
            "targets_from: [{name: s, dns: 'a:1', labels: [a, b, c, d, e, f, g, h, i]}]",
            "has 9 items",
        ),
        (
            "targets_from: [{name: s, dns: 'a:1', interval: 10ms}]",
            "is too short",
        ),
        (
            "targets_from: [{name: s, dns: 'a:1'}, {name: s, dns: 'b:1'}]",
            "has the name of an earlier source",
        ),
        (
            "targets_from: [{name: s, dns: 'a:1', sweep: {from: 'redis://b'}}]",
            "is one server, but a source has many",
        ),
        (
            "{target_label: false, targets_from: [{name: s, dns: 'a:1'}]}",
            "is false, but there is more than one target",
        ),
        (
            "{shard: 4/3, targets: [{url: a}]}",
            "has a number out of range",
        ),
        (
            "{shard: ordinal/3, targets: [{url: a}]}",
            "needs a host name",
        ),
        (
            "{credentials: [{hosts: [a]}], targets: [{url: a}]}",
            "has no password",
        ),
        (
            "{credentials: [{password: hunter2}], targets: [{url: a}]}",
            "has no `hosts`",
        ),
        (
            "{credentials: [{hosts: ['redis://:hunter2@a'], password: x}], targets: [{url: a}]}",
            "is not a host",
        ),
        (
            "{credentials: [{hosts: ['10.0.*'], password: hunter2}], targets: [{url: a}]}",
            "would also match names such as 10.0.0.1.example",
        ),
        (
            "targets: [{url: a, discover: {kind: cluster, allow: ['10.*']}}]",
            "would also match names such as 10.0.0.1.example",
        ),
    ] {
        let problems = read(Some(text), &[], &[]).unwrap_err();
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].contains(expected), "{text}: {problems:?}");
        assert!(!problems[0].contains("hunter2"), "{text}: {problems:?}");
    }
}

#[test]
fn type_of_records_fits_the_name() {
    for (keys, expected) in [
        ("dns: 'a:1', type: MX", "is not a type of records"),
        (
            "dns: 'a:1', type: SRV",
            "has a port, but SRV records contain the ports",
        ),
        ("file: /a.json, type: SRV", "applies to `dns` only"),
    ] {
        let text = format!("targets_from: [{{name: s, {keys}}}]");
        let problems = read(Some(&text), &[], &[]).unwrap_err();
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].contains(expected), "{text}: {problems:?}");
    }
    for (keys, host, port, records) in [
        ("dns: a", "a", 6379, DnsRecords::Addresses),
        ("dns: 'a:1', type: aaaa", "a", 1, DnsRecords::Aaaa),
        (
            "dns: _redis._tcp.a, type: SRV",
            "_redis._tcp.a",
            6379,
            DnsRecords::Srv,
        ),
    ] {
        let text = format!("targets_from: [{{name: s, scheme: rediss, {keys}}}]");
        let config = read(Some(&text), &[], &[]).unwrap();
        let source = &config.sources[0];
        let host = host.to_owned();
        let expected = DnsName {
            host: host.clone(),
            port,
            records,
        };
        assert_eq!(source.kind, SourceKind::Dns(expected), "{text}");
        // The host names of SRV records are those in certificates.
        let server_name = &source.template.endpoint.tls.server_name;
        assert_eq!(server_name.is_none(), records == DnsRecords::Srv, "{text}");
    }
}

#[test]
fn credentials_apply_to_targets_without_any() {
    let text = "credentials: [{hosts: ['*.a'], username: u, password: p}]\n\
                targets: [{url: x.a}, {url: x.b}, {url: 'redis://:own@y.a'}, {url: z.a, username: v}]\n";
    let config = read(Some(text), &[], &[]).unwrap();
    let password = |text: &str| Some(Password::Given(Secret::new(text)));
    let found: Vec<_> = config
        .targets
        .iter()
        .map(|target| {
            let endpoint = &target.endpoint;
            (endpoint.username.as_deref(), endpoint.password.clone())
        })
        .collect();
    let expected = [
        (Some("u"), password("p")),
        (None, None),
        (None, password("own")),
        (Some("v"), None),
    ];
    assert_eq!(found, expected);
}

#[test]
fn ordinal_of_the_host_name_is_the_shard() {
    let text = "{shard: ordinal/3, targets: [{url: a}]}";
    let config = read(Some(text), &[], &[("HOSTNAME", "exporter-2")]).unwrap();
    assert_eq!(config.shard, Some(Shard { index: 2, count: 3 }));
}

/// Returns the keys of each section of the example, including commented options.
fn keys_of_example() -> Vec<String> {
    let uncommented: String = EXAMPLE
        .lines()
        .map(|line| match line.trim_start().strip_prefix('#') {
            Some(option)
                if option.starts_with("- ")
                    || option.starts_with(|letter: char| letter.is_ascii_lowercase()) =>
            {
                let indent = line.len() - line.trim_start().len();
                format!("{}{option}\n", " ".repeat(indent))
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let mut keys = Vec::new();
    collect_keys(&document::read(&uncommented).unwrap(), "", &mut keys);
    keys
}

/// Collects keys. Only the first item of a list documents them.
fn collect_keys(node: &Node, section: &str, keys: &mut Vec<String>) {
    match &node.value {
        YamlValue::Map(entries) => {
            for entry in entries {
                let path = format!("{section}{}", entry.key);
                keys.push(path.clone());
                collect_keys(&entry.node, &format!("{path}."), keys);
            }
        }
        YamlValue::List(items) => {
            if let Some(first) = items.first() {
                let list = section.trim_end_matches('.');
                collect_keys(first, &format!("{list}[]."), keys);
            }
        }
        YamlValue::Nothing | YamlValue::Scalar(_) => {}
    }
}

/// Options without a flag: lists of maps.
const FILE_ONLY: [&str; 4] = ["targets", "targets_from", "credentials", "clients.groups"];

/// Checks that an option of a section has its own flag, or one of `redis_exporter`.
#[test]
fn every_option_outside_of_lists_has_a_flag() {
    let theirs = redis_exporter::OPTIONS.iter();
    let theirs: String = theirs.map(|option| option.here() + "\n").collect();
    for row in ROWS.iter().filter(|row| !row.key.contains("[]")) {
        let has_flag = !row.flag.is_empty() || theirs.contains(&format!("`{}`", row.key));
        let is_left_out = FILE_ONLY.contains(&row.key) || row.key == "collectors.*";
        assert!(has_flag || is_left_out, "{} has no flag", row.key);
    }
}

#[test]
fn the_example_has_every_known_key_exactly_once() {
    let found = keys_of_example();
    let in_target = |key: &str| {
        let key = key.split('.').next().unwrap_or_default();
        format!("targets[].{key}")
    };
    let mut expected: BTreeSet<String> = BTreeSet::new();
    for row in ROWS {
        let is_collector = row.key == "collectors.*";
        if !is_collector && !row.key.starts_with("scripts[]") {
            let ends = row.key.match_indices('.').map(|(at, _)| at);
            let sections = ends.map(|at| row.key[..at].to_owned());
            expected.extend(sections.filter(|section| !section.ends_with("[]")));
            expected.insert(row.key.to_owned());
        }
        if row.is_of_each && !row.key.contains("[]") {
            expected.insert(in_target(row.key));
        }
    }
    // Options that a target shows in full, and those on one line.
    let polls = ROWS.iter().filter(|row| row.key.starts_with("poll."));
    expected.extend(polls.map(|row| format!("targets[].{}", row.key)));
    expected.extend(
        COLLECTORS
            .iter()
            .map(|name| format!("targets[].collectors.{name}")),
    );
    expected.insert("collectors".to_owned());
    let scripts = ROWS.iter().filter(|row| row.key.starts_with("scripts[]"));
    expected.extend(scripts.map(|row| row.key.to_owned()));
    for key in &expected {
        let count = found.iter().filter(|found| *found == key).count();
        assert_eq!(count, 1, "{key}");
    }
    let unknown = found.iter().filter(|key| !expected.contains(*key));
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn example_loads_and_has_the_defaults() {
    let config = file(EXAMPLE);
    let defaults = read(None, &[], &[]).unwrap();
    assert_eq!(config.listen, defaults.listen);
    // The same interval, but set explicitly.
    assert_eq!(config.poll, seconds(15, 5));
    assert_eq!(config.poll.interval, defaults.poll.interval);
    assert_eq!(config.poll.timeout, defaults.poll.timeout);
    assert_eq!(config.log, defaults.log);
    assert_eq!(config.names.legacy, defaults.names.legacy);
    assert_eq!(config.targets[0].sweep, defaults.targets[0].sweep);
    assert_eq!(config.targets[0].keys, defaults.targets[0].keys);
    assert_eq!(
        config.targets[0].endpoint.tls,
        defaults.targets[0].endpoint.tls
    );
    assert_eq!(
        config.targets[0].options.commands,
        defaults.targets[0].options.commands
    );
    assert_eq!(config.web, defaults.web);
    assert_eq!(
        config.targets[0].endpoint.address,
        defaults.targets[0].endpoint.address
    );
    assert_eq!(config.targets[0].endpoint.password, None);
    assert_eq!(config.namespaces.len(), 4);

    let variables = [("REDIS_URL", "rediss://u:p@h"), ("REDIS_PASSWORD", "p")];
    let config = read(Some(EXAMPLE), &[], &variables).unwrap();
    assert_eq!(
        config.targets[0].endpoint.address.to_string(),
        "rediss://h:6379"
    );
    assert_eq!(config.targets[0].endpoint.password, Some(given("p")));
}

#[test]
fn unreadable_files_are_problems() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let secret = path("secret");
    fs::write(&secret, "hunter2").unwrap();
    fs::write(path("empty"), "").unwrap();
    fs::write(path("binary.yaml"), b"a: \xff").unwrap();
    fs::write(path("large.yaml"), "#".repeat((1 << 20) + 1)).unwrap();
    fs::write(path("full.yaml"), "#".repeat(1 << 20)).unwrap();
    let with_password = |name: &str| {
        let text = format!(
            "targets: [{{url: h, password_file: {}}}]",
            path(name).display()
        );
        fs::write(path("c.yaml"), text).unwrap();
        "c.yaml"
    };
    let load = |name: &str| {
        let config = path(name).display().to_string();
        load(
            &Arguments::default(),
            &environment(&[("REDIS_EXPORTER_CONFIG", &config)]),
            &[],
        )
    };

    assert!(load("full.yaml").is_ok());
    let config = load(with_password("secret")).unwrap();
    assert_eq!(
        config.targets[0].endpoint.password,
        Some(Password::File(secret))
    );
    for (name, expected) in [
        ("absent.yaml", "absent.yaml: cannot be read ("),
        ("binary.yaml", "binary.yaml: is not UTF-8"),
        ("large.yaml", "large.yaml: is larger than 1024 KiB"),
        (".", ": is not a regular file"),
        (
            with_password("absent"),
            ".password_file: the file cannot be read (",
        ),
    ] {
        let problems = load(name).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].to_string().contains(expected), "{problems:?}");
    }
    let problems = load(with_password("empty")).unwrap_err();
    assert!(
        problems[0].what.contains("is an empty file"),
        "{problems:?}"
    );
}

#[test]
fn scripts_are_read_up_to_the_size_limit() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("a.lua");
    let config = folder.path().join("c.yaml");
    let text = format!("scripts: [{{file: {}}}]", script.display());
    fs::write(&config, text).unwrap();
    let variables = [("REDIS_EXPORTER_CONFIG", config.to_str().unwrap())];
    let load = || load(&Arguments::default(), &environment(&variables), &[]);
    fs::write(&script, "-".repeat(64 << 10)).unwrap();
    let options = &load().unwrap().targets[0].options;
    assert_eq!(options.scripts[0].text.len(), 64 << 10);
    fs::write(&script, "-".repeat((64 << 10) + 1)).unwrap();
    let problems = load().unwrap_err();
    assert!(
        problems[0].what.contains("is larger than 64 KiB"),
        "{problems:?}"
    );
}

#[test]
fn too_many_scripts_are_a_problem() {
    let items: Vec<String> = (0..21).map(|at| format!("{{file: /{at}}}")).collect();
    let problems = problems(&format!("scripts: [{}]", items.join(", ")));
    assert_eq!(
        problems,
        ["c.yaml:1:1: scripts: has 21 items; keep 20 at most"]
    );
}

#[test]
fn config_flag_overrides_its_variable() {
    let arguments = flags(&["--config=/absent/flag"]);
    let variables = environment(&[("REDIS_EXPORTER_CONFIG", "/absent/variable")]);
    let problems = load(&arguments, &variables, &[]).unwrap_err();
    assert_eq!(problems[0].place, "/absent/flag");
}

fn hidden(outcome: &Result<Config, Vec<Problem>>) -> bool {
    !format!("{outcome:?}").contains("hunter2")
        && outcome.as_ref().err().is_none_or(|problems| {
            problems
                .iter()
                .all(|problem| !problem.to_string().contains("hunter2"))
        })
}

fn outcome(text: Option<&str>, variables: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
    parse(
        text.map(|text| ("c.yaml", text)),
        &Arguments::default(),
        &environment(variables),
        (&|_, _| Ok(()), &|_, _| Ok(b"return {}".to_vec())),
        &COLLECTORS,
    )
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_problems(text in any::<String>()) {
        let _ = outcome(Some(&text), &[]);
    }

    #[test]
    fn any_known_words_are_a_configuration_or_problems(
        words in prop::collection::vec(prop::sample::select(vec![
            "targets", "url", "name", "poll", "interval", "namespaces", "ttl", "match", "regex",
            ": ", ": ", "\n", "\n", "  ", "- ", "{", "}", "[", "]", ", ", "h:1", "1s", "5", "~",
            "${A}", "${B:-x}", "\"", "'", "|\n", "&a ", "*a", "!t ", "<<", "#", "true",
        ]), 0..40),
    ) {
        let _ = outcome(Some(&words.concat()), &[("A", "a")]);
    }

    #[test]
    fn no_problem_shows_a_secret(
        before in "[a-z0-9:/?#@%&'\" {}\\[\\]$!*-]{0,4}",
        after in "[a-z0-9:/?#@%&'\" {}\\[\\]$!*-]{0,4}",
        wrong in "[a-z0-9:/?#@ -]{0,6}",
    ) {
        let password = format!("{before}hunter2{after}");
        // The name in a reference is not a secret. It is shown if the variable is unset.
        prop_assume!(!password.contains("${"));
        let url = format!("redis://u:{password}@h{wrong}");
        let text = format!(
            "targets:\n- url: {url}\n  password: {password}\n  db: {wrong}\n- url: ${{URL}}\n  \
             name: {wrong}\n  password: ${{PW}}\n  poll: {{interval: \"${{PW}}\"}}\n"
        );
        let variables = [("URL", &*url), ("PW", &*password), ("REDIS_PASSWORD", &*password)];
        prop_assert!(hidden(&outcome(Some(&text), &variables)));
        let variables = [("REDIS_URL", &*url), ("REDIS_PASSWORD", &*password)];
        prop_assert!(hidden(&outcome(None, &variables)));
    }
}

/// Returns a configuration whose targets use TLS.
fn with_tls(top: &str, target: &str) -> String {
    format!("tls: {top}\ntargets:\n  - {{url: 'rediss://h', tls: {target}}}\n")
}

#[test]
fn target_inherits_unset_tls_settings() {
    let top = "{ca_file: /ca, cert_file: /c, key_file: /k, server_name: n.example}";
    let pair = |cert_file: &str, key_file: &str| {
        Some(CertificateFiles {
            cert_file: cert_file.into(),
            key_file: key_file.into(),
        })
    };
    let tls = |target: &str| file(&with_tls(top, target)).targets[0].endpoint.tls.clone();
    let above = Tls {
        ca_file: Some("/ca".into()),
        identity: pair("/c", "/k"),
        server_name: Some("n.example".to_owned()),
        insecure_skip_verify: false,
    };
    assert_eq!(tls("{}"), above);
    let own = Tls {
        identity: pair("/own", "/own.key"),
        insecure_skip_verify: true,
        ..above
    };
    assert_eq!(
        tls("{cert_file: /own, key_file: /own.key, insecure_skip_verify: true}"),
        own
    );
    // A variable that is not set has no effect.
    assert_eq!(tls("{ca_file: '${UNSET:-}'}").ca_file, own.ca_file);
    assert_eq!(file("").targets[0].endpoint.tls, Tls::default());
}

#[test]
fn all_tls_problems_are_reported_at_once() {
    let problems = problems(
        "tls: {ca_file: /missing, cert_file: /c, key: /k}\n\
         targets:\n\
         - {url: 'rediss://a', tls: {key_file: /k, server_name: 'a:1', insecure_skip_verify: 2}}\n\
         - {url: 'redis://b', tls: {ca_file: /ca}}\n\
         - {url: 'unix:///s', tls: {}}\n\
         - {url: 'redis://c', tls: {ca_file: /ca}, sweep: {from: 'rediss://d'}}\n",
    );
    let expected = [
        "c.yaml: tls.ca_file: the file cannot be read;",
        "c.yaml: tls.cert_file: is set without `key_file`;",
        "c.yaml: tls: has an unknown key `key`;",
        "c.yaml: targets[0].tls.key_file: is set without `cert_file`;",
        "c.yaml: targets[0].tls.server_name: the value is not a name that a certificate can have;",
        "c.yaml: targets[0].tls.insecure_skip_verify: `2` ",
        "c.yaml: targets[1].tls: has no effect because the url has no TLS; write rediss://",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        let problem = without_position(problem);
        assert!(problem.starts_with(expected), "{problem} / {expected}");
    }
}

#[test]
fn top_level_tls_may_apply_to_some_targets_only() {
    let text = "tls: {ca_file: /ca}\ntargets:\n  - {url: 'redis://a'}\n  - {url: 'rediss://b'}\n";
    let config = file(text);
    let spoken: Vec<_> = config
        .targets
        .iter()
        .map(|target| target.speaks_tls())
        .collect();
    assert_eq!(spoken, [false, true]);
}

const HASH: &str = "$2y$04$abcdefghijklmnopqrstuuyTSQ7ZJqQZ3aXyT9zYpWZ0i7hOHbqMK";

#[test]
fn http_tls_and_password_are_read() {
    let config = file(&format!(
        "web:\n  tls: {{cert_file: /c, key_file: /k, client_ca_file: /ca, min_version: 1.3}}\n  \
           basic_auth: {{username: me, password_hash: '{HASH}'}}\n"
    ));
    let tls = config.web.tls.as_ref().unwrap();
    assert_eq!(tls.min_version, crate::tls::Version::Tls13);
    let files: Vec<_> = config.web.files().map(Path::to_owned).collect();
    assert_eq!(files, ["/c", "/k", "/ca"].map(PathBuf::from));
    let auth = config.web.basic_auth.as_ref().unwrap();
    assert_eq!(auth.password, WebPassword::Hash(Secret::new(HASH)));
    assert!(!format!("{config:?}").contains(HASH));
    let password_file = file("web: {basic_auth: {username: me, password_file: /p}}\n");
    assert_eq!(
        password_file.web.files().collect::<Vec<_>>(),
        [Path::new("/p")]
    );
    let older = file("web: {tls: {cert_file: /c, key_file: /k, min_version: TLS1.2}}\n");
    assert_eq!(
        older.web.tls.unwrap().min_version,
        crate::tls::Version::Tls12
    );
    assert_eq!(file("web: {}\n").web, Web::default());
    assert_eq!(file("web: {tls: {}, basic_auth: {}}\n").web, Web::default());
}

#[test]
fn incomplete_web_section_is_rejected() {
    let costly = HASH.replace("$04$", "$20$");
    for (web, expected) in [
        (
            "tls: {client_ca_file: /ca}",
            "web.tls.client_ca_file: requires a certificate",
        ),
        (
            "tls: {min_version: '1.3'}",
            "web.tls.min_version: requires a certificate",
        ),
        (
            "tls: {cert_file: /c}",
            "web.tls.cert_file: is set without `key_file`",
        ),
        (
            "tls: {cert_file: /c, key_file: /missing}",
            "web.tls.key_file: the file cannot",
        ),
        (
            "tls: {cert_file: /c, key_file: /k, min_version: 1.1}",
            "web.tls.min_version: `1.1` is a version that is no longer safe",
        ),
        (
            "basic_auth: {username: me}",
            "web.basic_auth: has no password",
        ),
        (
            "basic_auth: {username: me, password: ''}",
            "web.basic_auth: has no password",
        ),
        (
            "basic_auth: {username: '${UNSET:-}', password: '${UNSET:-}'}",
            "has no password",
        ),
        (
            "basic_auth: {password: hunter2}",
            "web.basic_auth: has no `username`",
        ),
        (
            "basic_auth: {username: '', password: hunter2}",
            "web.basic_auth: has no `username`",
        ),
        (
            "basic_auth: {username: me, password: hunter2, password_file: /p}",
            "web.basic_auth: has more than one password",
        ),
        (
            "basic_auth: {username: 'a:b', password: hunter2}",
            "web.basic_auth.username: the value contains a colon",
        ),
        (
            "basic_auth: {username: me, password_hash: hunter2}",
            "web.basic_auth.password_hash: the value is not a bcrypt hash",
        ),
        (
            &format!("basic_auth: {{username: me, password_hash: '{costly}'}}"),
            "web.basic_auth.password_hash: the value takes longer to verify than a request may",
        ),
    ] {
        let problems = problems(&format!("web: {{{web}}}\n"));
        assert_eq!(problems.len(), 1, "{web}: {problems:?}");
        assert!(problems[0].contains(expected), "{web}: {problems:?}");
        assert!(!problems[0].contains("hunter2"), "{problems:?}");
    }
}

/// The source `s` of a file, as a cluster with these seeds.
fn discover_of(text: &str) -> Discover {
    let config = read(Some(text), &[], &[]).unwrap();
    let kind = config.sources.into_iter().map(|source| source.kind);
    let groups = kind.filter_map(|kind| match kind {
        SourceKind::Group(discover) => Some(discover),
        _ => None,
    });
    groups.last().unwrap()
}

#[test]
fn each_seed_gets_the_credentials_of_its_host() {
    let credentials = "credentials: [{hosts: [a], username: ua, password: pa}, \
        {hosts: [b], username: ub, password: pb}]";
    let seeds = "seeds: ['b:1', 'c:1']";
    let users = |target: &str| -> Vec<Option<String>> {
        let text = format!("{{{credentials}, targets: [{{name: s, {target}}}]}}");
        let seeds = discover_of(&text).seeds.into_iter();
        seeds.map(|seed| seed.username).collect()
    };
    let text = |user: &str| Some(user.to_owned());
    let by_host = users(&format!("url: a, discover: {{kind: cluster, {seeds}}}"));
    assert_eq!(by_host, [text("ua"), text("ub"), None]);
    let own = "url: 'redis://u:p@a'";
    let own = users(&format!("{own}, discover: {{kind: cluster, {seeds}}}"));
    assert_eq!(own, [text("u"), text("u"), text("u")]);
    let sentinels = "kind: sentinel, primary: m, username: w, password: x";
    let sentinels = users(&format!("url: a, discover: {{{sentinels}, {seeds}}}"));
    assert_eq!(sentinels, [text("w"), text("w"), text("w")]);
}
