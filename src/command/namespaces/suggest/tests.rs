//! Whole samples: the patterns, their order, and the resulting report and configuration.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::config::{self, Arguments, Config};
use crate::keyspace::NamespaceId;
use crate::keyspace::matcher::{Grouping, Matcher};

const TTL_UNKNOWN: ObservedTtl = ObservedTtl::Unknown;

type SampledNames = Vec<(Vec<u8>, ObservedTtl)>;

fn seconds(seconds: u64) -> ObservedTtl {
    ObservedTtl::Remaining(Duration::from_secs(seconds))
}

fn keys(count: u64, ttl: ObservedTtl, key: impl Fn(u64) -> String) -> SampledNames {
    (0..count)
        .map(|number| (key(number).into_bytes(), ttl))
        .collect()
}

fn suggestions(sample: &SampledNames) -> Vec<Suggestion> {
    let keys = sample
        .iter()
        .map(|(name, ttl)| SampledKey { name, ttl: *ttl });
    suggest(keys, &MeasuredUse::default(), &Options::default())
}

fn patterns(sample: &SampledNames) -> Vec<String> {
    let suggestions = suggestions(sample).into_iter();
    suggestions.map(|suggestion| suggestion.pattern).collect()
}

/// Returns numbers that look random.
fn mixed(number: u64) -> u64 {
    number
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(29)
}

fn word(from: &[&str], number: u64) -> String {
    let at = usize::try_from(mixed(number) % from.len() as u64).unwrap();
    from[at].to_owned()
}

/// Returns keys in the shapes of the demo, in unequal shares.
fn demo() -> SampledNames {
    let endpoints = [
        "users", "orders", "cart", "search", "home", "stock", "prices", "tags",
    ];
    let limited = ["login", "search", "upload", "api"];
    let mut sample = Vec::new();
    for number in 0..4500 {
        sample.push((
            format!("session:{}", mixed(number) % 90_000).into(),
            seconds(number % 3600),
        ));
    }
    for number in 0..3500 {
        let endpoint = word(&endpoints, number);
        let key = format!("api:cache:{endpoint}:{:016x}", mixed(number));
        sample.push((key.into(), seconds(300 + number % 3299)));
    }
    for number in 0..1500 {
        let [.., b, c] = mixed(number).to_be_bytes();
        let key = format!("ratelimit:10.3.{b}.{c}:{}", word(&limited, number / 3));
        sample.push((key.into(), seconds(number % 60)));
    }
    for number in 0..450 {
        sample.push((
            format!("websocket:{:016x}", mixed(number)).into(),
            ObservedTtl::Never,
        ));
    }
    for key in [
        "config",
        "version",
        "leader",
        "odd key",
        "x",
        "9f86d081884c7d65",
    ] {
        sample.push((key.into(), ObservedTtl::Never));
    }
    sample
}

/// Parses a block as the exporter would.
fn configured(yaml: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    fs::write(&path, yaml).unwrap();
    let arguments = Arguments {
        config: Some(path),
        ..Arguments::default()
    };
    let none = |_: &str| None;
    config::load(&arguments, &none, &[]).unwrap_or_else(|problems| panic!("{problems:?}\n{yaml}"))
}

/// Returns the share of the sample that the configured block assigns to a namespace.
fn covered(sample: &SampledNames, yaml: &str) -> f64 {
    let mut matcher = Matcher::new(&configured(yaml).namespaces, Grouping::default());
    let known = sample
        .iter()
        .filter(|(key, _)| matcher.classify(0, key) != NamespaceId::OTHER);
    ratio(known.count(), sample.len())
}

#[test]
fn demo_gives_its_four_namespaces() {
    let sample = demo();
    let yaml = to_yaml(&suggestions(&sample));
    let expected = "namespaces:
  # 35.2% of the sampled keys
  - name: \"api-cache\"
    match: \"api:cache:*\"
    ttl: { required: true, max: 1h }
  # 15.1% of the sampled keys
  - name: \"ratelimit\"
    match: \"ratelimit:*\"
    ttl: { required: true, max: 1m }
  # 4.5% of the sampled keys; 450 of 450 without a TTL
  - name: \"websocket\"
    match: \"websocket:*\"
  # 45.2% of the sampled keys
  - name: \"session\"
    match: \"session:*\"
    ttl: { required: true, max: 1h }
";
    assert_eq!(yaml, expected);
    assert!(covered(&sample, &yaml) >= 0.95);
    let namespaces = configured(&yaml).namespaces;
    assert_eq!(namespaces[0].ttl.max, Some(Duration::from_secs(60 * 60)));
}

#[test]
fn specific_patterns_precede_general_ones() {
    let mut sample = keys(300, TTL_UNKNOWN, |number| format!("app:user:{number}"));
    sample.extend(keys(300, TTL_UNKNOWN, |number| {
        format!("app:cart:{number}")
    }));
    sample.extend(keys(50, TTL_UNKNOWN, |number| format!("app:{number}")));
    let suggestions = suggestions(&sample);
    let found: Vec<_> = suggestions
        .iter()
        .map(|one| (one.pattern.as_str(), one.keys))
        .collect();
    assert_eq!(
        found,
        [("app:cart:*", 300), ("app:user:*", 300), ("app:*", 50)]
    );
    assert_eq!(suggestions[2].name, "app");
}

#[test]
fn common_prefix_is_part_of_every_pattern() {
    let kinds = ["users", "orders", "carts", "stock", "tokens"];
    let sample = keys(2000, TTL_UNKNOWN, |number| {
        format!("shop:eu:{}:{}", word(&kinds, number), mixed(number))
    });
    let mut expected = kinds.map(|kind| format!("shop:eu:{kind}:*"));
    expected.sort_by_key(|pattern| (usize::MAX - pattern.len(), pattern.clone()));
    assert_eq!(patterns(&sample), expected);
}

#[test]
fn many_words_in_one_segment_are_values() {
    let sample = keys(2000, TTL_UNKNOWN, |number| {
        let name: String = mixed(number % 400)
            .to_string()
            .bytes()
            .map(|digit| char::from(digit + 49))
            .collect();
        format!("cart:{name}:{number}")
    });
    assert_eq!(patterns(&sample), ["cart:*"]);
}

#[test]
fn words_after_a_value_count_if_ttls_differ() {
    let sample = |cart, profile| {
        let mut sample = keys(300, cart, |number| format!("user:{number}:cart"));
        sample.extend(keys(300, profile, |number| {
            format!("user:{number}:profile")
        }));
        sample
    };
    assert_eq!(patterns(&sample(seconds(60), seconds(50))), ["user:*"]);
    assert_eq!(
        patterns(&sample(seconds(60), ObservedTtl::Never)),
        ["user:*:profile", "user:*:cart"]
    );
}

#[test]
fn words_after_a_leading_value_distinguish_keys() {
    let mut sample = keys(300, TTL_UNKNOWN, |number| format!("{}:cart", mixed(number)));
    sample.extend(keys(300, TTL_UNKNOWN, |number| {
        format!("{{{number}}}:lock:{number}")
    }));
    assert_eq!(patterns(&sample), ["*:lock:*", "*:cart"]);
}

#[test]
fn second_delimiter_is_found_too() {
    let sample = keys(300, TTL_UNKNOWN, |number| format!("web/page/{number}.html"));
    assert_eq!(patterns(&sample), ["web/page/*"]);
    let mut sample = keys(600, TTL_UNKNOWN, |number| format!("session:{number}"));
    sample.extend(keys(300, TTL_UNKNOWN, |number| format!("lock-{number}")));
    sample.extend(keys(100, TTL_UNKNOWN, |number| format!("user{number}")));
    assert_eq!(patterns(&sample), ["session:*", "lock-*", "user[0-9]*"]);
}

#[test]
fn uuids_and_dates_are_values() {
    let uuid = |number| {
        let [a, b] = [mixed(number), mixed(!number)];
        format!(
            "{:08x}-{:04x}-4000-8000-{:012x}",
            a >> 32,
            a & 0xffff,
            b >> 16
        )
    };
    let mut sample = keys(300, TTL_UNKNOWN, |number| format!("job:{}", uuid(number)));
    sample.extend(keys(300, TTL_UNKNOWN, |number| {
        format!(
            "visits:2026-{:02}-{:02}:{number}",
            number % 12 + 1,
            number % 28 + 1
        )
    }));
    sample.extend(keys(100, TTL_UNKNOWN, uuid));
    assert_eq!(
        patterns(&sample),
        ["visits:*", "job:*", "????????-????-????-????-????????????"]
    );
    assert_eq!(suggestions(&sample)[2].name, "uuid");
}

#[test]
fn special_characters_survive_the_configuration() {
    let words = [
        "a*b", "a[b", "a\\", "a?\"b", "${HOME}", "#x", "größe", "{tag", "\\[",
    ];
    let mut sample = Vec::new();
    for word in words {
        sample.extend(keys(50, TTL_UNKNOWN, |number| format!("{word}:{number}")));
    }
    sample.extend((0..50).map(|number| {
        let key = [&b"\xff\x01\n:"[..], number.to_string().as_bytes()].concat();
        (key, TTL_UNKNOWN)
    }));
    let suggestions = suggestions(&sample);
    assert_eq!(suggestions.len(), words.len() + 1, "{suggestions:?}");
    assert!(
        suggestions.iter().all(|one| one.keys == 50),
        "{suggestions:?}"
    );
    let yaml = to_yaml(&suggestions);
    assert!((covered(&sample, &yaml) - 1.0).abs() < f64::EPSILON);
    let names = configured(&yaml).namespaces.len();
    assert_eq!(names, suggestions.len());
}

#[test]
fn names_are_unique_and_never_other() {
    let mut sample = Vec::new();
    for word in ["other", "a.b", "a-b", "A B", "true", "???"] {
        sample.extend(keys(50, TTL_UNKNOWN, |number| format!("{word}:{number}")));
    }
    let suggestions = suggestions(&sample);
    let names: BTreeSet<&str> = suggestions.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(
        names,
        BTreeSet::from(["a-b", "a-b-2", "a-b-3", "keys", "other-keys", "true"])
    );
    assert_eq!(configured(&to_yaml(&suggestions)).namespaces.len(), 6);
}

#[test]
fn largest_suggestions_are_kept_within_the_limit() {
    let mut sample = Vec::new();
    for (group, count) in (1..=6).zip([10, 60, 20, 50, 30, 40]) {
        sample.extend(keys(count, TTL_UNKNOWN, |number| {
            format!("g{group}:{number}")
        }));
    }
    let keys = || {
        sample
            .iter()
            .map(|(name, ttl)| SampledKey { name, ttl: *ttl })
    };
    let bounds = |keys_max, namespaces_max| {
        let found = suggest(
            keys(),
            &MeasuredUse::default(),
            &Options {
                keys_max,
                namespaces_max,
            },
        );
        found.into_iter().map(|one| one.pattern).collect::<Vec<_>>()
    };
    assert_eq!(bounds(1000, 2), ["g2:*", "g4:*"]);
    assert_eq!(bounds(70, 9), ["g1:*", "g2:*"]);
    assert_eq!(bounds(0, 9), Vec::<String>::new());
}

#[test]
fn ties_fill_the_limit() {
    let mut sample = Vec::new();
    for word in ["aa", "bb", "cc"] {
        sample.extend(keys(50, TTL_UNKNOWN, |number| {
            format!("app:{word}:{number}")
        }));
    }
    sample.extend(keys(60, TTL_UNKNOWN, |number| format!("app:{number}")));
    let keys = sample
        .iter()
        .map(|(name, ttl)| SampledKey { name, ttl: *ttl });
    let options = Options {
        namespaces_max: 2,
        ..Options::default()
    };
    let found = suggest(keys, &MeasuredUse::default(), &options).into_iter();
    let found: Vec<_> = found.map(|one| (one.pattern, one.keys)).collect();
    let expected = [("app:aa:*", 50), ("app:*", 160)].map(|(glob, keys)| (glob.to_owned(), keys));
    assert_eq!(found, expected);
}

#[test]
fn random_keys_give_no_suggestions() {
    let sample = keys(500, TTL_UNKNOWN, |number| format!("{:016x}", mixed(number)));
    assert_eq!(suggestions(&sample), []);
    assert!(configured(&to_yaml(&[])).namespaces.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_keys_give_a_valid_block(
        sample in proptest::collection::vec(
            (
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..8),
                    "[ab]{0,2}[:/.*\\[\\]\\\\{}$-][ab]{0,2}[:0-9]{0,4}".prop_map(String::into_bytes),
                ],
                prop_oneof![
                    Just(ObservedTtl::Unknown),
                    Just(ObservedTtl::Never),
                    any::<u64>().prop_map(seconds),
                ],
            ),
            0..300,
        ),
    ) {
        let suggestions = suggestions(&sample);
        let namespaces = configured(&to_yaml(&suggestions)).namespaces;
        prop_assert_eq!(namespaces.len(), suggestions.len());
        let mut matcher = Matcher::new(&namespaces, Grouping::default());
        if suggestions.is_empty() {
            return Ok(());
        }
        let mut counted = vec![0; suggestions.len()];
        for (key, _) in &sample {
            let group = matcher.classify(0, key);
            if let Some(at) = suggestions.iter().position(|one| one.name == matcher.name(group)) {
                counted[at] += 1;
            }
        }
        let promised: Vec<usize> = suggestions.iter().map(|one| one.keys).collect();
        prop_assert_eq!(counted, promised);
    }
}

#[test]
fn leaking_namespace_gets_a_commented_ttl() {
    let mut sample = keys(95, seconds(50), |number| format!("ratelimit:{number}"));
    sample.extend(keys(5, ObservedTtl::Never, |number| {
        format!("ratelimit:9{number}9")
    }));
    sample.extend(keys(100, ObservedTtl::Never, |number| {
        format!("session:{number}")
    }));
    let yaml = to_yaml(&suggestions(&sample));
    assert!(
        yaml.contains("    #ttl: { required: true, max: 1m }\n"),
        "{yaml}"
    );
    assert_eq!(yaml.matches("ttl:").count(), 1, "{yaml}");
    let uncommented = yaml.replace("#ttl", "ttl");
    let namespaces = configured(&uncommented).namespaces;
    let declared = namespaces.iter().filter(|space| space.ttl.required);
    assert_eq!(
        declared.map(|space| &*space.name).collect::<Vec<_>>(),
        ["ratelimit"]
    );
    assert!(
        configured(&yaml)
            .namespaces
            .iter()
            .all(|space| !space.ttl.required)
    );
}

#[test]
fn shorter_ttl_is_a_comment_with_its_reason() {
    let sample = keys(100, seconds(80_000), |number| format!("session:{number}"));
    let sampled = sample
        .iter()
        .map(|(name, ttl)| SampledKey { name, ttl: *ttl });
    let measured = MeasuredUse {
        keys: sample
            .iter()
            .map(|(name, _)| KeyUse {
                name,
                idle: 4_000.0,
                bytes: Some(100.0),
            })
            .collect(),
        longest_known: 1e6,
        horizon: None,
    };
    let yaml = to_yaml(&suggest(sampled, &measured, &Options::default()));
    let expected = "    # 100% of the memory was not used for 1h, but TTLs reach 1d. If keys that were \
        not used for so long are not needed:\n    #ttl: { required: true, max: 1h }\n    ttl: { \
        required: true, max: 1d }\n";
    assert!(yaml.contains(expected), "{yaml}");
}
