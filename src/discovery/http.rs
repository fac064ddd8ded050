//! The source `http`: a list in the format of Prometheus's `http_sd`.
//!
//! Follows no redirects. Time and size of a response are bounded.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use tokio::time::{Instant, timeout_at};

use super::error::{FileError, SourceError};
use super::groups::listing;
use super::{Listing, Reporter, pause};
use crate::bounded_file::{self, UnreadFile};
use crate::config::{
    PASSWORD_FILE_MAX, Secret, TargetSource, WebLogin, WebSource, target_groups, trimmed,
};
use crate::fetch;
use crate::threads::{SharedWork, Threads};

/// Timeout of a request, including the connection.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// Maximum size of a list, in bytes.
const LIST_MAX: usize = 4 << 20;

/// The header with the time between two requests, in seconds.
const REFRESH_INTERVAL: HeaderName =
    HeaderName::from_static("x-prometheus-refresh-interval-seconds");

/// Threads that read secrets. A mount may hang, and must not keep other sources from theirs.
static SECRETS: SharedWork<Result<Secret, UnreadFile>> = SharedWork::new(
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
            Err(error) => reporter.fail(&error),
        }
        pause(source.interval).await;
    }
}

/// Reads the list once.
pub(super) async fn read(source: &TargetSource, web: &WebSource) -> Result<Listing, SourceError> {
    let deadline = Instant::now() + REQUEST_MAX;
    let request = request(source, web, deadline);
    let text = timeout_at(deadline, request)
        .await
        .unwrap_or_else(|_| Err(SourceError::NoResponse(REQUEST_MAX.as_secs())))?;
    let groups = target_groups(&text, true)?;
    Ok(listing(source, groups.iter()))
}

async fn request(
    source: &TargetSource,
    web: &WebSource,
    deadline: Instant,
) -> Result<String, SourceError> {
    let mut headers = HeaderMap::new();
    let seconds = source.interval.as_secs();
    headers.insert(REFRESH_INTERVAL, HeaderValue::from(seconds));
    if let Some(login) = &web.login {
        headers.insert(AUTHORIZATION, authorization(login).await?);
    }
    let list = fetch::json(&web.resource, &web.tls, headers, LIST_MAX, deadline).await?;
    Ok(bounded_file::utf8(list.to_vec())?)
}

async fn authorization(login: &WebLogin) -> Result<HeaderValue, SourceError> {
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
    let mut value = value.map_err(|_| SourceError::BadToken)?;
    value.set_sensitive(true);
    Ok(value)
}

async fn secret(file: &Path) -> Result<Secret, SourceError> {
    let path = file.to_owned();
    let read = move || {
        let text = bounded_file::read_text(&path, PASSWORD_FILE_MAX)?;
        Ok(Secret::new(trimmed(&text)))
    };
    let key = file.to_string_lossy();
    let read = SECRETS.get(&key, Result::is_ok, read).await;
    let read = read.map_or(Err(FileError::NoThread), |read| read.map_err(Into::into));
    read.map_err(|problem| SourceError::File {
        path: file.to_owned(),
        problem,
    })
}
