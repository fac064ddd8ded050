//! Reads a document from an HTTP server. Follows no redirects. Time and size are bounded.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST, HeaderMap, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::{Tls, WebResource};
use crate::connection::open_stream;
use crate::failure::Failure;

/// The reason why a document cannot be read. The texts continue a sentence about its server.
#[derive(Debug, Error)]
pub enum FetchError {
    /// There is no connection.
    #[error(transparent)]
    Unreachable(Failure),
    /// The path cannot be in a request.
    #[error("has a URL that cannot be requested")]
    BadUrl,
    /// The connection broke, or the response is not HTTP.
    #[error("cannot be read: {0}")]
    Broken(String),
    /// The document is elsewhere.
    #[error("responded with the status {0}; redirects are not followed")]
    Moved(StatusCode),
    /// The response has another status than 200.
    #[error("responded with the status {0}")]
    Status(StatusCode),
    /// The document is too large, in bytes.
    #[error("has more than {} KiB", .0 >> 10)]
    TooLarge(usize),
}

/// Reads a JSON document of at most `size_max` bytes. The caller limits the time that it takes; the
/// connection is opened until the deadline.
///
/// # Errors
///
/// There is no response with the status 200, or it is too large.
pub async fn json(
    resource: &WebResource,
    tls: &Tls,
    headers: HeaderMap,
    size_max: usize,
    deadline: Instant,
) -> Result<Bytes, FetchError> {
    let mut request = Request::get(&resource.path)
        .header(HOST, &resource.host)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, env!("CARGO_PKG_NAME"));
    if let Some(all) = request.headers_mut() {
        all.extend(headers);
    }
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(|_| FetchError::BadUrl)?;
    let opened = open_stream(&resource.address, tls, None, deadline).await;
    let (stream, _) = opened.map_err(FetchError::Unreachable)?;
    let broken = |error: hyper::Error| FetchError::Broken(error.to_string());
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(broken)?;
    // Dropping the set ends the connection.
    let mut connections = JoinSet::new();
    connections.spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    body(response, size_max).await
}

/// Returns the body of a successful response.
async fn body(response: Response<Incoming>, size_max: usize) -> Result<Bytes, FetchError> {
    let status = response.status();
    if status.is_redirection() {
        return Err(FetchError::Moved(status));
    }
    if status != StatusCode::OK {
        return Err(FetchError::Status(status));
    }
    let body = Limited::new(response.into_body(), size_max);
    let body = body.collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            FetchError::TooLarge(size_max)
        } else {
            FetchError::Broken(error.to_string())
        }
    })?;
    Ok(body.to_bytes())
}
