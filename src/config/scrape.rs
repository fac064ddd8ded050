//! The section `scrape`: servers that requests may name. They become the targets of a source.

use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::allowed::{AllowedAddresses, address_of};
use super::context::Context;
use super::draft::Draft;
use super::host_pattern::HostPattern;
use super::row::SOURCES;
use super::target::target;
use super::target_source::{SourceKind, TargetSource, placeholder};
use super::url;
use super::written_keys::WrittenKeys;

/// The name of the source of requested targets.
pub const REQUESTED: &str = "scrape";

/// Maximum length of a host name.
const HOST_MAX: usize = 253;

/// The section while it is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct WrittenScrape {
    pub(crate) allow: Vec<HostPattern>,
    pub(crate) forget_after: Duration,
    pub(crate) max_targets: u32,
}

/// Returns the source of requested targets, if requests may name any.
pub(crate) fn source(
    draft: &mut Draft,
    written: &WrittenKeys,
    sources: &[TargetSource],
    context: &mut Context<'_>,
) -> Option<TargetSource> {
    let place = written.place_of("scrape.allow")?;
    let section = std::mem::take(&mut draft.top.scrape);
    if section.allow.is_empty() {
        return None;
    }
    if !draft.top.paths.has_scrape {
        let remedy = "remove it, or set `scrape_endpoint` to true";
        context.report(place, "has no effect without `/scrape`", remedy);
    }
    if sources.iter().any(|source| source.name == REQUESTED) {
        let what = "conflicts with a source of targets that has the name `scrape`";
        context.report(place, what, "give that source another name");
    }
    let defaults = draft.each.clone();
    draft.start(SOURCES);
    // Each server has keys of its own.
    draft.each.sweep.from = None;
    let mut template = target(draft, REQUESTED.to_owned(), placeholder(false, None), None);
    draft.each = defaults;
    let allowed = Arc::new(AllowedAddresses::for_clients(section.allow));
    template.endpoint.allowed = Some(Arc::clone(&allowed));
    Some(TargetSource {
        name: REQUESTED.to_owned(),
        kind: SourceKind::Requests(allowed),
        template,
        labels: [].into(),
        interval: section.forget_after,
        max_targets: usize::try_from(section.max_targets).unwrap_or(usize::MAX),
        credentials: draft.top.credentials.clone().into(),
        is_shared: draft.top.shard.is_some(),
    })
}

/// Returns the address of a server that a request names as `redis_exporter` accepts it: a URL,
/// `host:port` or `host`, without credentials and path. Each server has one address, whatever its
/// spelling. Returns `None` for Unix sockets and other texts.
#[must_use]
pub fn requested_address(text: &str) -> Option<Address> {
    let Address::Tcp { host, port, tls } = url::parse(text).ok()?.address else {
        return None;
    };
    let host = match address_of(&host) {
        Some(address) if !host.contains('%') => address.to_string(),
        _ => host.to_ascii_lowercase(),
    };
    (host.len() <= HOST_MAX).then_some(Address::Tcp { host, port, tls })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<String> {
        requested_address(text).map(|address| address.to_string())
    }

    #[test]
    fn spellings_of_a_server_have_one_address() {
        for (spellings, expected) in [
            (
                &["redis://h:6379", "h:6379", "h", "H", "REDIS://h", "//h"][..],
                "redis://h:6379",
            ),
            (
                &["rediss://h", "rediss://H:6379", "valkeys://h"],
                "rediss://h:6379",
            ),
            (
                &["[::1]", "redis://[::1]:6379", "[0:0:0:0:0:0:0:1]:6379"],
                "redis://[::1]:6379",
            ),
            (
                &["10.0.0.1", "[::ffff:10.0.0.1]", "redis://10.0.0.1:6379"],
                "redis://10.0.0.1:6379",
            ),
        ] {
            for spelling in spellings {
                assert_eq!(address(spelling).as_deref(), Some(expected), "{spelling}");
            }
        }
    }

    #[test]
    fn other_texts_name_no_server() {
        let long = "a".repeat(HOST_MAX + 1);
        for text in [
            "",
            "unix:///s",
            "http://h",
            "h:0",
            "a b",
            "h:x",
            "::1",
            &long,
        ] {
            assert_eq!(address(text), None, "{text}");
        }
    }
}
