//! The source `http`: a list in the format of Prometheus's `http_sd`.
//!
//! Follows no redirects. Time and size of a response are bounded.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::groups::listing;
use super::{Listing, Reporter, pause};
use crate::bounded_file;
use crate::config::{
    PASSWORD_FILE_MAX, Secret, TargetSource, WebLogin, WebSource, target_groups, trimmed,
};
use crate::connection::open_stream;
use crate::threads::{SharedWork, Threads};

/// Timeout of a request, including the connection.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// Maximum size of a list, in bytes.
const LIST_MAX: usize = 4 << 20;

/// Threads that read secrets. A mount may hang, and must not keep other sources from theirs.
static SECRETS: SharedWork<Result<Secret, Arc<str>>> = SharedWork::new(
    "source secrets",
    Threads {
        proven: 4,
        failed: 4,
        new: 4,
        slow: 4,
    },
    Duration::ZERO,
);

/// Reads the list again and again. Never returns.
pub(super) async fn run(source: &TargetSource, web: &WebSource, mut reporter: Reporter) {
    loop {
        match read(source, web).await {
            Ok(list) => reporter.list(list).await,
            Err(problem) => reporter.fail(&problem),
        }
        pause(source.interval).await;
    }
}

/// Reads the list once.
pub(super) async fn read(source: &TargetSource, web: &WebSource) -> Result<Listing, String> {
    let deadline = Instant::now() + REQUEST_MAX;
    let request = request(source, web, deadline);
    let text = timeout_at(deadline, request).await.unwrap_or_else(|_| {
        let seconds = REQUEST_MAX.as_secs();
        Err(format!("did not respond within {seconds} seconds"))
    })?;
    let groups = target_groups(&text, true)?;
    Ok(listing(source, groups.iter()))
}

async fn request(
    source: &TargetSource,
    web: &WebSource,
    deadline: Instant,
) -> Result<String, String> {
    let mut request = Request::get(&web.resource.path)
        .header(HOST, &web.resource.host)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, env!("CARGO_PKG_NAME"))
        .header(
            "X-Prometheus-Refresh-Interval-Seconds",
            source.interval.as_secs(),
        );
    if let Some(login) = &web.login {
        request = request.header(AUTHORIZATION, authorization(login).await?);
    }
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(|_| "has a URL that cannot be requested".to_owned())?;
    let opened = open_stream(&web.resource.address, &web.tls, None, deadline).await;
    let (stream, _) = opened.map_err(|failure| failure.to_string())?;
    let broken = |error: hyper::Error| format!("cannot be read: {error}");
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(broken)?;
    // Dropping the set ends the connection.
    let mut connections = JoinSet::new();
    connections.spawn(connection);
    body(sender.send_request(request).await.map_err(broken)?).await
}

/// Returns the body of a successful response.
async fn body(response: Response<Incoming>) -> Result<String, String> {
    let status = response.status();
    if status.is_redirection() {
        return Err(format!(
            "responded with the status {status}; redirects are not followed"
        ));
    }
    if status != StatusCode::OK {
        return Err(format!("responded with the status {status}"));
    }
    let body = Limited::new(response.into_body(), LIST_MAX);
    let body = body.collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            format!("has more than {} KiB", LIST_MAX >> 10)
        } else {
            format!("cannot be read: {error}")
        }
    })?;
    let text = String::from_utf8(body.to_bytes().to_vec());
    text.map_err(|_| "is not UTF-8 text".to_owned())
}

async fn authorization(login: &WebLogin) -> Result<HeaderValue, String> {
    let text = match login {
        WebLogin::Bearer(file) => format!("Bearer {}", secret(file).await?.expose()),
        WebLogin::Basic {
            username,
            password_file,
        } => {
            let password = secret(password_file).await?;
            format!(
                "Basic {}",
                BASE64.encode(format!("{username}:{}", password.expose()))
            )
        }
    };
    let value = HeaderValue::from_str(&text);
    let mut value = value.map_err(|_| "has a token with characters that HTTP forbids")?;
    value.set_sensitive(true);
    Ok(value)
}

async fn secret(file: &Path) -> Result<Secret, String> {
    let (path, shown): (PathBuf, _) = (file.to_owned(), file.display());
    let read = move || {
        let text = bounded_file::read_text(&path, PASSWORD_FILE_MAX);
        let text = text.map_err(|unread| Arc::from(unread.what))?;
        Ok(Secret::new(trimmed(&text)))
    };
    let key = file.to_string_lossy();
    match SECRETS.get(&key, Result::is_ok, read).await {
        Some(Ok(secret)) => Ok(secret),
        Some(Err(what)) => Err(format!("{shown}: {what}")),
        None => Err(format!("{shown}: cannot be read")),
    }
}
