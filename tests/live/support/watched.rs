//! Streams of messages about keys that the exporter watches for a part of the time.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::exporter::Launch;
use super::page::Page;
use super::redis::{Client, RedisServer};
use super::sweep::{self, FULL_SPEED, NAMESPACES};

/// A stream.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// Its name in labels and in the output of `check`.
    pub name: &'static str,
    /// The setting of the sweep that enables it.
    pub setting: &'static str,
    /// The setting that disables it.
    off: &'static str,
    /// The metric with its counts.
    counts: &'static str,
    permissions: &'static str,
}

/// Lookups that find no key.
pub const MISSES: Watched = Watched {
    name: "misses",
    setting: "misses: listen",
    off: "sweep.misses to off",
    counts: "redis_key_namespace_misses_total",
    permissions: "+info +subscribe +unsubscribe &__keyevent@*__:*",
};

/// Changes of keys.
pub const CHANGES: Watched = Watched {
    name: "changes",
    setting: "changes: true",
    off: "sweep.changes to false",
    counts: "redis_key_namespace_changes_total",
    permissions: "+info +client|tracking +subscribe +unsubscribe &redis-namespace-exporter:*",
};

impl Watched {
    /// Returns whether the stream has this state.
    pub fn is_state(&self, page: &Page, state: &str) -> bool {
        let labels = [("stream", self.name), ("state", state)];
        page.get("redis_exporter_watch_state", &labels) == Some(1.0)
    }

    /// Returns the time for which the stream was watched.
    pub fn seconds(&self, page: &Page) -> f64 {
        let labels = [("stream", self.name)];
        let seconds = page.get("redis_exporter_watched_seconds_total", &labels);
        seconds.unwrap_or(0.0)
    }

    /// Returns how many times a connection of the stream broke off.
    pub fn breaks(&self, page: &Page) -> f64 {
        let labels = [("stream", self.name)];
        let breaks = page.all("redis_exporter_watch_breaks_total", &labels);
        breaks.into_iter().sum()
    }

    /// Returns the count of a namespace in database 0.
    pub fn total(&self, page: &Page, namespace: &str) -> f64 {
        let labels = [("db", "db0"), ("key_namespace", namespace)];
        page.get(self.counts, &labels).unwrap_or(0.0)
    }

    /// Returns all counts.
    pub fn counts(&self, page: &Page) -> Vec<f64> {
        page.all(self.counts, &[])
    }

    /// Checks that a user with these ACL rules must not watch the stream, that the exporter reports
    /// what to grant, and that it causes one error. Then grants these rules.
    pub fn is_denied(&self, server: &RedisServer, rules: &str, grants: &str) {
        set_user(server, &format!("reset on >secret {rules}"));
        let check = launch(server, self.setting).flag("check").run();
        let line = format!(
            "{:<19}denied: grant the user {}, or set {}\n",
            self.name, self.permissions, self.off
        );
        assert!(check.stdout.contains(&line), "{}", check.stdout);
        server.ask(&["CONFIG", "RESETSTAT"]);
        let exporter = launch(server, self.setting).start();
        let page = exporter.until("the state", |page| self.is_state(page, "denied"));
        assert_eq!(self.counts(&page), Vec::<f64>::new());
        sweep::more_passes(&exporter, 2.0);
        let denied = sweep::in_record(server, "errorstat_NOPERM", "count");
        let log = exporter.log();
        assert_eq!(denied, 1.0, "{log}");
        let remedy = format!("grant the user {}", self.permissions);
        assert!(log.contains(&remedy), "{log}");
        set_user(server, grants);
        let check = launch(server, self.setting).flag("check").run();
        let line = format!("{:<19}works\n", self.name);
        assert!(check.stdout.contains(&line), "{}", check.stdout);
    }
}

/// Sets ACL rules of the user that [`launch`] uses.
pub fn set_user(server: &RedisServer, rules: &str) {
    let words = ["ACL", "SETUSER", "watcher"].into_iter();
    server.ask(&words.chain(rules.split(' ')).collect::<Vec<_>>());
}

/// Creates a launch as that user, with these settings of the sweep.
pub fn launch(server: &RedisServer, settings: &str) -> Launch {
    Launch::configured(&format!(
        "poll: {{ interval: 500ms, timeout: 500ms }}\n\
         sweep: {{ {FULL_SPEED}, {settings} }}\n{NAMESPACES}\
         targets: [{{ name: cache, url: 'redis://watcher:secret@{}' }}]\n",
        server.address()
    ))
}

/// Runs a script again and again until `done`, with the number of the round as its argument.
pub fn run_until(server: &RedisServer, body: &str, done: &AtomicBool, rounds: &AtomicU32) {
    let mut client = Client::connect(server.port).unwrap();
    while !done.load(Ordering::Relaxed) {
        let round = rounds.fetch_add(1, Ordering::Relaxed).to_string();
        client.ask(&["EVAL", body, "0", &round]);
        thread::sleep(Duration::from_millis(10));
    }
}
