//! A primary with replicas and three sentinels, and what an exporter reports about them.

use std::collections::BTreeSet;

use super::redis::Client;
use super::wait::LONG;
use super::{Exporter, Launch, Page, RedisServer, until};

/// The password of the servers.
pub const PASSWORD: &str = "hush-of-the-servers";
/// The password of the sentinels.
pub const SENTINEL_PASSWORD: &str = "hush-of-the-sentinels";

/// A primary with two replicas, and three sentinels, with different passwords.
pub struct Trio {
    /// The primary first.
    pub servers: Vec<RedisServer>,
    /// The sentinels.
    pub sentinels: Vec<RedisServer>,
}

/// Starts a replica with the same settings.
pub fn replica_of(primary: &RedisServer) -> RedisServer {
    let port = primary.port.to_string();
    let of = ["--replicaof", "127.0.0.1", &port];
    RedisServer::start(&[&SETTINGS[..], &of].concat())
}

/// The arguments of all servers.
pub const SETTINGS: [&str; 6] = [
    "--requirepass",
    PASSWORD,
    "--masterauth",
    PASSWORD,
    "--repl-diskless-sync-delay",
    "0",
];

impl Trio {
    /// Starts all, and waits until they know each other.
    pub fn start() -> Self {
        let primary = RedisServer::start(&SETTINGS);
        let replicas = [replica_of(&primary), replica_of(&primary)];
        let lines = format!(
            "sentinel monitor main 127.0.0.1 {} 2\nsentinel auth-pass main {PASSWORD}\n\
             sentinel down-after-milliseconds main 5000\nsentinel failover-timeout main 10000\n\
             sentinel sentinel-pass {SENTINEL_PASSWORD}\nrequirepass {SENTINEL_PASSWORD}",
            primary.port
        );
        let trio = Self {
            servers: [primary].into_iter().chain(replicas).collect(),
            sentinels: (0..3).map(|_| RedisServer::sentinel(&lines)).collect(),
        };
        trio.until_known("slaves=2,sentinels=3");
        trio
    }

    /// Returns the connections to all sentinels that are subscribed to failovers.
    pub fn subscribers(&self) -> Vec<String> {
        let subscribers = |sentinel: &RedisServer| {
            let clients = sentinel.ask_as(SENTINEL_PASSWORD, &["CLIENT", "LIST"]);
            let lines = clients.lines().filter(|line| line.contains(" sub=1 "));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        self.sentinels.iter().flat_map(subscribers).collect()
    }

    /// Waits until there is one such connection, and returns it.
    pub fn until_subscribed(&self) -> String {
        until(LONG, "a single subscription", || {
            let mut all = self.subscribers();
            let last = all.pop()?;
            all.is_empty().then_some(last)
        })
    }

    /// Adds a user to each sentinel, with these rules.
    pub fn add_user(&self, rules: &str) {
        let mut words = vec!["ACL", "SETUSER", "watcher", "on", ">hush-of-watcher"];
        words.extend(rules.split(' '));
        for sentinel in &self.sentinels {
            sentinel.ask_as(SENTINEL_PASSWORD, &words);
        }
    }

    /// Lets the sentinels promote another server, and waits until the exporter has followed.
    pub fn fail_over(&self, exporter: &Exporter) {
        let sentinel = &self.sentinels[1];
        let known = || {
            let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"];
            sentinel.ask_as(SENTINEL_PASSWORD, &words)
        };
        let before = known();
        until(LONG, "a failover", || {
            let is_over = known() != before;
            if !is_over {
                // It is rejected while one is under way or no replica can be promoted, and sentinels
                // give up on a machine that is too busy.
                let mut client = Client::connect(sentinel.port).unwrap();
                client.ask(&["AUTH", SENTINEL_PASSWORD]);
                let _ = client.try_ask(&["SENTINEL", "FAILOVER", "main"]).unwrap();
            }
            is_over.then_some(())
        });
        exporter.until("the new primary", |page| {
            let is_primary = |server: &&RedisServer| {
                let port = server.port.to_string();
                known().lines().last() == Some(port.as_str()) && role(page, server, "primary")
            };
            self.servers.iter().any(|server| is_primary(&server))
        });
    }

    /// Waits until INFO of each sentinel contains this.
    pub fn until_known(&self, state: &str) {
        until(LONG, "the sentinels to know all servers", || {
            let knows = |sentinel: &RedisServer| {
                sentinel
                    .ask_as(SENTINEL_PASSWORD, &["INFO", "sentinel"])
                    .contains(state)
            };
            self.sentinels.iter().all(knows).then_some(())
        });
    }

    /// Starts an exporter whose first sentinel is down.
    pub fn exporter(&self) -> Exporter {
        self.exporter_with("1s", &format!("password: {SENTINEL_PASSWORD}"))
    }

    /// Does the same with this interval and these credentials for the sentinels.
    pub fn exporter_with(&self, interval: &str, credentials: &str) -> Exporter {
        let seeds: Vec<_> = self
            .sentinels
            .iter()
            .map(|seed| format!("'{}'", seed.address()))
            .collect();
        Launch::configured(&format!(
            "poll: {{ interval: 500ms, timeout: 500ms }}\ntargets:\n- name: main\n  url: redis://127.0.0.1:1\n  \
             password: {PASSWORD}\n  discover: {{ kind: sentinel, primary: main, \
             interval: {interval}, seeds: [{}], {credentials} }}\n",
            seeds.join(", ")
        ))
        .start()
    }
}

/// Returns the name of the target of a server.
pub fn name(server: &RedisServer) -> String {
    format!("main/{}", server.address())
}

/// Returns the names of the targets of these servers.
pub fn names(servers: &[RedisServer]) -> BTreeSet<String> {
    servers.iter().map(name).collect()
}

/// Returns the targets with this value of `redis_up`.
pub fn targets(page: &Page, up: f64) -> BTreeSet<String> {
    page.label_values("redis_up", "target", up)
        .into_iter()
        .collect()
}

/// Returns whether the page reports this role of a server.
pub fn role(page: &Page, server: &RedisServer, role: &str) -> bool {
    let target = name(server);
    let labels = [
        ("target", target.as_str()),
        ("role", role),
        ("redis_cluster", "main"),
        ("shard", "0"),
    ];
    page.get("redis_cluster_member_info", &labels) == Some(1.0)
}

/// Returns the targets with results of a sweep.
pub fn swept(page: &Page) -> BTreeSet<String> {
    let lines = page.0.lines();
    let lines = lines.filter(|line| line.starts_with("redis_key_namespace_keys{"));
    let names = lines.filter_map(|line| line.split("target=\"").nth(1)?.split('"').next());
    names.map(str::to_owned).collect()
}
