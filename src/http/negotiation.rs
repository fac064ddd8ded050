//! Content negotiation (RFC 9110, section 12.5). Pure.
//!
//! `Accept` selects the format of a page, and `Accept-Encoding` whether it is compressed with gzip.

use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING};

use crate::encode::openmetrics::MEDIA_TYPE;
use crate::encode::{Form, Format};

/// Returns the form in which the client wants a page.
pub(crate) fn form(headers: &HeaderMap) -> Form {
    Form {
        format: format(headers),
        is_compressed: accepts_gzip(headers),
    }
}

/// Returns the format that the client prefers. The default is text, also for unsupported versions
/// of `OpenMetrics`.
fn format(headers: &HeaderMap) -> Format {
    let values = headers.get_all(ACCEPT).iter();
    let ranges = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let (mut text, mut openmetrics) = (0.0_f32, 0.0_f32);
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let (mut weight, mut is_known) = (1.0_f32, true);
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key.trim().to_ascii_lowercase().as_str() {
                "q" => weight = value.trim().parse().unwrap_or(0.0),
                "version" => is_known = matches!(value.trim().trim_matches('"'), "1.0.0" | "0.0.1"),
                _ => {}
            }
        }
        if name.eq_ignore_ascii_case(MEDIA_TYPE) {
            if is_known {
                openmetrics = weight.max(openmetrics);
            }
        } else if name.eq_ignore_ascii_case("text/plain") {
            text = weight.max(text);
        }
    }
    if openmetrics > 0.0 && openmetrics >= text {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

/// Returns whether the client accepts gzip. Codings that cannot be parsed are ignored.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut by_wildcard = false;
    for (coding, accepted) in values.flat_map(|value| value.split(',')).map(coding) {
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            return accepted;
        }
        by_wildcard |= coding == "*" && accepted;
    }
    by_wildcard
}

/// Returns the name of a coding, and whether its weight is above 0.
fn coding(element: &str) -> (&str, bool) {
    let mut parts = element.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let accepted = weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|q| q > 0.0));
    (name, accepted)
}

#[cfg(test)]
mod tests {
    use super::{accepts_gzip, format};
    use crate::encode::Format;
    use hyper::HeaderMap;
    use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderValue};

    fn format_of(accept: &'static str) -> Format {
        let header = (ACCEPT, HeaderValue::from_static(accept));
        format(&[header].into_iter().collect())
    }

    #[test]
    fn openmetrics_is_served_on_request() {
        for accept in [
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text; version=0.0.1",
            "Application/OpenMetrics-Text",
            "text/plain;q=0.5, application/openmetrics-text;version=\"1.0.0\";escaping=allow-utf-8;q=0.6",
        ] {
            assert_eq!(format_of(accept), Format::OpenMetrics, "{accept}");
        }
    }

    #[test]
    fn text_is_the_default_format() {
        for accept in [
            "",
            "*/*",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "text/plain;version=0.0.4",
            "text/plain, application/openmetrics-text;q=0.9",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=x",
            "application/openmetrics-text;version=2.0.0",
        ] {
            assert_eq!(format_of(accept), Format::Text, "{accept}");
        }
        assert_eq!(format(&HeaderMap::new()), Format::Text);
    }

    fn headers(values: &[&'static str]) -> HeaderMap {
        let pairs = values
            .iter()
            .map(|value| (ACCEPT_ENCODING, HeaderValue::from_static(value)));
        pairs.collect()
    }

    #[test]
    fn gzip_is_accepted_by_name_or_star() {
        for value in [
            "gzip",
            "GZip",
            "deflate, gzip",
            "gzip;q=0.5",
            "*",
            "br;q=1.0, *;q=0.1",
        ] {
            assert!(accepts_gzip(&headers(&[value])), "{value}");
        }
        assert!(accepts_gzip(&headers(&["br", "gzip"])));
    }

    #[test]
    fn gzip_is_not_accepted_if_absent_or_excluded() {
        for value in [
            "",
            "identity",
            "gzip;q=0",
            "gzip ; q=0.000",
            "*;q=0",
            "gzip;q=0, *",
            "gzip;q=x",
            "gz",
        ] {
            assert!(!accepts_gzip(&headers(&[value])), "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
