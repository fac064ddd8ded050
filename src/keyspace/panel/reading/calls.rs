//! Counts calls of commands by what they do to keys. Pure.

use super::grown;
use crate::info::Info;

/// Prefix of the fields of INFO commandstats.
const PREFIX: &str = "cmdstat_";

/// Commands that remove whole keys. One that removes several counts once, so the number of calls is
/// a lower bound.
const REMOVING: [&str; 9] = [
    "del", "unlink", "getdel", "delex", "delifeq", "rename", "renamenx", "move", "migrate",
];

/// Commands that make at most one change, by the counter `rdb_changes_since_last_save`.
const SINGLE: [&str; 22] = [
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
];

/// Commands that change nothing themselves. Those that a script calls are counted separately.
const READING: [&str; 80] = [
    "get",
    "mget",
    "getrange",
    "substr",
    "strlen",
    "getbit",
    "bitcount",
    "bitpos",
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
    "llen",
    "lrange",
    "lindex",
    "scard",
    "sismember",
    "smismember",
    "smembers",
    "zcard",
    "zscore",
    "zmscore",
    "zrange",
    "zrangebyscore",
    "zrevrange",
    "zrevrangebyscore",
    "zrank",
    "zrevrank",
    "zcount",
    "xlen",
    "xrange",
    "xrevrange",
    "info",
    "ping",
    "echo",
    "hello",
    "auth",
    "select",
    "client",
    "config",
    "command",
    "time",
    "multi",
    "exec",
    "discard",
    "watch",
    "unwatch",
    "publish",
    "subscribe",
    "unsubscribe",
    "psubscribe",
    "punsubscribe",
    "eval",
    "evalsha",
    "fcall",
    "cluster",
    "slowlog",
    "latency",
    "replconf",
    "psync",
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

    /// Returns the calls until a later reading.
    pub(super) fn until(self, later: Self, is_reset: bool) -> Self {
        Self {
            removing: grown(self.removing, later.removing, is_reset),
            single: grown(self.single, later.single, is_reset),
            several: grown(self.several, later.several, is_reset),
        }
    }

    /// Adds the calls after these.
    pub(in super::super) fn add(&mut self, later: Self) {
        self.removing += later.removing;
        self.single += later.single;
        self.several += later.several;
    }

    /// Returns the minimum number of keys that these calls removed, if they made this many changes.
    /// DEL and UNLINK make one change for each key. Without such a call, no key was removed.
    pub(in super::super) fn removed_at_least(self, changes: Option<f64>) -> f64 {
        let removed = match changes {
            Some(changes) if self.removing > 0.0 && self.several <= 0.0 => changes - self.single,
            _ => 0.0,
        };
        removed.max(self.removing)
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
    fn changes_of_other_commands_are_no_removed_keys() {
        let without = calls("cmdstat_set:calls=10,usec=1\r\n");
        assert!(without.removed_at_least(Some(1_000.0)) <= 0.0);
        let several = calls("cmdstat_hset:calls=10,usec=1\r\ncmdstat_del:calls=2,usec=1\r\n");
        assert!((several.removed_at_least(Some(1_000.0)) - 2.0).abs() < 1e-9);
    }
}
