//! Builds HTTP responses: headers and body.

use bytes::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    REFERRER_POLICY, RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use super::readers::{PageBody, Readers};
use crate::encode::{Form, Format, Page};

/// A response with a complete body.
pub(super) type HttpResponse = Response<PageBody>;

const EXPOSITION: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const NO_SNIFFING: HeaderValue = HeaderValue::from_static("nosniff");
const BASIC: HeaderValue =
    HeaderValue::from_static("Basic realm=\"redis-namespace-exporter\", charset=\"UTF-8\"");
/// Pages load the files of the exporter and request its data. Nothing else may be loaded, run or
/// framed.
const OWN_FILES_ONLY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);
/// Live values are never reused.
const NOT_STORED: HeaderValue = HeaderValue::from_static("no-store");
/// The address of a file changes with its content.
const STORED: HeaderValue = HeaderValue::from_static("private, max-age=86400");

/// Returns a page in the form that the client wants. Its bytes are not copied, unless much is
/// being sent to slow clients. A large page is
/// only kept compressed, and is decompressed for clients that want its text.
pub(super) fn page(page: Page, wanted: Form, readers: &Readers) -> HttpResponse {
    let is_unpacked = page.is_compressed && !wanted.is_compressed;
    let mut response = Response::new(if is_unpacked {
        readers.unpacked(&page.body)
    } else {
        readers.body(page.body)
    });
    let headers = response.headers_mut();
    let content_type = match wanted.format {
        Format::Text => EXPOSITION,
        Format::OpenMetrics => OPENMETRICS,
    };
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if page.is_compressed && wanted.is_compressed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Returns a sentence as plain text.
pub(super) fn text(status: StatusCode, sentence: impl Into<String>) -> HttpResponse {
    let mut sentence = sentence.into();
    if !sentence.ends_with('\n') {
        sentence.push('\n');
    }
    let mut response = Response::new(PageBody::own(Bytes::from(sentence)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, PLAIN);
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFFING);
    response
}

/// Returns a response for a resource that will be available soon.
pub(super) fn not_yet(sentence: impl Into<String>) -> HttpResponse {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, sentence);
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// Returns a response for a client that exceeds the rate limit.
pub(super) fn too_many(sentence: &str) -> HttpResponse {
    let mut response = not_yet(sentence);
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response
}

/// Returns a response for a request without the right credentials.
pub(super) fn unauthorized(sentence: &str) -> HttpResponse {
    let mut response = text(StatusCode::UNAUTHORIZED, sentence);
    response.headers_mut().insert(WWW_AUTHENTICATE, BASIC);
    response
}

/// Returns a response for an existing path with a method that it does not accept.
pub(super) fn method_not_allowed(allowed: &'static str) -> HttpResponse {
    let mut response = text(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("Only {allowed} is allowed here."),
    );
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Returns a JSON document.
pub(super) fn json(document: String) -> HttpResponse {
    let mut response = Response::new(PageBody::own(Bytes::from(document)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFFING);
    response
}

/// Returns a JSON document with live values.
pub(super) fn live_json(document: String) -> HttpResponse {
    let mut response = json(document);
    response.headers_mut().insert(CACHE_CONTROL, NOT_STORED);
    response
}

/// Returns a file of the pages.
pub(super) fn asset(content_type: &'static str, content: &'static str) -> HttpResponse {
    let mut response = Response::new(PageBody::own(Bytes::from_static(content.as_bytes())));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, STORED);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFFING);
    response
}

/// Returns an HTML document.
pub(super) fn html(document: String) -> HttpResponse {
    let mut response = Response::new(PageBody::own(Bytes::from(document)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HTML);
    headers.insert(CONTENT_SECURITY_POLICY, OWN_FILES_ONLY);
    headers.insert(CACHE_CONTROL, NOT_STORED);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFFING);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
