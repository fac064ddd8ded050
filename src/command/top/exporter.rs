//! Requests data from an exporter.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};
use url::form_urlencoded;

use super::TopError;
use super::received::{SelectedTarget, TargetList, read};
use super::state::Wanted;
use crate::bounded_file;
use crate::config::{ExporterUrl, PASSWORD_FILE_MAX, Tls, TopArguments, trimmed};
use crate::failure::Failure;
use crate::fetch::{self, FetchError};

/// Timeout of a request, including the connection.
const REQUEST_MAX: Duration = Duration::from_secs(5);

/// Maximum size of a response, in bytes. A list of 1,000 targets with problems needs about 2 MB.
const DOCUMENT_MAX: usize = 16 << 20;

/// Maximum number of targets in a list, which is that of the exporter.
const TARGETS_MAX: &str = "1000";

/// Time between two requests for the same data.
const INTERVAL: Duration = Duration::from_secs(1);

/// Requests for large lists are less frequent: the time without them is this multiple of the time
/// that they take.
const REST: u32 = 9;

/// An exporter, and how to reach it.
#[derive(Debug)]
pub struct ExporterSource {
    url: ExporterUrl,
    tls: Tls,
    headers: HeaderMap,
}

/// Data of the exporter, or why there are none.
#[derive(Debug)]
pub enum TopData {
    /// The targets.
    List(TargetList),
    /// Everything about the selected target.
    Report(Box<SelectedTarget>),
    /// The last request failed.
    Failed(ExporterError),
}

/// The reason why an exporter provides no data. The texts continue a sentence about it, with a remedy
/// if there is one.
#[derive(Debug, Error)]
pub enum ExporterError {
    /// There is no connection.
    #[error("cannot be reached: {}", .0.detail)]
    Unreachable(Failure),
    /// The password is missing or wrong.
    #[error("requires a password; use --username and --password-file")]
    Locked,
    /// Another program responds.
    #[error("has no list of targets, so it is not redis-namespace-exporter")]
    NoList,
    /// The document is not the expected one.
    #[error("does not respond like redis-namespace-exporter")]
    Foreign,
    /// The request failed in another way.
    #[error(transparent)]
    Fetch(FetchError),
}

impl From<FetchError> for ExporterError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Unreachable(failure) => Self::Unreachable(failure),
            FetchError::Status(StatusCode::UNAUTHORIZED) => Self::Locked,
            FetchError::Status(StatusCode::NOT_FOUND) => Self::NoList,
            error => Self::Fetch(error),
        }
    }
}

impl ExporterSource {
    /// Prepares requests. Reads the password file, once.
    ///
    /// # Errors
    ///
    /// The password file cannot be read.
    pub fn new(arguments: &TopArguments) -> Result<Self, TopError> {
        let mut headers = HeaderMap::new();
        if let (Some(user), Some(file)) = (&arguments.username, &arguments.password_file) {
            headers.insert(AUTHORIZATION, authorization(user, file)?);
        }
        Ok(Self {
            url: arguments.url.clone(),
            tls: arguments.tls(),
            headers,
        })
    }

    /// Requests the targets whose name or address contains the filter.
    ///
    /// # Errors
    ///
    /// There is no such response.
    pub async fn list(&self, filter: &str) -> Result<TargetList, ExporterError> {
        let document = self.get(&list_path(filter)).await?;
        read(&document).ok_or(ExporterError::Foreign)
    }

    /// Requests everything about a target. `None` if it is gone.
    async fn report(&self, name: &str) -> Result<Option<SelectedTarget>, ExporterError> {
        match self.get(&report_path(name)).await {
            Ok(document) => read(&document).map(Some).ok_or(ExporterError::Foreign),
            Err(FetchError::Status(StatusCode::NOT_FOUND)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn get(&self, path: &str) -> Result<Bytes, FetchError> {
        let deadline = Instant::now() + REQUEST_MAX;
        let resource = self.url.resource(path);
        let headers = self.headers.clone();
        let fetched = fetch::json(&resource, &self.tls, headers, DOCUMENT_MAX, deadline);
        let late = |_| {
            let seconds = REQUEST_MAX.as_secs();
            FetchError::Broken(format!("no response within {seconds} seconds"))
        };
        timeout_at(deadline, fetched).await.map_err(late)?
    }
}

fn list_path(filter: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", TARGETS_MAX);
    if !filter.is_empty() {
        query.append_pair("q", filter);
    }
    format!("/api/v1/targets?{}", query.finish())
}

fn report_path(name: &str) -> String {
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    format!("/api/v1/targets/{name}")
}

fn authorization(user: &str, file: &Path) -> Result<HeaderValue, TopError> {
    let unusable = |what: String| TopError::PasswordFile {
        path: file.to_owned(),
        what,
    };
    let text = bounded_file::read_text(file, PASSWORD_FILE_MAX);
    let text = text.map_err(|unread| unusable(unread.what))?;
    let credentials = BASE64.encode(format!("{user}:{}", trimmed(&text)));
    let value = HeaderValue::from_str(&format!("Basic {credentials}"));
    let mut value = value.map_err(|error| unusable(error.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Requests the wanted data again and again, and at once when others are wanted. Ends when nobody
/// receives them.
pub async fn follow(
    source: ExporterSource,
    mut wanted: watch::Receiver<Wanted>,
    data: mpsc::Sender<TopData>,
) {
    let mut filter = String::new();
    let mut next_list = Instant::now() + INTERVAL;
    loop {
        let now = wanted.borrow_and_update().clone();
        let mut has_failed = false;
        if Instant::now() >= next_list || now.filter != filter {
            let started = Instant::now();
            let list = source.list(&now.filter).await;
            next_list = Instant::now() + INTERVAL.max(started.elapsed() * REST);
            filter.clone_from(&now.filter);
            has_failed = list.is_err();
            if data
                .send(list.map_or_else(TopData::Failed, TopData::List))
                .await
                .is_err()
            {
                return;
            }
        }
        if let Some(name) = now.target.filter(|_| !has_failed) {
            let sent = match source.report(&name).await {
                Ok(Some(report)) => data.send(TopData::Report(Box::new(report))).await,
                Ok(None) => Ok(()),
                Err(error) => data.send(TopData::Failed(error)).await,
            };
            if sent.is_err() {
                return;
            }
        }
        tokio::select! {
            () = sleep(INTERVAL) => {}
            changed = wanted.changed() => if changed.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_filters_are_escaped_in_paths() {
        assert_eq!(list_path(""), "/api/v1/targets?limit=1000");
        assert_eq!(
            list_path("a&b=c d"),
            "/api/v1/targets?limit=1000&q=a%26b%3Dc+d"
        );
        assert_eq!(
            report_path("a/../b?c"),
            "/api/v1/targets/a%2F%2E%2E%2Fb%3Fc"
        );
    }

    #[test]
    fn errors_have_remedies() {
        let explain = |status| ExporterError::from(FetchError::Status(status)).to_string();
        assert!(explain(StatusCode::UNAUTHORIZED).contains("--password-file"));
        assert!(explain(StatusCode::NOT_FOUND).contains("not redis-namespace-exporter"));
        assert!(explain(StatusCode::BAD_GATEWAY).contains("502"));
    }
}
