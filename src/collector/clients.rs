//! Parses the reply to CLIENT LIST: one record per connection. Does not decide what to publish.

pub mod by_name;
pub mod groups;
pub mod list;

use super::{Query, Replies};
use crate::label::label_text;

/// Queries all connections. The server writes one line for each, in 0.8 µs on Redis 7.0.
pub static LIST: Query = Query::new(&[&["CLIENT", "LIST"]], "+client|list");

/// Fields that end a free text. Redis rejects names with spaces, but compatible servers may not.
const AFTER_TEXT: &[&[u8]] = &[b"laddr", b"fd", b"name", b"age"];

/// Traffic and commands of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionTotals {
    /// Bytes that the server received.
    pub received: u64,
    /// Bytes that the server sent.
    pub sent: u64,
    /// Number of commands.
    pub commands: u64,
}

/// One connection. Values that the server does not report are absent or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client<'a> {
    /// The connection id, unique for the lifetime of the server.
    pub id: u64,
    /// Address and port.
    pub address: &'a [u8],
    /// The name set by CLIENT SETNAME.
    pub name: &'a [u8],
    /// Time since the client connected, in whole seconds.
    pub age: Option<u64>,
    /// Time since the last command, in whole seconds.
    pub idle: Option<u64>,
    /// One letter for each state.
    pub flags: &'a [u8],
    /// The selected database.
    pub database: &'a [u8],
    /// The ACL user.
    pub user: &'a [u8],
    /// The protocol version.
    pub protocol: &'a [u8],
    /// The last command.
    pub command: &'a [u8],
    /// Name and version of the library; `None` if the server does not track libraries.
    pub library: Option<(&'a [u8], &'a [u8])>,
    /// Memory of all buffers, in bytes.
    pub memory: Option<u64>,
    /// Memory of pending replies, in bytes.
    pub output_memory: Option<u64>,
    /// Traffic and commands since the client connected; `None` if the server does not report them.
    pub totals: Option<ConnectionTotals>,
    /// The whole line, for rarely used fields.
    line: &'a [u8],
}

impl<'a> Client<'a> {
    /// Splits the address into host and port.
    #[must_use]
    pub fn host_and_port(&self) -> (&'a [u8], &'a [u8]) {
        let at = self.address.iter().rposition(|byte| *byte == b':');
        at.and_then(|at| Some((self.address.get(..at)?, self.address.get(at + 1..)?)))
            .unwrap_or((self.address, b""))
    }

    /// Returns the value of a numeric field, such as `omem`.
    #[must_use]
    pub fn number(&self, field: &str) -> Option<u64> {
        let mut fields = fields(self.line);
        let found = fields.find(|(name, _)| *name == field.as_bytes());
        found.and_then(|(_, value)| number(value))
    }

    fn take(&mut self, field: &'a [u8], value: &'a [u8]) {
        let library = self.library.unwrap_or_default();
        match field {
            b"addr" => self.address = value,
            b"name" => self.name = value,
            b"flags" => self.flags = value,
            b"db" => self.database = value,
            b"user" => self.user = value,
            b"resp" => self.protocol = value,
            b"cmd" => self.command = value,
            b"lib-name" => self.library = Some((value, library.1)),
            b"lib-ver" => self.library = Some((library.0, value)),
            b"age" => self.age = number(value),
            b"idle" => self.idle = number(value),
            b"tot-mem" => self.memory = number(value),
            b"omem" => self.output_memory = number(value),
            b"tot-net-in" => totals(&mut self.totals).received = number(value).unwrap_or(0),
            b"tot-net-out" => totals(&mut self.totals).sent = number(value).unwrap_or(0),
            b"tot-cmds" => totals(&mut self.totals).commands = number(value).unwrap_or(0),
            _ => {}
        }
    }
}

fn totals(totals: &mut Option<ConnectionTotals>) -> &mut ConnectionTotals {
    totals.get_or_insert_default()
}

/// Parses a number that fits a signed integer. Some servers print negative sizes as unsigned
/// numbers.
fn number(text: &[u8]) -> Option<u64> {
    let number = std::str::from_utf8(text).ok()?.parse().ok();
    number.filter(|number| i64::try_from(*number).is_ok())
}

/// Converts a name to label text without escaping, like `redis_exporter`.
fn label(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| label_text(bytes), str::to_owned)
}

/// Maximum number of connections parsed per reply. CLIENT LIST is not queried for more.
const CLIENTS_MAX: usize = 30_000;

/// Returns all connections in order; `None` if the query was not sent or was refused.
pub(super) fn clients(replies: &Replies) -> Option<Vec<Client<'_>>> {
    Some(lines(replies)?.filter_map(client).collect())
}

/// Returns the oldest connections in the order of their ids, up to `most`, and the number of the
/// others. Only the lines of the former are parsed completely.
fn oldest(replies: &Replies, most: usize) -> Option<(Vec<Client<'_>>, usize)> {
    let mut lines: Vec<_> = lines(replies)?
        .filter_map(|line| Some((id(line)?, line)))
        .collect();
    lines.sort_unstable_by_key(|(id, _)| *id);
    let others = lines.len().saturating_sub(most);
    let oldest = lines.into_iter().take(most);
    Some((
        oldest.filter_map(|(_, line)| client(line)).collect(),
        others,
    ))
}

/// Returns the lines of connections, without their line ends.
fn lines(replies: &Replies) -> Option<impl Iterator<Item = &[u8]>> {
    let text = replies.reply(&LIST)?.bytes()?;
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    Some(lines.filter(|line| id(line).is_some()).take(CLIENTS_MAX))
}

/// Returns the connection id, with which every line starts.
fn id(line: &[u8]) -> Option<u64> {
    let (field, value) = fields(line).next()?;
    number(value).filter(|_| field == b"id")
}

/// Parses `id=7 addr=… name=… age=…`. Returns `None` if the line does not start with an id.
fn client(line: &[u8]) -> Option<Client<'_>> {
    let mut client = Client {
        id: id(line)?,
        line,
        ..Client::default()
    };
    for (field, value) in fields(line) {
        client.take(field, value);
    }
    Some(client)
}

fn fields(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let (field, value, after) = next_field(rest)?;
        rest = after;
        Some((field, value))
    })
}

/// Returns the first field, its value, and the rest of the line. A value may contain `=`.
fn next_field(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let equals = line.iter().position(|byte| *byte == b'=')?;
    let (field, value) = (line.get(..equals)?, line.get(equals + 1..)?);
    let is_text = matches!(field, b"name" | b"addr" | b"laddr");
    let mut end = 0;
    loop {
        let space = value.get(end..)?.iter().position(|byte| *byte == b' ');
        let Some(space) = space.map(|space| end + space) else {
            return Some((field, value, b""));
        };
        let after = value.get(space + 1..)?;
        if starts_field(after, is_text) {
            return Some((field, value.get(..space)?, after));
        }
        end = space + 1;
    }
}

fn starts_field(text: &[u8], after_text: bool) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'-';
    let length = text.iter().take_while(|byte| is_letter(byte)).count();
    let Some((name, [b'=', ..])) = text.split_at_checked(length) else {
        return false;
    };
    !name.is_empty() && (!after_text || AFTER_TEXT.contains(&name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "id=11 addr=[fd40::1]:44426 laddr=[fd40::2]:6379 fd=9 name=NAME age=782 \
        idle=3 flags=bx db=2 sub=1 psub=0 multi=-1 watch=4 qbuf=26 omem=7 tot-mem=61466 events=r \
        cmd=client|list user=USER redir=-1 resp=3 lib-name=redis-py lib-ver=5.0.1 io-thread=0";

    fn line(name: &[u8], user: &[u8]) -> Vec<u8> {
        let (before, rest) = LINE.split_once("NAME").unwrap();
        let (between, after) = rest.split_once("USER").unwrap();
        let parts = [before.as_bytes(), name, between.as_bytes(), user];
        [&parts.concat(), after.as_bytes()].concat()
    }

    #[test]
    fn fields_are_parsed_by_name() {
        let line = line(b"prism", b"app");
        let found = client(&line).unwrap();
        assert_eq!(
            (found.id, found.name, found.user),
            (11, &b"prism"[..], &b"app"[..])
        );
        assert_eq!(found.host_and_port(), (&b"[fd40::1]"[..], &b"44426"[..]));
        assert_eq!((found.age, found.idle), (Some(782), Some(3)));
        assert_eq!((found.flags, found.database), (&b"bx"[..], &b"2"[..]));
        assert_eq!(
            (found.command, found.protocol),
            (&b"client|list"[..], &b"3"[..])
        );
        assert_eq!(found.library, Some((&b"redis-py"[..], &b"5.0.1"[..])));
        assert_eq!(
            (found.number("tot-mem"), found.number("ssub")),
            (Some(61_466), None)
        );
        assert_eq!(found.number("multi"), None);
    }

    #[test]
    fn names_and_users_may_contain_anything() {
        for name in [
            &b""[..],
            b"a=b",
            b"name=x",
            b"my client",
            b"a b=c d",
            b"\xff\xfe",
            b"trailing ",
        ] {
            let line = line(name, b"a=b");
            let found = client(&line).unwrap();
            assert_eq!((found.name, found.user), (name, &b"a=b"[..]));
            assert_eq!((found.age, found.id), (Some(782), 11));
        }
    }

    #[test]
    fn underflowed_size_is_unknown() {
        let found = client(b"id=1 omem=18446744073709551615 tot-mem=7").unwrap();
        assert_eq!((found.output_memory, found.memory), (None, Some(7)));
    }

    #[test]
    fn unknown_field_ends_the_previous_one() {
        let found = client(b"id=1 lib-ver=1.0 new-field=3 cmd=get").unwrap();
        assert_eq!(found.library, Some((&b""[..], &b"1.0"[..])));
        assert_eq!(found.command, b"get");
    }

    #[test]
    fn socket_is_host_with_port_0() {
        let found = client(b"id=1 addr=/run/my redis.sock:0 fd=8").unwrap();
        assert_eq!(
            found.host_and_port(),
            (&b"/run/my redis.sock"[..], &b"0"[..])
        );
    }

    #[test]
    fn line_without_id_is_skipped() {
        for line in [&b""[..], b"addr=a name=b", b"id=x addr=a", b"\r", b"="] {
            assert_eq!(client(line), None);
        }
    }

    proptest! {
        #[test]
        fn names_without_field_names_round_trip(
            name in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            prop_assume!(!name.contains(&b'\n') && !name.windows(5).any(|part| part == b" age="));
            let is_cut = |field: &[u8]| name.windows(field.len()).any(|part| part == field);
            prop_assume!(![&b" fd="[..], b" name=", b" laddr="].iter().any(|field| is_cut(field)));
            let line = line(&name, b"app");
            prop_assert_eq!(client(&line).unwrap().name, &name[..]);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(
            parts in proptest::collection::vec(
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..6),
                    proptest::sample::select(vec![
                        &b"id=1"[..], b" name=", b" age=", b"=", b" ", b" addr=:", b"\r", b" lib-ver",
                    ])
                    .prop_map(<[u8]>::to_vec),
                ],
                0..20,
            ),
        ) {
            if let Some(found) = client(&parts.concat()) {
                let _ = found.host_and_port();
            }
        }
    }
}
