//! Writes the ACL rule of a user that has the permissions that a target needs: for a new user, and
//! for the user of a target that lacks some. Pure.

use crate::collector::{Collector, Replies, Server, function_stats};
use crate::config::{EventUse, Target};
use crate::keyspace::permissions::permissions;
use crate::query::{Query, Rejected};
use crate::reply::{ErrorKind, Refusal};
use crate::trace::AccessGrant;

/// The user of connections without a username.
const DEFAULT_USER: &str = "default";

/// The warning about rules that replace permissions.
const WARNING: &str = "It takes all other permissions of the user. Do not use it for a user that \
                       applications share.";

/// The channels of key events.
const EVENT_CHANNELS: &str = "&__keyevent@*__:*";

/// The channels of canaries, and of watches of changes.
const OWN_CHANNELS: &str = "&redis-namespace-exporter:*";

/// The first versions with ACLs, with ACLs of channels, and with ACLs of sentinels.
const HAS_ACL: (u32, u32) = (6, 0);
const HAS_CHANNEL_ACL: (u32, u32) = (6, 2);
const SENTINEL_HAS_ACL: (u32, u32) = (6, 2);

/// Returns the rule for the collectors that apply to the server of these replies, and for the sweep.
/// It has the permissions of each query that is sent with this configuration. Commands that the
/// server does not know are left out, because it would reject the whole rule. The password is the
/// word PASSWORD.
///
/// Returns `None` if the server has no ACLs.
#[must_use]
pub fn rule(
    target: &Target,
    replies: &Replies,
    collectors: &[&'static Collector],
    rejected: &[Rejected],
) -> Option<String> {
    let granted = granted(target, replies, collectors, rejected)?;
    let restricted = restricted(target, &replies.server());
    Some(set_user("exporter on >PASSWORD", &[restricted, granted]))
}

/// Returns the command that gives the user of a target what it needs, without a password. It replaces
/// the permissions of a user with a name. To the default user, which applications use, it only adds
/// commands.
///
/// Returns `None` if the server has no ACLs.
#[must_use]
pub fn grant(
    target: &Target,
    replies: &Replies,
    collectors: &[&'static Collector],
    rejected: &[Rejected],
) -> Option<AccessGrant> {
    let granted = granted(target, replies, collectors, rejected)?;
    let name = target.endpoint.username.as_deref();
    let name = name.filter(|name| !name.is_empty() && *name != DEFAULT_USER);
    let restricted = name.map(|_| restricted(target, &replies.server()));
    let words = [restricted.unwrap_or_default(), granted];
    let from = target.sweep.from.as_ref().filter(|_| target.sweep.enabled);
    Some(AccessGrant {
        command: set_user(name.unwrap_or(DEFAULT_USER), &words),
        replaces: name.is_some(),
        also_at: from.map(|from| from.address.to_string()),
    })
}

/// Returns the command that gives the user of a target what every poll needs. It is for a server whose
/// INFO is denied: what else the user needs depends on the INFO. It only adds permissions.
#[must_use]
pub fn first_grant(target: &Target) -> AccessGrant {
    let endpoint = &target.endpoint;
    let name = endpoint.username.as_deref().filter(|name| !name.is_empty());
    let mut words = vec!["+ping", "+info"];
    let optional = [
        (endpoint.database.unwrap_or(0) != 0, "+select"),
        (endpoint.node.is_some(), "+cluster|myid"),
    ];
    words.extend(optional.iter().filter(|(is, _)| *is).map(|(_, word)| *word));
    AccessGrant {
        command: set_user(name.unwrap_or(DEFAULT_USER), &[words]),
        replaces: false,
        also_at: None,
    }
}

/// Returns the command that sets the permissions of a user.
fn set_user(user: &str, words: &[Vec<&str>]) -> String {
    let words = words.iter().flatten().copied();
    let all: Vec<&str> = ["ACL SETUSER", user].into_iter().chain(words).collect();
    all.join(" ")
}

fn has_acl(server: &Server) -> bool {
    let since = if server.is_sentinel() {
        SENTINEL_HAS_ACL
    } else {
        HAS_ACL
    };
    server.version >= since && !server.is_tile38()
}

/// Returns the words that take everything except keys and channels to read.
fn restricted(target: &Target, server: &Server) -> Vec<&'static str> {
    let mut words = scope(target, server);
    words.push("-@all");
    words
}

/// Returns the permissions of all commands, each once. Returns `None` if the server has no ACLs.
fn granted(
    target: &Target,
    replies: &Replies,
    collectors: &[&'static Collector],
    rejected: &[Rejected],
) -> Option<Vec<&'static str>> {
    let server = &replies.server();
    if !has_acl(server) {
        return None;
    }
    let mut all = commands(target, server);
    all.extend(of_collectors(collectors, replies, rejected));
    all.extend(of_sweep(target, server));
    let mut granted: Vec<&str> = Vec::new();
    for permission in all {
        if !permission.is_empty() && !granted.contains(&permission) {
            granted.push(permission);
        }
    }
    Some(granted)
}

/// Returns how to use the rule: for a user of its own, or for the user of the target.
#[must_use]
pub fn how(target: &Target, is_of_user: bool) -> String {
    let start = if is_of_user {
        "the user needs this rule, which keeps the password"
    } else {
        "a user needs this rule; replace PASSWORD"
    };
    let scripts = if target.options.scripts.is_empty() {
        ""
    } else {
        "; add the commands of the scripts"
    };
    format!("{start}{scripts}. {WARNING}")
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

/// Returns what connections and polls need, whatever they query.
fn commands(target: &Target, server: &Server) -> Vec<&'static str> {
    let mut commands = vec!["+ping", "+info"];
    let endpoint = &target.endpoint;
    let optional = [
        (endpoint.client_name.is_some(), "+client|setname"),
        (endpoint.database.unwrap_or(0) != 0, "+select"),
        // Sent while a function keeps the server busy.
        (
            function_stats::applies(server),
            function_stats::QUERY.permission,
        ),
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
    commands
}

/// Returns what the queries of collectors need that are sent at every poll or at some of them.
fn of_collectors(
    collectors: &[&'static Collector],
    replies: &Replies,
    rejected: &[Rejected],
) -> Vec<&'static str> {
    let is_known = |query: &Query| {
        let unknown = |one: &&Rejected| is_unknown(&one.refusal) && one.query == query;
        !rejected.iter().any(|one| unknown(&one))
    };
    let mut needed = Vec::new();
    for collector in collectors {
        let first = collector.queries;
        let known = first.iter().filter(|query| is_known(query));
        needed.extend(known.map(|query| query.permission));
        // Further queries depend on the replies to the first ones.
        let is_answered = first.is_empty() || first.iter().any(|query| is_known(query));
        let further = collector.further_queries.iter();
        let further = further
            .filter(|query| is_answered && is_known(query) && (collector.may_send)(query, replies));
        needed.extend(further.map(|query| query.permission));
    }
    needed
}

/// Returns what the sweep, key events and the canary need.
fn of_sweep(target: &Target, server: &Server) -> Vec<&'static str> {
    let mut commands = Vec::new();
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::collector::{ALL, Circumstances};
    use crate::config::{CollectorOptions, Script};
    use crate::query::Rejections;

    const STANDALONE: &str = "redis_mode:standalone\r\npubsub_channels:0\r\n\
        pubsubshard_channels:0\r\n# Keyspace\r\ndb0:keys=1,expires=0\r\n";

    fn server(version: &str, rest: &str) -> String {
        format!("redis_version:{version}\r\n{rest}")
    }

    fn modern() -> String {
        server("7.0.15", STANDALONE)
    }

    fn replies(target: &Target, info: &str) -> Replies {
        let circumstances = Circumstances {
            options: Arc::clone(&target.options),
            ..Circumstances::default()
        };
        Replies::new(info, circumstances)
    }

    fn of(target: &Target, info: &str) -> Option<String> {
        let replies = replies(target, info);
        let on = ALL.iter().copied();
        let on = on.filter(|one| (one.default)(&target.options));
        let on = on.filter(|one| (one.applies)(&replies.server()));
        rule(target, &replies, &on.collect::<Vec<_>>(), &[])
    }

    /// Returns what a collector needs of a server that lacks these commands.
    fn needs(name: &str, target: &Target, info: &str, lacking: &[&str]) -> Vec<&'static str> {
        let collector = ALL.iter().find(|one| one.name == name).unwrap();
        let all = collector.queries.iter().chain(collector.further_queries);
        let is_lacking = |query: &Query| lacking.contains(&query.commands[0].join(" ").as_str());
        let mut rejections = Rejections::default();
        for query in all.filter(|query| is_lacking(query)) {
            let refusal = Refusal {
                code: "ERR".to_owned(),
                message: "unknown command".to_owned(),
            };
            rejections.record(query.ticket(0), false, &refusal);
        }
        of_collectors(&[collector], &replies(target, info), rejections.all())
    }

    fn with(options: CollectorOptions) -> Target {
        Target {
            options: Arc::new(options),
            ..Target::dead("cache")
        }
    }

    #[test]
    fn only_queries_that_are_sent_need_permissions() {
        let plain = Target::dead("cache");
        let of = |name, target: &Target| needs(name, target, &modern(), &[]);
        let file = with(CollectorOptions {
            rdb_file: Some(PathBuf::from("/dump.rdb")),
            ..CollectorOptions::default()
        });
        assert_eq!(of("rdb_file_size", &plain), ["+config|get"; 2]);
        assert!(of("rdb_file_size", &file).is_empty());
        let script = |read_only| Script {
            name: "a".to_owned(),
            text: Vec::new(),
            read_only,
        };
        let scripts = |scripts| {
            with(CollectorOptions {
                scripts,
                ..CollectorOptions::default()
            })
        };
        assert!(of("scripts", &plain).is_empty());
        assert_eq!(of("scripts", &scripts(vec![script(true)])), ["+eval_ro"]);
        assert_eq!(of("scripts", &scripts(vec![script(false)])), ["+eval"]);
        let both = scripts(vec![script(true), script(false)]);
        assert_eq!(of("scripts", &both), ["+eval_ro", "+eval"]);
        let old = server("6.2.16", STANDALONE);
        assert_eq!(needs("scripts", &both, &old, &[]), ["+eval"]);
        // INFO reports the keys, except for servers without the section.
        assert_eq!(of("keyspace", &plain), ["+info"]);
        let bare = server("7.0.15", "redis_mode:standalone\r\n");
        assert_eq!(needs("keyspace", &plain, &bare, &[]), ["+info", "+dbsize"]);
        let without_shards = modern().replace("pubsubshard", "other");
        let needed = needs("channels", &plain, &without_shards, &[]);
        assert_eq!(needed, ["+pubsub|channels", "+pubsub|numsub"]);
        assert_eq!(of("channels", &plain).len(), 4);
    }

    #[test]
    fn unknown_command_leaves_the_others_of_its_collector() {
        let target = Target::dead("cache");
        let of = |name, lacking| needs(name, &target, &modern(), &[lacking]);
        assert_eq!(of("cluster_nodes", "CLUSTER LINKS"), ["+cluster|shards"]);
        assert_eq!(of("slowlog", "SLOWLOG LEN"), ["+slowlog|get"; 2]);
        // Without the list of indexes, none is queried.
        assert!(of("search_indexes", "FT._LIST").is_empty());
    }

    #[test]
    fn rule_has_what_collectors_and_sweep_need() {
        let mut target = Target::dead("cache");
        let text = of(&target, &modern()).unwrap();
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
        let text = of(&target, &modern()).unwrap();
        assert!(!text.contains("~*") && !text.contains("+scan"), "{text}");
    }

    fn grant_of(target: &Target, info: &str) -> Option<AccessGrant> {
        let replies = replies(target, info);
        let on = ALL.iter().copied();
        let on = on.filter(|one| (one.default)(&target.options));
        let on = on.filter(|one| (one.applies)(&replies.server()));
        grant(target, &replies, &on.collect::<Vec<_>>(), &[])
    }

    #[test]
    fn grant_names_the_user_and_never_the_password() {
        let mut target = Target::dead("cache");
        let secret = crate::config::Secret::new("hunter2");
        target.endpoint.password = Some(crate::config::Password::Given(secret));
        target.endpoint.username = Some("watcher".to_owned());
        let of_user = grant_of(&target, &modern()).unwrap();
        let rule = of(&target, &modern()).unwrap();
        let expected = rule.replace("exporter on >PASSWORD", "watcher");
        assert_eq!((of_user.command, of_user.replaces), (expected, true));
        assert_eq!(grant_of(&target, &server("5.0.14", STANDALONE)), None);
    }

    #[test]
    fn first_grant_only_adds_what_polls_need() {
        let mut target = Target::dead("cache");
        let first = first_grant(&target);
        assert_eq!(first.command, "ACL SETUSER default +ping +info");
        assert!(!first.replaces);
        target.endpoint.username = Some("watcher".to_owned());
        target.endpoint.database = Some(2);
        let expected = "ACL SETUSER watcher +ping +info +select";
        assert_eq!(first_grant(&target).command, expected);
    }

    #[test]
    fn replacing_rules_come_with_a_warning() {
        for is_of_user in [false, true] {
            let text = how(&Target::dead("cache"), is_of_user);
            assert!(text.contains("takes all other permissions"), "{text}");
            assert!(text.contains("applications share"), "{text}");
        }
    }

    #[test]
    fn default_user_only_gets_more() {
        let mut target = Target::dead("cache");
        for name in [None, Some("default".to_owned())] {
            target.endpoint.username = name;
            let found = grant_of(&target, &modern()).unwrap();
            assert!(!found.replaces);
            let rights = found.command.strip_prefix("ACL SETUSER default ").unwrap();
            let is_added = |word: &str| word.starts_with('+');
            assert!(rights.split(' ').all(is_added), "{rights}");
            assert!(rights.contains("+slowlog|get") && rights.contains("+scan"));
        }
    }

    #[test]
    fn old_servers_get_no_unknown_words() {
        let target = Target::dead("cache");
        let text = of(&target, &server("6.0.16", STANDALONE)).unwrap();
        for unknown in ["%R", "resetchannels", "no-evict", "histogram"] {
            assert!(!text.contains(unknown), "{unknown}: {text}");
        }
        assert_eq!(of(&target, &server("5.0.14", STANDALONE)), None);
        let sentinel = of(&target, &server("7.0.15", "redis_mode:sentinel\r\n")).unwrap();
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
        let text = of(&target, &modern()).unwrap();
        for part in [EVENT_CHANNELS, "+subscribe", "+unsubscribe", "+config|set"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn canary_and_watches_add_channels_and_commands() {
        let mut target = Target::dead("cache");
        target.canary.enabled = true;
        let text = of(&target, &modern()).unwrap();
        for part in [OWN_CHANNELS, "+subscribe", "+publish"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        target.canary.enabled = false;
        target.sweep.changes = true;
        let text = of(&target, &modern()).unwrap();
        for part in [OWN_CHANNELS, "+subscribe", "+client|tracking"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("+publish") && !text.contains(EVENT_CHANNELS));
        target.sweep.misses = EventUse::Configure;
        let text = of(&target, &modern()).unwrap();
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
        let text = of(&target, &modern()).unwrap();
        assert!(
            !text.contains("hunter2") && !text.contains("somebody"),
            "{text}"
        );
    }
}
