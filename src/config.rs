//! Reads file, flags and environment into a valid `Config`.
//!
//! It opens no connections. Its only I/O is reading the configuration file and validating the files
//! that it names.
//!
//! Precedence, highest first: flag, environment variable, configuration file, default. All problems
//! are reported at once.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tracing::Level;

mod address;
mod allowed;
pub mod arguments;
mod canary;
mod clients;
mod collector_options;
mod commands;
mod context;
mod credentials;
mod discover;
mod dns_source;
mod document;
mod draft;
mod effective;
mod endpoint;
mod expand;
mod expected_node;
mod file;
mod file_content;
mod host_pattern;
mod implicit_target;
mod keys;
mod label_name;
mod listen;
mod log;
mod names;
mod namespace;
#[cfg(test)]
mod of_text;
mod password_file;
mod paths;
mod poll;
mod problem;
mod reader;
mod recorded;
pub mod redis_exporter;
mod reference;
mod refused_entry;
mod route;
mod row;
pub mod rows;
mod schema;
mod scrape;
mod script;
mod secret;
mod shard;
mod sweep;
mod target;
mod target_groups;
mod target_source;
mod tls;
mod top_arguments;
mod unit;
mod unknown_key;
pub(crate) mod url;
mod usage_error;
mod web;
mod web_source;
mod written_keys;

pub use crate::pattern::Pattern;
pub use address::Address;
pub use allowed::AllowedAddresses;
pub use arguments::Arguments;
pub use canary::Canary;
pub use clients::{ClientGroup, ClientMatch, Clients};
pub use collector_options::{ChannelName, CollectorOptions, Slots};
pub use commands::Commands;
pub use credentials::{Credential, credential_for};
pub use discover::{Discover, GroupKind};
pub use dns_source::{DnsName, DnsRecords};
pub use effective::effective;
pub use endpoint::{CLIENT_NAME, Endpoint};
pub use expand::Environment;
pub use expected_node::ExpectedNode;
pub use file_content::FileContent;
pub use host_pattern::HostPattern;
pub use keys::{KeyName, KeyPattern, Keys, ShownValues, Streams};
pub use label_name::{LabelName, RESERVED_LABELS};
pub use listen::listen_address;
pub use log::{Log, LogFormat};
pub use namespace::{ChannelGroup, Namespace, NamespacePolicy, OnEviction, TtlPolicy, doubts};
#[cfg(test)]
pub(crate) use of_text::of_text;
pub(crate) use password_file::password_of;
pub use password_file::{PASSWORD_FILE_MAX, missing_entry};
pub use paths::Paths;
pub use poll::PollTimes;
pub use problem::Problem;
pub use refused_entry::RefusedEntry;
pub use route::{ROUTES, Route};
pub use schema::schema;
pub use scrape::{REQUESTED, requested_address};
pub use script::Script;
pub use secret::{Secret, trimmed};
pub use shard::Shard;
pub use sweep::{EventUse, Share, Sweep};
pub use target::{CollectorChoice, Password, Target};
pub use target_groups::{TargetGroup, TargetListError, target_groups};
pub use target_source::{SourceKind, TargetSource};
pub use tls::{CertificateFiles, Tls};
pub use top_arguments::{ExporterUrl, TopArguments};
pub use web::{BasicAuth, Web, WebPassword, WebTls, is_authority};
pub use web_source::{WebLogin, WebResource, WebSource};

use crate::metric::Names;
use context::{CheckFile, Context, ReadFile};
use document::{Node, YamlValue};
use draft::Draft;
use problem::{Invalid, Origin, Place};
use reader::LevelReader;
use recorded::Recorder;
use redis_exporter::{Given, Notice, Overlay};
use written_keys::WrittenKeys;

/// The complete configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The address to serve metrics at.
    pub listen: SocketAddr,
    /// Access rules for HTTP clients.
    pub web: Web,
    /// The poll settings of targets that do not override them.
    pub poll: PollTimes,
    /// Log settings.
    pub log: Log,
    /// The spelling of metric names.
    pub names: Names,
    /// The served paths.
    pub paths: Paths,
    /// Whether to export metrics about the exporter's process and version.
    pub process_metrics: bool,
    /// The servers to poll, with unique names; at least one unless there are sources.
    pub targets: Vec<Arc<Target>>,
    /// The sources that name more targets while the exporter runs, with unique names.
    pub sources: Vec<TargetSource>,
    /// Maximum number of targets, those of sources included.
    pub max_targets: usize,
    /// The share of the targets that this process watches, if several processes share them.
    pub shard: Option<Shard>,
    /// Users and passwords for targets without any. The first match wins.
    pub credentials: Arc<[Credential]>,
    /// The declared namespaces. The first match wins.
    pub namespaces: Vec<Namespace>,
    /// The parts of the file that a reload must not lose silently.
    pub file: FileContent,
    /// Notices for startup, about options that are not fully supported.
    pub notices: Vec<Notice>,
}

/// Reads file, environment and arguments into a configuration.
///
/// # Errors
///
/// All problems, in the order of the file. They never contain a secret.
pub fn load(
    arguments: &Arguments,
    environment: &Environment<'_>,
    collector_names: &[&str],
) -> Result<Config, Vec<Problem>> {
    load_by(&file::read, arguments, environment, collector_names)
}

/// Does the same for a reload. Blocks.
///
/// A file that is being written is read repeatedly, until two reads in a row, 250 ms apart, are the
/// same.
///
/// # Errors
///
/// As [`load`], or the file still changes after five seconds.
pub fn load_settled(
    arguments: &Arguments,
    environment: &Environment<'_>,
    collector_names: &[&str],
) -> Result<Config, Vec<Problem>> {
    load_by(&file::read_settled, arguments, environment, collector_names)
}

fn load_by(
    read_file: &dyn Fn(&Path) -> Result<String, Invalid>,
    arguments: &Arguments,
    environment: &Environment<'_>,
    collector_names: &[&str],
) -> Result<Config, Vec<Problem>> {
    let file = listed_file(read_file, arguments, environment)?;
    let file = file.as_ref().map(|(place, text)| (&**place, &**text));
    parse(
        file,
        arguments,
        environment,
        (&file::check, &file::read_bytes),
        collector_names,
    )
}

/// Returns the place and the text of the configuration file, if one is given.
fn listed_file(
    read_file: &dyn Fn(&Path) -> Result<String, Invalid>,
    arguments: &Arguments,
    environment: &Environment<'_>,
) -> Result<Option<(String, String)>, Vec<Problem>> {
    let Some(path) = file::path(arguments, environment) else {
        return Ok(None);
    };
    let place = file::shown(&path);
    let text = if file::is_standard_input(&path) {
        file::read_standard_input()
    } else {
        read_file(&path)
    };
    match text {
        Ok(text) => Ok(Some((place, text))),
        Err(invalid) => Err(vec![Place::option(&place).problem("", invalid)]),
    }
}

/// Reads a configuration without I/O. The file is its place in problems and its text.
pub(crate) fn parse(
    file: Option<(&str, &str)>,
    arguments: &Arguments,
    environment: &Environment<'_>,
    files: (&CheckFile<'_>, &ReadFile<'_>),
    collector_names: &[&str],
) -> Result<Config, Vec<Problem>> {
    let recorder = Recorder::default();
    let parsed = parse_recorded(
        file,
        arguments,
        environment,
        files,
        collector_names,
        recorder,
    );
    parsed.map(|(config, _)| config)
}

/// Does the same, and records which options are set.
fn parse_recorded(
    file: Option<(&str, &str)>,
    arguments: &Arguments,
    environment: &Environment<'_>,
    (check_file, read_file): (&CheckFile<'_>, &ReadFile<'_>),
    collector_names: &[&str],
    recorder: Recorder,
) -> Result<(Config, Recorder), Vec<Problem>> {
    // Editors and shells add line ends, also to values of variables.
    let environment = &|name: &str| environment(name).map(|text| trimmed(&text).to_owned());
    let mut context = Context {
        file: file.map_or("", |(name, _)| name),
        environment,
        check_file,
        read_file,
        collector_names,
        masked: Vec::new(),
        problems: Vec::new(),
        notices: Vec::new(),
        recorder,
    };
    let (text, node) = match file {
        None => ("", Node::from(YamlValue::Nothing)),
        Some((name, text)) => match document::read(text) {
            Ok(node) => (text, node),
            Err((position, invalid)) => {
                let place = Place::new(Origin::File(position));
                return Err(vec![place.problem(name, invalid)]);
            }
        },
    };
    let given = Given::read(&arguments.options, environment, &mut context.notices);
    implicit_target::warn_of_empty_file(&node, &mut context);
    implicit_target::warn_of_unused(text, &node, &mut context);
    let config = read_config(&node, arguments, &given, &mut context);
    let Context {
        mut problems,
        notices,
        recorder,
        ..
    } = context;
    if problems.is_empty() {
        return Ok((Config { notices, ..config }, recorder));
    }
    problem::sort(&mut problems);
    Err(problems)
}

/// Reads a configuration. It is only valid if no problem was reported.
fn read_config(
    node: &Node,
    arguments: &Arguments,
    given: &Given,
    context: &mut Context<'_>,
) -> Config {
    let overlay = Overlay::of(given, &mut context.notices, &mut context.problems);
    context.masked = overlay.masked();
    let mut draft = Draft::new();
    let place = Place::new(node.source.clone());
    let mut reader = LevelReader::new("", place.clone(), &mut draft, context);
    reader.map(node, &place, "");
    overlay.apply(&mut reader);
    let mut written = reader.written;
    override_top(&mut draft, &mut written, given, context);
    complete_level(&mut draft, &written, context);
    let channels = std::mem::take(&mut draft.top.channels);
    draft.options().channels = channels.into();
    let web = web::complete(std::mem::take(&mut draft.top.web), &written, context);
    let poll = draft.each.poll;
    let mut sources = target_source::read_sources(node, &written, &mut draft, context);
    sources.extend(scrape::source(&mut draft, &written, &sources, context));
    let origin = (arguments.redis_addr.as_ref(), given, &overlay);
    let targets =
        implicit_target::read_targets(node, &written, origin, &mut sources, &mut draft, context);
    // Last, so that requests take no places of others. The order of the others stays.
    sources.sort_by_key(TargetSource::is_of_requests);
    // Requested targets are on pages of their own.
    let listed = sources.iter().filter(|source| !source.is_of_requests());
    let count = targets.len().saturating_add(listed.count() * 2);
    let names = names::complete(&draft, &written, count, context);
    let shard = shard::complete(draft.top.shard, &written, context);
    let draft::Top {
        listen,
        log,
        paths,
        process_metrics,
        namespaces,
        max_targets,
        credentials,
        ..
    } = draft.top;
    Config {
        listen,
        web,
        poll,
        log,
        names,
        paths,
        process_metrics,
        targets,
        sources,
        max_targets: usize::try_from(max_targets).unwrap_or(usize::MAX),
        shard,
        credentials: credentials.into(),
        namespaces,
        file: FileContent::of(node),
        notices: Vec::new(),
    }
}

/// Applies the options of `redis_exporter` that are not equivalent to a key.
fn override_top(
    draft: &mut Draft,
    written: &mut WrittenKeys,
    given: &Given,
    context: &mut Context<'_>,
) {
    if given.is_on("debug") {
        draft.top.log.level = Level::DEBUG;
    }
    // In redis_exporter it applies to one connection, and its default exceeds the maximum here.
    // Therefore longer values are reduced to the maximum.
    if let (Some(option), None) = (given.get("connection-timeout"), given.get("poll.timeout")) {
        let place = Place::option(&option.place);
        let interval = draft.each.poll.interval;
        match redis_exporter::time_out(option.value.expose()) {
            Ok(timeout) => {
                let timeout = timeout.map_or(interval, |timeout| timeout.min(interval));
                draft.each.timeout = Some(timeout);
                written.add("poll.timeout", place, true);
            }
            Err(invalid) => context.reject(&place, invalid.hidden()),
        }
    }
}

/// Validates settings of the top level, or of a target, that depend on each other.
fn complete_level(draft: &mut Draft, written: &WrittenKeys, context: &mut Context<'_>) {
    poll::complete(&mut draft.each, written, context);
    sweep::complete(&mut draft.each, written, context);
    tls::complete(&mut draft.each, written, context);
    if written.has("clients.groups") {
        let groups = std::mem::take(&mut draft.each.client_groups);
        draft.options().clients.groups = groups.into();
    }
}

#[cfg(test)]
mod tests;
