//! The source `dns`: the addresses of a host name (A and AAAA records).

use std::sync::Arc;

use super::{ListedServer, Listing, Reporter, pause};
use crate::config::{Address, TargetSource};
use crate::connection::resolve;

/// Resolves the name again and again. Never returns.
pub(super) async fn run(source: &TargetSource, host: &str, port: u16, mut reporter: Reporter) {
    loop {
        match read(source, host, port).await {
            Ok(list) => reporter.list(list).await,
            Err(problem) => reporter.fail(&problem),
        }
        pause(source.interval).await;
    }
}

/// Resolves the name once.
pub(super) async fn read(source: &TargetSource, host: &str, port: u16) -> Result<Listing, String> {
    let found = resolve(host, port).await;
    let mut addresses = found.map_err(|failure| failure.to_string())?;
    addresses.sort_unstable();
    addresses.dedup();
    let tls = source.template.endpoint.address.has_tls();
    let servers = addresses.iter().map(|found| {
        let address = Address::Tcp {
            host: found.ip().to_string(),
            port: found.port(),
            tls,
        };
        ListedServer {
            name: format!("{}/{}", source.name, address.default_name()),
            endpoint: source.endpoint_at(address, None),
            labels: Arc::default(),
            member: None,
            is_swept: true,
        }
    });
    Ok(Listing {
        source: source.name.clone(),
        servers: servers.collect(),
        refused: 0,
    })
}
