//! SENTINEL SENTINELS: one sample for each other sentinel of each primary.

use super::{Instance, MASTERS, Master, SENTINELS, further, queried_masters};
use crate::collector::{Collector, Read, Replies, Server};
use crate::metric::{Family, Snapshot, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static PEER: Family<7> = Family::gauge("redis_sentinel_peer_info", &["master_name", "master_address", "name", "ip", "port", "runid", "flags"], source("SENTINEL SENTINELS", ""), Unit::One, "Other sentinel that watches the primary, in labels; always 1.");
}

/// Reads the other sentinels of each primary.
pub static COLLECTOR: Collector = Collector {
    name: "sentinel_peers",
    about: "Other sentinels of each primary that a sentinel watches.",
    queries: &[&MASTERS],
    further_queries: &[&SENTINELS],
    further: |replies| further(replies, &[&SENTINELS]),
    applies: Server::is_sentinel,
    families: || vec![rows::PEER.descriptor()],
    read: Read::Samples(read),
    ..Collector::OFF
};

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    for master in queried_masters(replies) {
        for peer in master.sentinels(replies).into_iter().flatten() {
            read_peer(&master, peer, snapshot);
        }
    }
}

fn read_peer(master: &Master<'_>, peer: Instance<'_>, snapshot: &mut Snapshot) {
    let of = |name| peer.text(name).unwrap_or_default();
    let [name, ip, port, runid, flags] = ["name", "ip", "port", "runid", "flags"].map(of);
    if name.is_empty() {
        return;
    }
    let (primary, address) = (&*master.name, &*master.address);
    let labels = [primary, address, &name, &ip, &port, &runid, &flags];
    snapshot.push(&rows::PEER, labels, 1.0);
}

#[cfg(test)]
mod tests {
    use super::super::replies::{master, other, read, refusal};
    use super::*;
    use crate::reply::Reply;

    #[test]
    fn each_other_sentinel_is_a_sample() {
        let sentinels = Reply::List(vec![other("a", "sentinel"), other("b", "s_down,sentinel")]);
        let lines = read(&COLLECTOR, vec![master("main")], &sentinels, &Reply::Nil);
        let start = "redis_sentinel_peer_info{main,10.0.0.1:6379";
        let expected = [
            format!("{start},a,10.0.0.2,26379,abc,sentinel}} 1"),
            format!("{start},b,10.0.0.2,26379,abc,s_down,sentinel}} 1"),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn refused_query_publishes_nothing() {
        let lines = read(
            &COLLECTOR,
            vec![master("main")],
            &refusal("NOPERM"),
            &Reply::Nil,
        );
        assert!(lines.is_empty());
    }
}
