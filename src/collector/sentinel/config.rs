//! SENTINEL CONFIG GET: settings of the sentinel itself, except possible secrets.

use std::borrow::Cow;

use crate::collector::config_values::{HIDDEN, is_secret};
use crate::collector::{Collector, Flavor, Query, Read, Replies, Server};
use crate::metric::{Family, Snapshot, Unit, source};
use crate::reply::Reply;

/// Queries all settings of the sentinel. The command cannot exclude the password.
pub static SETTINGS: Query = Query::new(&[&["SENTINEL", "CONFIG", "GET", "*"]], "+sentinel|config");

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static VALUE: Family<1> = Family::gauge("redis_sentinel_config_value", &["key"], source("SENTINEL CONFIG GET", ""), Unit::One, "Numeric setting of the sentinel.");
    pub(super) static TEXT: Family<2> = Family::gauge("redis_sentinel_config_key_value", &["key", "value"], source("SENTINEL CONFIG GET", ""), Unit::One, "Setting of the sentinel in labels, *** if it may be a secret; always 1.");
}

/// Reads the settings of a sentinel.
pub static COLLECTOR: Collector = Collector {
    name: "sentinel_config",
    about: "Settings of the sentinel itself. Possible secrets are always hidden.",
    queries: &[&SETTINGS],
    applies: |server| server.is_sentinel() && has_config(server),
    families: || vec![rows::VALUE.descriptor(), rows::TEXT.descriptor()],
    read: Read::Samples(read),
    ..Collector::OFF
};

/// Returns whether the server has SENTINEL CONFIG: sentinels since Redis 6.2.
fn has_config(server: &Server) -> bool {
    server.flavor != Flavor::Redis || server.version >= (6, 2)
}

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    let settings = replies.reply(&SETTINGS).map(Reply::items);
    for pair in settings.unwrap_or_default().chunks_exact(2) {
        let [Some(name), Some(value)] = [pair.first(), pair.get(1)].map(text) else {
            continue;
        };
        if is_secret(&name, &value) || name.to_ascii_lowercase().contains("key") {
            snapshot.push(&rows::TEXT, [&name, HIDDEN], 1.0);
            continue;
        }
        if let Ok(number) = value.parse::<f64>() {
            snapshot.push(&rows::VALUE, [&name], number);
        }
        snapshot.push(&rows::TEXT, [&name, &value], 1.0);
    }
}

fn text(reply: Option<&Reply>) -> Option<Cow<'_, str>> {
    reply?.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, reading};
    use crate::info::Info;

    #[test]
    fn settings_are_published_except_possible_secrets() {
        let words = "announce-port 26379 resolve-hostnames no sentinel-pass hush SENTINEL-AUTH hush \
                     tls-key-file hush client-secret hush odd";
        let words = words.split_whitespace().map(reading::bytes).collect();
        let replies = [(&SETTINGS, Reply::List(words))];
        let lines = reading::of(&COLLECTOR, "", Circumstances::default(), &replies);
        let expected = [
            "redis_sentinel_config_key_value{SENTINEL-AUTH,***} 1",
            "redis_sentinel_config_key_value{announce-port,26379} 1",
            "redis_sentinel_config_key_value{client-secret,***} 1",
            "redis_sentinel_config_key_value{resolve-hostnames,no} 1",
            "redis_sentinel_config_key_value{sentinel-pass,***} 1",
            "redis_sentinel_config_key_value{tls-key-file,***} 1",
            "redis_sentinel_config_value{announce-port} 26379",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn sentinels_before_6_2_are_not_queried() {
        let of = |info| (COLLECTOR.applies)(&Server::from_info(&Info::parse(info)));
        assert!(of("redis_mode:sentinel\r\nredis_version:7.0.15\r\n"));
        assert!(!of("redis_mode:sentinel\r\nredis_version:6.0.16\r\n"));
        assert!(!of("redis_mode:standalone\r\nredis_version:7.0.15\r\n"));
    }
}
