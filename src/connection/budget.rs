//! A stream that gives no more bytes than it has a budget for: a server, or what poses as one,
//! must not fill the memory with a reply without end. What it gives has plain lines.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::dial::Stream;
use super::plain_lines::PlainLines;

/// The most bytes that the replies to one pipeline may have. The largest honest one, INFO of a
/// server with hundreds of commands and databases, has well under one MiB.
const BYTES_PER_PIPELINE: usize = 64 << 20;

/// The bytes that are left, shared with whoever asks.
#[derive(Clone, Debug)]
pub struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// Allows for the replies to one more pipeline.
    pub fn renew(&self) {
        self.0.store(BYTES_PER_PIPELINE, Ordering::Relaxed);
    }

    /// Whether a reply was cut off because nothing was left.
    pub fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let left = self.0.load(Ordering::Relaxed).saturating_sub(bytes);
        self.0.store(left, Ordering::Relaxed);
        if left == 0 {
            return Err(io::Error::other("the reply is too large"));
        }
        Ok(())
    }
}

/// A stream with a budget.
pub struct Bounded {
    stream: Stream,
    budget: Budget,
    lines: PlainLines,
}

impl Bounded {
    /// Puts a budget on a stream.
    pub fn new(stream: Stream) -> (Self, Budget) {
        let budget = Budget(Arc::new(AtomicUsize::new(BYTES_PER_PIPELINE)));
        let bounded = Self {
            stream,
            budget: budget.clone(),
            lines: PlainLines::default(),
        };
        (bounded, budget)
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        match read {
            Poll::Ready(Ok(())) => {
                let (_, new) = buffer.filled_mut().split_at_mut(before);
                self.lines.pass(new);
                Poll::Ready(self.budget.spend(new.len()))
            }
            other => other,
        }
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn reading_ends_where_the_budget_does_and_goes_on_when_it_is_renewed() {
        let (mut server, client) = tokio::io::duplex(1 << 16);
        let (mut bounded, budget) = Bounded::new(Box::new(client));
        budget.0.store(6, Ordering::Relaxed);
        server.write_all(b"12345").await.unwrap();
        let mut buffer = [0; 5];
        bounded.read_exact(&mut buffer).await.unwrap();
        server.write_all(b"6").await.unwrap();
        assert!(bounded.read(&mut buffer).await.is_err());
        assert!(budget.is_spent());
        budget.renew();
        server.write_all(b"7").await.unwrap();
        assert_eq!(bounded.read(&mut buffer).await.unwrap(), 1);
    }
}
