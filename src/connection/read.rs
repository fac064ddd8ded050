//! Reads the replies to a pipeline, within the limits of their commands.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};

use tokio::io::{AsyncRead as _, ReadBuf, ReadHalf};

use super::budget::PIPELINE_BYTES;
use super::dial::Stream;
use super::pack::Packed;
use super::pool::MemoryShare;
use super::resp::{Decoder, no_room};
use super::{READ_BYTES, READS_PER_TURN, budget, cause, decode};
use crate::failure::{Cause, Failure, Reason};
use crate::reply::Reply;

/// The reason for not reading further replies.
pub(super) enum ReadFault {
    Broken(Cause),
    Failed(Failure),
}

/// The replies to a pipeline so far.
struct PipelineReading<'a> {
    decoder: &'a mut Decoder,
    packed: &'a Packed,
    share: &'a mut MemoryShare,
    replies: Vec<Reply>,
    /// Memory that is left for further replies.
    left: usize,
    /// Memory of the complete replies.
    held: usize,
}

impl PipelineReading<'_> {
    fn is_complete(&self) -> bool {
        self.replies.len() == self.packed.len()
    }

    /// Decodes the next bytes.
    fn decode(&mut self, mut bytes: &[u8]) -> Result<(), ReadFault> {
        while !bytes.is_empty() {
            let reply = self.decoder.decode(&mut bytes);
            let reply = reply.map_err(|_| ReadFault::Failed(decode::not_the_protocol()))?;
            let Some(reply) = reply else { continue };
            if self.is_complete() {
                return Err(ReadFault::Failed(unrequested()));
            }
            self.left = self.left.saturating_sub(self.decoder.spent());
            let has_room = self.share.set(self.held + self.decoder.spent());
            self.held = self.share.held();
            self.replies.push(if has_room { reply } else { no_room() });
            let next = self.packed.name(self.replies.len());
            self.decoder.set_limits(budget::limits(next, self.left));
        }
        let is_open = !self.decoder.is_between_replies();
        if is_open && !self.share.set(self.held + self.decoder.spent()) {
            self.decoder.give_up();
        }
        Ok(())
    }
}

/// Reads one reply for each command.
pub(super) async fn read(
    mut reader: ReadHalf<&mut Stream>,
    decoder: &mut Decoder,
    packed: &Packed,
    wire_bytes: &mut usize,
    share: &mut MemoryShare,
) -> Result<Vec<Reply>, ReadFault> {
    decoder.set_limits(budget::limits(packed.name(0), PIPELINE_BYTES));
    let mut reading = PipelineReading {
        replies: Vec::with_capacity(packed.len()),
        left: PIPELINE_BYTES,
        held: share.held(),
        decoder,
        packed,
        share,
    };
    let mut reads = 0;
    *wire_bytes = 0;
    while !reading.is_complete() {
        poll_fn(|context| {
            // On the stack, so that a target that waits for a reply has no buffer.
            let mut bytes = [const { MaybeUninit::uninit() }; READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut bytes);
            let read = ready!(Pin::new(&mut reader).poll_read(context, &mut buffer));
            Poll::Ready(match read {
                Err(error) => Err(ReadFault::Broken(cause(&error))),
                Ok(()) if buffer.filled().is_empty() => Err(ReadFault::Broken(Cause::Closed)),
                Ok(()) => {
                    *wire_bytes = wire_bytes.saturating_add(buffer.filled().len());
                    check_size(*wire_bytes, packed).and_then(|()| reading.decode(buffer.filled()))
                }
            })
        })
        .await?;
        reads += 1;
        if reads % READS_PER_TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    if reading.decoder.is_between_replies() {
        Ok(reading.replies)
    } else {
        Err(ReadFault::Failed(unrequested()))
    }
}

/// Rejects replies that are larger than the commands allow.
fn check_size(wire_bytes: usize, packed: &Packed) -> Result<(), ReadFault> {
    if wire_bytes <= budget::wire_bytes(packed.name(0)) {
        return Ok(());
    }
    let detail = "the replies are larger than the exporter reads";
    Err(ReadFault::Failed(Failure::new(Reason::Protocol, detail)))
}

pub(super) fn unrequested() -> Failure {
    Failure::new(
        Reason::Protocol,
        "the server sent more replies than there were queries",
    )
}
