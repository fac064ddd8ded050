//! The source `dns`: the records of a name.

pub(crate) mod message;
mod srv;

use std::net::SocketAddr;
use std::sync::Arc;

use super::error::{NameError, SourceError};
use super::{ListedServer, Listing, RefusedServers, Reporter, pause};
use crate::config::{Address, DnsName, DnsRecords, TargetSource};
use crate::connection::resolve;
use crate::topology::HostPort;

/// Reads the records again and again. Never returns.
pub(super) async fn run(source: &TargetSource, name: &DnsName, mut reporter: Reporter) {
    loop {
        match read(source, name).await {
            Ok(list) => reporter.list(list).await,
            Err(error) => reporter.fail(&error),
        }
        pause(source.interval).await;
    }
}

/// Reads the records once.
pub(super) async fn read(source: &TargetSource, name: &DnsName) -> Result<Listing, SourceError> {
    let (found, unusable) = match name.records {
        DnsRecords::Srv => srv::lookup(&name.host).await?,
        records => (addresses(name, records).await?, 0),
    };
    let mut refused = RefusedServers::default();
    for _ in 0..unusable {
        refused.record(&"an SRV record has no usable host name or port; change it");
    }
    let tls = source.template.endpoint.address.has_tls();
    let servers = found.into_iter().map(|HostPort { host, port }| {
        let address = Address::Tcp { host, port, tls };
        ListedServer {
            name: format!("{}/{}", source.name, address.default_name()),
            endpoint: source.endpoint_at(address, None),
            labels: Arc::default(),
            member: None,
            is_swept: true,
            on_failure: None,
        }
    });
    Ok(Listing {
        source: source.name.clone(),
        servers: servers.collect(),
        refused,
    })
}

/// Resolves the name, and returns the wanted addresses, sorted.
async fn addresses(name: &DnsName, records: DnsRecords) -> Result<Vec<HostPort>, SourceError> {
    let mut addresses = resolve(&name.host, name.port).await?;
    addresses.retain(|found| match records {
        DnsRecords::A => found.is_ipv4(),
        DnsRecords::Aaaa => found.is_ipv6(),
        DnsRecords::Addresses | DnsRecords::Srv => true,
    });
    if addresses.is_empty() {
        return Err(NameError::NoAddress(name.host.clone()).into());
    }
    addresses.sort_unstable();
    addresses.dedup();
    let server = |found: SocketAddr| HostPort {
        host: found.ip().to_string(),
        port: found.port(),
    };
    Ok(addresses.into_iter().map(server).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_addresses_of_the_type_are_servers() {
        use DnsRecords::{A, Aaaa, Addresses};
        for (host, records, is_server) in [
            ("127.0.0.1", Addresses, true),
            ("127.0.0.1", A, true),
            ("127.0.0.1", Aaaa, false),
            ("::1", A, false),
            ("::1", Aaaa, true),
        ] {
            let name = DnsName {
                host: host.to_owned(),
                port: 7,
                records,
            };
            let found = addresses(&name, records).await;
            let expected = HostPort::new(host, 7).filter(|_| is_server);
            assert_eq!(found.ok(), expected.map(|server| vec![server]), "{host}");
        }
    }
}
