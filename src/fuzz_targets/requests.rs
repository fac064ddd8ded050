//! Fuzz targets of other inputs: HTTP requests, lists of targets, and DNS messages.

use std::sync::LazyLock;

use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderValue};

use super::settings::parsed;
use crate::config::{TargetSource, target_groups};
use crate::discovery::dns::message::{self, DnsResponse};
use crate::discovery::groups::listing;
use crate::http::parameters::QueryString;
use crate::http::{access, live, negotiation, target};
use crate::publish::Board;
use crate::view::{self, ExporterState, Overview};

/// Reads the parts of a request: the query string, and a value of a header after a line end.
pub fn request(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let query = String::from_utf8_lossy(parts.next().unwrap_or_default());
    if let Ok(value) = HeaderValue::from_bytes(parts.next().unwrap_or_default()) {
        let names = [ACCEPT, ACCEPT_ENCODING, AUTHORIZATION];
        let headers: HeaderMap = names
            .map(|name| (name, value.clone()))
            .into_iter()
            .collect();
        let _ = negotiation::form(&headers);
        if let Some(sent) = access::credentials(&headers) {
            assert!(sent.len() <= value.len(), "more than was sent");
        }
    }
    let query = QueryString::new(Some(&query));
    let _ = query.switch("debug");
    if let Some(wanted) = query.text("target") {
        let _ = target::find_any(&board(), wanted);
        if let Some(address) = target::address(wanted) {
            let shown = address.to_string();
            assert!(!shown.contains('@'), "{shown}");
            assert_eq!(target::address(&shown), Some(address));
        }
    }
    let Ok(filter) = live::filter(&query) else {
        return;
    };
    let json = view::json(&Overview::new(
        Vec::new(),
        &filter,
        &ExporterState::default(),
        1e9,
    ));
    let is_json = serde_json::from_str::<serde_json::Value>(&json).is_ok();
    assert!(is_json, "{json}");
}

fn board() -> Board {
    let board = Board::default();
    board.list(vec![
        board.slot("cache", "redis://cache.example:6379"),
        board.slot("socket", "unix:///run/redis.sock"),
    ]);
    board
}

/// Reads lists of targets, in JSON and in YAML.
pub fn target_list(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for is_json in [true, false] {
        let Ok(groups) = target_groups(text, is_json) else {
            continue;
        };
        let count: usize = groups.iter().map(|group| group.targets.len()).sum();
        let listing = listing(&SOURCE, groups.iter());
        assert_eq!(listing.servers.len() + listing.refused.count(), count);
        for server in &listing.servers {
            let is_declared = server.labels.iter().all(|(name, _)| name == "env");
            assert!(is_declared, "{:?}", server.labels);
            assert!(server.name.starts_with("list/"), "{}", server.name);
        }
    }
}

static SOURCE: LazyLock<TargetSource> = LazyLock::new(|| {
    let text = "targets_from: [{name: list, file: /a.json, labels: [env]}]\n";
    let source = parsed(text).map(|config| config.sources.into_iter().next());
    assert!(matches!(source, Ok(Some(_))), "{source:?}");
    #[expect(clippy::unwrap_used, reason = "just checked")]
    source.ok().flatten().unwrap()
});

/// The name whose records are queried.
const NAME: &str = "_redis._tcp.shop.test";

/// Reads a response of a name server. Its first two bytes are the id.
pub fn dns(data: &[u8]) {
    let id = data.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
    if let DnsResponse::Servers(servers, _) = message::response(data, id, NAME) {
        assert!(
            servers.is_sorted_by(|left, right| left < right),
            "{servers:?}"
        );
    }
    let text = String::from_utf8_lossy(data);
    let query = message::query(id, &text);
    let is_response = |bytes: Vec<u8>| message::response(&bytes, id, &text) != DnsResponse::Foreign;
    assert!(!query.is_some_and(is_response), "a query is a response");
}
