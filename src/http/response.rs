//! Builds HTTP responses: headers and body.

use bytes::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    REFERRER_POLICY, RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use super::parameters::MalformedParameter;
use super::readers::{PageBody, Readers};
use crate::encode::{Form, Format, Page, gzip};

/// A response with a complete body.
pub(super) type HttpResponse = Response<PageBody>;

/// Size from which a document is compressed, in bytes.
const PACKED_MIN: usize = 1_024;

/// A document, compressed if the client accepts that and it is worth it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    body: Bytes,
    is_compressed: bool,
}

impl Document {
    /// Compresses a document if the client accepts gzip. Large ones take milliseconds.
    pub(super) fn new(text: impl Into<Bytes>, accepts_gzip: bool) -> Self {
        let text = text.into();
        let is_compressed = accepts_gzip && text.len() > PACKED_MIN;
        Self {
            body: if is_compressed {
                gzip(&text).into()
            } else {
                text
            },
            is_compressed,
        }
    }

    /// Returns a response with the document.
    fn response(self, content_type: HeaderValue) -> HttpResponse {
        let mut response = Response::new(PageBody::own(self.body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFFING);
        // Also if it is not compressed: another client may get it compressed.
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        if self.is_compressed {
            headers.insert(CONTENT_ENCODING, GZIP);
        }
        response
    }
}

const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
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
        headers.insert(CONTENT_ENCODING, GZIP);
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

/// Returns a response for a request with a malformed parameter.
pub(super) fn malformed(error: &MalformedParameter) -> HttpResponse {
    text(StatusCode::BAD_REQUEST, error.to_string())
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
pub(super) fn json(document: Document) -> HttpResponse {
    document.response(JSON)
}

/// Returns a JSON document with live values.
pub(super) fn live_json(document: Document) -> HttpResponse {
    let mut response = json(document);
    response.headers_mut().insert(CACHE_CONTROL, NOT_STORED);
    response
}

/// Returns a file of the pages.
pub(super) fn asset(content_type: &'static str, content: Document) -> HttpResponse {
    let mut response = content.response(HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, STORED);
    response
}

/// Returns an HTML document.
pub(super) fn html(document: Document) -> HttpResponse {
    let mut response = document.response(HTML);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, OWN_FILES_ONLY);
    headers.insert(CACHE_CONTROL, NOT_STORED);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_documents_are_compressed_for_clients_that_accept_it() {
        let of = |length, accepts_gzip| {
            let text = "x".repeat(length);
            let document = Document::new(text, accepts_gzip);
            let length = document.body.len();
            let response = html(document);
            let vary = response.headers().get(VARY).cloned();
            assert_eq!(vary, Some(HeaderValue::from_static("Accept-Encoding")));
            (response.headers().contains_key(CONTENT_ENCODING), length)
        };
        assert_eq!(of(1_024, true), (false, 1_024));
        assert_eq!(of(9_000, false), (false, 9_000));
        let (is_compressed, length) = of(9_000, true);
        assert!(is_compressed && length < 200, "{length}");
    }
}
