//! SENTINEL MASTERS and, for each primary, SENTINEL SENTINELS and SENTINEL REPLICAS: settings,
//! possible participants of a failover, and the quorum.

use super::{Instance, MASTERS, Master, REPLICAS, SENTINELS, further, masters, queried_masters};
use crate::collector::{Collector, Read, Replies, Server};
use crate::metric::{Descriptor, Family, Kind, Snapshot, Unit, source};
use crate::number::length as count;

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Kind, Unit, source};

    pub(super) static OK_SENTINELS: Family<2> = Family::gauge("redis_sentinel_master_ok_sentinels", &["master_name", "master_address"], source("SENTINEL SENTINELS", "flags"), Unit::One, "Sentinels of the primary that are neither down nor disconnected, including this one.");
    pub(super) static OK_REPLICAS: Family<2> = Family::gauge("redis_sentinel_master_ok_slaves", &["master_name", "master_address"], source("SENTINEL REPLICAS", "flags"), Unit::One, "Replicas of the primary that are neither down nor disconnected.");
    pub(super) static QUORUM: Family<2> = Family::gauge("redis_sentinel_master_ckquorum_status", &["master_name", "message"], source("SENTINEL SENTINELS", "flags"), Unit::One, "Whether enough sentinels are usable for quorum and majority, with the message of SENTINEL CKQUORUM in a label.");
    pub(super) static SETTING_QUORUM: Family<2> = Family::gauge("redis_sentinel_master_setting_ckquorum", &["master_name", "master_address"], source("SENTINEL MASTERS", "quorum"), Unit::One, "Sentinels that must agree that the primary is down.");
    pub(super) static FAILOVER_TIMEOUT: Family<2> = Family::gauge("redis_sentinel_master_setting_failover_timeout_seconds", &["master_name", "master_address"], source("SENTINEL MASTERS", "failover-timeout"), Unit::Milliseconds, "Failover timeout, in seconds.").legacy_as_replied("redis_sentinel_master_setting_failover_timeout", Kind::Gauge);
    pub(super) static PARALLEL_SYNCS: Family<2> = Family::gauge("redis_sentinel_master_setting_parallel_syncs", &["master_name", "master_address"], source("SENTINEL MASTERS", "parallel-syncs"), Unit::One, "Replicas that copy from a new primary at the same time.");
    pub(super) static DOWN_AFTER: Family<2> = Family::gauge("redis_sentinel_master_setting_down_after_seconds", &["master_name", "master_address"], source("SENTINEL MASTERS", "down-after-milliseconds"), Unit::Milliseconds, "Time without a valid reply after which the primary counts as down, in seconds.").legacy_as_replied("redis_sentinel_master_setting_down_after_milliseconds", Kind::Gauge);
    pub(super) static CONFIG_EPOCH: Family<2> = Family::gauge("redis_sentinel_master_config_epoch", &["master_name", "master_address"], source("SENTINEL MASTERS", "config-epoch"), Unit::One, "Version of the configuration of the primary; each failover increases it.");
    pub(super) static LAST_OK_PING: Family<2> = Family::gauge("redis_sentinel_master_last_ok_ping_reply_seconds", &["master_name", "master_address"], source("SENTINEL MASTERS", "last-ok-ping-reply"), Unit::Milliseconds, "Time since the last valid PING reply of the primary.");
    pub(super) static UNQUERIED: Family<0> = Family::gauge("redis_sentinel_masters_unasked", &[], source("SENTINEL MASTERS", ""), Unit::One, "Primaries beyond the first 500, whose sentinels and replicas are not queried.");
}

static FIELDS: &[&Family<2>] = &[
    &rows::SETTING_QUORUM,
    &rows::FAILOVER_TIMEOUT,
    &rows::PARALLEL_SYNCS,
    &rows::DOWN_AFTER,
    &rows::CONFIG_EPOCH,
    &rows::LAST_OK_PING,
];

/// Reads a sentinel's view of each primary.
pub static COLLECTOR: Collector = Collector {
    name: "sentinel_masters",
    about: "Settings, quorum, usable sentinels and replicas of each primary that a sentinel watches.",
    queries: &[&MASTERS],
    further_queries: &[&SENTINELS, &REPLICAS],
    further: |replies| further(replies, &[&SENTINELS, &REPLICAS]),
    applies: Server::is_sentinel,
    families,
    read: Read::Samples(read),
    ..Collector::ON
};

fn families() -> Vec<&'static Descriptor> {
    let read_first = [&rows::QUORUM, &rows::OK_SENTINELS, &rows::OK_REPLICAS];
    let all = read_first.into_iter().chain(FIELDS.iter().copied());
    all.map(Family::descriptor)
        .chain([rows::UNQUERIED.descriptor()])
        .collect()
}

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    let masters = masters(replies);
    for master in &masters {
        read_settings(master, snapshot);
    }
    let queried = queried_masters(replies);
    for master in &queried {
        read_others(master, replies, snapshot);
    }
    if replies.reply(&MASTERS).is_some() {
        snapshot.push(&rows::UNQUERIED, [], count(masters.len() - queried.len()));
    }
}

fn read_settings(master: &Master<'_>, snapshot: &mut Snapshot) {
    for family in FIELDS {
        let value = master.fields.number(family.field());
        snapshot.push(family, [&master.name, &master.address], value);
    }
}

fn read_others(master: &Master<'_>, replies: &Replies, snapshot: &mut Snapshot) {
    let labels = [master.name.as_str(), master.address.as_str()];
    if let Some(sentinels) = master.sentinels(replies) {
        // A sentinel does not list itself.
        snapshot.push(&rows::OK_SENTINELS, labels, count(1 + ok(&sentinels)));
        if let Some(quorum) = master.fields.number("quorum") {
            let quorum = Quorum::of(&sentinels, quorum);
            let is_there = f64::from(quorum.is_there());
            snapshot.push(&rows::QUORUM, [&master.name, &quorum.message()], is_there);
        }
    }
    if let Some(replicas) = master.replicas(replies) {
        snapshot.push(&rows::OK_REPLICAS, labels, count(ok(&replicas)));
    }
}

fn ok(instances: &[Instance<'_>]) -> usize {
    let ok = instances.iter().filter(|other| other.is_ok() == Some(true));
    ok.count()
}

/// The result of SENTINEL CKQUORUM, computed from the list of sentinels. The command itself is not
/// sent: a lost quorum would add an error to the server's statistics at every poll.
struct Quorum {
    usable: usize,
    are_enough: bool,
    is_majority: bool,
}

impl Quorum {
    fn of(sentinels: &[Instance<'_>], quorum: f64) -> Self {
        let down = sentinels
            .iter()
            .filter(|other| other.is_down() == Some(true));
        let voters = 1 + sentinels.len();
        let usable = voters - down.count();
        Self {
            usable,
            are_enough: count(usable) >= quorum,
            is_majority: usable > voters / 2,
        }
    }

    const fn is_there(&self) -> bool {
        self.are_enough && self.is_majority
    }

    /// Returns the server's message, which is a label in `redis_exporter`.
    fn message(&self) -> String {
        let code = if self.is_there() { "OK" } else { "NOQUORUM" };
        let mut text = format!("{code} {} usable Sentinels.", self.usable);
        if self.is_there() {
            text += " Quorum and failover authorization can be reached";
        }
        if !self.are_enough {
            text += " Not enough available Sentinels to reach the specified quorum for this master";
        }
        if !self.is_majority {
            text += if self.are_enough { "" } else { "." };
            text +=
                " Not enough available Sentinels to reach the majority and authorize a failover";
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::replies::{master, other, read, refusal};
    use super::*;
    use crate::reply::Reply;

    fn of(sentinels: &Reply, replicas: &Reply) -> Vec<String> {
        read(&COLLECTOR, vec![master("main")], sentinels, replicas)
    }

    fn only(lines: &[String], name: &str) -> Vec<String> {
        let start = format!("{name}{{");
        let found = lines.iter().filter(|line| line.starts_with(&start));
        found.cloned().collect()
    }

    #[test]
    fn primary_publishes_settings_as_reported() {
        let lines = of(&refusal("NOPERM"), &refusal("NOPERM"));
        let expected = [
            "redis_sentinel_master_config_epoch{main,10.0.0.1:6379} 3",
            "redis_sentinel_master_last_ok_ping_reply_seconds{main,10.0.0.1:6379} 548",
            "redis_sentinel_master_setting_ckquorum{main,10.0.0.1:6379} 2",
            "redis_sentinel_master_setting_down_after_seconds{main,10.0.0.1:6379} 5000",
            "redis_sentinel_master_setting_failover_timeout_seconds{main,10.0.0.1:6379} 180000",
            "redis_sentinel_master_setting_parallel_syncs{main,10.0.0.1:6379} 1",
            "redis_sentinel_masters_unasked{} 0",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn down_or_disconnected_instances_are_not_ok() {
        let sentinels = [
            "sentinel",
            "s_down,sentinel,disconnected",
            "sentinel,disconnected",
        ];
        let sentinels = Reply::List(sentinels.map(|flags| other("s", flags)).to_vec());
        let replicas = ["slave", "slave", "s_down,slave", "o_down,slave"];
        let replicas = Reply::List(replicas.map(|flags| other("r", flags)).to_vec());
        let lines = of(&sentinels, &replicas);
        assert_eq!(
            only(&lines, "redis_sentinel_master_ok_sentinels"),
            ["redis_sentinel_master_ok_sentinels{main,10.0.0.1:6379} 2"]
        );
        assert_eq!(
            only(&lines, "redis_sentinel_master_ok_slaves"),
            ["redis_sentinel_master_ok_slaves{main,10.0.0.1:6379} 2"]
        );
    }

    #[test]
    fn lost_quorum_is_0_with_the_server_message() {
        let status = |flags: &[&str]| {
            let sentinels = flags.iter().map(|flags| other("s", flags)).collect();
            let lines = of(&Reply::List(sentinels), &Reply::Nil);
            only(&lines, "redis_sentinel_master_ckquorum_status").concat()
        };
        let name = "redis_sentinel_master_ckquorum_status";
        assert_eq!(
            status(&["sentinel", "sentinel,disconnected"]),
            format!(
                "{name}{{main,OK 3 usable Sentinels. Quorum and failover authorization can be reached}} 1"
            )
        );
        let (quorum, majority) = (
            "Not enough available Sentinels to reach the specified quorum for this master.",
            "Not enough available Sentinels to reach the majority and authorize a failover",
        );
        assert_eq!(
            status(&["s_down,sentinel", "s_down,sentinel"]),
            format!("{name}{{main,NOQUORUM 1 usable Sentinels. {quorum} {majority}}} 0")
        );
        assert_eq!(
            status(&["sentinel", "s_down,sentinel", "o_down,sentinel"]),
            format!("{name}{{main,NOQUORUM 2 usable Sentinels. {majority}}} 0")
        );
    }

    #[test]
    fn unknown_sentinels_and_replicas_are_absent() {
        for silent in [refusal("NOPERM"), Reply::Nil, Reply::Integer(1)] {
            let lines = of(&silent, &silent);
            assert!(only(&lines, "redis_sentinel_master_ok_slaves").is_empty());
            assert!(only(&lines, "redis_sentinel_master_ok_sentinels").is_empty());
            assert!(only(&lines, "redis_sentinel_master_ckquorum_status").is_empty());
        }
    }

    #[test]
    fn primaries_beyond_the_limit_are_counted_not_queried() {
        let many = (0..503)
            .map(|number| master(&format!("m{number}")))
            .collect();
        let none = Reply::List(Vec::new());
        let lines = read(&COLLECTOR, many, &none, &none);
        assert_eq!(only(&lines, "redis_sentinel_master_ok_slaves").len(), 500);
        assert_eq!(
            only(&lines, "redis_sentinel_master_config_epoch").len(),
            503
        );
        assert_eq!(
            only(&lines, "redis_sentinel_masters_unasked"),
            ["redis_sentinel_masters_unasked{} 3"]
        );
    }
}
