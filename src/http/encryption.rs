//! The TLS handshake, and the response to clients that do not use TLS.

use std::io;
use std::time::Duration;

use hyper::{Request, StatusCode};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::response::{self, HttpResponse};
use super::routes;
use crate::config::Route;
use crate::publish::Board;

/// First byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

const NOT_ENCRYPTED: &str = "This port speaks TLS: write https:// instead of http://.";

/// The protocol that a client uses.
pub(super) enum Spoken {
    Tls(Box<TlsStream<TcpStream>>),
    /// A stream without TLS, of which nothing was read yet.
    Plain(TcpStream),
}

/// Waits for the first byte and completes the handshake, with one timeout for both.
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

/// Responds to a request without TLS. Only the health checks are served: the health check of a
/// container has no client certificate.
pub(super) fn respond_without_tls<B>(board: &Board, request: &Request<B>) -> HttpResponse {
    match Route::fixed(request.uri().path()) {
        Some(Route::Health) => routes::healthy(board),
        _ => response::text(StatusCode::BAD_REQUEST, NOT_ENCRYPTED),
    }
}
