//! The section `discover` of a target: its URL is one server of a group, and all servers of the
//! group are polled. `discovery` queries them.

use std::path::PathBuf;
use std::time::Duration;

use super::address::Address;
use super::allowed::AllowedAddresses;
use super::context::Context;
use super::credentials::{Credential, credential_for};
use super::draft::Draft;
use super::endpoint::Endpoint;
use super::host_pattern::HostPattern;
use super::password_file;
use super::problem::Invalid;
use super::row::FromText;
use super::secret::Secret;
use super::target::{Password, Target};
use super::target_source::{SourceKind, TargetSource};
use super::url;
use super::written_keys::WrittenKeys;
use crate::topology::swept::SweepRole;
use crate::topology::{AddressMap, HostPort};

/// How the servers of a group are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discover {
    /// The kind of group.
    pub kind: GroupKind,
    /// The servers to query, in this order. The first is the target's own.
    pub seeds: Vec<Endpoint>,
    /// Whether only primaries are polled.
    pub has_primaries_only: bool,
    /// Whether nodes of a cluster are named by the host name that they announce.
    pub with_hostnames: bool,
    /// Which member of each shard is swept.
    pub sweep: SweepRole,
    /// Addresses that may be dialed if a server names them.
    pub allow: AllowedAddresses,
    /// Addresses to use instead of reported ones.
    pub map: AddressMap,
}

/// A kind of group of servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// A cluster, of which the seeds are nodes.
    Cluster,
    /// A primary with this name and its replicas; without a name, all primaries that the sentinels
    /// monitor. The seeds are sentinels.
    Sentinel(Option<String>),
    /// A primary and its replicas. The seeds are some of them.
    Replicas,
}

/// A word of `discover.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KindWord {
    Cluster,
    Sentinel,
    Replicas,
}

impl KindWord {
    /// Returns the default time between two queries.
    const fn interval(self) -> Duration {
        match self {
            Self::Cluster => Duration::from_secs(30),
            Self::Sentinel => Duration::from_secs(5),
            Self::Replicas => Duration::from_secs(15),
        }
    }
}

/// The section while it is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct WrittenDiscover {
    pub(crate) kind: Option<KindWord>,
    pub(crate) primary: Option<String>,
    pub(crate) seeds: Vec<Address>,
    pub(crate) interval: Option<Duration>,
    pub(crate) has_primaries_only: bool,
    pub(crate) with_hostnames: bool,
    pub(crate) sweep: SweepRole,
    pub(crate) allow: Vec<HostPattern>,
    pub(crate) map: Vec<MappedAddress>,
    pub(crate) max_nodes: u32,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
}

/// An item of `discover.map`: the reported address and the one to use.
#[derive(Clone, Debug)]
pub(crate) struct MappedAddress(HostPort, HostPort);

impl FromText for MappedAddress {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        let parts = text.split_once('=');
        let pair = parts.and_then(|(reported, used)| {
            Some(Self(
                HostPort::parse(reported.trim())?,
                HostPort::parse(used.trim())?,
            ))
        });
        pair.ok_or_else(|| {
            let remedy = "write reported=used, such as 10.0.0.5:6379=nat.example:16379";
            Invalid::new("is not a pair of addresses", remedy)
        })
    }
}

impl FromText for Address {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        let url = url::parse(text)?;
        let is_plain = url.username.is_none() && url.password.is_none() && url.database.is_none();
        match url.address {
            address @ Self::Tcp { .. } if is_plain => Ok(address),
            _ => Err(Invalid::new(
                "is not only a host and a port",
                "write host:port; the credentials are those of the target",
            )),
        }
    }
}

/// Parses the kind of group.
pub(crate) fn kind(text: &str) -> Result<KindWord, Invalid> {
    match text {
        "cluster" => Ok(KindWord::Cluster),
        "sentinel" => Ok(KindWord::Sentinel),
        "replicas" => Ok(KindWord::Replicas),
        _ => {
            let remedy = "write cluster, sentinel or replicas";
            Err(Invalid::new("is not a kind of group", remedy))
        }
    }
}

/// Parses which members are polled. Returns whether only primaries are.
pub(crate) fn nodes(text: &str) -> Result<bool, Invalid> {
    match text {
        "all" => Ok(false),
        "primaries" => Ok(true),
        _ => Err(Invalid::new("is unknown", "write all or primaries")),
    }
}

/// Parses which member of a shard is swept.
pub(crate) fn sweep_role(text: &str) -> Result<SweepRole, Invalid> {
    match text {
        "replica" => Ok(SweepRole::Replica),
        "primary" => Ok(SweepRole::Primary),
        _ => Err(Invalid::new("is unknown", "write replica or primary")),
    }
}

/// Turns a target with the section into a source of targets. Reports problems of the section.
pub(crate) fn source(
    target: Target,
    draft: &mut Draft,
    written: &WrittenKeys,
    context: &mut Context<'_>,
) -> Option<TargetSource> {
    let place = written.section("discover")?;
    let section = std::mem::take(&mut draft.one.discover);
    let Some(word) = section.kind else {
        if !written.has("discover.kind") {
            let remedy = "add one: cluster, sentinel or replicas";
            context.report(place, "has no `kind`", remedy);
        }
        return None;
    };
    check(&target, written, context);
    let seed = seed(&target, &section, word, written, context);
    let kind = match (word, section.primary) {
        (KindWord::Cluster, _) => GroupKind::Cluster,
        (KindWord::Replicas, _) => GroupKind::Replicas,
        // An invalid name must not become all primaries.
        (KindWord::Sentinel, None) if written.has("discover.primary") => return None,
        (KindWord::Sentinel, primary) => GroupKind::Sentinel(primary),
    };
    let by_host = by_host(&target, &draft.top.credentials);
    let seeds = seeds(section.seeds, &seed, word, &by_host);
    let discover = Discover {
        kind,
        seeds,
        has_primaries_only: section.has_primaries_only,
        with_hostnames: section.with_hostnames,
        sweep: section.sweep,
        allow: AllowedAddresses::new(section.allow),
        map: section
            .map
            .into_iter()
            .map(|MappedAddress(from, to)| (from, to))
            .collect(),
    };
    Some(TargetSource {
        name: target.name.clone(),
        credentials: by_host.into(),
        kind: SourceKind::Group(discover),
        template: target,
        labels: [].into(),
        interval: section.interval.unwrap_or(word.interval()),
        max_targets: usize::try_from(section.max_nodes).unwrap_or(usize::MAX),
        is_shared: draft.top.shard.is_some(),
    })
}

/// Returns all servers to query first. Each gets the credentials of its own host, unless the target
/// or, for sentinels, the section has some.
fn seeds(
    further: Vec<Address>,
    first: &Endpoint,
    word: KindWord,
    by_host: &[Credential],
) -> Vec<Endpoint> {
    let is_assigned = word != KindWord::Sentinel && !by_host.is_empty();
    let has_tls = first.address.has_tls();
    let further = further.into_iter().map(|address| {
        let mut seed = Endpoint {
            address: with_tls(address, has_tls),
            ..first.clone()
        };
        if is_assigned {
            let found = credential_for(by_host, &seed.address);
            let found = found.map(|(_, found)| (found.username.clone(), found.password.clone()));
            (seed.username, seed.password) = found.unwrap_or_default();
        }
        seed
    });
    [first.clone()].into_iter().chain(further).collect()
}

/// Returns the credentials by host that apply to the members: none if the target has its own.
fn by_host(target: &Target, list: &[Credential]) -> Vec<Credential> {
    let Endpoint {
        address,
        username,
        password,
        ..
    } = &target.endpoint;
    let found = credential_for(list, address);
    let is_found =
        found.is_some_and(|(_, found)| found.username == *username && found.password == *password);
    if is_found || (username.is_none() && password.is_none()) {
        list.to_vec()
    } else {
        Vec::new()
    }
}

/// Reports settings that make sense for a single server only.
fn check(target: &Target, written: &WrittenKeys, context: &mut Context<'_>) {
    if let Some(place) = written.place_of("sweep.from") {
        let what = "is one server, but `discover` finds many";
        context.report(place, what, "remove it, or set `discover.sweep`");
    }
    if let (Address::Unix(_), Some(place)) = (&target.endpoint.address, written.place_of("url")) {
        let what = "is a Unix socket, but `discover` needs a host";
        context.report(place, what, "write redis://host:port");
    }
}

/// Returns the first server to query. Sentinels have credentials of their own, and no databases.
fn seed(
    target: &Target,
    section: &WrittenDiscover,
    word: KindWord,
    written: &WrittenKeys,
    context: &mut Context<'_>,
) -> Endpoint {
    let endpoint = target.endpoint.clone();
    if word != KindWord::Sentinel {
        for key in [
            "discover.primary",
            "discover.username",
            "discover.password",
            "discover.password_file",
        ] {
            if let Some(place) = written.place_of(key) {
                let what = "applies to sentinels only";
                context.report(place, what, "remove it, or set `kind: sentinel`");
            }
        }
        return endpoint;
    }
    let given = section
        .password
        .as_deref()
        .map(Secret::new)
        .map(Password::Given);
    let file = section.password_file.as_ref();
    if let (Some(path), Some(place)) = (file, written.place_of("discover.password_file")) {
        if given.is_some() {
            context.report(place, "conflicts with `password`", "keep one of the two");
        }
        let server = (&endpoint.address, section.username.as_deref());
        password_file::check_for(Some(server), path, place, context);
    }
    Endpoint {
        username: section.username.clone(),
        password: given.or_else(|| file.cloned().map(Password::File)),
        database: None,
        ..endpoint
    }
}

/// A seed without a scheme has TLS if the target does.
fn with_tls(address: Address, target_has_tls: bool) -> Address {
    match address {
        Address::Tcp { host, port, tls } => Address::Tcp {
            host,
            port,
            tls: tls || target_has_tls,
        },
        unix @ Address::Unix(_) => unix,
    }
}
