//! The server that flags and environment variables name, for a configuration without `targets`.

use std::path::PathBuf;
use std::sync::Arc;

use super::context::Context;
use super::credentials::Credential;
use super::discover;
use super::document::{Node, YamlValue};
use super::draft::Draft;
use super::file_content::has_targets;
use super::problem::Place;
use super::reader::LevelReader;
use super::redis_exporter::{
    self, CommandLineOption, Given, Notice, OPTIONS, Overlay, own_options,
};
use super::row::TARGETS;
use super::secret::Secret;
use super::target::{
    self, Password, Target, check_password_file, target, warn_of_oddity, with_url,
};
use super::target_source::{SourceKind, TargetSource};
use super::url;
use super::written_keys::WrittenKeys;

/// The flags of the user and the password.
const CREDENTIALS: [&str; 3] = ["redis.user", "redis.password", "redis.password-file"];

const DEFAULT_URL: &str = "redis://127.0.0.1:6379";

/// Reads the targets of the file or, if it names none, that of flags and variables. Adds those with
/// the section `discover` to the sources.
pub(crate) fn read_targets(
    node: &Node,
    written: &WrittenKeys,
    (address, given, overlay): (Option<&Secret>, &Given, &Overlay),
    sources: &mut Vec<TargetSource>,
    draft: &mut Draft,
    context: &mut Context<'_>,
) -> Vec<Arc<Target>> {
    if !has_targets(node) {
        if names_no_target(address, sources, context) {
            give_credentials(given, sources, context);
            warn_without_address(given, context);
            return Vec::new();
        }
        let target = implicit_target(address, (given, overlay), sources, draft, context);
        return target.into_iter().map(Arc::new).collect();
    }
    reject_flags(address, given, context);
    let list = node.get("targets").map(|entry| &entry.node);
    match (list, written.place_of("targets")) {
        (Some(list), Some(place)) => target::read_targets(list, place, sources, draft, context),
        _ => Vec::new(),
    }
}

/// Returns whether only requests name targets: the address is empty, or nothing names one and the
/// default is not meant. Reports an empty address if nothing else names targets.
fn names_no_target(
    flag: Option<&Secret>,
    sources: &[TargetSource],
    context: &mut Context<'_>,
) -> bool {
    let Some(flag) = flag else {
        let mut names = ["REDIS_URL", "REDIS_ADDR"].into_iter();
        return !sources.is_empty() && names.all(|name| variable(name, context).is_none());
    };
    let is_empty = flag.expose().trim().is_empty();
    if is_empty && sources.is_empty() {
        let remedy = "list servers under `targets` in the file of --config, or those that \
                      /scrape?target= may name with --scrape.allow";
        let place = Place::option("--redis.addr");
        context.report(&place, "is empty, and nothing else names a target", remedy);
    }
    is_empty
}

/// Assigns the user and the password of flags and variables to requested targets, like
/// `redis_exporter`. They may be sent to the allowed servers only. Entries of `credentials` come first.
fn give_credentials(given: &Given, sources: &mut [TargetSource], context: &mut Context<'_>) {
    let username = given.get("redis.user");
    let username = username.map(|user| user.value.expose().to_owned());
    let password = implicit_password(given);
    check_password_file(None, username.as_deref(), password.as_ref(), context);
    if username.is_none() && password.is_none() {
        return;
    }
    for source in sources {
        if let SourceKind::Requests(allowed) = &source.kind {
            let own = Credential {
                hosts: allowed.rules().to_vec(),
                username: username.clone(),
                password: password.as_ref().map(|(password, _)| password.clone()),
            };
            source.credentials = source.credentials.iter().cloned().chain([own]).collect();
        }
    }
}

/// Warns about flags and variables that describe the single target if there is no such target.
fn warn_without_address(given: &Given, context: &mut Context<'_>) {
    let unused = options_of_one().filter(|option| !CREDENTIALS.contains(&option.flag));
    let unused = unused.filter_map(|option| given.get(option.flag));
    for option in unused.filter(|option| !option.is_default()) {
        let text = "is not used, as there is no address; set --redis.addr or REDIS_ADDR";
        context.warn(&Place::option(&option.place), text);
    }
}

/// The name of the cluster of flags and environment variables.
const CLUSTER: &str = "cluster";

/// Creates the target of flags and environment variables, for a configuration without `targets`. If it
/// is a node of a cluster, adds the cluster to the sources instead.
pub(crate) fn implicit_target(
    flag: Option<&Secret>,
    (given, overlay): (&Given, &Overlay),
    sources: &mut Vec<TargetSource>,
    draft: &mut Draft,
    context: &mut Context<'_>,
) -> Option<Target> {
    let (text, place) = implicit_url(flag, context);
    let place = Place::option(place);
    let literal = redis_exporter::literal(&text);
    context.recorder.record("targets[].url", &literal, &place);
    let url = match url::parse(&text) {
        Ok(url) => Some(url),
        Err(invalid) => {
            context.reject(&place, invalid.hidden());
            None
        }
    };
    let mut reader = LevelReader::new(TARGETS, place.clone(), draft, context);
    overlay.apply_to_target(&mut reader);
    let written = reader.written;
    let lacks_password = url.as_ref().is_none_or(|url| url.password.is_none());
    let password = implicit_password(given).filter(|_| lacks_password);
    let Some(mut url) = url else {
        check_password_file(None, None, password.as_ref(), context);
        return None;
    };
    if password.is_none() {
        url.take_user_as_password();
    }
    with_url(&mut draft.each.tls, &mut url);
    url.notes.iter().for_each(|note| context.warn(&place, note));
    record_login(given, password.is_some(), url.username.is_none(), context);
    if url.username.is_none() {
        let user = given.get("redis.user");
        url.username = user.map(|user| user.value.expose().to_owned());
    }
    check_password_file(Some(&url), None, password.as_ref(), context);
    if let Some((Password::Given(secret), place)) = &password {
        warn_of_oddity(secret.expose(), place, context);
    }
    let password = password.map(|(password, _)| password);
    let password = url.password.take().map(Password::Given).or(password);
    let target = target(draft, url.address.default_name(), url, password);
    if !written.has("discover.kind") {
        return Some(target);
    }
    let name = CLUSTER.to_owned();
    let target = Target { name, ..target };
    sources.extend(discover::source(target, draft, &written, context));
    None
}

/// Records the flags and variables of the user and the password that apply.
fn record_login(given: &Given, has_password: bool, lacks_user: bool, context: &mut Context<'_>) {
    let user = given.get("redis.user").filter(|_| lacks_user);
    let password = given.get("redis.password");
    let file = given.get("redis.password-file");
    let file = file.filter(|_| password.is_none());
    for (key, option) in [
        ("targets[].username", user),
        ("targets[].password", password.filter(|_| has_password)),
        ("targets[].password_file", file.filter(|_| has_password)),
    ] {
        if let Some(option) = option {
            let value = redis_exporter::literal(option.value.expose());
            let place = Place::option(&option.place);
            context.recorder.record(key, &value, &place);
        }
    }
}

/// Reports flags of the implicit target if the file has `targets`. Variables are allowed because
/// the file may refer to them.
pub(crate) fn reject_flags(flag: Option<&Secret>, given: &Given, context: &mut Context<'_>) {
    let given = options_of_one().filter_map(|option| given.get(option.flag));
    let flag = flag.filter(|flag| !flag.expose().is_empty());
    let flags = given
        .map(|given| given.place.as_str())
        .filter(|place| place.starts_with('-'));
    for place in flag.map(|_| "--redis.addr").into_iter().chain(flags) {
        let what = "is given although the file has `targets`";
        context.report(
            &Place::option(place),
            what,
            "remove the flag, and set it in the file",
        );
    }
}

/// Returns the options of the implicit target, except its address.
fn options_of_one() -> impl Iterator<Item = CommandLineOption> {
    let is_of_one =
        |option: &CommandLineOption| option.keys().iter().any(|key| key.starts_with(TARGETS));
    let theirs = OPTIONS
        .iter()
        .filter(move |option| CREDENTIALS.contains(&option.flag) || is_of_one(option));
    theirs.copied().chain(own_options().filter(is_of_one))
}

fn implicit_url(flag: Option<&Secret>, context: &mut Context<'_>) -> (String, &'static str) {
    if let Some(flag) = flag {
        return (flag.expose().to_owned(), "--redis.addr");
    }
    let url = variable("REDIS_URL", context);
    let addr = variable("REDIS_ADDR", context);
    match (url, addr) {
        (Some(url), addr) => {
            if addr.is_some_and(|addr| is_other_server(&url, &addr)) {
                let text = "is not used, as REDIS_URL is set and names another server; \
                            keep one of the two, or use --redis.addr";
                context.warn(&Place::option("REDIS_ADDR"), text);
            }
            (url, "REDIS_URL")
        }
        (None, addr) => {
            let instead = addr.as_ref().map_or(DEFAULT_URL, |_| "REDIS_ADDR");
            for name in empty_addresses(context) {
                let text = format!("is empty, so {instead} is polled");
                context.warn(&Place::option(name), text);
            }
            match addr {
                Some(addr) => (addr, "REDIS_ADDR"),
                None => (DEFAULT_URL.to_owned(), ""),
            }
        }
    }
}

/// Returns the address variables that are set but empty: a template may have lost the value.
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

/// Warns about an empty file: a template may have lost its values.
pub(crate) fn warn_of_empty_file(document: &Node, context: &mut Context<'_>) {
    if !context.file.is_empty() && matches!(document.value, YamlValue::Nothing) {
        let text = "the file is empty, so all options have their default values";
        context.warn(&Place::new(document.source.clone()), text);
    }
}

/// Warns about variables of the implicit target that a file with `targets` does not refer to.
pub(crate) fn warn_of_unused(text: &str, document: &Node, context: &mut Context<'_>) {
    if !has_targets(document) {
        return;
    }
    let is_referred_to = |name: &str| text.contains(&format!("${{{name}"));
    for name in empty_addresses(context) {
        if !is_referred_to(name) {
            let text = "is empty, and not used as the file has `targets`";
            context.notices.push(Notice::info(name, text));
        }
    }
    let options = options_of_one().map(|option| option.variable);
    let names = ["REDIS_URL", "REDIS_ADDR"].into_iter().chain(options);
    let is_unused = |name: &&str| !is_referred_to(name) && variable(name, context).is_some();
    let unused: Vec<&str> = names.filter(is_unused).collect();
    let are = if unused.len() == 1 { "is" } else { "are" };
    if let Some(first) = unused.first() {
        let text = format!(
            "{are} not used, as the file has `targets`; refer to one there, such as ${{{first}}}"
        );
        context.warn(&Place::option(&unused.join(", ")), text);
    }
}

/// Returns the password of flags and variables. As in `redis_exporter`, it overrides the file.
fn implicit_password(given: &Given) -> Option<(Password, Place)> {
    if let Some(password) = given.get("redis.password") {
        let place = Place::option(&password.place);
        return Some((Password::Given(password.value.clone()), place));
    }
    let file = given.get("redis.password-file")?;
    let path = PathBuf::from(file.value.expose());
    Some((Password::File(path), Place::option(&file.place)))
}

/// Returns an environment variable. An empty one counts as unset.
pub(crate) fn variable(name: &str, context: &Context<'_>) -> Option<String> {
    (context.environment)(name).filter(|value| !value.is_empty())
}
