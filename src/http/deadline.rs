//! A stream with timeouts for slow clients. It handles bytes, not HTTP.
//!
//! hyper's own header timeout also runs while a connection is idle. It would have to exceed the
//! longest scrape interval, and would then stop no slow client. Here the request timeout starts at
//! the first byte, and idle connections have their own timeout.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Longest duration of each phase of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct PhaseTimeouts {
    /// Time between two requests.
    pub(super) idle: Duration,
    /// Time from the first byte of a request to the first byte of its response.
    pub(super) request: Duration,
    /// Time until the client has read the whole response.
    pub(super) response: Duration,
    /// Time at the end for the client to disconnect. Closing at once could lose the response.
    pub(super) hang_up: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Request,
    Response,
    HangUp,
}

/// A stream with a deadline for its current phase.
#[derive(Debug)]
pub(super) struct Deadline<S> {
    stream: S,
    times: PhaseTimeouts,
    phase: Phase,
    ends_at: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl<S> Deadline<S> {
    pub(super) fn new(stream: S, times: PhaseTimeouts) -> Self {
        let ends_at = Instant::now() + times.idle;
        let sleep = Box::pin(sleep_until(ends_at));
        Self {
            stream,
            times,
            phase: Phase::Idle,
            ends_at,
            sleep,
        }
    }

    fn enter(&mut self, phase: Phase) {
        if self.phase == phase {
            return;
        }
        self.phase = phase;
        self.ends_at = Instant::now()
            + match phase {
                Phase::Idle => self.times.idle,
                Phase::Request => self.times.request,
                Phase::Response => self.times.response,
                Phase::HangUp => self.times.hang_up,
            };
    }

    /// Polls the timer while the stream waits. It is ready when the deadline has passed.
    ///
    /// The timer is only set here because most requests and responses do not wait.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.sleep.deadline() != self.ends_at {
            self.sleep.as_mut().reset(self.ends_at);
        }
        self.sleep.as_mut().poll(context)
    }

    /// Updates the phase after a write or a flush with this result.
    fn written<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if result.is_pending() {
            ready!(self.poll_late(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Deadline<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(result) => {
                if this.phase == Phase::Idle && buffer.filled().len() > before {
                    this.enter(Phase::Request);
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                ready!(this.poll_late(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Deadline<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.enter(Phase::Response);
        let result = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.written(result, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.enter(Phase::Response);
        let result = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.written(result, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Flushes the stream. hyper does so at the end of a response. The connection is idle from then
    /// on.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // A TLS stream buffers bytes until the client accepts them.
        let result = Pin::new(&mut this.stream).poll_flush(context);
        ready!(this.written(result, context))?;
        if this.phase == Phase::Response {
            this.enter(Phase::Idle);
        }
        Poll::Ready(Ok(()))
    }

    /// Closes our side, then discards input until the client closes its side.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.phase != Phase::HangUp {
            let result = Pin::new(&mut this.stream).poll_shutdown(context);
            ready!(this.written(result, context))?;
            this.enter(Phase::HangUp);
        }
        let mut bytes = [0; 4096];
        while Instant::now() < this.ends_at {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut this.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => break,
                Poll::Pending => {
                    ready!(this.poll_late(context));
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
