//! Maps the parameter `target` of a request to a target or its address. Opens no connection.
//!
//! Users of `redis_exporter` send addresses here, sometimes with credentials. Those are dropped:
//! only the configuration decides how a target is queried.

use std::sync::Arc;

use crate::config::{Address, REQUESTED, requested_address};
use crate::publish::{Board, Slot};

const DEFAULT_PORT: &str = "6379";

/// Returns the address of the server that a request names, without credentials and path. The name of a
/// requested target is its address too.
pub(crate) fn address(wanted: &str) -> Option<Address> {
    let name = wanted.strip_prefix(REQUESTED);
    let name = name.and_then(|name| name.strip_prefix('/'));
    let address = without_credentials(name.unwrap_or(wanted));
    requested_address(&without_path(&address))
}

/// Returns the configured target with that name, else the one with that address.
pub(super) fn find(board: &Board, wanted: &str) -> Option<Arc<Slot>> {
    let address = without_credentials(wanted);
    let host = without_path(&address);
    board
        .find(wanted)
        .or_else(|| board.find(&address))
        .or_else(|| board.find(&host))
        .or_else(|| board.find(&format!("{host}:{DEFAULT_PORT}")))
        .or_else(|| board.find(&requested_address(&host)?.to_string()))
}

/// Returns the same, else the target that requests have named so. Does not count as a request.
pub(crate) fn find_any(board: &Board, wanted: &str) -> Option<Arc<Slot>> {
    let requested = || board.requested(&address(wanted)?.to_string());
    find(board, wanted).or_else(requested)
}

/// Removes credentials: `redis://user:password@host:6379/0` → `redis://host:6379/0`.
fn without_credentials(address: &str) -> String {
    let (scheme, rest) = split_scheme(address);
    // A password may contain `@` and slashes. The host follows the last `@`.
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}{host}")
}

/// Removes the path: `redis://host:6379/0` → `redis://host:6379`.
fn without_path(address: &str) -> String {
    let (scheme, rest) = split_scheme(address);
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    format!("{scheme}{host}")
}

/// Splits off the scheme with its separator. Without a scheme, the first part is empty.
fn split_scheme(address: &str) -> (&str, &str) {
    let end = address.find("://").map_or(0, |at| at + "://".len());
    address.split_at_checked(end).unwrap_or(("", address))
}

#[cfg(test)]
mod tests {
    use super::{find, without_credentials};
    use crate::http::parameters::QueryString;
    use crate::publish::Board;
    use crate::view::segment;
    use proptest::prelude::*;

    fn board() -> Board {
        let board = Board::default();
        board.list(vec![
            board.slot("cache", "redis://cache.example:6379"),
            board.slot("a&b c@home", "rediss://other.example:7000"),
            board.slot("socket", "unix:///run/redis.sock"),
        ]);
        board
    }

    fn name_of(wanted: &str) -> Option<String> {
        find(&board(), wanted).map(|slot| slot.name.clone())
    }

    #[test]
    fn target_is_found_by_name_and_address_spellings() {
        for spelling in [
            "cache",
            "redis://cache.example:6379",
            "cache.example:6379",
            "cache.example",
            "redis://cache.example",
            "redis://cache.example:6379/0",
            "redis://user:pa/ss@w?rd@cache.example:6379/0?protocol=3",
            "user:password@cache.example:6379",
        ] {
            assert_eq!(name_of(spelling).as_deref(), Some("cache"), "{spelling}");
        }
        assert_eq!(name_of("a&b c@home").as_deref(), Some("a&b c@home"));
        assert_eq!(name_of("unix:///run/redis.sock").as_deref(), Some("socket"));
    }

    #[test]
    fn unconfigured_target_is_not_found() {
        for spelling in [
            "",
            "cach",
            "cache.example:6380",
            "169.254.169.254",
            "@",
            "://",
            "/",
            "é",
        ] {
            assert_eq!(name_of(spelling), None, "{spelling}");
        }
    }

    proptest! {
        #[test]
        fn a_link_leads_to_its_target(name in "\\PC{1,40}") {
            let link = format!("probe?target={}", segment(&name));
            let query = link.split_once('?').map(|(_, query)| query);
            let query = QueryString::new(query);
            prop_assert_eq!(query.text("target"), Some(&*name));
        }

        #[test]
        fn no_password_survives(password in "[a-z/@:?#]{1,20}") {
            let address = format!("redis://user:{password}@host:1");
            prop_assert_eq!(without_credentials(&address), "redis://host:1");
        }

        #[test]
        fn any_target_is_looked_up_without_panic(wanted in "\\PC*") {
            let _ = find(&board(), &wanted);
        }
    }
}
