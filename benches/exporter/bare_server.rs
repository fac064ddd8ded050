//! A minimal HTTP server, for comparison: hyper returns fixed bytes. It runs in its own process.

use std::convert::Infallible;
use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::Outcome;

/// The argument that selects the server. The path of the page follows.
pub const ROLE: &str = "bare-server";

/// The environment variable with the listen address.
pub const ADDRESS: &str = "BARE_SERVER_ADDRESS";

struct Bodies {
    text: Bytes,
    gzip: Bytes,
}

/// Serves the text of a file, and that of the file with the extension `.gz`.
pub fn run(page: &str) -> Outcome<()> {
    let bodies = Arc::new(Bodies {
        text: fs::read(page)?.into(),
        gzip: fs::read(format!("{page}.gz"))?.into(),
    });
    // The same number of threads as the exporter.
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(serve(bodies))
}

async fn serve(bodies: Arc<Bodies>) -> Outcome<()> {
    let listener = TcpListener::bind(std::env::var(ADDRESS)?).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let bodies = Arc::clone(&bodies);
        let service = service_fn(move |request| {
            let response = respond(&bodies, &request);
            async move { Ok::<_, Infallible>(response) }
        });
        // Broken connections are ignored.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// Returns a response with the same headers as the exporter's.
fn respond(bodies: &Bodies, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let accepted = request.headers().get(ACCEPT_ENCODING);
    let compressed = accepted.is_some_and(|value| value == "gzip");
    let body = if compressed {
        &bodies.gzip
    } else {
        &bodies.text
    };
    let mut response = Response::new(Full::new(body.clone()));
    let headers = response.headers_mut();
    let exposition = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    headers.insert(CONTENT_TYPE, exposition);
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if compressed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
