//! What SENTINEL commands say: the watched primaries, and the replicas and sentinels of each. What
//! INFO says of a sentinel stands in `info::sentinel`.

pub(super) mod config;
pub(super) mod masters;
pub(super) mod peers;

use super::{Answers, FollowUp, Question};
use crate::info;
use crate::reply::Reply;

/// Asks for the primaries that the sentinel watches, and how each is to be watched.
pub static MASTERS: Question = Question {
    commands: &[&["SENTINEL", "MASTERS"]],
    permission: "+sentinel|masters",
};

/// The most primaries whose sentinels and replicas are asked for. Two questions each.
const MOST_MASTERS: usize = 500;

/// A flat list of names and values: a primary, a replica or another sentinel.
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

    /// Whether the flags have one of these; none where there are no flags.
    fn has_flag(self, flags: &[&str]) -> Option<bool> {
        let text = self.text("flags")?;
        Some(text.split(',').any(|flag| flags.contains(&flag)))
    }

    /// Whether the sentinel finds it down: alone, or together with others.
    fn is_down(self) -> Option<bool> {
        self.has_flag(&["s_down", "o_down"])
    }

    /// Whether it could take part in a failover now. Who has no connection is not asked, also
    /// before the time is over after which it counts as down.
    fn is_ok(self) -> Option<bool> {
        let is_out = self.has_flag(&["s_down", "o_down", "disconnected"])?;
        Some(!is_out)
    }
}

/// A watched primary with the labels that all its metrics have.
#[derive(Clone, Debug)]
struct Master<'a> {
    fields: Instance<'a>,
    name: String,
    address: String,
}

impl<'a> Master<'a> {
    fn read(reply: &'a Reply) -> Option<Self> {
        let fields = Instance(reply.items());
        let (ip, port) = (fields.text("ip")?, fields.text("port")?);
        Some(Self {
            fields,
            name: fields.text("name")?,
            address: format!("{ip}:{port}"),
        })
    }

    /// The name as the server spells it, to ask about it.
    fn name_bytes(&self) -> &'a [u8] {
        self.fields.bytes("name").unwrap_or_default()
    }

    fn sentinels_question(&self) -> FollowUp {
        let words: [&[u8]; 3] = [b"SENTINEL", b"SENTINELS", self.name_bytes()];
        FollowUp::new("+sentinel|sentinels", words)
    }

    fn replicas_question(&self) -> FollowUp {
        let words: [&[u8]; 3] = [b"SENTINEL", b"REPLICAS", self.name_bytes()];
        FollowUp::new("+sentinel|replicas", words)
    }

    /// The other sentinels that watch it; none where they were not asked for or refused.
    fn sentinels(&self, answers: &Answers<'a>) -> Option<Vec<Instance<'a>>> {
        instances(answers, &self.sentinels_question())
    }

    fn replicas(&self, answers: &Answers<'a>) -> Option<Vec<Instance<'a>>> {
        instances(answers, &self.replicas_question())
    }
}

fn instances<'a>(answers: &Answers<'a>, question: &FollowUp) -> Option<Vec<Instance<'a>>> {
    let Reply::List(items) = answers.follow_up(question)? else {
        return None;
    };
    Some(items.iter().map(|item| Instance(item.items())).collect())
}

fn masters<'a>(answers: &Answers<'a>) -> Vec<Master<'a>> {
    let reply = answers.reply(&MASTERS).map(Reply::items);
    let items = reply.unwrap_or_default().iter();
    items.filter_map(Master::read).collect()
}

/// The primaries that are asked about further. A sentinel names them in the order of a hash table,
/// which stays while none comes or goes.
fn asked_about<'a>(answers: &Answers<'a>) -> Vec<Master<'a>> {
    let mut masters = masters(answers);
    masters.truncate(MOST_MASTERS);
    masters
}

/// Replies of a sentinel, for the tests of this folder.
#[cfg(test)]
mod replies {
    use super::super::{Circumstances, Collector, FollowUp, reading};
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

    /// What a collector shows of these primaries, who all have these sentinels and replicas.
    pub(super) fn read(
        collector: &Collector,
        masters: Vec<Reply>,
        sentinels: &Reply,
        replicas: &Reply,
    ) -> Vec<String> {
        let answer = |question: &FollowUp| match question.words[1].as_slice() {
            b"SENTINELS" => Some(sentinels.clone()),
            b"REPLICAS" => Some(replicas.clone()),
            _ => None,
        };
        let replies = [(&MASTERS, Reply::List(masters))];
        reading::of_two_rounds(collector, "", Circumstances::default(), &replies, &answer)
    }
}
