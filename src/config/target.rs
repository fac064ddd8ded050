//! The servers to poll: those of the file, or the one of flags and environment. Not a
//! connection.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::address::Address;
use super::collector_options::{self, CollectorOptions};
use super::document::Node;
use super::keys::{self, Keys};
use super::namespace::label_value;
use super::password_file;
use super::poll::{self, PollTimes};
use super::problem::Refusal;
use super::redis_exporter::{Given, Notice, parse_switch};
use super::secret::{Secret, oddity, trimmed};
use super::section::{Context, Invalid, Placed, Section};
use super::sweep::{self, Sweep};
use super::tls::{self, Tls};
use super::unit;
use super::url::{self, Url};

/// The keys of an item of `targets`.
pub(crate) const KEYS: &[&str] = &[
    "name",
    "url",
    "username",
    "password",
    "password_file",
    "db",
    "memory_limit",
    "expect_full",
    "poll",
    "collectors",
    "sweep",
    "keys",
    "clients",
    "scripts",
    "search_indexes",
    "rdb_file",
    "tls",
    "commands",
];

const DEFAULT_URL: &str = "redis://127.0.0.1:6379";

/// A server that is polled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The value of the label `target`. Unique.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// The database to select, where one was named.
    pub database: Option<u32>,
    /// The ACL user, where one was named.
    pub username: Option<String>,
    /// The password, where one was given.
    pub password: Option<Password>,
    /// How often it is polled.
    pub poll: PollTimes,
    /// The memory that the server may use, in bytes, for servers that do not say so.
    pub memory_limit: Option<u64>,
    /// Whether the server is a cache whose memory is meant to be full.
    pub expect_full: bool,
    /// Which collectors are on.
    pub collectors: CollectorChoice,
    /// Whether a connection tells the server its name.
    pub set_client_name: bool,
    /// How its keyspace is walked.
    pub sweep: Sweep,
    /// Which keys are shown by name.
    pub keys: Keys,
    /// What the collectors are told.
    pub options: Arc<CollectorOptions>,
    /// How TLS is spoken, with it and with the server that is walked in its place, where their
    /// addresses say so.
    pub tls: Tls,
}

impl Target {
    /// Whether one of its connections has TLS.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        use_tls(&self.address, &self.sweep)
    }
}

/// What the top level says for every target that does not say otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) poll: PollTimes,
    pub(crate) sweep: Sweep,
    pub(crate) keys: Keys,
    pub(crate) options: Arc<CollectorOptions>,
    pub(crate) collectors: CollectorChoice,
    pub(crate) set_client_name: bool,
    pub(crate) tls: Tls,
}

/// Where a target's password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// The password itself.
    Given(Secret),
    /// A file that holds it, to be read at each connect. It was readable when the configuration
    /// was loaded.
    File(PathBuf),
}

/// The collectors that were switched on or off by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectorChoice(BTreeMap<String, bool>);

impl CollectorChoice {
    /// Whether the collector runs: as it was written, else as it is by default.
    #[must_use]
    pub fn is_on(&self, name: &str, default: bool) -> bool {
        self.0.get(name).copied().unwrap_or(default)
    }
}

/// Reads the list `targets`. The caller knows that the key is there.
pub(crate) fn read_targets(
    root: &Section<'_>,
    defaults: &Defaults,
    context: &mut Context<'_>,
) -> Vec<Target> {
    let Some(items) = root.list("targets", context) else {
        return Vec::new();
    };
    if items.is_empty() {
        context.report(
            &root.place_of("targets"),
            "is empty",
            "add a target, or remove the key to poll the one of the environment",
        );
    }
    let mut names = Vec::new();
    items
        .into_iter()
        .filter_map(|(node, place)| read_target(node, &place, defaults, &mut names, context))
        .collect()
}

/// Takes a name for a target. Also one with other problems, so that all are told at once.
fn claim(name: &str, place: &str, names: &mut Vec<String>, context: &mut Context<'_>) {
    if names.iter().any(|earlier| earlier == name) {
        context.report(
            place,
            "has the name of an earlier target",
            "give each a `name` of its own",
        );
    }
    names.push(name.to_owned());
}

fn read_target(
    node: &Node,
    place: &str,
    defaults: &Defaults,
    names: &mut Vec<String>,
    context: &mut Context<'_>,
) -> Option<Target> {
    let section = Section::open(node, place.to_owned(), KEYS, context)?;
    let name = section.hidden("name", label_value, context);
    let url = section.hidden("url", url::parse, context);
    if url == Ok(None) {
        context.report(
            place,
            "has no `url`",
            "add one, as in url: redis://host:6379",
        );
    }
    let keys = read_credentials(&section, context);
    let database = section.value("db", unit::database, context);
    let memory_limit = section.value("memory_limit", unit::size, context);
    let expect_full = section.value("expect_full", unit::switch, context);
    let poll = poll::read(&section, context);
    let poll = poll::complete(poll, defaults.poll, context);
    let collectors = read_collectors(&section, &defaults.collectors, context);
    let sweep = sweep::read(&section, &defaults.sweep, context);
    let watched = keys::read(&section, &defaults.keys, context);
    let options = collector_options::read(&section, &defaults.options, context);
    let tls = tls::read(&section, context)
        .and_then(|written| tls::complete(written, &defaults.tls, context));

    let url = url.ok().flatten().map(|placed| placed.value);
    let name = match name {
        Ok(Some(name)) => Some(name.value),
        Ok(None) => url.as_ref().map(|url| url.address.default_name()),
        Err(Invalid) => None,
    };
    if let Some(name) = &name {
        claim(name, place, names, context);
    }
    let Some(mut url) = url else {
        check_password_file(None, &keys.ok()?, context);
        return None;
    };
    if let Some(sweep) = &sweep {
        check_tls(&section, &url.address, sweep, context);
    }
    let keys = keys.ok()?;
    if keys.username.is_none() && keys.password.is_none() {
        url.take_user_as_password();
    }
    let tls = tls.map(|tls| with_url(tls, &mut url));
    let url_place = section.place_of("url");
    for note in &url.notes {
        context.warn(&url_place, note);
    }
    check_password_file(Some(&url), &keys, context);
    let username = agree("username", keys.username, url.username, context);
    let password = agree_on_password(keys.password, url.password, context);
    let database = agree("db", database.ok()?, url.database, context);
    Some(Target {
        name: name?,
        address: url.address,
        database,
        username,
        password,
        poll,
        memory_limit: memory_limit.ok()?.map(|placed| placed.value),
        expect_full: expect_full.ok()?.is_some_and(|placed| placed.value),
        collectors,
        set_client_name: defaults.set_client_name,
        sweep: sweep?,
        keys: watched?,
        options: options?,
        tls: tls?,
    })
}

fn use_tls(address: &Address, sweep: &Sweep) -> bool {
    let origin = sweep.from.as_ref().map(|from| &from.address);
    address.has_tls() || origin.is_some_and(Address::has_tls)
}

/// A section that nothing comes of is a mistake: its author believes the connection encrypted.
fn check_tls(section: &Section<'_>, address: &Address, sweep: &Sweep, context: &mut Context<'_>) {
    if !use_tls(address, sweep) && tls::is_written(section) {
        context.report(
            &section.place_of("tls"),
            "is of no use, as the url has no TLS",
            "write rediss:// in the url, or remove the section",
        );
    }
}

/// The settings of TLS with those of the URL. They give way to what is configured.
fn with_url(mut tls: Tls, url: &mut Url) -> Tls {
    if let Some(name) = url.server_name.take() {
        tls.server_name.get_or_insert(name);
    }
    if !url.skip_verify {
        return tls;
    }
    let note = if tls.ca_file.is_none() {
        tls.insecure_skip_verify = true;
        "asks for TLS without verification: any certificate of the server is accepted"
    } else {
        "asks for TLS without verification, which is ignored as there is a ca_file"
    };
    url.notes.push(note.to_owned());
    tls
}

/// Checks the password file of a target, for the address and user that its password is for.
fn check_password_file(url: Option<&Url>, keys: &Credentials, context: &mut Context<'_>) {
    let Some(Placed {
        value: Password::File(path),
        place,
    }) = &keys.password
    else {
        return;
    };
    let server = url.map(|url| {
        let username = keys.username.as_ref().map(|placed| placed.value.as_str());
        (&url.address, username.or(url.username.as_deref()))
    });
    // What is wrong is reported.
    let _ = password_file::check_for(server, path, place, context);
}

/// Warns of what may be a mistake in a secret that is written at a place.
fn warn_of_oddity(secret: &str, place: &str, context: &mut Context<'_>) {
    if let Some(oddity) = oddity(secret) {
        context.warn(place, oddity);
    }
}

/// Credentials that stand in keys of their own.
struct Credentials {
    username: Option<Placed<String>>,
    password: Option<Placed<Password>>,
}

fn read_credentials(
    section: &Section<'_>,
    context: &mut Context<'_>,
) -> Result<Credentials, Invalid> {
    let accept = |text: &str| Ok(trimmed(text).to_owned());
    let username = section.hidden("username", accept, context);
    let password = section.hidden("password", accept, context);
    let file = read_password_file(section, context);
    // Empty is absent, so that `${REDIS_PASSWORD:-}` can be left unset.
    let username = username?.filter(|placed| !placed.value.is_empty());
    let password = password?.filter(|placed| !placed.value.is_empty());
    let password = match (password, file?) {
        (Some(_), Some(file)) => {
            context.report(
                &file.place,
                "stands beside `password`",
                "keep one of the two",
            );
            return Err(Invalid);
        }
        (Some(password), None) => {
            warn_of_oddity(&password.value, &password.place, context);
            Some(Placed {
                value: Password::Given(Secret::new(password.value)),
                place: password.place,
            })
        }
        (None, Some(file)) => Some(Placed {
            value: Password::File(file.value),
            place: file.place,
        }),
        (None, None) => None,
    };
    Ok(Credentials { username, password })
}

/// The path of a password file; empty is absent.
fn read_password_file(
    section: &Section<'_>,
    context: &mut Context<'_>,
) -> Result<Option<Placed<PathBuf>>, Invalid> {
    let file = section.text("password_file", |text| Ok(PathBuf::from(text)), context)?;
    Ok(file.filter(|placed| !placed.value.as_os_str().is_empty()))
}

/// What a key and the URL say together; reported where they differ, without their values.
fn agree<T: PartialEq>(
    key: &str,
    written: Option<Placed<T>>,
    in_url: Option<T>,
    context: &mut Context<'_>,
) -> Option<T> {
    let Some(written) = written else {
        return in_url;
    };
    if in_url.is_some_and(|in_url| in_url != written.value) {
        context.report(
            &written.place,
            format!("differs from the {key} in the url"),
            "keep one of the two",
        );
    }
    Some(written.value)
}

fn agree_on_password(
    written: Option<Placed<Password>>,
    in_url: Option<Secret>,
    context: &mut Context<'_>,
) -> Option<Password> {
    agree("password", written, in_url.map(Password::Given), context)
}

/// Reads the `collectors` section below a map; what is not written is as in `defaults`.
pub(crate) fn read_collectors(
    parent: &Section<'_>,
    defaults: &CollectorChoice,
    context: &mut Context<'_>,
) -> CollectorChoice {
    let names = context.collector_names;
    let mut choice = defaults.clone();
    let Some(section) = parent.section("collectors", names, context) else {
        return choice;
    };
    for name in names {
        if let Ok(Some(on)) = section.value(name, unit::switch, context) {
            choice.0.insert((*name).to_owned(), on.value);
        }
    }
    choice
}

/// The target of flags and environment, for a configuration without `targets`.
pub(crate) fn implicit(
    flag: Option<&Secret>,
    given: &Given,
    defaults: Defaults,
    context: &mut Context<'_>,
) -> Option<Target> {
    let (text, place) = implicit_url(flag, context);
    let url = match url::parse(&text) {
        Ok(url) => Some(url),
        Err(refusal) => {
            context.problems.push(refusal.hidden(place.clone()));
            None
        }
    };
    let lacks_password = url.as_ref().is_none_or(|url| url.password.is_none());
    let user = given.get("redis.user");
    let keys = Credentials {
        username: None,
        password: implicit_password(given).filter(|_| lacks_password),
    };
    let memory_limit = of_one(given, "redis.memory-limit", unit::size, context);
    let expect_full = of_one(given, "redis.expect-full", parse_switch, context);
    let Some(mut url) = url else {
        check_password_file(None, &keys, context);
        return None;
    };
    if keys.password.is_none() {
        url.take_user_as_password();
    }
    let tls = with_url(defaults.tls, &mut url);
    for note in &url.notes {
        context.warn(&place, note);
    }
    if url.username.is_none() {
        url.username = user.map(|user| user.value.expose().to_owned());
    }
    check_password_file(Some(&url), &keys, context);
    if let Some(Placed {
        value: Password::Given(secret),
        place,
    }) = &keys.password
    {
        warn_of_oddity(secret.expose(), place, context);
    }
    let password = keys.password.map(|placed| placed.value);
    Some(Target {
        name: url.address.default_name(),
        address: url.address,
        database: url.database,
        username: url.username,
        password: url.password.map(Password::Given).or(password),
        poll: defaults.poll,
        memory_limit,
        expect_full: expect_full.unwrap_or_default(),
        collectors: defaults.collectors,
        set_client_name: defaults.set_client_name,
        sweep: defaults.sweep,
        keys: defaults.keys,
        options: defaults.options,
        tls,
    })
}

fn implicit_url(flag: Option<&Secret>, context: &mut Context<'_>) -> (String, String) {
    if let Some(flag) = flag {
        return (flag.expose().to_owned(), "--redis.addr".to_owned());
    }
    let url = variable("REDIS_URL", context);
    let addr = variable("REDIS_ADDR", context);
    match (url, addr) {
        (Some(url), addr) => {
            if addr.is_some_and(|addr| is_other_server(&url, &addr)) {
                let text = "is not used, as REDIS_URL is set and names another server; \
                            keep one of the two, or use --redis.addr";
                context.warn("REDIS_ADDR", text);
            }
            (url, "REDIS_URL".to_owned())
        }
        (None, addr) => {
            let instead = addr.as_ref().map_or(DEFAULT_URL, |_| "REDIS_ADDR");
            for name in empty_addresses(context) {
                context.warn(name, format!("is empty, so {instead} is polled"));
            }
            match addr {
                Some(addr) => (addr, "REDIS_ADDR".to_owned()),
                None => (DEFAULT_URL.to_owned(), String::new()),
            }
        }
    }
}

/// The variables for the address that are set, but to nothing: a template may have lost it.
fn empty_addresses(context: &Context<'_>) -> Vec<&'static str> {
    let names = ["REDIS_URL", "REDIS_ADDR"].into_iter();
    let is_empty = |name: &&str| (context.environment)(name).is_some_and(|text| text.is_empty());
    names.filter(is_empty).collect()
}

fn is_other_server(left: &str, right: &str) -> bool {
    match (url::parse(left), url::parse(right)) {
        (Ok(left), Ok(right)) => left.address != right.address,
        _ => left != right,
    }
}

/// Warns of variables for the one target that a file with `targets` does not refer to.
pub(crate) fn warn_of_unused(text: &str, document: &Node, context: &mut Context<'_>) {
    let Node::Map(entries) = document else { return };
    if !entries.iter().any(|(key, _)| key == "targets") {
        return;
    }
    let names = [
        "REDIS_URL",
        "REDIS_ADDR",
        "REDIS_USER",
        "REDIS_PASSWORD",
        "REDIS_PASSWORD_FILE",
        "REDIS_MEMORY_LIMIT",
        "REDIS_EXPECT_FULL",
    ];
    let is_referred_to = |name: &str| text.contains(&format!("${{{name}"));
    for name in empty_addresses(context) {
        if !is_referred_to(name) {
            let text = "is empty, and not used as the file has `targets`";
            context.notices.push(Notice::info(name, text));
        }
    }
    let is_unused = |name: &&str| !is_referred_to(name) && variable(name, context).is_some();
    let unused: Vec<&str> = names.into_iter().filter(is_unused).collect();
    let are = if unused.len() == 1 { "is" } else { "are" };
    if !unused.is_empty() {
        let text = format!(
            "{are} not used, as the file has `targets`; refer to one there, such as ${{{}}}",
            unused.first().copied().unwrap_or_default()
        );
        context.warn(&unused.join(", "), text);
    }
}

/// The value of an option for the one target.
fn of_one<T>(
    given: &Given,
    flag: &str,
    parse: impl Fn(&str) -> Result<T, Refusal>,
    context: &mut Context<'_>,
) -> Option<T> {
    let given = given.get(flag)?;
    match parse(given.value.expose()) {
        Ok(value) => Some(value),
        Err(refusal) => {
            context.problems.push(refusal.hidden(given.place.clone()));
            None
        }
    }
}

/// The password goes before the file, as with `redis_exporter`.
fn implicit_password(given: &Given) -> Option<Placed<Password>> {
    if let Some(password) = given.get("redis.password") {
        return Some(Placed {
            value: Password::Given(password.value.clone()),
            place: password.place.clone(),
        });
    }
    let file = given.get("redis.password-file")?;
    Some(Placed {
        value: Password::File(PathBuf::from(file.value.expose())),
        place: file.place.clone(),
    })
}

/// An environment variable; empty is unset.
pub(crate) fn variable(name: &str, context: &Context<'_>) -> Option<String> {
    (context.environment)(name).filter(|value| !value.is_empty())
}
