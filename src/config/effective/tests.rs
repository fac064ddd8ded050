use std::collections::BTreeMap;
use std::ffi::OsString;

use super::*;
use crate::config::redis_exporter::Notice;
use crate::config::tests::COLLECTORS;
use crate::config::{arguments, document};

const EXAMPLE: &str = include_str!("../../../config.example.yaml");

fn variables(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    let pairs = pairs.iter();
    let pairs: BTreeMap<String, String> = pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    move |name| pairs.get(name).cloned()
}

fn flags(words: &[&str]) -> Arguments {
    let program = std::iter::once("exporter");
    arguments::parse_from(program.chain(words.iter().copied()).map(OsString::from)).unwrap()
}

type Input<'a> = (Option<&'a str>, &'a [&'a str], &'a [(&'a str, &'a str)]);

fn printed((file, words, pairs): Input<'_>) -> String {
    let file = file.map(|text| ("/etc/c.yaml", text));
    let files: (&super::super::CheckFile<'_>, &super::super::ReadFile<'_>) =
        (&|_, _| Ok(()), &|_, _| Ok(b"return {}".to_vec()));
    print(file, &flags(words), &variables(pairs), files, &COLLECTORS)
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn loaded((file, words, pairs): Input<'_>) -> Config {
    let file = file.map(|text| ("/etc/c.yaml", text));
    let files: (&super::super::CheckFile<'_>, &super::super::ReadFile<'_>) =
        (&|_, _| Ok(()), &|_, _| Ok(b"return {}".to_vec()));
    let config = super::super::parse(file, &flags(words), &variables(pairs), files, &COLLECTORS);
    let config = config.unwrap_or_else(|problems| panic!("{problems:?}\n{file:?}"));
    Config {
        file: super::super::FileContent::default(),
        notices: Vec::<Notice>::new(),
        ..config
    }
}

/// Checks that the printed text is the same configuration, and returns it.
fn round_trip(input: Input<'_>) -> String {
    let text = printed(input);
    assert_eq!(loaded((Some(&text), &[], &[])), loaded(input), "{text}");
    text
}

#[test]
fn printed_configuration_is_read_back_unchanged() {
    let listed = "poll: { interval: 2s }\ntargets:\n- url: h:1\n  name: \"5\"\n  sweep: { count: 50 }\n\
                  - { url: 'redis://b:2/3', collectors: { slowlog: false }, clients: { groups: \
                  [{ name: a, match: { name: 'x*' } }] } }\n\
                  namespaces:\n- { name: session, match: 'session:*', ttl: { required: true, max: 1h } }\n\
                  - { name: 'a: b', regex: '^a\\d+$' }\n\
                  channels: [{ name: x, match: '*', expect_subscribers: [one, '2'] }]\n\
                  collectors: { latency: false }\nkeys: { check: ['db3=a*'] }\n\
                  commands: { exclude: ['config|*'] }\nsweep: { databases: [0, 3], delimiter: '#' }\n\
                  log: { level: debug }\nscrape: { allow: ['10.0.0.0/8:6379'] }\n";
    let inputs: [Input<'_>; 10] = [
        (None, &["--cluster-discover-hostnames"], &[]),
        (None, &[], &[]),
        (Some(listed), &[], &[]),
        (
            Some(listed),
            &["--poll.interval=3s", "--sweep.count=20"],
            &[],
        ),
        (
            None,
            &["--redis.addr=rediss://h:1/2", "--debug"],
            &[("REDIS_MEMORY_LIMIT", "1GiB")],
        ),
        (
            Some("poll: { interval: '${EVERY:-4s}' }\n"),
            &["--connection-timeout=1s"],
            &[("EVERY", "9s")],
        ),
        (
            None,
            &[
                "--key-namespaces=a=a:*,b=b:*",
                "--check-keys=db1=x*",
                "--script=/a.lua",
            ],
            &[
                ("REDIS_URL", "redis://h"),
                ("REDIS_EXPORTER_LUA_SCRIPT_READ_ONLY", "true"),
            ],
        ),
        (
            None,
            &["--is-cluster"],
            &[("REDIS_ADDR", "redis://node:7000")],
        ),
        (None, &["--redis.addr=", "--scrape.allow=redis-*:6379"], &[]),
        (
            Some("legacy_names: false\nmetric_prefix: \"null\"\nsearch_indexes: '^\\$\\{a}'\n"),
            &[],
            &[],
        ),
    ];
    for input in inputs {
        round_trip(input);
    }
}

#[test]
fn example_is_read_back_unchanged() {
    let pairs = [
        ("REDIS_URL", "redis://h"),
        ("CACHE_PASSWORD", ""),
        ("REDIS_PASSWORD", ""),
    ];
    round_trip((Some(EXAMPLE), &[], &pairs));
}

#[test]
fn comments_name_the_origin_of_each_value() {
    let text = printed((
        Some("# first\npoll:\n  interval: ${EVERY}\nlog: { level: warn }\n"),
        &["--sweep.count=20", "--log-level=error"],
        &[
            ("EVERY", "9s"),
            ("REDIS_URL", "redis://h:1"),
            ("REDIS_EXPORTER_SERIES", "full"),
        ],
    ));
    for line in [
        "# File: /etc/c.yaml",
        "  interval: 9s  # c.yaml:3, variable EVERY",
        "  # timeout: 4500ms  # default",
        "  level: error  # flag --log-level",
        "  # format: text  # default",
        "series: full  # variable REDIS_EXPORTER_SERIES",
        "  count: 20  # flag --sweep.count",
        "  - url: \"redis://h:1\"  # variable REDIS_URL",
        "# legacy_names: true  # default",
        "target_label: false  # default without a list of targets",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
}

#[test]
fn escaped_reference_is_no_origin() {
    let text = printed((
        Some("namespaces: [{ name: a, match: 'x$${y}${Z}' }]\n"),
        &[],
        &[("Z", "z")],
    ));
    assert!(text.contains("variable Z"), "{text}");
    assert!(!text.contains("variable y"), "{text}");
}

#[test]
fn shortened_timeout_is_shown_as_it_applies() {
    let text = printed((Some("poll: { interval: 2s }\n"), &[], &[]));
    assert!(text.contains("  # timeout: 1s  # default"), "{text}");
}

#[test]
fn no_secret_is_printed() {
    const HASH: &str = "$2y$05$pLsbJ2YJmgbyUoTzRTKWSeJe1bC1OeJ0hOp8bhF8zWn4HqzGkQtVC";
    let file = format!(
        "targets:\n- {{ url: 'redis://user7:hunter2@h/1' }}\n- {{ url: 'h:2,password=hunter2' }}\n\
         - {{ url: 'redis://hunter2@h:9' }}\n- {{ url: h:3, username: user7, password: hunter2 }}\n\
         - {{ url: h:4, password: '${{SECRET}}' }}\n- {{ url: h:5, password: '${{NONE:-hunter2}}' }}\n\
         - {{ url: 'redis://h:6?password=hunter2', name: six }}\n\
         - {{ url: 'h:10,sslPassword=hunter2,ssl=true' }}\n- {{ url: 'redis://h:11?token=hunter2' }}\n\
         - {{ url: 'redis://h:12?sentinel_password=hunter2' }}\n\
         - {{ url: h:7, sweep: {{ from: 'redis://:hunter2@r' }} }}\n\
         - {{ url: h:8, name: s, discover: {{ kind: sentinel, primary: p, username: user7, password: hunter2 }} }}\n\
         credentials: [{{ hosts: ['*'], username: user7, password: hunter2 }}]\n\
         sweep: {{ from: 'rediss://user7:hunter2@r2' }}\n\
         web: {{ basic_auth: {{ username: user7, password_hash: '{HASH}' }} }}\n"
    );
    let of_file = printed((Some(&file), &[], &[("SECRET", "hunter2")]));
    let of_flags = printed((
        None,
        &[
            "--redis.password=hunter2",
            "--redis.user=user7",
            "--sweep.from=redis://r:1?token=hunter2",
        ],
        &[
            ("REDIS_URL", "h:6379,sslPassword=hunter2,ssl=true"),
            ("REDIS_EXPORTER_BASIC_AUTH_PASSWORD", "hunter2"),
            ("REDIS_EXPORTER_BASIC_AUTH_USERNAME", "user7"),
        ],
    ));
    let of_url = printed((None, &[], &[("REDIS_URL", "redis://user7:hunter2@h:1/2")]));
    for text in [of_file, of_flags, of_url] {
        for secret in ["hunter2", "user7", "pLsbJ2"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert!(text.contains("***"), "{text}");
        assert!(document::read(&text).is_ok(), "{text}");
    }
}
