//! Decodes replies incrementally, with limits on the memory they use. Pure.
//!
//! A decoder never keeps more than its [`ReplyLimits`] allow, regardless of what the server sends. A
//! larger reply is read to its end without being kept, and becomes an error with the code
//! [`TOO_LARGE`].

mod partial;

use crate::reply::{NO_ROOM, Refusal, Reply, ReplyBytes, TOO_LARGE};
use partial::{Line, Open, Text, is_kind, length_of, number, refusal};

/// Maximum bytes kept of a line. Lines are error texts, short strings, and numbers.
const LINE_BYTES_KEPT: usize = 4096;

/// Maximum nesting of arrays. Real replies have fewer than ten levels.
const DEPTH_MAX: usize = 100;

/// Memory charged per array element. A growing vector may have twice the capacity it needs.
const ELEMENT_BYTES: usize = 2 * size_of::<Reply>();

/// Minimum size of an array element on the wire, such as `_` with its line end.
const ELEMENT_WIRE_BYTES: u64 = 3;

/// Memory charged per string besides its bytes, for the allocator.
const STRING_BYTES: usize = 32;

/// Maximum capacity reserved for a string before its bytes arrive.
const RESERVED_BYTES: usize = 64 << 10;

/// Maximum capacity reserved for an array before its elements arrive.
const RESERVED_ELEMENTS: usize = 128;

/// The limits for one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    /// Memory of the whole reply, including its elements.
    pub reply_bytes: usize,
    /// Maximum bytes kept of each string. The rest is dropped.
    pub string_bytes: usize,
    /// Maximum size on the wire. Larger replies are not read.
    pub wire_limit: usize,
}

/// The bytes are not the Redis protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTheProtocol;

/// Decodes one reply after another.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent")]
pub struct Decoder {
    limits: ReplyLimits,
    place: ReplyPosition,
    /// The incomplete arrays, outermost first.
    open: Vec<Open>,
    /// Memory charged to the current reply.
    spent: usize,
    is_too_large: bool,
    /// Whether the reply exceeds its limit only because of other targets' replies.
    has_no_room: bool,
    /// Whether the server may send messages in addition to replies.
    takes_pushes: bool,
    /// Whether the current reply, or the last one if it is complete, is such a message.
    is_push: bool,
}

/// The position of the next byte within a reply.
#[derive(Debug)]
enum ReplyPosition {
    /// In a line.
    Line(Line),
    /// In a string.
    String(Text),
    /// In the line end after a string. True once its first byte has arrived.
    StringEnd(Text, bool),
}

impl Decoder {
    /// Returns a decoder at the start of a reply.
    pub const fn new(limits: ReplyLimits) -> Self {
        Self {
            limits,
            place: ReplyPosition::Line(Line::NEW),
            open: Vec::new(),
            spent: 0,
            is_too_large: false,
            has_no_room: false,
            takes_pushes: false,
            is_push: false,
        }
    }

    /// Accepts messages in addition to replies from now on. Only RESP3 has them.
    pub const fn accept_pushes(&mut self) {
        self.takes_pushes = true;
    }

    /// Returns whether the last complete reply is a message that no command requested.
    pub const fn is_push(&self) -> bool {
        self.is_push
    }

    /// Sets the limits for replies that have not started yet.
    pub const fn set_limits(&mut self, limits: ReplyLimits) {
        self.limits = limits;
    }

    /// Returns the memory charged to the current reply, or to the last one if it is complete.
    pub const fn spent(&self) -> usize {
        self.spent
    }

    /// Drops the current reply, because there is no room for it.
    pub fn give_up(&mut self) {
        self.has_no_room = true;
        self.overflow();
    }

    /// Returns whether every reply so far is complete.
    pub fn is_between_replies(&self) -> bool {
        self.open.is_empty() && matches!(&self.place, ReplyPosition::Line(line) if line.is_new)
    }

    /// Consumes bytes from the front of `bytes` until a reply is complete or no bytes are left.
    /// Returns the complete reply.
    pub fn decode(&mut self, bytes: &mut &[u8]) -> Result<Option<Reply>, NotTheProtocol> {
        while !bytes.is_empty() {
            let value = match std::mem::replace(&mut self.place, ReplyPosition::Line(Line::NEW)) {
                ReplyPosition::Line(line) => self.in_line(line, bytes)?,
                ReplyPosition::String(text) => {
                    self.in_string(text, bytes);
                    None
                }
                ReplyPosition::StringEnd(text, has_return) => {
                    self.at_string_end(text, has_return, bytes)?
                }
            };
            if let Some(reply) = value.and_then(|value| self.complete(value)) {
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    fn in_line(
        &mut self,
        mut line: Line,
        bytes: &mut &[u8],
    ) -> Result<Option<Reply>, NotTheProtocol> {
        if line.is_new {
            self.begin();
            let kind = bytes.first().copied().unwrap_or_default();
            let is_push = kind == b'>' && self.takes_pushes && self.open.is_empty();
            if !is_kind(kind) && !is_push {
                return Err(NotTheProtocol);
            }
            self.is_push |= is_push;
        }
        let end = line_end(line.has_return, bytes);
        let part = take(bytes, end.unwrap_or(bytes.len()));
        // The common case: the whole line has arrived and needs no copy.
        if line.is_new && end.is_some() && part.len() <= LINE_BYTES_KEPT {
            return self.line(part.strip_suffix(b"\r\n").unwrap_or(part));
        }
        line.push(part);
        if end.is_some() {
            return self.line(line.kept.strip_suffix(b"\r\n").unwrap_or(&line.kept));
        }
        self.place = ReplyPosition::Line(line);
        Ok(None)
    }

    /// Resets the state for the next reply.
    const fn begin(&mut self) {
        if self.open.is_empty() {
            self.spent = 0;
            self.is_too_large = false;
            self.has_no_room = false;
            self.is_push = false;
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, NotTheProtocol> {
        let (kind, rest) = line.split_first().ok_or(NotTheProtocol)?;
        let value = match kind {
            b'+' | b',' | b'(' => self.text(rest),
            b'-' => Reply::Error(self.refusal(rest)),
            b':' => Reply::Integer(number(rest)?),
            b'_' => Reply::Nil,
            b'#' => Reply::Integer(i64::from(rest == b"t")),
            b'$' | b'=' | b'!' => return self.string(*kind, rest),
            b'*' | b'~' | b'>' => return self.array(rest, 1),
            b'%' => return self.array(rest, 2),
            _ => return Err(NotTheProtocol),
        };
        Ok(Some(value))
    }

    /// Handles a string within its line.
    fn text(&mut self, text: &[u8]) -> Reply {
        if self.charge(text.len() + STRING_BYTES) {
            let kept = text.get(..self.limits.string_bytes).unwrap_or(text);
            Reply::Bytes(kept.into())
        } else {
            Reply::Nil
        }
    }

    fn refusal(&mut self, text: &[u8]) -> Refusal {
        let refusal = refusal(text);
        // A byte that is not UTF-8 becomes a character of three bytes.
        let bytes = refusal.code.len() + refusal.message.len();
        if !self.charge(bytes + STRING_BYTES) {
            return too_large();
        }
        refusal
    }

    /// Handles the header of a string with a length.
    fn string(&mut self, kind: u8, length: &[u8]) -> Result<Option<Reply>, NotTheProtocol> {
        let Some(length) = length_of(length)? else {
            return Ok(Some(Reply::Nil));
        };
        self.announced(length)?;
        let whole = usize::try_from(length).unwrap_or(usize::MAX);
        let mut keep = whole.min(self.limits.string_bytes);
        if kind == b'!' {
            keep = keep.min(LINE_BYTES_KEPT);
        }
        // The text of an error may become three times as long.
        let charged = if kind == b'!' { keep * 3 } else { keep };
        if !self.charge(charged.saturating_add(STRING_BYTES)) {
            keep = 0;
        }
        let text = Text {
            kind,
            kept: ReplyBytes::with_capacity(keep.min(RESERVED_BYTES)),
            left: length,
            keep,
        };
        self.place = if length == 0 {
            ReplyPosition::StringEnd(text, false)
        } else {
            ReplyPosition::String(text)
        };
        Ok(None)
    }

    /// Rejects a reply whose announced length exceeds the size limit.
    fn announced(&self, bytes: u64) -> Result<(), NotTheProtocol> {
        let is_read = usize::try_from(bytes).is_ok_and(|bytes| bytes <= self.limits.wire_limit);
        if is_read { Ok(()) } else { Err(NotTheProtocol) }
    }

    fn in_string(&mut self, mut text: Text, bytes: &mut &[u8]) {
        let here = usize::try_from(text.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let part = take(bytes, here);
        let kept = part.get(..text.keep).unwrap_or(part);
        text.kept.extend_from_slice(kept);
        text.keep -= kept.len();
        text.left -= here as u64;
        self.place = if text.left == 0 {
            ReplyPosition::StringEnd(text, false)
        } else {
            ReplyPosition::String(text)
        };
    }

    fn at_string_end(
        &mut self,
        text: Text,
        has_return: bool,
        bytes: &mut &[u8],
    ) -> Result<Option<Reply>, NotTheProtocol> {
        match (take(bytes, 1), has_return) {
            (b"\r", false) => {
                self.place = ReplyPosition::StringEnd(text, true);
                Ok(None)
            }
            (b"\n", true) => Ok(Some(text.finish())),
            _ => Err(NotTheProtocol),
        }
    }

    /// Handles the header of an array with `count` groups of elements.
    fn array(&mut self, length: &[u8], group: u64) -> Result<Option<Reply>, NotTheProtocol> {
        let Some(length) = length_of(length)? else {
            return Ok(Some(Reply::Nil));
        };
        let left = length.checked_mul(group).ok_or(NotTheProtocol)?;
        self.announced(left.saturating_mul(ELEMENT_WIRE_BYTES))?;
        if left == 0 {
            return Ok(Some(Reply::List(Vec::new())));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(NotTheProtocol);
        }
        let mut items = Vec::new();
        if !self.is_too_large {
            let room = usize::try_from(left).unwrap_or(RESERVED_ELEMENTS);
            items.reserve_exact(room.min(RESERVED_ELEMENTS));
        }
        self.open.push(Open { items, left });
        Ok(None)
    }

    /// Adds a value to its array. Returns the whole reply once it is complete.
    fn complete(&mut self, mut value: Reply) -> Option<Reply> {
        loop {
            if self.open.is_empty() {
                break;
            }
            let is_kept = self.charge(ELEMENT_BYTES);
            let array = self.open.last_mut()?;
            if is_kept {
                array.items.push(value);
            }
            array.left -= 1;
            if array.left > 0 {
                return None;
            }
            value = Reply::List(self.open.pop()?.items);
        }
        if self.has_no_room {
            value = no_room();
        } else if self.is_too_large {
            value = Reply::Error(too_large());
        }
        Some(value)
    }

    /// Charges memory to the reply. Once the reply is too large, frees it and returns false.
    fn charge(&mut self, bytes: usize) -> bool {
        if self.is_too_large {
            return false;
        }
        self.spent = self.spent.saturating_add(bytes);
        if self.spent > self.limits.reply_bytes {
            self.overflow();
        }
        !self.is_too_large
    }

    fn overflow(&mut self) {
        self.is_too_large = true;
        self.spent = 0;
        for array in &mut self.open {
            array.items = Vec::new();
        }
        if let ReplyPosition::String(text) = &mut self.place {
            text.kept = ReplyBytes::new();
            text.keep = 0;
        }
    }
}

/// Returns the error that replaces a reply for which there is currently no room.
pub fn no_room() -> Reply {
    Reply::Error(Refusal {
        code: NO_ROOM.to_owned(),
        message: "replies of other targets take the memory for large ones".to_owned(),
    })
}

fn too_large() -> Refusal {
    Refusal {
        code: TOO_LARGE.to_owned(),
        message: "the reply is larger than the exporter reads".to_owned(),
    }
}

/// Returns the length of the line including its end, if its end has arrived.
fn line_end(has_return: bool, bytes: &[u8]) -> Option<usize> {
    if has_return && bytes.first() == Some(&b'\n') {
        return Some(1);
    }
    let pairs = bytes.windows(2);
    pairs
        .enumerate()
        .find_map(|(at, pair)| (pair == b"\r\n").then_some(at + 2))
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count.min(bytes.len()));
    *bytes = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WIDE: ReplyLimits = ReplyLimits {
        reply_bytes: 1 << 20,
        string_bytes: 1 << 20,
        wire_limit: 1 << 30,
    };

    /// Decodes all replies in parts of these sizes.
    fn decode_in_parts(
        limits: ReplyLimits,
        bytes: &[u8],
        sizes: &[usize],
    ) -> Result<Vec<Reply>, NotTheProtocol> {
        let mut decoder = Decoder::new(limits);
        let mut replies = Vec::new();
        let mut rest = bytes;
        let mut sizes = sizes.iter().cycle();
        while !rest.is_empty() {
            let size = *sizes.next().unwrap_or(&usize::MAX);
            let mut part = take(&mut rest, size.max(1));
            while !part.is_empty() {
                replies.extend(decoder.decode(&mut part)?);
            }
        }
        Ok(replies)
    }

    fn decode(bytes: &[u8]) -> Result<Vec<Reply>, NotTheProtocol> {
        decode_in_parts(WIDE, bytes, &[])
    }

    fn bytes(text: &[u8]) -> Reply {
        Reply::Bytes(text.into())
    }

    fn is_too_large(reply: &Reply) -> bool {
        reply
            .refusal()
            .is_some_and(|refusal| refusal.code == TOO_LARGE)
    }

    /// Writes a reply as a server does.
    fn encode(reply: &Reply, out: &mut Vec<u8>) {
        match reply {
            Reply::Nil => out.extend(b"$-1\r\n"),
            Reply::Integer(number) => out.extend(format!(":{number}\r\n").bytes()),
            Reply::Bytes(text) => {
                out.extend(format!("${}\r\n", text.len()).bytes());
                out.extend(text);
                out.extend(b"\r\n");
            }
            Reply::List(items) => {
                out.extend(format!("*{}\r\n", items.len()).bytes());
                for item in items {
                    encode(item, out);
                }
            }
            Reply::Error(refusal) => {
                out.extend(format!("-{} {}\r\n", refusal.code, refusal.message).bytes());
            }
        }
    }

    /// Returns the memory of a reply.
    fn memory(reply: &Reply) -> usize {
        match reply {
            Reply::Bytes(text) => text.capacity(),
            Reply::List(items) => {
                items.capacity() * size_of::<Reply>() + items.iter().map(memory).sum::<usize>()
            }
            Reply::Nil | Reply::Integer(_) | Reply::Error(_) => 0,
        }
    }

    fn any_reply() -> impl Strategy<Value = Reply> {
        let leaf = prop_oneof![
            Just(Reply::Nil),
            any::<i64>().prop_map(Reply::Integer),
            proptest::collection::vec(any::<u8>(), 0..40)
                .prop_map(|bytes| Reply::Bytes(bytes.into())),
            "[A-Z]{1,8}".prop_map(|code| Reply::Error(Refusal {
                code,
                message: "no".to_owned()
            })),
        ];
        leaf.prop_recursive(5, 64, 8, |inner| {
            proptest::collection::vec(inner, 0..8).prop_map(Reply::List)
        })
    }

    proptest! {
        #[test]
        fn replies_decode_independently_of_how_bytes_arrive(
            replies in proptest::collection::vec(any_reply(), 0..4),
            sizes in proptest::collection::vec(1_usize..20, 1..6),
        ) {
            let mut encoded = Vec::new();
            for reply in &replies {
                encode(reply, &mut encoded);
            }
            prop_assert_eq!(decode_in_parts(WIDE, &encoded, &sizes), Ok(replies));
        }

        #[test]
        fn arbitrary_bytes_decode_equally_in_any_parts(
            bytes in "([*$:+%~=!,(#_-]-?[0-9]{0,3}\r?\n|\\PC{0,3}|\r\n){0,24}",
            sizes in proptest::collection::vec(1_usize..9, 1..6),
        ) {
            let whole = decode_in_parts(WIDE, bytes.as_bytes(), &[usize::MAX]);
            prop_assert_eq!(decode_in_parts(WIDE, bytes.as_bytes(), &sizes), whole);
        }

        #[test]
        fn limits_apply_and_the_next_reply_is_intact(
            reply in any_reply(),
            reply_bytes in 0_usize..2_000,
            string_bytes in 0_usize..50,
            sizes in proptest::collection::vec(1_usize..20, 1..6),
        ) {
            let mut encoded = Vec::new();
            encode(&reply, &mut encoded);
            encoded.extend(b":7\r\n");
            let limits = ReplyLimits { reply_bytes, string_bytes, ..WIDE };
            let replies = decode_in_parts(limits, &encoded, &sizes).unwrap();
            prop_assert_eq!(replies.len(), 2);
            prop_assert_eq!(&replies[1], &Reply::Integer(7));
            let room = RESERVED_ELEMENTS * size_of::<Reply>();
            prop_assert!(memory(&replies[0]) <= reply_bytes + room * 8);
        }
    }

    #[test]
    fn all_reply_kinds_of_both_versions_decode() {
        let all = b"+OK\r\n:-3\r\n$2\r\n\xff!\r\n$0\r\n\r\n*-1\r\n*0\r\n_\r\n#t\r\n,1.5\r\n(99\r\n\
            =6\r\ntxt:ab\r\n~1\r\n:1\r\n%1\r\n+a\r\n:2\r\n!8\r\nERR oops\r\n-\xff x\r\n";
        let refusal = |code: &str, message: &str| {
            Reply::Error(Refusal {
                code: code.to_owned(),
                message: message.to_owned(),
            })
        };
        let expected = vec![
            bytes(b"OK"),
            Reply::Integer(-3),
            bytes(b"\xff!"),
            bytes(b""),
            Reply::Nil,
            Reply::List(Vec::new()),
            Reply::Nil,
            Reply::Integer(1),
            bytes(b"1.5"),
            bytes(b"99"),
            bytes(b"ab"),
            Reply::List(vec![Reply::Integer(1)]),
            Reply::List(vec![bytes(b"a"), Reply::Integer(2)]),
            refusal("ERR", "oops"),
            refusal("\u{fffd}", "x"),
        ];
        assert_eq!(decode(all), Ok(expected));
    }

    #[test]
    fn error_that_is_not_utf8_keeps_to_the_limit() {
        let limits = ReplyLimits {
            reply_bytes: 256,
            ..WIDE
        };
        let garbage = [0xd0; 90];
        for head in [&b"-"[..], b"!90\r\n"] {
            let error = [head, &garbage, b"\r\n"].concat();
            let replies = decode_in_parts(limits, &error, &[]).unwrap();
            assert!(replies.iter().all(is_too_large), "{replies:?}");
            assert_eq!(decode(&error).unwrap().len(), 1);
        }
    }

    #[test]
    fn pushes_are_told_apart_from_replies() {
        let mut decoder = Decoder::new(WIDE);
        decoder.accept_pushes();
        let mut rest = &b":1\r\n>2\r\n+message\r\n*1\r\n:2\r\n*1\r\n:3\r\n"[..];
        let mut found = Vec::new();
        while let Some(reply) = decoder.decode(&mut rest).unwrap() {
            found.push((decoder.is_push(), reply.items().len()));
        }
        assert_eq!(found, [(false, 0), (true, 2), (false, 1)]);
        let mut nested = &b"*1\r\n>1\r\n:1\r\n"[..];
        assert_eq!(decoder.decode(&mut nested), Err(NotTheProtocol));
    }

    #[test]
    fn other_protocols_are_identified() {
        for text in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"\x15\x03\x03\x00\x02",
            b"$2\r\nabc\r\n",
            b":one\r\n",
            b"*-2\r\n",
            b"$99999999999999999999\r\n",
            b">1\r\n:1\r\n",
            b"\r\n",
        ] {
            assert_eq!(decode(text), Err(NotTheProtocol), "{text:?}");
        }
        assert_eq!(
            decode(&b"*1\r\n".repeat(DEPTH_MAX + 1)),
            Err(NotTheProtocol)
        );
    }

    #[test]
    fn announced_oversize_is_rejected_at_once() {
        let limits = ReplyLimits {
            wire_limit: 3_000,
            ..WIDE
        };
        for (start, is_read) in [
            (&b"$3000\r\n"[..], true),
            (b"$3001\r\n", false),
            (b"=3001\r\n", false),
            (b"*1000\r\n", true),
            (b"*1001\r\n", false),
            (b"%501\r\n", false),
            (b"*2\r\n$9999999999999\r\n", false),
        ] {
            let decoded = Decoder::new(limits).decode(&mut &*start);
            assert_eq!(decoded.is_ok(), is_read, "{start:?}");
        }
    }

    #[test]
    fn long_line_is_truncated_and_ends_at_its_end() {
        let long = [&b"-ERR "[..], &b"x\ry\n".repeat(4_000), b"\r\n:1\r\n"].concat();
        for sizes in [&[usize::MAX][..], &[1], &[LINE_BYTES_KEPT], &[4_095, 3]] {
            let replies = decode_in_parts(WIDE, &long, sizes).unwrap();
            assert_eq!(replies.len(), 2, "{sizes:?}");
            let message = &replies[0].refusal().unwrap().message;
            assert!(message.len() < LINE_BYTES_KEPT, "{}", message.len());
            assert_eq!(replies[1], Reply::Integer(1));
        }
    }

    #[test]
    fn reply_without_room_is_dropped_and_next_is_intact() {
        for mut start in [&b"*2\r\n$3\r\nabc\r\n$3\r\nd"[..], b"$6\r\nabcd"] {
            let mut decoder = Decoder::new(WIDE);
            assert_eq!(decoder.decode(&mut start), Ok(None));
            decoder.give_up();
            assert_eq!(decoder.spent(), 0);
            let mut rest = &b"ef\r\n:1\r\n"[..];
            let reply = decoder.decode(&mut rest).unwrap().unwrap();
            assert!(reply.refusal().unwrap().is_passing(), "{reply:?}");
            assert_eq!(decoder.decode(&mut rest), Ok(Some(Reply::Integer(1))));
        }
    }

    #[test]
    fn long_string_is_truncated_and_large_reply_rejected() {
        let limits = ReplyLimits {
            reply_bytes: 4_000,
            string_bytes: 10,
            ..WIDE
        };
        let encoded = |reply: &Reply| {
            let mut out = Vec::new();
            encode(reply, &mut out);
            out
        };
        let long = encoded(&bytes(&[b'k'; 1_000]));
        let replies = decode_in_parts(limits, &long, &[7]).unwrap();
        assert_eq!(replies, [bytes(b"kkkkkkkkkk")]);
        let nulls = encoded(&Reply::List(vec![Reply::Nil; 1_000]));
        let replies = decode_in_parts(limits, &nulls, &[7]).unwrap();
        assert!(
            replies.len() == 1 && is_too_large(&replies[0]),
            "{replies:?}"
        );
    }
}
