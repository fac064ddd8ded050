//! File, flags and environment to one `Config`, which is valid once it exists. It dials nobody;
//! its only I/O is reading the file and seeing that the files it names are good.
//!
//! A flag goes before its environment variable, that before the file, that before the default.
//! All problems are found at once.

use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::Level;

mod address;
pub mod arguments;
mod clients;
mod collector_options;
mod commands;
mod document;
mod expand;
mod keys;
mod namespace;
mod password_file;
mod poll;
mod problem;
pub mod redis_exporter;
mod script;
mod search;
mod secret;
mod section;
mod slots;
mod sweep;
mod target;
mod tls;
mod unit;
mod url;
mod web;

pub use crate::pattern::Pattern;
pub use address::Address;
pub use arguments::Arguments;
pub use clients::{ClientGroup, ClientMatch, Clients};
pub use collector_options::CollectorOptions;
pub use commands::Commands;
pub use expand::Environment;
pub use keys::{KeyName, KeyPattern, Keys, ShownValues, Streams};
pub use namespace::{ChannelGroup, Namespace, TtlPolicy, doubts};
pub use password_file::{missing_entry, password_of};
pub use poll::PollTimes;
pub use problem::Problem;
pub use script::Script;
pub use search::SearchIndexes;
pub use secret::{Secret, trimmed};
pub use slots::Slots;
pub use sweep::{Origin, Share, Sweep};
pub use target::{CollectorChoice, Password, Target};
pub use tls::{Identity, Tls};
pub use web::{BasicAuth, Web, WebPassword, WebTls};

use crate::metric::{Names, Series};
use document::Node;
use problem::Refusal;
use redis_exporter::{Given, Notice, Overlay};
use section::{CheckFile, Context, Placed, ReadFile, Reading, Section, Wanted};
use target::Defaults;

/// The keys of the file's top level.
const KEYS: &[&str] = &[
    "listen",
    "poll",
    "log",
    "legacy_names",
    "target_label",
    "series",
    "metric_prefix",
    "telemetry_path",
    "scrape_endpoint",
    "process_metrics",
    "set_client_name",
    "empty_databases",
    "collectors",
    "targets",
    "sweep",
    "keys",
    "tls",
    "web",
    "namespaces",
    "channels",
    "clients",
    "slots",
    "scripts",
    "search_indexes",
    "commands",
];

/// The keys of the `log` section.
const LOG_KEYS: &[&str] = &["level", "format"];

/// The largest file that is read, in bytes. Room for thousands of targets.
const LARGEST_FILE: u64 = 1 << 20;

/// Time between two readings of a file that may be being written.
const SETTLE_TIME: Duration = Duration::from_millis(250);

/// Readings until a file that keeps changing is refused: five seconds.
const SETTLE_READINGS: u32 = 20;

/// Where the metrics are served, for one that is configured by variables alone.
const LISTEN_VARIABLE: &str = "REDIS_EXPORTER_WEB_LISTEN_ADDRESS";

const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), 9121);

/// All that can be configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the metrics are served.
    pub listen: SocketAddr,
    /// What clients need to get in there.
    pub web: Web,
    /// The times of every target that does not set its own.
    pub poll: PollTimes,
    /// What is logged, and how.
    pub log: Log,
    /// Under which names metrics are served.
    pub names: Names,
    /// What is served, and where.
    pub paths: Paths,
    /// Whether the exporter shows its own process and version.
    pub process_metrics: bool,
    /// The servers to poll, at least one, with unique names.
    pub targets: Vec<Target>,
    /// The declared groups of keys; the first match wins.
    pub namespaces: Vec<Namespace>,
    /// What the file holds of what a reload must not lose unnoticed.
    pub file: FileContent,
    /// What is to be said at start about options that are not honoured as they stand.
    pub notices: Vec<Notice>,
}

/// What a configuration file holds of what a reload must not lose unnoticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileContent {
    /// Whether it holds anything.
    pub has_content: bool,
    /// Whether it names targets.
    pub has_targets: bool,
}

impl FileContent {
    fn of(node: &Node) -> Self {
        let has_targets = |entries: &[(String, Node)]| {
            let mut keys = entries.iter().map(|(key, _)| key);
            keys.any(|key| key == "targets")
        };
        Self {
            has_content: *node != Node::Nothing,
            has_targets: matches!(node, Node::Map(entries) if has_targets(entries)),
        }
    }
}

/// What is served, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The path of the page of all targets.
    pub telemetry: String,
    /// Whether there are pages of single targets.
    pub has_scrape: bool,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            telemetry: "/metrics".to_owned(),
            has_scrape: true,
        }
    }
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least severe events that are logged.
    pub level: Level,
    /// How they are written.
    pub format: LogFormat,
}

/// How log events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads file, environment and arguments into a configuration.
///
/// # Errors
///
/// All problems that were found, in the order of the file. None of them holds a secret.
pub fn load(
    arguments: &Arguments,
    environment: &Environment<'_>,
    collector_names: &[&str],
) -> Result<Config, Vec<Problem>> {
    load_by(&read_file, arguments, environment, collector_names)
}

/// The same for a reload: a file that is being written is read when two readings in a row, 250 ms
/// apart, are the same. Blocks.
///
/// # Errors
///
/// As [`load`]; also where the file still changes after five seconds.
pub fn load_settled(
    arguments: &Arguments,
    environment: &Environment<'_>,
    collector_names: &[&str],
) -> Result<Config, Vec<Problem>> {
    load_by(&read_settled, arguments, environment, collector_names)
}

fn load_by(
    read_file: &dyn Fn(&Path) -> Result<String, Refusal>,
    arguments: &Arguments,
    environment: &Environment<'_>,
    collector_names: &[&str],
) -> Result<Config, Vec<Problem>> {
    let file = match file_path(arguments, environment) {
        None => None,
        Some(path) => {
            let place = shown(&path);
            let text = if is_standard_input(&path) {
                read_standard_input()
            } else {
                read_file(&path)
            };
            match text {
                Ok(text) => Some((place, text)),
                Err(refusal) => {
                    return Err(vec![Problem {
                        place,
                        what: refusal.what,
                        remedy: refusal.remedy,
                    }]);
                }
            }
        }
    };
    let file = file.as_ref().map(|(place, text)| (&**place, &**text));
    parse(
        file,
        arguments,
        environment,
        (&check_file, &read_bytes),
        collector_names,
    )
}

/// Where an exporter with these arguments listens. Unlike [`load`] it gets by without a good
/// configuration: whoever asks for health must not fail for a file that the exporter has refused.
#[must_use]
pub fn listen_address(arguments: &Arguments, environment: &Environment<'_>) -> SocketAddr {
    let read = |text: &str| unit::listen_address(text).ok();
    let variable = || read(&environment(LISTEN_VARIABLE)?);
    let file = || {
        let path = file_path(arguments, environment).filter(|path| !is_standard_input(path))?;
        let text = read_file(&path).ok()?;
        let Ok(Node::Map(entries)) = document::read(&text) else {
            return None;
        };
        let (_, node) = entries.iter().find(|(key, _)| key == "listen")?;
        let Node::Scalar(scalar) = node else {
            return None;
        };
        read(&expand::expand(&scalar.text, environment).ok()?)
    };
    let found = arguments.listen.or_else(variable).or_else(file);
    found.unwrap_or(DEFAULT_LISTEN)
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn file_path(arguments: &Arguments, environment: &Environment<'_>) -> Option<PathBuf> {
    let variable = || environment("REDIS_EXPORTER_CONFIG").filter(|path| !path.is_empty());
    arguments
        .config
        .clone()
        .or_else(|| variable().map(PathBuf::from))
}

/// Endings of a configuration file.
const ENDINGS: &[&str] = &["yaml", "yml", "json", "conf", "cfg", "txt"];

/// Returns the path for problems, if it looks like one. Otherwise it may be a password, or a URL with
/// one, that was given with the wrong flag.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if text == "-" {
        return "standard input".to_owned();
    }
    let ending = path.extension().and_then(std::ffi::OsStr::to_str);
    let is_path = text.contains('/') || ending.is_some_and(|ending| ENDINGS.contains(&ending));
    if text.contains("://") || text.contains('@') || !is_path {
        return "the file of --config".to_owned();
    }
    text
}

fn read_file(path: &Path) -> Result<String, Refusal> {
    utf8(read_bytes(path, LARGEST_FILE)?)
}

fn read_standard_input() -> Result<String, Refusal> {
    static WAS_READ: AtomicBool = AtomicBool::new(false);
    if WAS_READ.swap(true, Ordering::Relaxed) {
        return Err(Refusal::new(
            "was read at the start and cannot be read again",
            "restart with the new configuration, or name a file to reload it",
        ));
    }
    utf8(read_bounded(std::io::stdin().lock(), LARGEST_FILE)?)
}

fn utf8(bytes: Vec<u8>) -> Result<String, Refusal> {
    String::from_utf8(bytes)
        .map_err(|_| Refusal::new("is not UTF-8 text", "save it with that encoding"))
}

fn read_settled(path: &Path) -> Result<String, Refusal> {
    let mut before = read_file(path);
    for _ in 0..SETTLE_READINGS {
        std::thread::sleep(SETTLE_TIME);
        let now = read_file(path);
        if now == before {
            return now;
        }
        before = now;
    }
    Err(Refusal::new(
        "keeps changing",
        "reload when it is written, or write another file and rename it",
    ))
}

fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, Refusal> {
    read_bounded(open(path)?, most)
}

fn read_bounded(source: impl Read, most: u64) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    source
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > most {
        let most = most >> 10;
        return Err(Refusal::new(
            format!("is larger than {most} KiB"),
            "make it smaller",
        ));
    }
    Ok(bytes)
}

fn check_file(path: &Path, wanted: Wanted<'_>) -> Result<(), Refusal> {
    let good = match wanted {
        Wanted::Authorities => crate::tls::authorities(path).map(drop),
        Wanted::ClientAuthorities => crate::tls::client_authorities(path).map(drop),
        Wanted::Certificates => crate::tls::certificates(path),
        Wanted::Key { certificate } => crate::tls::key(path, certificate),
    };
    good.map_err(|fault| Refusal::new(fault.what, fault.remedy))
}

/// Opens a regular file. Opening a pipe could wait for ever.
fn open(path: &Path) -> Result<File, Refusal> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(&error))?;
    if !metadata.is_file() {
        return Err(Refusal::new("is not a regular file", "name a file"));
    }
    File::open(path).map_err(|error| unreadable(&error))
}

fn unreadable(error: &std::io::Error) -> Refusal {
    Refusal::new(
        format!("cannot be read ({error})"),
        "check the path and its permissions",
    )
}

/// The pure part of `load`. The file is its place in problems and its text.
fn parse(
    file: Option<(&str, &str)>,
    arguments: &Arguments,
    environment: &Environment<'_>,
    (check_file, read_file): (&CheckFile<'_>, &ReadFile<'_>),
    collector_names: &[&str],
) -> Result<Config, Vec<Problem>> {
    // Editors and shells add line ends, also to what becomes a variable.
    let environment = &|name: &str| environment(name).map(|text| trimmed(&text).to_owned());
    let mut context = Context {
        environment,
        check_file,
        read_file,
        collector_names,
        problems: Vec::new(),
        notices: Vec::new(),
    };
    let (place, node) = match file {
        None => ("", Node::Nothing),
        Some((place, text)) => match document::read(text) {
            Ok(node) => (place, node),
            Err(Refusal { what, remedy }) => {
                context.report(place, what, remedy);
                return Err(context.problems);
            }
        },
    };
    let held = FileContent::of(&node);
    let given = Given::read(&arguments.peer, environment, &mut context.notices);
    if let Some((_, text)) = file {
        target::warn_of_unused(text, &node, &mut context);
    }
    let overlay = Overlay::of(&given, &mut context.notices, &mut context.problems);
    let node = overlay.onto(node);
    let config = Section::root(&node, place, KEYS, &mut context)
        .and_then(|root| read_config(&root, arguments, &given, &mut context));
    match config {
        Some(config) if context.problems.is_empty() => {
            let notices = context.notices;
            Ok(Config {
                notices,
                file: held,
                ..config
            })
        }
        _ => {
            overlay.replace_places(place, &mut context.problems);
            Err(context.problems)
        }
    }
}

/// Nothing, or a configuration that only counts when no problem was reported.
fn read_config(
    root: &Section<'_>,
    arguments: &Arguments,
    given: &Given,
    context: &mut Context<'_>,
) -> Option<Config> {
    let listen = root.value("listen", unit::listen_address, context);
    let listen = setting(
        flag(arguments.listen, "--web.listen-address"),
        LISTEN_VARIABLE,
        unit::listen_address,
        listen,
        context,
    );
    let poll = read_poll(root, arguments, given, context);
    let log = read_log(root, arguments, given, context);
    let names = read_names(root, arguments, context);
    let paths = read_paths(root, context);
    let process_metrics = root.value("process_metrics", unit::switch, context);
    let set_client_name = root.value("set_client_name", unit::switch, context);
    let empty_databases = root.value("empty_databases", unit::switch, context);
    let sweep = sweep::read(root, &Sweep::default(), context).unwrap_or_default();
    let keys = keys::read(root, &Keys::default(), context).unwrap_or_default();
    let tls = tls::read(root, context)
        .and_then(|written| tls::complete(written, &Tls::default(), context));
    let web = web::read(root, context).and_then(|written| web::complete(written, context));
    let options = CollectorOptions {
        channels: namespace::read_channels(root, context).into(),
        clients: clients::read(root, &Clients::default(), context).unwrap_or_default(),
        slots: slots::read(root, context).unwrap_or_default(),
        // What is wrong is reported; all problems are told at once.
        empty_databases: or_default(empty_databases, true).unwrap_or(true),
        scripts: script::read(root, &[], context),
        search_indexes: search::read(root, &SearchIndexes::default(), context).unwrap_or_default(),
        rdb_file: None,
        commands: commands::read(root, &Commands::default(), context).unwrap_or_default(),
    };
    let defaults = Defaults {
        poll,
        sweep,
        keys,
        options: Arc::new(options),
        tls: tls.unwrap_or_default(),
        collectors: target::read_collectors(root, &CollectorChoice::default(), context),
        set_client_name: or_default(set_client_name, true).unwrap_or(true),
    };
    let targets = read_targets(root, arguments, given, defaults, context);
    if names.as_ref().is_some_and(|names| !names.target_label) && targets.len() > 1 {
        context.report(
            &root.place_of("target_label"),
            "is false, but there is more than one target",
            "remove it: without the label their samples would be the same series",
        );
    }
    let namespaces = namespace::read_namespaces(root, context);
    Some(Config {
        listen: or_default(listen, DEFAULT_LISTEN)?,
        web: web?,
        poll,
        log: log?,
        names: names?,
        paths: paths?,
        process_metrics: or_default(process_metrics, true)?,
        targets,
        namespaces,
        file: FileContent::default(),
        notices: Vec::new(),
    })
}

fn read_names(
    root: &Section<'_>,
    arguments: &Arguments,
    context: &mut Context<'_>,
) -> Option<Names> {
    let legacy = root.value("legacy_names", unit::switch, context);
    let target_label = root.value("target_label", unit::switch, context);
    let prefix = root.text("metric_prefix", unit::metric_prefix, context);
    let legacy = or_default(legacy, true);
    // As `redis_exporter`, which has no such label, where this takes its place.
    let target_label = or_default(target_label, root.node("targets").is_some());
    let series = flag(arguments.series, "--series");
    let series = setting_of(
        root,
        "series",
        series,
        "REDIS_EXPORTER_SERIES",
        unit::series,
        context,
    );
    let prefix = prefix.ok()?.map(|placed| placed.value);
    Some(Names {
        legacy: legacy?,
        target_label: target_label?,
        prefix: prefix.filter(|prefix| prefix != "redis"),
        series: or_default(series, Series::default())?,
    })
}

fn read_paths(root: &Section<'_>, context: &mut Context<'_>) -> Option<Paths> {
    let defaults = Paths::default();
    let telemetry = root.text("telemetry_path", unit::path, context);
    let has_scrape = root.value("scrape_endpoint", unit::switch, context);
    let telemetry = or_default(telemetry, defaults.telemetry);
    Some(Paths {
        has_scrape: or_default(has_scrape, defaults.has_scrape)?,
        telemetry: telemetry?,
    })
}

fn read_poll(
    root: &Section<'_>,
    arguments: &Arguments,
    given: &Given,
    context: &mut Context<'_>,
) -> PollTimes {
    let file = poll::read(root, context);
    let interval = setting(
        flag(arguments.poll_interval, "--poll.interval"),
        "REDIS_EXPORTER_POLL_INTERVAL",
        unit::poll_interval,
        file.interval,
        context,
    );
    let longest = interval.as_ref().map_or(None, Option::as_ref);
    let longest = longest.map_or(PollTimes::default().interval, |placed| placed.value);
    let timeout = connection_timeout(given, longest, file.timeout, context);
    let timeout = setting(
        flag(arguments.poll_timeout, "--poll.timeout"),
        "REDIS_EXPORTER_POLL_TIMEOUT",
        unit::duration,
        timeout,
        context,
    );
    poll::complete(
        poll::Written {
            interval,
            timeout,
            follow_scrapes: file.follow_scrapes,
        },
        PollTimes::default(),
        context,
    )
}

/// The timeout of `redis_exporter`, which holds for one connection there, else that of the file.
/// Its default is longer than the polls here may take, so what is too long is cut.
fn connection_timeout(
    given: &Given,
    longest: Duration,
    file: Reading<Duration>,
    context: &mut Context<'_>,
) -> Reading<Duration> {
    let Some(given) = given.get("connection-timeout") else {
        return file;
    };
    let place = given.place.clone();
    match redis_exporter::time_out(given.value.expose()) {
        Ok(value) => {
            let value = value.map_or(longest, |value| value.min(longest));
            Ok(Some(Placed { value, place }))
        }
        Err(refusal) => {
            context.problems.push(refusal.hidden(place));
            Err(section::Invalid)
        }
    }
}

fn read_log(
    root: &Section<'_>,
    arguments: &Arguments,
    given: &Given,
    context: &mut Context<'_>,
) -> Option<Log> {
    let section = root.section("log", LOG_KEYS, context)?;
    let level = flag(arguments.log_level, "--log-level");
    let level = setting_of(
        &section,
        "level",
        level,
        "REDIS_EXPORTER_LOG_LEVEL",
        unit::log_level,
        context,
    );
    let format = flag(arguments.log_format, "--log-format");
    let format = setting_of(
        &section,
        "format",
        format,
        "REDIS_EXPORTER_LOG_FORMAT",
        unit::log_format,
        context,
    );
    let level = or_default(level, Level::INFO);
    Some(Log {
        level: if given.is_on("debug") {
            Level::DEBUG
        } else {
            level?
        },
        format: or_default(format, LogFormat::Text)?,
    })
}

fn read_targets(
    root: &Section<'_>,
    arguments: &Arguments,
    given: &Given,
    defaults: Defaults,
    context: &mut Context<'_>,
) -> Vec<Target> {
    if root.node("targets").is_none() {
        let target = target::implicit(arguments.redis_addr.as_ref(), given, defaults, context);
        return target.into_iter().collect();
    }
    let of_one = [
        "redis.user",
        "redis.password",
        "redis.password-file",
        "redis.memory-limit",
        "redis.expect-full",
    ];
    // Variables may stand there for the file to refer to; a flag is meant for this program.
    let flags = of_one.iter().filter_map(|flag| given.get(flag));
    let flags = flags.map(|given| given.place.as_str());
    let addr = arguments.redis_addr.as_ref().map(|_| "--redis.addr");
    for place in addr
        .into_iter()
        .chain(flags.filter(|place| place.starts_with('-')))
    {
        context.report(
            place,
            "is given although the file has `targets`",
            "remove the flag, and say it in the file",
        );
    }
    target::read_targets(root, &defaults, context)
}

fn flag<T>(value: Option<T>, name: &str) -> Option<Placed<T>> {
    let place = name.to_owned();
    value.map(|value| Placed { value, place })
}

/// The same as [`setting`] for a value that the file has under a key of a section.
fn setting_of<T>(
    section: &Section<'_>,
    key: &str,
    flag: Option<Placed<T>>,
    variable: &str,
    parse: impl Fn(&str) -> Result<T, Refusal> + Copy,
    context: &mut Context<'_>,
) -> Reading<T> {
    let file = section.value(key, parse, context);
    setting(flag, variable, parse, file, context)
}

/// The value of the flag, else of the environment variable, else of the file.
fn setting<T>(
    flag: Option<Placed<T>>,
    variable: &str,
    parse: impl Fn(&str) -> Result<T, Refusal>,
    file: Reading<T>,
    context: &mut Context<'_>,
) -> Reading<T> {
    if flag.is_some() {
        return Ok(flag);
    }
    let Some(text) = target::variable(variable, context) else {
        return file;
    };
    let place = variable.to_owned();
    match parse(&text) {
        Ok(value) => Ok(Some(Placed { value, place })),
        Err(refusal) => {
            // An address may be a URL with a password that got there by mistake.
            let problem = if variable == LISTEN_VARIABLE {
                refusal.hidden(place)
            } else {
                refusal.of(&text, place)
            };
            context.problems.push(problem);
            Err(section::Invalid)
        }
    }
}

fn or_default<T>(reading: Reading<T>, default: T) -> Option<T> {
    match reading {
        Ok(Some(placed)) => Some(placed.value),
        Ok(None) => Some(default),
        Err(section::Invalid) => None,
    }
}

#[cfg(test)]
mod tests;
