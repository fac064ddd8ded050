//! A TCP stream whose data can arrive without waking up the process.

use std::io::{self, Read as _};
use std::net::TcpStream as StdTcpStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP stream.
#[derive(Debug)]
pub struct QuietTcp(TcpState);

#[derive(Debug)]
enum TcpState {
    /// Each arrival of data wakes up the process, even if nobody reads.
    Awake(TcpStream),
    /// None does.
    Quiet(StdTcpStream),
    /// The system has failed to change the state.
    Lost,
}

impl QuietTcp {
    /// Returns a stream that is not quiet.
    pub const fn new(stream: TcpStream) -> Self {
        Self(TcpState::Awake(stream))
    }

    /// Makes the stream quiet until the next read or write that has to wait.
    pub fn quiet(&mut self) {
        self.0 = match std::mem::replace(&mut self.0, TcpState::Lost) {
            TcpState::Awake(stream) => stream.into_std().map_or(TcpState::Lost, TcpState::Quiet),
            other => other,
        };
    }

    fn awake(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if let TcpState::Quiet(_) = self.0
            && let TcpState::Quiet(stream) = std::mem::replace(&mut self.0, TcpState::Lost)
        {
            self.0 = TcpState::Awake(TcpStream::from_std(stream)?);
        }
        match &mut self.0 {
            TcpState::Awake(stream) => Ok(Pin::new(stream)),
            TcpState::Quiet(_) | TcpState::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsyncRead for QuietTcp {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let TcpState::Quiet(stream) = &mut this.0 {
            match stream.read(buffer.initialize_unfilled()) {
                Ok(length) => {
                    buffer.advance(length);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        this.awake()?.poll_read(context, buffer)
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

impl AsyncWrite for QuietTcp {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().awake()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().awake()?.poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().awake()?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().awake()?.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Returns both ends of a connection.
    async fn pair() -> (QuietTcp, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (QuietTcp::new(client), server)
    }

    /// Counts how often a task is woken up.
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn data_do_not_wake_up_the_reader_of_a_quiet_stream() {
        let (mut quiet, mut server) = pair().await;
        let count = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&count));
        let waits = |stream: &mut QuietTcp| {
            let mut bytes = [0; 1];
            let read = Pin::new(stream).poll_read(
                &mut Context::from_waker(&waker),
                &mut ReadBuf::new(&mut bytes),
            );
            read.is_pending()
        };
        assert!(waits(&mut quiet));
        quiet.quiet();
        let before = count.0.load(Ordering::Relaxed);
        server.write_all(b"a").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(count.0.load(Ordering::Relaxed), before);
        assert!(!waits(&mut quiet), "the data are there");
        // It is awake once it has to wait.
        assert!(waits(&mut quiet));
        server.write_all(b"b").await.unwrap();
        while count.0.load(Ordering::Relaxed) == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn quiet_stream_loses_nothing() {
        let (mut quiet, mut server) = pair().await;
        let mut bytes = [0; 5];
        for _ in 0..3 {
            // Before, while and after it is quiet.
            server.write_all(b"a").await.unwrap();
            quiet.quiet();
            server.write_all(b"bc").await.unwrap();
            let rest = async {
                tokio::task::yield_now().await;
                server.write_all(b"de").await.unwrap();
            };
            let (read, ()) = tokio::join!(quiet.read_exact(&mut bytes), rest);
            assert_eq!((read.unwrap(), &bytes), (5, b"abcde"));
            quiet.quiet();
            quiet.quiet();
            quiet.write_all(b"f").await.unwrap();
            let mut one = [0];
            server.read_exact(&mut one).await.unwrap();
            assert_eq!(&one, b"f");
        }
    }

    #[tokio::test]
    async fn end_of_a_quiet_stream_is_noticed() {
        let (mut quiet, server) = pair().await;
        quiet.quiet();
        drop(server);
        let mut bytes = [0; 8];
        assert_eq!(quiet.read(&mut bytes).await.unwrap(), 0);
    }
}
