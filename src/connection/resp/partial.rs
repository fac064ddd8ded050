//! The parts of a reply that have not arrived completely. Pure.

use super::{LINE_BYTES_KEPT, NotTheProtocol};
use crate::reply::{Refusal, Reply, ReplyBytes};

/// A partial line.
#[derive(Debug)]
pub(super) struct Line {
    /// Its bytes so far, up to the limit.
    pub(super) kept: Vec<u8>,
    pub(super) is_new: bool,
    /// Whether its last byte so far is a carriage return.
    pub(super) has_return: bool,
}

impl Line {
    pub(super) const NEW: Self = Self {
        kept: Vec::new(),
        is_new: true,
        has_return: false,
    };

    pub(super) fn push(&mut self, part: &[u8]) {
        let room = LINE_BYTES_KEPT.saturating_sub(self.kept.len());
        let kept = part.get(..room).unwrap_or(part);
        self.kept.extend_from_slice(kept);
        self.is_new = false;
        self.has_return = part.last() == Some(&b'\r');
    }
}

/// A partial string.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) kind: u8,
    pub(super) kept: ReplyBytes,
    /// Bytes still to arrive.
    pub(super) left: u64,
    /// Bytes still to be kept.
    pub(super) keep: usize,
}

/// A partial array.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) items: Vec<Reply>,
    pub(super) left: u64,
}

impl Text {
    /// Returns the complete string as a reply.
    pub(super) fn finish(self) -> Reply {
        let Self { kind, mut kept, .. } = self;
        match kind {
            b'!' => Reply::Error(refusal(&kept)),
            b'=' => {
                // A verbatim string starts with its format, such as `txt:`.
                kept.drain(..kept.len().min(4));
                Reply::Bytes(kept)
            }
            _ => Reply::Bytes(kept),
        }
    }
}

/// Returns the error of an error reply: its first word is the code.
pub(super) fn refusal(text: &[u8]) -> Refusal {
    let text = String::from_utf8_lossy(text);
    let (code, message) = text.split_once(' ').unwrap_or((&text, ""));
    Refusal {
        code: code.to_owned(),
        message: message.to_owned(),
    }
}

/// Returns whether a reply may start with this byte.
pub(super) const fn is_kind(byte: u8) -> bool {
    matches!(
        byte,
        b'+' | b'-' | b':' | b'$' | b'*' | b'_' | b'#' | b',' | b'(' | b'!' | b'=' | b'~' | b'%'
    )
}

/// Parses a number.
pub(super) fn number(digits: &[u8]) -> Result<i64, NotTheProtocol> {
    let digits = std::str::from_utf8(digits).map_err(|_| NotTheProtocol)?;
    digits.parse().map_err(|_| NotTheProtocol)
}

/// Parses a length; `None` for the length of null.
pub(super) fn length_of(digits: &[u8]) -> Result<Option<u64>, NotTheProtocol> {
    match number(digits)? {
        -1 => Ok(None),
        length => u64::try_from(length).map(Some).map_err(|_| NotTheProtocol),
    }
}
