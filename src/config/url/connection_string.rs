//! Parses connection strings of `StackExchange.Redis`: `host:6379,password=secret,ssl=true`. Pure.

use super::query::UrlQuery;
use super::{DEFAULT_PORT, Url, parse_host, several};
use crate::config::address::Address;
use crate::config::problem::Invalid;

/// The default port of the library with TLS.
const DEFAULT_TLS_PORT: u16 = 6380;

/// Returns whether the text is a host followed by comma-separated options.
pub(super) fn is_one(text: &str) -> bool {
    let mut items = text.split(',');
    let host = items.next().unwrap_or_default();
    !host.contains(['@', '/', '?', '=']) && items.any(|item| item.contains('='))
}

/// Parses a connection string.
pub(super) fn parse(text: &str) -> Result<Url, Invalid> {
    let mut items = text.split(',').map(str::trim);
    let (host, port) = parse_host(items.next().unwrap_or_default())?;
    let mut query = UrlQuery::default();
    for item in items.filter(|item| !item.is_empty()) {
        let Some((name, value)) = item.split_once('=') else {
            return Err(several::problem());
        };
        query.take(name.trim(), value.trim())?;
    }
    let tls = query.tls == Some(true);
    let default = if tls { DEFAULT_TLS_PORT } else { DEFAULT_PORT };
    let notes = query.notes();
    Ok(Url {
        address: Address::Tcp {
            host,
            port: port.unwrap_or(default),
            tls,
        },
        database: query.database,
        username: query.username,
        password: query.password,
        lacks_colon: false,
        skip_verify: query.skip_verify && tls,
        server_name: query.server_name,
        notes,
    })
}
