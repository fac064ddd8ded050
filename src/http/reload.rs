//! Decides who may request a reload, and how often. It does not reload.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::header::{HOST, HeaderMap, HeaderValue, ORIGIN};

use super::turns::network;

/// Maximum number of reloads of one client in immediate succession.
const BURST: u32 = 10;

/// Time after which a client may request one more reload.
const REFILL: Duration = Duration::from_secs(2);

/// Maximum number of tracked clients. Beyond it, the client that was idle for longest is dropped.
const CLIENTS_MAX: usize = 1024;

/// Returns whether a page of another site sent the request. A browser sends it with the permissions
/// of its user.
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

/// Rate limits of reloads, one for each client.
#[derive(Debug, Default)]
pub struct Rate(Mutex<HashMap<IpAddr, Bucket>>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u32,
    since: Instant,
}

impl Rate {
    /// Returns whether a client may request a reload now, and counts the request.
    pub(super) fn allows(&self, client: IpAddr, now: Instant) -> bool {
        let client = network(client);
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() == CLIENTS_MAX && !clients.contains_key(&client) {
            let quiet = clients.iter().min_by_key(|(_, bucket)| bucket.since);
            if let Some(quiet) = quiet.map(|(client, _)| *client) {
                clients.remove(&quiet);
            }
        }
        let bucket = clients.entry(client).or_insert(Bucket {
            left: BURST,
            since: now,
        });
        bucket.take(now)
    }
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let refills = now.saturating_duration_since(self.since).as_secs() / REFILL.as_secs();
        let refills = u32::try_from(refills).unwrap_or(u32::MAX);
        let left = self.left.saturating_add(refills).min(BURST);
        self.since = if left == BURST {
            now
        } else {
            self.since + REFILL.saturating_mul(refills)
        };
        let allowed = left.checked_sub(1);
        self.left = allowed.unwrap_or(0);
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
    fn requests_from_other_sites_are_detected() {
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
        let client = "192.0.2.1".parse().unwrap();
        for _ in 0..BURST {
            assert!(rate.allows(client, start));
        }
        assert!(!rate.allows(client, start));
        assert!(rate.allows(client, start + REFILL));
        assert!(!rate.allows(client, start + REFILL));
        let later = start + REFILL * 100;
        let allowed = (0..20).filter(|_| rate.allows(client, later)).count();
        assert_eq!(allowed, BURST as usize);
    }

    #[test]
    fn each_client_has_its_own_reload_limit() {
        let (rate, start) = (Rate::default(), Instant::now());
        for number in 0..2_000_u32 {
            let client = std::net::Ipv4Addr::from_bits(number).into();
            let allowed = (0..20).filter(|_| rate.allows(client, start)).count();
            assert_eq!(allowed, BURST as usize);
        }
        assert!(rate.allows("192.0.2.1".parse().unwrap(), start));
        assert_eq!(rate.0.lock().unwrap().len(), CLIENTS_MAX);
        // Another address of the same network counts as the same client.
        let addresses = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap());
        let requests = addresses.iter().cycle().take(20);
        let allowed = requests
            .filter(|client| rate.allows(**client, start))
            .count();
        assert_eq!(allowed, BURST as usize);
    }
}
