//! Sends SCAN with a COUNT that the length of the names allows.

use super::KeyReader;
use crate::connection::refused;
use crate::failure::{Failure, Reason};
use crate::keyspace::cost::SweepQuery;
use crate::keyspace::queries::SCAN;
use crate::query::Command;
use crate::reply::{ErrorKind, Reply, ReplyBytes};

/// The result of a SCAN: the next cursor and the keys.
pub type Step = (u64, Vec<ReplyBytes>);

/// Intended maximum size of a reply to SCAN, in bytes. Long names reduce COUNT accordingly.
const SCAN_BYTES: usize = 1 << 20;

impl KeyReader {
    /// Sends one SCAN. Returns the next cursor and the keys.
    ///
    /// # Errors
    ///
    /// The connection failed, or the server refused SCAN.
    pub async fn scan(&mut self, cursor: u64, count: u32) -> Result<Step, Failure> {
        loop {
            let count = count.min(self.count_max).max(1);
            let replies = self.request(&[scan(cursor, count)]).await?;
            if let Some(step) = self.take_step(replies.into_iter().next(), count)? {
                return Ok(step);
            }
        }
    }

    /// Parses a reply to SCAN. Returns `None` if the reply was too large and SCAN must be sent
    /// again with a smaller COUNT.
    pub(super) fn take_step(
        &mut self,
        reply: Option<Reply>,
        requested: u32,
    ) -> Result<Option<Step>, Failure> {
        let reply = reply.unwrap_or(Reply::Nil);
        self.count_max = count_max(self.count_max, requested, self.session.link().wire_bytes());
        match reply.refusal() {
            Some(refusal) if refusal.kind() == ErrorKind::TooLarge && requested > 1 => {
                self.count_max = self.count_max.min(requested / 2).max(1);
                Ok(None)
            }
            Some(refusal) => Err(refused(refusal)),
            None => {
                let detail = "SCAN returned no cursor and keys";
                self.record_reply(SweepQuery::Scan);
                let step = step(reply).ok_or_else(|| Failure::new(Reason::Protocol, detail));
                step.map(Some)
            }
        }
    }
}

/// Returns the command that returns the keys from a cursor.
pub(super) fn scan(cursor: u64, count: u32) -> Command<'static> {
    let [cursor, count] = [cursor.to_string(), count.to_string()].map(String::into_bytes);
    SCAN.with(0, [cursor, b"COUNT".to_vec(), count])
}

/// Returns the next maximum COUNT of SCAN. Reduces it to fit [`SCAN_BYTES`] after a larger reply,
/// and doubles it after a much smaller one.
fn count_max(count_max: u32, requested: u32, bytes: usize) -> u32 {
    if bytes > SCAN_BYTES {
        let share = u64::from(requested) * SCAN_BYTES as u64 / bytes as u64;
        u32::try_from(share).unwrap_or(requested).max(1)
    } else if bytes < SCAN_BYTES / 4 {
        count_max.saturating_mul(2)
    } else {
        count_max
    }
}

/// Parses the next cursor and the keys of a reply to SCAN.
fn step(reply: Reply) -> Option<Step> {
    let Reply::List(parts) = reply else {
        return None;
    };
    let mut parts = parts.into_iter();
    let cursor = parts.next()?.text()?.parse().ok()?;
    let Reply::List(keys) = parts.next()? else {
        return None;
    };
    let names = keys.into_iter().filter_map(|key| match key {
        Reply::Bytes(name) => Some(name),
        Reply::Nil | Reply::Integer(_) | Reply::List(_) | Reply::Error(_) => None,
    });
    Some((cursor, names.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_follows_the_size_of_replies() {
        assert_eq!(count_max(u32::MAX, 100, 10_000), u32::MAX);
        assert_eq!(count_max(u32::MAX, 100, 40 << 20), 2);
        assert_eq!(count_max(100, 1, 900 << 20), 1);
        assert_eq!(count_max(2, 2, 100), 4);
        assert_eq!(count_max(2, 2, SCAN_BYTES / 2), 2);
    }
}
