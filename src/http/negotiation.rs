//! `Accept-Encoding` → whether the client takes gzip (RFC 9110, section 12.5.3). Pure.

use hyper::HeaderMap;
use hyper::header::ACCEPT_ENCODING;

/// Whether the client takes gzip. What is not understood counts as not named.
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

/// The name of a coding, and whether its weight is above 0.
fn coding(element: &str) -> (&str, bool) {
    let mut parts = element.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let accepted = weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|q| q > 0.0));
    (name, accepted)
}

#[cfg(test)]
mod tests {
    use super::accepts_gzip;
    use hyper::HeaderMap;
    use hyper::header::{ACCEPT_ENCODING, HeaderValue};

    fn headers(values: &[&'static str]) -> HeaderMap {
        let pairs = values
            .iter()
            .map(|value| (ACCEPT_ENCODING, HeaderValue::from_static(value)));
        pairs.collect()
    }

    #[test]
    fn gzip_is_taken_when_it_is_named_or_meant_by_the_star() {
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
    fn gzip_is_not_taken_when_it_is_absent_or_refused() {
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
