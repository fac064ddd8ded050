//! The TLS handshake of a client, and what one gets that does not speak TLS.

use std::io;
use std::time::Duration;

use hyper::{Request, StatusCode};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::response::{self, Answer};
use super::routes;
use crate::publish::Board;

/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

const NOT_ENCRYPTED: &str = "This port speaks TLS: write https:// instead of http://.";

/// What a client turned out to speak.
pub(super) enum Spoken {
    Tls(Box<TlsStream<TcpStream>>),
    /// Something without TLS, of which nothing was read yet.
    Plain(TcpStream),
}

/// Waits for the first byte and shakes hands, all within one time limit.
pub(super) async fn accept(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    time: Duration,
) -> io::Result<Spoken> {
    let shake = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first != [HANDSHAKE] {
            return Ok(Spoken::Plain(stream));
        }
        let stream = acceptor.accept(stream).await?;
        Ok(Spoken::Tls(Box::new(stream)))
    };
    let shaken = timeout(time, shake).await;
    shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Answers a request that came without TLS. It learns that the exporter runs and nothing else: the
/// health check of a container has no certificate to show.
pub(super) fn answer_plain<B>(board: &Board, request: &Request<B>) -> Answer {
    match request.uri().path() {
        "/health" | "/-/healthy" => routes::healthy(board),
        _ => response::text(StatusCode::BAD_REQUEST, NOT_ENCRYPTED),
    }
}
