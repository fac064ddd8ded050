//! Counts calls of commands by what they do to keys. Pure.

use super::grown_or_reset;
use crate::info::Info;

/// Prefix of the fields of INFO commandstats.
const PREFIX: &str = "cmdstat_";

/// Commands that remove whole keys. One that removes several counts once, so the number of calls is
/// a lower bound.
const REMOVING: [&str; 9] = [
    "del", "unlink", "getdel", "delex", "delifeq", "rename", "renamenx", "move", "migrate",
];

/// Commands that make at most one change, by the counter `rdb_changes_since_last_save`.
const SINGLE: [&str; 23] = [
    "set",
    "setex",
    "psetex",
    "setnx",
    "getset",
    "getex",
    "append",
    "setrange",
    "setbit",
    "incr",
    "incrby",
    "incrbyfloat",
    "decr",
    "decrby",
    "expire",
    "pexpire",
    "expireat",
    "pexpireat",
    "persist",
    "hincrby",
    "hincrbyfloat",
    "hsetnx",
    "script",
];

/// Commands that change nothing themselves. Those that a script calls are counted separately.
const READING: [&str; 143] = [
    "get",
    "mget",
    "getrange",
    "substr",
    "strlen",
    "getbit",
    "bitcount",
    "bitpos",
    "bitfield_ro",
    "lcs",
    "dump",
    "sort_ro",
    "exists",
    "ttl",
    "pttl",
    "expiretime",
    "pexpiretime",
    "type",
    "object",
    "memory",
    "touch",
    "scan",
    "hscan",
    "sscan",
    "zscan",
    "randomkey",
    "keys",
    "dbsize",
    "hget",
    "hmget",
    "hgetall",
    "hkeys",
    "hvals",
    "hlen",
    "hexists",
    "hstrlen",
    "hrandmember",
    "httl",
    "hpttl",
    "hexpiretime",
    "hpexpiretime",
    "llen",
    "lrange",
    "lindex",
    "lpos",
    "scard",
    "sismember",
    "smismember",
    "smembers",
    "srandmember",
    "sinter",
    "sunion",
    "sdiff",
    "sintercard",
    "zcard",
    "zscore",
    "zmscore",
    "zrange",
    "zrangebyscore",
    "zrangebylex",
    "zrevrange",
    "zrevrangebyscore",
    "zrevrangebylex",
    "zrank",
    "zrevrank",
    "zcount",
    "zlexcount",
    "zrandmember",
    "zinter",
    "zunion",
    "zdiff",
    "zintercard",
    "xlen",
    "xrange",
    "xrevrange",
    "xread",
    "xpending",
    "xinfo",
    "geopos",
    "geodist",
    "geohash",
    "geosearch",
    "georadius_ro",
    "georadiusbymember_ro",
    "info",
    "ping",
    "echo",
    "hello",
    "auth",
    "select",
    "quit",
    "reset",
    "client",
    "config",
    "command",
    "time",
    "role",
    "wait",
    "waitaof",
    "lolwut",
    "multi",
    "exec",
    "discard",
    "watch",
    "unwatch",
    "publish",
    "spublish",
    "subscribe",
    "unsubscribe",
    "psubscribe",
    "punsubscribe",
    "ssubscribe",
    "sunsubscribe",
    "pubsub",
    "eval",
    "evalsha",
    "fcall",
    "eval_ro",
    "evalsha_ro",
    "fcall_ro",
    "cluster",
    "readonly",
    "readwrite",
    "asking",
    "slowlog",
    "commandlog",
    "latency",
    "acl",
    "module",
    "monitor",
    "hotkeys",
    "replconf",
    "psync",
    "sync",
    "sentinel",
    "save",
    "bgsave",
    "bgrewriteaof",
    "lastsave",
    "ft.info",
    "ft._list",
    "ft.search",
    "ft.aggregate",
];

/// Calls of commands of all clients.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in super::super) struct Calls {
    /// Successful calls of commands that remove keys.
    pub(in super::super) removing: f64,
    /// Calls of commands that make at most one change.
    single: f64,
    /// Calls of commands that may make several.
    several: f64,
}

impl Calls {
    /// Returns this many calls that remove keys.
    #[cfg(test)]
    pub(in super::super) fn of_removing(calls: f64) -> Self {
        Self {
            removing: calls,
            ..Self::default()
        }
    }

    /// Reads the section `commandstats`.
    pub(super) fn read(info: &Info) -> Self {
        let mut all = Self::default();
        for (name, field) in info.named(PREFIX) {
            let number = |name| field.number_in_record(name).unwrap_or(0.0);
            let calls = number("calls");
            let command = name.split_once('|').map_or(name, |(command, _)| command);
            if REMOVING.contains(&command) {
                all.removing += calls - number("failed_calls");
            } else if SINGLE.contains(&command) {
                all.single += calls;
            } else if !READING.contains(&command) {
                all.several += calls;
            }
        }
        all
    }

    /// Returns whether later calls show that the counters were reset in between.
    pub(super) fn are_reset_by(self, later: Self) -> bool {
        later.removing < self.removing || later.single < self.single || later.several < self.several
    }

    /// Returns the calls until a later reading.
    pub(super) fn until(self, later: Self, is_reset: bool) -> Self {
        Self {
            removing: grown_or_reset(self.removing, later.removing, is_reset),
            single: grown_or_reset(self.single, later.single, is_reset),
            several: grown_or_reset(self.several, later.several, is_reset),
        }
    }

    /// Adds the calls after these.
    pub(in super::super) fn add(&mut self, later: Self) {
        self.removing += later.removing;
        self.single += later.single;
        self.several += later.several;
    }

    /// Returns about how many keys these calls removed at least, if all calls made this many changes.
    /// DEL and UNLINK make one change for each key. Without such a call, no key was removed. If the
    /// changes are unknown, each call counts as a key.
    pub(in super::super) fn removed_at_least(self, changes: Option<f64>) -> f64 {
        let removed = match changes {
            Some(changes) if self.removing > 0.0 && self.several <= 0.0 => changes - self.single,
            _ => 0.0,
        };
        // DEL of a missing key changes nothing.
        let most = changes.unwrap_or(f64::INFINITY);
        removed.max(self.removing).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(text: &str) -> Calls {
        Calls::read(&Info::parse(format!("# Commandstats\r\n{text}")))
    }

    #[test]
    fn changes_show_how_many_keys_a_call_removed() {
        let calls = calls(
            "cmdstat_set:calls=1000,usec=1\r\ncmdstat_unlink:calls=3,usec=1,failed_calls=1\r\n\
             cmdstat_get:calls=5000,usec=1\r\ncmdstat_client|list:calls=7,usec=1\r\n",
        );
        assert!((calls.removed_at_least(Some(1_800.0)) - 800.0).abs() < 1e-9);
        assert!((calls.removed_at_least(Some(900.0)) - 2.0).abs() < 1e-9);
        assert!((calls.removed_at_least(None) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn deletions_of_missing_keys_remove_nothing() {
        let calls = calls("cmdstat_del:calls=500,usec=1\r\n");
        assert!((calls.removed_at_least(Some(20.0)) - 20.0).abs() < 1e-9);
    }

    /// Those of the exporter must not hide how many keys were removed.
    #[test]
    fn commands_of_polls_and_sweeps_are_known() {
        let collectors = crate::collector::ALL.iter();
        let queries = collectors
            .flat_map(|collector| collector.queries.iter().chain(collector.further_queries));
        // Servers of their own, and what is off by default.
        let others = ["server", "function"];
        for query in queries {
            let command = query.commands[0][0].to_lowercase();
            let is_known = READING.contains(&&*command) || others.contains(&&*command);
            assert!(is_known, "{command}");
        }
    }

    #[test]
    fn changes_of_other_commands_are_no_removed_keys() {
        let without = calls("cmdstat_set:calls=10,usec=1\r\n");
        assert!(without.removed_at_least(Some(1_000.0)) <= 0.0);
        let several = calls("cmdstat_hset:calls=10,usec=1\r\ncmdstat_del:calls=2,usec=1\r\n");
        assert!((several.removed_at_least(Some(1_000.0)) - 2.0).abs() < 1e-9);
    }
}
