//! Replies to SENTINEL commands: the watched primaries, and the replicas and sentinels of each.
//! `info::sentinel` reads a sentinel's INFO.

pub(super) mod config;
pub(super) mod masters;
pub(super) mod peers;

use super::{Command, Query, Replies};
use crate::info;
use crate::query::Ticket;
use crate::reply::Reply;

/// Queries the primaries that the sentinel watches, with their settings.
pub static MASTERS: Query = Query::new(&[&["SENTINEL", "MASTERS"]], "+sentinel|masters");

/// Queries the other sentinels of a primary.
static SENTINELS: Query = Query::new(&[&["SENTINEL", "SENTINELS"]], "+sentinel|sentinels");

/// Queries the replicas of a primary.
static REPLICAS: Query = Query::new(&[&["SENTINEL", "REPLICAS"]], "+sentinel|replicas");

/// Maximum number of primaries whose sentinels and replicas are queried. Each costs two queries.
const MOST_MASTERS: usize = 500;

/// A flat list of names and values: a primary, a replica, or another sentinel.
#[derive(Clone, Copy, Debug)]
struct Instance<'a>(&'a [Reply]);

impl<'a> Instance<'a> {
    fn bytes(self, name: &str) -> Option<&'a [u8]> {
        let pair = self
            .0
            .chunks_exact(2)
            .find(|pair| matches!(pair, [found, _] if found.bytes() == Some(name.as_bytes())))?;
        pair.get(1)?.bytes()
    }

    fn text(self, name: &str) -> Option<String> {
        let bytes = self.bytes(name)?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    fn number(self, name: &str) -> Option<f64> {
        info::number(&self.text(name)?)
    }

    /// Returns whether at least one of these flags is set; `None` if there are no flags.
    fn has_flag(self, flags: &[&str]) -> Option<bool> {
        let text = self.text("flags")?;
        Some(text.split(',').any(|flag| flags.contains(&flag)))
    }

    /// Returns whether the sentinel considers it down, subjectively or objectively.
    fn is_down(self) -> Option<bool> {
        self.has_flag(&["s_down", "o_down"])
    }

    /// Returns whether it could take part in a failover now. A disconnected instance cannot, even
    /// before the timeout after which it counts as down.
    fn is_ok(self) -> Option<bool> {
        let is_out = self.has_flag(&["s_down", "o_down", "disconnected"])?;
        Some(!is_out)
    }
}

/// A watched primary with the labels of all its metrics.
#[derive(Clone, Debug)]
struct Master<'a> {
    /// Position in the list.
    at: usize,
    fields: Instance<'a>,
    name: String,
    address: String,
}

impl<'a> Master<'a> {
    fn read((at, reply): (usize, &'a Reply)) -> Option<Self> {
        let fields = Instance(reply.items());
        let (ip, port) = (fields.text("ip")?, fields.text("port")?);
        Some(Self {
            at,
            fields,
            name: fields.text("name")?,
            address: format!("{ip}:{port}"),
        })
    }

    /// Returns the other sentinels that watch it; `None` if they were not queried or are denied.
    fn sentinels(&self, replies: &'a Replies) -> Option<Vec<Instance<'a>>> {
        instances(replies, SENTINELS.ticket(self.at))
    }

    fn replicas(&self, replies: &'a Replies) -> Option<Vec<Instance<'a>>> {
        instances(replies, REPLICAS.ticket(self.at))
    }
}

fn instances(replies: &Replies, ticket: Ticket) -> Option<Vec<Instance<'_>>> {
    let Reply::List(items) = replies.reply(ticket)? else {
        return None;
    };
    Some(items.iter().map(|item| Instance(item.items())).collect())
}

/// Returns the queries about each primary. `masters` and `peers` share them and their replies.
fn further<'a>(replies: &'a Replies, queries: &[&'static Query]) -> Vec<Command<'a>> {
    let masters = queried_masters(replies).into_iter();
    let commands = masters.flat_map(|master| {
        let name = master.fields.bytes("name").unwrap_or_default();
        queries
            .iter()
            .map(move |query| query.with(master.at, [name]))
    });
    commands.collect()
}

fn masters(replies: &Replies) -> Vec<Master<'_>> {
    let reply = replies.reply(&MASTERS).map(Reply::items);
    let items = reply.unwrap_or_default().iter();
    items.enumerate().filter_map(Master::read).collect()
}

/// Returns the primaries for dependent queries. A sentinel lists them in hash-table order, which is
/// stable while none is added or removed.
fn queried_masters(replies: &Replies) -> Vec<Master<'_>> {
    let mut masters = masters(replies);
    masters.truncate(MOST_MASTERS);
    masters
}

/// Replies of a sentinel, for tests in this folder.
#[cfg(test)]
mod replies {
    use super::super::{Circumstances, Collector, Command, reading};
    use super::MASTERS;
    use crate::reply::{Refusal, Reply};

    pub(super) fn instance(pairs: &str) -> Reply {
        let words = pairs.split(['=', ' ']).map(reading::bytes);
        Reply::List(words.collect())
    }

    pub(super) fn master(name: &str) -> Reply {
        instance(&format!(
            "name={name} ip=10.0.0.1 port=6379 flags=master last-ok-ping-reply=548 \
             down-after-milliseconds=5000 config-epoch=3 quorum=2 failover-timeout=180000 \
             parallel-syncs=1"
        ))
    }

    pub(super) fn other(name: &str, flags: &str) -> Reply {
        instance(&format!(
            "name={name} ip=10.0.0.2 port=26379 runid=abc flags={flags}"
        ))
    }

    pub(super) fn refusal(code: &str) -> Reply {
        Reply::Error(Refusal {
            code: code.to_owned(),
            message: "with secret text".to_owned(),
        })
    }

    /// Returns the samples for these primaries, each with these sentinels and replicas.
    pub(super) fn read(
        collector: &Collector,
        masters: Vec<Reply>,
        sentinels: &Reply,
        replicas: &Reply,
    ) -> Vec<String> {
        let reply_to = |command: &Command<'_>| match &*reading::words(command)[1] {
            "SENTINELS" => Some(sentinels.clone()),
            "REPLICAS" => Some(replicas.clone()),
            _ => None,
        };
        let replies = [(&MASTERS, Reply::List(masters))];
        reading::of_further(collector, "", Circumstances::default(), &replies, &reply_to)
    }
}
