//! Words the facts about a server that its replies to a poll contain. Pure.

use crate::collector::Replies;
use crate::config::Target;
use crate::invisible::one_line;
use crate::number::{to_count, to_float};
use crate::quantity;

/// Share of the memory limit from which the used memory is notable.
const NEARLY_FULL: f64 = 0.9;

/// Maximum number of databases that are named because none of their keys expires.
const LASTING_MAX: usize = 5;

/// Facts about a server.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact")]
pub struct ServerFacts {
    version: Option<String>,
    /// Whether the server reports a role. A sentinel has none, and no keys.
    has_role: bool,
    is_replica: bool,
    is_link_down: bool,
    is_loading: bool,
    keys: f64,
    keys_with_ttl: f64,
    databases: u32,
    /// Names of databases none of whose keys expires, with the number of keys.
    lasting: Vec<(String, f64)>,
    used: Option<f64>,
    /// The memory limit that the server reports or the configuration declares.
    limit: Option<f64>,
    /// Whether the server reports that it has no limit.
    is_unlimited: bool,
    policy: Option<String>,
    expect_full: bool,
}

impl ServerFacts {
    /// Reads the facts from the replies to a poll.
    #[must_use]
    pub fn of(target: &Target, replies: &Replies) -> Self {
        let info = &replies.info;
        let text = |name: &str| info.get(name).map(str::to_owned);
        let reported = info.number("maxmemory");
        let declared = target.memory_limit.map(to_float);
        let limit = reported.filter(|limit| *limit > 0.0).or(declared);
        let mut facts = Self {
            version: text("valkey_version").or_else(|| text("redis_version")),
            has_role: info.get("role").is_some(),
            is_replica: info.get("role") == Some("slave"),
            is_link_down: info.get("master_link_status") == Some("down"),
            is_loading: info.get("loading") == Some("1"),
            used: info.number("used_memory"),
            limit,
            is_unlimited: reported == Some(0.0) && declared.is_none(),
            policy: text("maxmemory_policy"),
            expect_full: target.expect_full,
            ..Self::default()
        };
        for database in info.section("Keyspace") {
            facts.databases += 1;
            let number = |name| database.number_in_record(name);
            facts.keys += number("keys").unwrap_or(0.0);
            facts.keys_with_ttl += number("expires").unwrap_or(0.0);
            let keys = number("keys").filter(|keys| *keys > 0.0);
            if let Some(keys) = keys.filter(|_| number("expires") == Some(0.0)) {
                facts.lasting.push((database.name.to_owned(), keys));
            }
        }
        facts
    }

    /// Returns the facts in one line, such as `7.0.15, primary, 12 keys, 1.5 MiB without a limit`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut parts: Vec<String> = self.version.iter().map(|text| one_line(text, 40)).collect();
        if self.has_role {
            let role = if self.is_replica {
                "replica"
            } else {
                "primary"
            };
            let databases = match self.databases {
                0 | 1 => String::new(),
                databases => format!(" in {databases} databases"),
            };
            parts.push(role.to_owned());
            parts.push(format!("{}{databases}", keys_text(self.keys)));
        }
        parts.extend(self.used.map(|used| self.memory(used)));
        let policy = self.policy.as_ref();
        parts.extend(policy.map(|policy| format!("policy {}", one_line(policy, 40))));
        parts.join(", ")
    }

    fn memory(&self, used: f64) -> String {
        let used_text = quantity::long_bytes(used);
        match self.limit {
            Some(limit) => {
                let (limit_text, share) = (
                    quantity::long_bytes(limit),
                    quantity::long_percent(used / limit),
                );
                format!("{used_text} of {limit_text} ({share})")
            }
            None if self.is_unlimited => format!("{used_text} without a limit"),
            None => used_text,
        }
    }

    /// Returns what is notable, without the name of the target.
    #[must_use]
    pub fn notable(&self) -> Vec<String> {
        let mut notable = Vec::new();
        if self.is_loading {
            notable.push("is loading its data.".to_owned());
        }
        if self.is_replica && self.is_link_down {
            notable.push("is a replica that has lost its primary.".to_owned());
        }
        let used = self.used.zip(self.limit).map(|(used, limit)| used / limit);
        if let Some(used) = used.filter(|used| *used >= NEARLY_FULL && !self.expect_full) {
            let share = quantity::long_percent(used);
            notable.push(format!("uses {share} of its memory limit."));
        }
        if self.is_unlimited && !self.is_replica {
            notable.push("has no memory limit.".to_owned());
        }
        let evicts_expiring = self
            .policy
            .as_deref()
            .is_some_and(|policy| policy.starts_with("volatile-"));
        if evicts_expiring && self.limit.is_some() && self.keys > 0.0 && self.keys_with_ttl == 0.0 {
            notable.push(
                "can evict nothing: its policy evicts keys with a TTL, and no key has one."
                    .to_owned(),
            );
        } else if self.keys > 0.0 && self.keys_with_ttl == 0.0 {
            let (keys, none) = (keys_text(self.keys), none_expires(self.keys));
            notable.push(format!("has {keys}, and {none}."));
        } else if self.keys > 0.0 && self.keys_with_ttl < self.keys {
            let without = self.keys - self.keys_with_ttl;
            let expire = if whole(without) == 1 {
                "expires"
            } else {
                "expire"
            };
            let without = keys_text(without);
            let share = quantity::long_percent(1.0 - self.keys_with_ttl / self.keys);
            notable.push(format!(
                "has {without} that never {expire}, {share} of all."
            ));
            let lasting = self.lasting.iter().take(LASTING_MAX);
            notable.extend(lasting.map(|(database, keys)| {
                let database = one_line(database, 40);
                let (keys_text, none) = (keys_text(*keys), none_expires(*keys));
                format!("has {keys_text} in {database}, and {none}.")
            }));
        }
        notable
    }
}

/// Returns a number of keys with its noun.
fn keys_text(keys: f64) -> String {
    quantity::counted(keys, "key", "keys")
}

/// Words that no key expires.
fn none_expires(keys: f64) -> &'static str {
    match whole(keys) {
        1 => "it never expires",
        _ => "none of them expires",
    }
}

fn whole(keys: f64) -> u64 {
    to_count(keys.round())
}

/// Words how long a pass takes.
#[must_use]
pub fn pass_text(seconds: f64) -> String {
    quantity::long_duration(to_count((seconds * 1_000.0).ceil()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::Circumstances;

    fn facts(info: &str, change: impl FnOnce(&mut Target)) -> ServerFacts {
        let mut target = Target::dead("cache");
        change(&mut target);
        ServerFacts::of(&target, &Replies::new(info, Circumstances::default()))
    }

    const INFO: &str = "# Server\r\nredis_version:7.0.15\r\n# Memory\r\nused_memory:1048576\r\n\
        maxmemory:1073741824\r\nmaxmemory_policy:allkeys-lru\r\n# Replication\r\nrole:master\r\n\
        # Keyspace\r\ndb0:keys=1500,expires=1500,avg_ttl=1\r\ndb3:keys=2,expires=2\r\n";

    #[test]
    fn facts_are_one_line() {
        assert_eq!(
            facts(INFO, |_| ()).text(),
            "7.0.15, primary, 1,502 keys in 2 databases, 1.0 MiB of 1.0 GiB (0.1%), policy \
             allkeys-lru"
        );
        assert_eq!(facts(INFO, |_| ()).notable(), Vec::<String>::new());
        assert_eq!(facts("role:master\r\n", |_| ()).text(), "primary, 0 keys");
        let sentinel = facts("redis_version:7.0.15\r\n", |_| ());
        assert_eq!(sentinel.text(), "7.0.15");
        let one = facts(
            "role:slave\r\n# Keyspace\r\ndb0:keys=1,expires=0\r\n",
            |_| (),
        );
        assert_eq!(one.text(), "replica, 1 key");
        let notable = "has 1 key, and it never expires.";
        assert_eq!(one.notable(), [notable]);
    }

    #[test]
    fn notable_facts_are_sentences() {
        let about =
            |from: &str, to: &str| facts(&INFO.replace(from, to), |_| ()).notable().join(" ");
        assert_eq!(
            about("maxmemory:1073741824", "maxmemory:0"),
            "has no memory limit."
        );
        assert_eq!(
            about("maxmemory:1073741824", "maxmemory:1100000"),
            "uses 95.3% of its memory limit."
        );
        assert_eq!(
            about("expires=2", "expires=0"),
            "has 2 keys that never expire, 0.1% of all. has 2 keys in db3, and none of them expires."
        );
        let none = INFO.replace("expires=2", "expires=0");
        let none = none.replace("expires=1500", "expires=0");
        let notable = facts(&none, |_| ()).notable().join(" ");
        assert_eq!(notable, "has 1,502 keys, and none of them expires.");
        let none = INFO
            .replace("expires=2", "expires=0")
            .replace("expires=1500", "expires=0");
        let none = none.replace("allkeys-lru", "volatile-lru");
        let notable = facts(&none, |_| ()).notable().join(" ");
        assert!(notable.starts_with("can evict nothing:"), "{notable}");
        let replica = INFO.replace("role:master", "role:slave\r\nmaster_link_status:down");
        let notable = facts(&replica, |_| ()).notable().join(" ");
        assert_eq!(notable, "is a replica that has lost its primary.");
        let full = INFO.replace("maxmemory:1073741824", "maxmemory:1100000");
        let full = facts(&full, |target| target.expect_full = true);
        assert!(full.notable().is_empty());
    }
}
