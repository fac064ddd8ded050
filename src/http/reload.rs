//! Who may ask for a reload, and how often. It reloads nothing.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::header::{HOST, HeaderMap, HeaderValue, ORIGIN};

/// Reloads that may follow each other at once.
const BURST: u32 = 10;

/// Time after which one more reload is allowed.
const REFILL: Duration = Duration::from_secs(2);

/// Whether a request comes from a page of another site, which a browser sends with the rights of
/// its user.
pub(super) fn is_cross_origin(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return true;
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok();
    let origin = origin.and_then(|origin| origin.split_once("://"));
    match (origin, host) {
        (Some((_, origin)), Some(host)) => !origin.eq_ignore_ascii_case(host),
        _ => true,
    }
}

/// Counts reloads against their limit.
#[derive(Debug, Default)]
pub struct Rate(Mutex<Option<Bucket>>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u32,
    since: Instant,
}

impl Rate {
    /// Whether one more reload is allowed now; counts it then.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = Bucket {
            left: BURST,
            since: now,
        };
        let Bucket { left, since } = bucket.unwrap_or(full);
        let refills = now.saturating_duration_since(since).as_secs() / REFILL.as_secs();
        let refills = u32::try_from(refills).unwrap_or(u32::MAX);
        let left = left.saturating_add(refills).min(BURST);
        let since = if left == BURST {
            now
        } else {
            since + REFILL.saturating_mul(refills)
        };
        let allowed = left.checked_sub(1);
        *bucket = Some(Bucket {
            left: allowed.unwrap_or(0),
            since,
        });
        allowed.is_some()
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn pages_of_other_sites_are_told_from_scripts_and_the_own_page() {
        for own in [
            &[("host", "h:9121")][..],
            &[("host", "h:9121"), ("origin", "http://H:9121")],
            &[("host", "h:9121"), ("sec-fetch-site", "same-origin")],
            &[("host", "h:9121"), ("sec-fetch-site", "none")],
        ] {
            assert!(!is_cross_origin(&headers(own)), "{own:?}");
        }
        for other in [
            &[("host", "h:9121"), ("origin", "http://evil.example")][..],
            &[("host", "h:9121"), ("origin", "http://h:9122")],
            &[("host", "h:9121"), ("origin", "null")],
            &[("host", "h:9121"), ("sec-fetch-site", "cross-site")],
            &[("host", "h:9121"), ("sec-fetch-site", "same-site")],
            &[("origin", "http://h:9121")],
        ] {
            assert!(is_cross_origin(&headers(other)), "{other:?}");
        }
    }

    #[test]
    fn reloads_are_limited_and_allowed_again() {
        let (rate, start) = (Rate::default(), Instant::now());
        for _ in 0..BURST {
            assert!(rate.allows(start));
        }
        assert!(!rate.allows(start));
        assert!(rate.allows(start + REFILL));
        assert!(!rate.allows(start + REFILL));
        let later = start + REFILL * 100;
        let allowed = (0..20).filter(|_| rate.allows(later)).count();
        assert_eq!(allowed, BURST as usize);
    }
}
