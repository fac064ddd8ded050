//! Writes the ACL rule of a user that has the permissions that a target needs, and no others. Pure.

use crate::collector::{Collector, Server};
use crate::config::{EventUse, Target};
use crate::keyspace::permissions::permissions;
use crate::query::Rejected;
use crate::reply::{ErrorKind, Refusal};

/// The channels of key events.
const EVENT_CHANNELS: &str = "&__keyevent@*__:*";

/// The channels of canaries, and of watches of changes.
const OWN_CHANNELS: &str = "&redis-namespace-exporter:*";

/// The first versions with ACLs, with ACLs of channels, and with ACLs of sentinels.
const HAS_ACL: (u32, u32) = (6, 0);
const HAS_CHANNEL_ACL: (u32, u32) = (6, 2);
const SENTINEL_HAS_ACL: (u32, u32) = (6, 2);

/// Returns the rule for the collectors that apply to a server, and for the sweep. Commands that the
/// server does not know are left out, because it would reject the whole rule. The password is the
/// word PASSWORD.
///
/// Returns `None` if the server has no ACLs.
#[must_use]
pub fn rule(
    target: &Target,
    server: &Server,
    collectors: &[&'static Collector],
    rejected: &[Rejected],
) -> Option<String> {
    let since = if server.is_sentinel() {
        SENTINEL_HAS_ACL
    } else {
        HAS_ACL
    };
    if server.version < since || server.is_tile38() {
        return None;
    }
    let mut words = vec!["ACL SETUSER exporter on >PASSWORD"];
    words.extend(scope(target, server));
    words.push("-@all");
    let mut granted: Vec<&str> = Vec::new();
    let all = commands(target, server, collectors, rejected);
    for permission in all {
        if !permission.is_empty() && !granted.contains(&permission) {
            granted.push(permission);
        }
    }
    words.extend(granted);
    Some(words.join(" "))
}

/// Returns how to use the rule.
#[must_use]
pub fn how(target: &Target) -> &'static str {
    if target.options.scripts.is_empty() {
        "a user needs this rule; replace PASSWORD"
    } else {
        "a user needs this rule; replace PASSWORD and add the commands of the scripts"
    }
}

/// Returns which keys and channels the user may read.
fn scope(target: &Target, server: &Server) -> Vec<&'static str> {
    if server.is_sentinel() {
        return Vec::new();
    }
    let mut words = vec!["resetkeys"];
    if reads_keys(target, server) {
        // Before Redis 7.0, there are no permissions for reading only.
        words.push(if server.knows_no_evict() {
            "%R~*"
        } else {
            "~*"
        });
    }
    if server.version >= HAS_CHANNEL_ACL {
        words.push("resetchannels");
        if uses_events(target) {
            words.push(EVENT_CHANNELS);
        }
        if target.canary.enabled || watches_changes(target) {
            words.push(OWN_CHANNELS);
        }
    }
    words
}

fn reads_keys(target: &Target, server: &Server) -> bool {
    server.holds_keys() && (target.sweep.enabled || !target.options.scripts.is_empty())
}

fn uses_events(target: &Target) -> bool {
    let sweep = &target.sweep;
    sweep.enabled && (sweep.events != EventUse::Off || sweep.misses != EventUse::Off)
}

fn sets_flags(target: &Target) -> bool {
    let sweep = &target.sweep;
    [sweep.events, sweep.misses].contains(&EventUse::Configure)
}

fn watches_changes(target: &Target) -> bool {
    target.sweep.enabled && target.sweep.changes
}

fn commands(
    target: &Target,
    server: &Server,
    collectors: &[&'static Collector],
    rejected: &[Rejected],
) -> Vec<&'static str> {
    let mut commands = vec!["+ping", "+info"];
    let endpoint = &target.endpoint;
    let optional = [
        (endpoint.client_name.is_some(), "+client|setname"),
        (endpoint.database.unwrap_or(0) != 0, "+select"),
    ];
    commands.extend(optional.iter().filter(|(is, _)| *is).map(|(_, name)| *name));
    if endpoint.node.is_some() {
        // The cluster named this node, and may be queried over it.
        let members = if server.has_latency_histogram() {
            "+cluster|shards"
        } else {
            "+cluster|slots"
        };
        commands.extend(["+cluster|myid", "+cluster|nodes", "+cluster|info", members]);
    }
    let is_known = |collector: &&&'static Collector| {
        let mut unknown = rejected
            .iter()
            .filter(|rejected| is_unknown(&rejected.refusal));
        !unknown.any(|rejected| collector.queries.contains(&rejected.query))
    };
    for collector in collectors.iter().filter(is_known) {
        let needed = collector.permissions().into_iter();
        commands.extend(needed.filter(|permission| is_sent(permission, target, server)));
    }
    if target.sweep.enabled && server.holds_keys() {
        commands.extend(permissions(server, &target.sweep, &target.keys));
    }
    if uses_events(target) && server.holds_keys() {
        commands.extend(["+subscribe", "+unsubscribe", "+config|get"]);
        if sets_flags(target) {
            commands.push("+config|set");
        }
    }
    if watches_changes(target) && server.holds_keys() {
        commands.extend(["+subscribe", "+unsubscribe", "+client|tracking"]);
    }
    if target.canary.enabled && !server.is_sentinel() {
        commands.extend(["+subscribe", "+publish"]);
    }
    commands
}

/// Returns whether the server lacks a command. Other rejected commands may work later.
fn is_unknown(refusal: &Refusal) -> bool {
    refusal.kind() == ErrorKind::UnknownCommand
}

/// Returns whether a command that only some servers or settings need is sent.
fn is_sent(permission: &str, target: &Target, server: &Server) -> bool {
    let scripts = &target.options.scripts;
    let (knows_eval_ro, knows_shards) = (server.knows_eval_ro(), server.has_latency_histogram());
    match permission {
        "+pubsub|shardchannels" | "+pubsub|shardnumsub" => knows_shards,
        "+eval_ro" => knows_eval_ro && scripts.iter().any(|script| script.read_only),
        "+eval" => scripts
            .iter()
            .any(|script| !script.read_only || !knows_eval_ro),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::collector::{ALL, Flavor, Mode};

    fn server(version: (u32, u32), mode: Mode) -> Server {
        Server {
            flavor: Flavor::Redis,
            version,
            mode,
        }
    }

    fn of(target: &Target, server: &Server) -> Option<String> {
        let on = ALL.iter().copied();
        let on = on.filter(|one| one.is_on_by_default() && (one.applies)(server));
        rule(target, server, &on.collect::<Vec<_>>(), &[])
    }

    #[test]
    fn rule_has_what_collectors_and_sweep_need() {
        let mut target = Target::dead("cache");
        let text = of(&target, &server((7, 0), Mode::Standalone)).unwrap();
        let start = "ACL SETUSER exporter on >PASSWORD resetkeys %R~* resetchannels -@all +ping";
        assert!(text.starts_with(start), "{text}");
        for part in [
            "+config|get",
            "+slowlog|get",
            "+scan",
            "+object|idletime",
            "+select",
        ] {
            assert_eq!(text.matches(part).count(), 1, "{part}: {text}");
        }
        for part in ["@all ", "eval", "subscribe", "cluster", "set ", "~* ~"] {
            let found = text.matches(part).count();
            assert_eq!(found, usize::from(part == "@all "), "{part}: {text}");
        }
        target.sweep.enabled = false;
        let text = of(&target, &server((7, 0), Mode::Standalone)).unwrap();
        assert!(!text.contains("~*") && !text.contains("+scan"), "{text}");
    }

    #[test]
    fn old_servers_get_no_unknown_words() {
        let target = Target::dead("cache");
        let text = of(&target, &server((6, 0), Mode::Standalone)).unwrap();
        for unknown in ["%R", "resetchannels", "no-evict", "histogram"] {
            assert!(!text.contains(unknown), "{unknown}: {text}");
        }
        assert_eq!(of(&target, &server((5, 0), Mode::Standalone)), None);
        let sentinel = of(&target, &server((7, 0), Mode::Sentinel)).unwrap();
        assert!(sentinel.contains("+sentinel|masters"), "{sentinel}");
        assert!(!sentinel.contains("reset"), "{sentinel}");
    }

    #[test]
    fn only_unknown_commands_are_left_out() {
        let of = |code: &str, message: &str| {
            is_unknown(&Refusal {
                code: code.to_owned(),
                message: message.to_owned(),
            })
        };
        assert!(of("ERR", "unknown command 'LATENCY'"));
        assert!(!of("ERR", "internal error"));
        assert!(!of(
            "NOPERM",
            "this user has no permissions to run 'latency'"
        ));
        assert!(!of("LOADING", "Redis is loading the dataset in memory"));
    }

    #[test]
    fn events_add_channels_and_commands() {
        let mut target = Target::dead("cache");
        target.sweep.events = EventUse::Configure;
        let text = of(&target, &server((7, 0), Mode::Standalone)).unwrap();
        for part in [EVENT_CHANNELS, "+subscribe", "+unsubscribe", "+config|set"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn canary_and_watches_add_channels_and_commands() {
        let mut target = Target::dead("cache");
        target.canary.enabled = true;
        let text = of(&target, &server((7, 0), Mode::Standalone)).unwrap();
        for part in [OWN_CHANNELS, "+subscribe", "+publish"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        target.canary.enabled = false;
        target.sweep.changes = true;
        let text = of(&target, &server((7, 0), Mode::Standalone)).unwrap();
        for part in [OWN_CHANNELS, "+subscribe", "+client|tracking"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("+publish") && !text.contains(EVENT_CHANNELS));
        target.sweep.misses = EventUse::Configure;
        let text = of(&target, &server((7, 0), Mode::Standalone)).unwrap();
        for part in [EVENT_CHANNELS, "+config|get", "+config|set"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn password_is_never_part_of_the_rule() {
        let mut target = Target::dead("cache");
        let secret = crate::config::Secret::new("hunter2");
        target.endpoint.password = Some(crate::config::Password::Given(secret));
        target.endpoint.username = Some("somebody".to_owned());
        target.options = Arc::default();
        let text = of(&target, &server((7, 0), Mode::Standalone)).unwrap();
        assert!(
            !text.contains("hunter2") && !text.contains("somebody"),
            "{text}"
        );
    }
}
