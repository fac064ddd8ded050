//! CONFIG GET of all parameters: each parameter with its value, except secrets.

use super::{Collector, Query, Read, Replies, Server};
use crate::metric::{Family, Snapshot, Unit, source};
use crate::reply::Reply;

/// Queries all parameters.
pub static ALL_PARAMETERS: Query = Query::new(&[&["CONFIG", "GET", "*"]], "+config|get");

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static NUMBER: Family<1> = Family::gauge("redis_config_value", &["key"], source("CONFIG GET", "*"), Unit::One, "Value of a numeric parameter, in the unit of the server.");
    pub(super) static TEXT: Family<2> = Family::gauge("redis_config_key_value", &["key", "value"], source("CONFIG GET", "*"), Unit::One, "Value of a parameter in a label, *** if it may be a secret; always 1.");
}

/// Placeholder for a value that may be a secret.
pub(super) const HIDDEN: &str = "***";

/// Parts of parameter names that may be secrets. Broad on purpose, because modules add parameters.
const SECRET_PARTS: &[&str] = &[
    "pass",
    "auth",
    "secret",
    "token",
    "user",
    "cred",
    "apikey",
    "api-key",
    "access-key",
    "private",
    "pwd",
    "license",
];

/// Boolean parameters with names that look secret.
const NOT_SECRET: &[&str] = &[
    "hide-user-data-from-log",
    "lazyfree-lazy-user-del",
    "lazyfree-lazy-user-flush",
    "tls-auth-clients",
];

/// Reads the parameters.
pub static COLLECTOR: Collector = Collector {
    name: "config_values",
    about: "Every parameter of CONFIG, one series each. Possible secrets are always hidden.",
    queries: &[&ALL_PARAMETERS],
    applies: Server::holds_keys,
    families: || vec![rows::NUMBER.descriptor(), rows::TEXT.descriptor()],
    read: Read::Samples(read),
    ..Collector::OFF
};

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    let pairs = replies.reply(&ALL_PARAMETERS).map(Reply::items);
    for pair in pairs.unwrap_or_default().chunks(2) {
        let [name, value] = pair else { continue };
        let (Some(name), Some(text)) = (name.text(), value.text()) else {
            continue;
        };
        if is_secret(&name, &text) {
            snapshot.push(&rows::TEXT, [&name, HIDDEN], 1.0);
            continue;
        }
        snapshot.push(&rows::TEXT, [&name, &text], 1.0);
        snapshot.push(&rows::NUMBER, [&name], value.number());
    }
}

/// Returns whether a parameter may be a secret: by its name, or because it is an address with
/// credentials.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    // Matching `key` anywhere would hide the many parameters about the keyspace.
    let looks_secret = name.ends_with("key") || SECRET_PARTS.iter().any(|part| name.contains(part));
    let has_credentials = value.contains("://") && value.contains('@');
    (looks_secret && !NOT_SECRET.contains(&name.as_str())) || has_credentials
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, reading};
    use proptest::prelude::*;

    fn seen(pairs: &[(&str, &str)]) -> Vec<String> {
        let words = pairs.iter().flat_map(|(name, value)| [*name, *value]);
        let reply = Reply::List(words.map(reading::bytes).collect());
        let replies = [(&ALL_PARAMETERS, reply)];
        reading::of(&COLLECTOR, "", Circumstances::default(), &replies)
    }

    #[test]
    fn parameters_have_text_and_numbers_a_value() {
        let expected = [
            "redis_config_key_value{hz,10} 1",
            "redis_config_key_value{save,3600 1 300 100} 1",
            "redis_config_key_value{tls-auth-clients,yes} 1",
            "redis_config_value{hz} 10",
        ];
        let pairs = [
            ("hz", "10"),
            ("save", "3600 1 300 100"),
            ("tls-auth-clients", "yes"),
        ];
        assert_eq!(seen(&pairs), expected);
    }

    #[test]
    fn numeric_secrets_and_addresses_are_hidden() {
        for name in [
            "requirepass",
            "masterauth",
            "masteruser",
            "primaryauth",
            "primaryuser",
            "tls-key-file-pass",
            "tls-client-key-file-pass",
            "tls-auth-clients-user",
            "search.OSS_GLOBAL_PASSWORD",
            "module-Token",
            "module.encryption_key",
        ] {
            let shown = format!("redis_config_key_value{{{name},***}} 1");
            assert_eq!(seen(&[(name, "12345")]), [shown]);
        }
        let address = [("module.upstream", "redis://u:hunter2@h")];
        assert_eq!(
            seen(&address),
            ["redis_config_key_value{module.upstream,***} 1"]
        );
    }

    #[test]
    fn non_text_values_are_skipped() {
        let pairs = vec![reading::bytes("tls-allowlist"), Reply::List(Vec::new())];
        let replies = [(&ALL_PARAMETERS, Reply::List(pairs))];
        let seen = reading::of(&COLLECTOR, "", Circumstances::default(), &replies);
        assert!(seen.is_empty());
    }

    proptest! {
        #[test]
        fn secret_is_hidden_at_any_position(
            before in "[a-zA-Z._-]{0,8}",
            part in proptest::sample::select(SECRET_PARTS),
            after in "[a-zA-Z._-]{0,8}",
        ) {
            let name = format!("{before}{part}{after}");
            prop_assume!(!NOT_SECRET.contains(&name.as_str()));
            prop_assert!(!seen(&[(&name, "4711")]).concat().contains("4711"));
        }
    }
}
