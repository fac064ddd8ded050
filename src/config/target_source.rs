//! Sources that name targets while the exporter runs: the list `targets_from`. `discovery` reads
//! the sources.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::allowed::AllowedAddresses;
use super::complete_level;
use super::context::{Context, FileUse};
use super::credentials::{Credential, credential_for};
use super::discover::Discover;
use super::dns_source::{self, DnsName, DnsRecords};
use super::document::{Node, YamlValue};
use super::draft::Draft;
use super::endpoint::Endpoint;
use super::label_name::{LabelName, check_labels};
use super::password_file;
use super::problem::{Invalid, Place};
use super::reader::{LevelReader, items_of};
use super::refused_entry::RefusedEntry;
use super::row::SOURCES;
use super::target::{Target, target};
use super::tls::Tls;
use super::unit;
use super::url::{self, Url};
use super::web_source::{WebLogin, WebResource, WebSource};
use super::written_keys::WrittenKeys;

/// Minimum time between two reads of a source.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// A source of targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSource {
    /// The value of the label `discovery`, unique, and the first part of the names of its targets.
    pub name: String,
    /// The origin of its list.
    pub kind: SourceKind,
    /// The settings of its targets. Name and address are placeholders, except that the address has
    /// TLS if addresses without a scheme do.
    pub template: Target,
    /// The labels of its servers that become labels of their series.
    pub labels: Arc<[LabelName]>,
    /// Time between two reads.
    pub interval: Duration,
    /// Maximum number of its targets.
    pub max_targets: usize,
    /// Users and passwords by host. The first match wins.
    pub credentials: Arc<[Credential]>,
    /// Whether other processes watch some of the targets.
    pub is_shared: bool,
}

/// The origin of the list of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// Files in the format of Prometheus's `file_sd`. The last part may be a glob.
    File(PathBuf),
    /// A list in the format of Prometheus's `http_sd`.
    Http(Box<WebSource>),
    /// The records of a name.
    Dns(DnsName),
    /// The servers of a group, which one of them or a sentinel names.
    Group(Discover),
    /// The servers that requests name, of those that they may name. The interval is the time after
    /// which a server is forgotten.
    Requests(Arc<AllowedAddresses>),
}

impl TargetSource {
    /// Returns how to connect to a server that the source names, such as `host:6379` or a URL.
    ///
    /// # Errors
    ///
    /// The text is not an address, or contains credentials: only the configuration has those.
    pub fn endpoint(&self, text: &str) -> Result<Endpoint, RefusedEntry> {
        let refused = |what, remedy| RefusedEntry::of(text, Invalid::new(what, remedy));
        let url = url::parse(text).map_err(|invalid| RefusedEntry::of(text, invalid))?;
        let Url {
            address, database, ..
        } = url;
        let Address::Tcp { host, port, tls } = address else {
            return Err(refused("is a Unix socket", "write host:port"));
        };
        if url.username.is_some() || url.password.is_some() {
            let remedy = "remove them, and set them in `credentials` of the configuration";
            return Err(refused("contains a user or password", remedy));
        }
        if url.skip_verify {
            let remedy = "remove that, and set `tls.insecure_skip_verify` of the source";
            return Err(refused("accepts any certificate", remedy));
        }
        let has_scheme = text.contains("://");
        let default_tls = self.template.endpoint.address.has_tls();
        let tls = if has_scheme { tls } else { tls || default_tls };
        Ok(self.endpoint_at(Address::Tcp { host, port, tls }, database))
    }

    /// Returns how to connect to a server at this address.
    #[must_use]
    pub fn endpoint_at(&self, address: Address, database: Option<u32>) -> Endpoint {
        let template = self.template.endpoint.clone();
        let found = credential_for(&self.credentials, &address).map(|(_, found)| found.clone());
        let (username, password) = found.map_or((None, None), |one| (one.username, one.password));
        Endpoint {
            address,
            username,
            password,
            database: template.database.or(database),
            ..template
        }
    }

    /// Returns whether a list of an earlier source is one of this source too: they read the same, and
    /// only settings of their targets differ. Members of a group depend on more than that.
    #[must_use]
    pub fn continues(&self, earlier: &Self) -> bool {
        let has_tls = |source: &Self| source.template.endpoint.address.has_tls();
        !matches!(self.kind, SourceKind::Group(_))
            && self.name == earlier.name
            && self.kind == earlier.kind
            && self.labels == earlier.labels
            && has_tls(self) == has_tls(earlier)
    }

    /// Returns whether requests name its targets.
    #[must_use]
    pub const fn is_of_requests(&self) -> bool {
        matches!(self.kind, SourceKind::Requests(_))
    }

    /// Returns a target for a server that the source names.
    #[must_use]
    pub fn target(&self, name: String, endpoint: Endpoint) -> Target {
        Target {
            name,
            endpoint,
            ..self.template.clone()
        }
    }
}

/// Settings of a source while they are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct WrittenSource {
    pub(crate) file: Option<PathBuf>,
    pub(crate) resource: Option<WebResource>,
    pub(crate) username: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) bearer_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) dns: Option<(String, Option<u16>)>,
    pub(crate) records: Option<DnsRecords>,
    pub(crate) labels: Vec<LabelName>,
    pub(crate) interval: Option<Duration>,
    pub(crate) max_targets: u32,
    pub(crate) has_tls: bool,
}

/// Reads the list `targets_from` of the document, if it has one.
pub(crate) fn read_sources(
    document: &Node,
    written: &WrittenKeys,
    draft: &mut Draft,
    context: &mut Context<'_>,
) -> Vec<TargetSource> {
    let list = document.get("targets_from").map(|entry| &entry.node);
    match (list, written.place_of("targets_from")) {
        (Some(list), Some(place)) => read_list(list, place, draft, context),
        _ => Vec::new(),
    }
}

fn read_list(
    node: &Node,
    place: &Place,
    draft: &mut Draft,
    context: &mut Context<'_>,
) -> Vec<TargetSource> {
    let Some(items) = items_of(node, place, context) else {
        return Vec::new();
    };
    let mut names = BTreeSet::new();
    let defaults = draft.each.clone();
    let items = items.iter().enumerate();
    let sources = items.filter_map(|(index, item)| {
        draft.each = defaults.clone();
        let place = place.item(&item.source, index);
        let written = LevelReader::new(SOURCES, place, draft, context).read(item);
        if !matches!(item.value, YamlValue::Map(_) | YamlValue::Nothing) {
            return None;
        }
        complete_level(draft, &written, context);
        complete_source(draft, &written, &mut names, context)
    });
    let sources = sources.collect();
    draft.each = defaults;
    sources
}

fn complete_source(
    draft: &mut Draft,
    written: &WrittenKeys,
    names: &mut BTreeSet<String>,
    context: &mut Context<'_>,
) -> Option<TargetSource> {
    if let Some(place) = written.place_of("sweep.from") {
        let what = "is one server, but a source has many";
        context.report(place, what, "remove it");
    }
    let name = draft.one.name.take();
    if name.is_none() && !written.has("name") {
        let remedy = "add one: the names of its targets begin with it";
        context.report(&written.place, "has no `name`", remedy);
    }
    if let Some(name) = &name
        && !names.insert(name.clone())
    {
        let remedy = "names must be unique: set `name`";
        context.report(&written.place, "has the name of an earlier source", remedy);
    }
    let source = std::mem::take(&mut draft.source);
    check_labels(&source.labels, written, context);
    // Each server has keys of its own.
    draft.each.sweep.from = None;
    let kind = kind(&source, written, context)?;
    let name = name?;
    let interval = source.interval.unwrap_or(kind.interval());
    let placeholder = placeholder(source.has_tls, draft.one.database);
    if let SourceKind::Dns(DnsName { host, records, .. }) = &kind
        && *records != DnsRecords::Srv
    {
        // Certificates have names, not the addresses behind them.
        let server_name = &mut draft.each.tls.server_name;
        server_name.get_or_insert_with(|| host.clone());
    }
    Some(TargetSource {
        template: target(draft, name.clone(), placeholder, None),
        name,
        kind,
        labels: source.labels.into(),
        interval,
        max_targets: usize::try_from(source.max_targets).unwrap_or(usize::MAX),
        credentials: draft.top.credentials.clone().into(),
        is_shared: draft.top.shard.is_some(),
    })
}

/// Returns the URL of no server in particular.
pub(super) const fn placeholder(tls: bool, database: Option<u32>) -> Url {
    Url {
        address: Address::Tcp {
            host: String::new(),
            port: 0,
            tls,
        },
        database,
        username: None,
        password: None,
        lacks_colon: false,
        skip_verify: false,
        server_name: None,
        notes: Vec::new(),
    }
}

/// Returns the origin of the list of a source. Exactly one key names it.
fn kind(
    source: &WrittenSource,
    written: &WrittenKeys,
    context: &mut Context<'_>,
) -> Option<SourceKind> {
    let file = source.file.clone();
    let dns = dns_source::name(source.dns.clone(), source.records, written, context);
    let kinds = [
        file.map(SourceKind::File),
        web_source(source, written, context).map(|web| SourceKind::Http(Box::new(web))),
        dns.map(SourceKind::Dns),
    ];
    let mut kinds = kinds.into_iter().flatten();
    let (kind, more) = (kinds.next(), kinds.next());
    let is_wrong = ["file", "http", "dns"]
        .iter()
        .any(|key| written.is_wrong(key));
    if more.is_some() {
        let remedy = "keep one of file, http and dns";
        context.report(&written.place, "names more than one source", remedy);
    } else if kind.is_none() && !is_wrong {
        let remedy = "add `file`, `http` or `dns`, such as file: /etc/redis-targets.yaml";
        context.report(&written.place, "names no source", remedy);
    }
    kind
}

/// Reads the section `http`.
fn web_source(
    source: &WrittenSource,
    written: &WrittenKeys,
    context: &mut Context<'_>,
) -> Option<WebSource> {
    let place = written.section("http")?;
    let file = |key: &str| written.place_of(&format!("http.{key}"));
    for (path, place) in [
        (&source.password_file, file("password_file")),
        (&source.bearer_file, file("bearer_file")),
    ] {
        if let (Some(path), Some(place)) = (path, place) {
            password_file::check_readable(path, place, context);
        }
    }
    if let (Some(path), Some(place)) = (&source.ca_file, file("ca_file"))
        && let Err(invalid) = (context.check_file)(path, FileUse::Authorities)
    {
        context.reject(place, invalid.of_file());
    }
    let basic = (source.username.clone(), source.password_file.clone());
    let login = match (basic, source.bearer_file.clone()) {
        ((None, None), None) => None,
        ((None, None), Some(file)) => Some(WebLogin::Bearer(file)),
        ((Some(username), Some(password_file)), None) => Some(WebLogin::Basic {
            username,
            password_file,
        }),
        (_, Some(_)) => {
            let remedy = "keep `bearer_file`, or `username` and `password_file`";
            context.report(place, "has two kinds of credentials", remedy);
            None
        }
        (_, None) => {
            let remedy = "write `username` and `password_file`";
            context.report(place, "has only a part of the credentials", remedy);
            None
        }
    };
    if source.resource.is_none() && !written.has("http.url") {
        context.report(
            place,
            "has no `url`",
            "add one, such as url: https://host/path",
        );
    }
    Some(WebSource {
        resource: source.resource.clone()?,
        tls: Tls {
            ca_file: source.ca_file.clone(),
            ..Tls::default()
        },
        login,
    })
}

impl SourceKind {
    /// Returns the default time between two reads.
    const fn interval(&self) -> Duration {
        match self {
            Self::File(_) => Duration::from_secs(5),
            Self::Http(_) => Duration::from_secs(60),
            // The section `discover` has defaults of its own.
            Self::Dns(_) | Self::Group(_) => Duration::from_secs(30),
            // So does the section `scrape`.
            Self::Requests(_) => Duration::from_secs(10 * 60),
        }
    }
}

/// Parses the time between two reads of a source.
pub(crate) fn interval(text: &str) -> Result<Duration, Invalid> {
    let interval = unit::duration(text)?;
    if interval < SHORTEST_INTERVAL {
        return Err(Invalid::new("is too short", "write 1s or more"));
    }
    Ok(interval)
}

/// Parses the scheme of addresses without one. Returns whether it has TLS.
pub(crate) fn scheme(text: &str) -> Result<bool, Invalid> {
    match text {
        "redis" => Ok(false),
        "rediss" => Ok(true),
        _ => Err(Invalid::new("is not a scheme", "write redis or rediss")),
    }
}
