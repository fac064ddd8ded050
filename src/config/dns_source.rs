//! The keys `dns` and `type` of a source: a name, and which of its records list servers.

use super::address::Address;
use super::problem::Invalid;
use super::written_keys::WrittenKeys;
use super::{context::Context, url};

/// The port of servers without one.
const PORT: u16 = 6379;

/// A name whose records list servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsName {
    /// The name.
    pub host: String,
    /// The port of all its addresses. SRV records contain ports.
    pub port: u16,
    /// Which of its records list servers.
    pub records: DnsRecords,
}

/// Records of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsRecords {
    /// IPv4 and IPv6 addresses.
    Addresses,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Host names with ports.
    Srv,
}

/// Parses the type of records.
pub(crate) fn records(text: &str) -> Result<DnsRecords, Invalid> {
    match text.to_ascii_uppercase().as_str() {
        "A" => Ok(DnsRecords::A),
        "AAAA" => Ok(DnsRecords::Aaaa),
        "SRV" => Ok(DnsRecords::Srv),
        _ => Err(Invalid::new(
            "is not a type of records",
            "write A, AAAA or SRV",
        )),
    }
}

/// Parses a name, which may have a port.
pub(crate) fn host_and_port(text: &str) -> Result<(String, Option<u16>), Invalid> {
    let invalid = || {
        Invalid::new(
            "is not a host name with a port",
            "write both, without a scheme, such as redis.internal:6379",
        )
    };
    if text.contains("://") || text.contains(['@', '/', '?']) {
        return Err(invalid());
    }
    match url::parse(text).map_err(|_| invalid())?.address {
        Address::Tcp { host, port, .. } => Ok((host, text.contains(':').then_some(port))),
        Address::Unix(_) => Err(invalid()),
    }
}

/// Joins both keys. Reports keys that do not fit together.
pub(super) fn name(
    name: Option<(String, Option<u16>)>,
    records: Option<DnsRecords>,
    written: &WrittenKeys,
    context: &mut Context<'_>,
) -> Option<DnsName> {
    if let (None, Some(place)) = (&name, written.place_of("type"))
        && !written.is_wrong("dns")
    {
        context.report(place, "applies to `dns` only", "remove it");
    }
    let (host, port) = name?;
    let records = records.unwrap_or(DnsRecords::Addresses);
    if let (DnsRecords::Srv, Some(_), Some(place)) = (records, port, written.place_of("dns")) {
        let what = "has a port, but SRV records contain the ports";
        context.report(place, what, "write the name alone");
    }
    Some(DnsName {
        host,
        port: port.unwrap_or(PORT),
        records,
    })
}
