//! Limits for the replies to each command. Pure.

use super::resp::ReplyLimits;

/// Maximum bytes of the replies to one pipeline. The largest legitimate ones have a few MiB.
const WIRE_BYTES: usize = 64 << 20;

/// The same for SCAN, which returns hundreds of keys. A few of them may have names of megabytes.
/// Only a new cursor leads past them, so the reply must be read to its end.
const SCAN_WIRE_BYTES: usize = 1 << 30;

/// Maximum memory of the replies to one pipeline.
pub const PIPELINE_BYTES: usize = 12 << 20;

/// The limit for INFO. A server with a thousand commands and databases sends less than 1 MiB.
const INFO_BYTES: usize = 2 << 20;

/// The limit for CLIENT LIST: enough for 20,000 clients.
const CLIENT_BYTES: usize = 8 << 20;

/// Maximum length of a key name that SCAN and RANDOMKEY return. Each query about the key sends it
/// back.
pub const KEY_NAME_BYTES: usize = 16 << 10;

/// Returns the maximum size on the wire of the replies to a pipeline with this first command.
pub fn wire_bytes(command: &[u8]) -> usize {
    if command.eq_ignore_ascii_case(b"SCAN") {
        SCAN_WIRE_BYTES
    } else {
        WIRE_BYTES
    }
}

/// Returns the limits for the reply to a command if the pipeline has `left` bytes left.
pub fn limits(command: &[u8], left: usize) -> ReplyLimits {
    let (reply_bytes, string_bytes) = if command.eq_ignore_ascii_case(b"INFO") {
        (INFO_BYTES, usize::MAX)
    } else if command.eq_ignore_ascii_case(b"CLIENT") {
        (CLIENT_BYTES, usize::MAX)
    } else if returns_key_names(command) {
        (PIPELINE_BYTES, KEY_NAME_BYTES)
    } else {
        (PIPELINE_BYTES, usize::MAX)
    };
    ReplyLimits {
        reply_bytes: reply_bytes.min(left),
        string_bytes,
        wire_limit: wire_bytes(command),
    }
}

fn returns_key_names(command: &[u8]) -> bool {
    command.eq_ignore_ascii_case(b"SCAN") || command.eq_ignore_ascii_case(b"RANDOMKEY")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_limits_respect_the_remaining_budget() {
        assert_eq!(limits(b"info", usize::MAX).reply_bytes, INFO_BYTES);
        assert_eq!(limits(b"SCAN", usize::MAX).string_bytes, KEY_NAME_BYTES);
        assert_eq!(limits(b"RANDOMKEY", 7).string_bytes, KEY_NAME_BYTES);
        assert_eq!(limits(b"CLIENT", usize::MAX).reply_bytes, CLIENT_BYTES);
        assert_eq!(limits(b"CONFIG", usize::MAX).reply_bytes, PIPELINE_BYTES);
        assert_eq!(limits(b"scan", 7).wire_limit, SCAN_WIRE_BYTES);
        assert_eq!(limits(b"INFO", 7).wire_limit, WIRE_BYTES);
        assert_eq!(limits(b"INFO", 7).reply_bytes, 7);
    }
}
