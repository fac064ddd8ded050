//! The servers to poll: those of the file, or the one of flags and environment variables.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::address::Address;
use super::canary::Canary;
use super::collector_options::CollectorOptions;
use super::complete_level;
use super::context::Context;
use super::credentials::{Credential, credential_for};
use super::discover;
use super::document::{Node, YamlValue};
use super::draft::{Draft, Each};
use super::endpoint::{CLIENT_NAME, Endpoint};
use super::keys::Keys;
use super::password_file;
use super::poll::PollTimes;
use super::problem::Place;
use super::reader::{LevelReader, items_of};
use super::row::TARGETS;
use super::secret::{Secret, oddity};
use super::sweep::Sweep;
use super::target_source::TargetSource;
use super::tls::Tls;
use super::url::Url;
use super::written_keys::WrittenKeys;

/// A server to poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The value of the label `target`. It is unique.
    pub name: String,
    /// How to connect to it.
    pub endpoint: Endpoint,
    /// Interval and timeout of its polls.
    pub poll: PollTimes,
    /// The memory limit in bytes, for servers that do not report one.
    pub memory_limit: Option<u64>,
    /// Whether the server is a cache that is meant to be full.
    pub expect_full: bool,
    /// Which collectors are on.
    pub collectors: CollectorChoice,
    /// Settings of the sweep over its keyspace.
    pub sweep: Sweep,
    /// Settings of the pub/sub canary.
    pub canary: Canary,
    /// The keys to export individually.
    pub keys: Keys,
    /// Options of the collectors.
    pub options: Arc<CollectorOptions>,
}

impl Target {
    /// Returns a target that refuses connections at once.
    #[cfg(test)]
    pub(crate) fn dead(name: &str) -> Self {
        let arguments = super::Arguments {
            redis_addr: Some(Secret::new("unix:///nonexistent/redis.sock")),
            ..super::Arguments::default()
        };
        let config = super::load(&arguments, &|_| None, &[]).unwrap();
        let target = config.targets.into_iter().next().unwrap();
        Self {
            name: name.to_owned(),
            ..Arc::unwrap_or_clone(target)
        }
    }

    /// Returns whether one of its connections uses TLS.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        use_tls(&self.endpoint.address, &self.sweep)
    }

    /// Returns how to connect to the server that is swept.
    #[must_use]
    pub fn sweep_endpoint(&self) -> Endpoint {
        let endpoint = self.sweep.from.as_deref().unwrap_or(&self.endpoint);
        endpoint.clone().for_sweep()
    }
}

/// The source of a target's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// The password.
    Given(Secret),
    /// A file with the password, read at each connect. It was readable when the configuration was
    /// loaded.
    File(PathBuf),
}

/// The collectors that are switched on or off by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectorChoice(BTreeMap<String, bool>);

impl CollectorChoice {
    /// Returns whether a collector is on, which is the default if it is not set.
    #[must_use]
    pub fn is_on(&self, name: &str, default: bool) -> bool {
        self.0.get(name).copied().unwrap_or(default)
    }

    /// Switches a collector on or off.
    pub(crate) fn choose(&mut self, name: &str, on: bool) {
        self.0.insert(name.to_owned(), on);
    }
}

/// Reads the list `targets`. Adds those with the section `discover` to the sources.
pub(crate) fn read_targets(
    node: &Node,
    place: &Place,
    sources: &mut Vec<TargetSource>,
    draft: &mut Draft,
    context: &mut Context<'_>,
) -> Vec<Arc<Target>> {
    let Some(items) = items_of(node, place, context) else {
        return Vec::new();
    };
    if items.is_empty() {
        let remedy = "add a target, or remove the key to poll the one of the environment";
        context.report(place, "is empty", remedy);
    }
    // A source and a target with the same name would not be distinguished in names and metrics.
    let mut names: BTreeSet<_> = sources.iter().map(|source| source.name.clone()).collect();
    let defaults = draft.each.clone();
    let mut targets = Vec::new();
    for (index, item) in items.iter().enumerate() {
        draft.each = defaults.clone();
        let place = place.item(&item.source, index);
        let reader = LevelReader::new(TARGETS, place, draft, context);
        let written = reader.read(item);
        if !matches!(item.value, YamlValue::Map(_) | YamlValue::Nothing) {
            continue;
        }
        complete_level(draft, &written, context);
        let Some(target) = complete_target(draft, &written, &mut names, context) else {
            continue;
        };
        if written.section("discover").is_some() {
            sources.extend(discover::source(target, draft, &written, context));
        } else {
            targets.push(Arc::new(target));
        }
    }
    targets
}

fn complete_target(
    draft: &mut Draft,
    written: &WrittenKeys,
    names: &mut BTreeSet<String>,
    context: &mut Context<'_>,
) -> Option<Target> {
    if !written.has("url") {
        let remedy = "add one, such as url: redis://host:6379";
        context.report(&written.place, "has no `url`", remedy);
    }
    let password = password(draft, written, context);
    let (each, one) = (&mut draft.each, &mut draft.one);
    let url = one.url.take();
    let name = one.name.take().or_else(|| {
        let address = &url.as_ref()?.address;
        (!written.has("name")).then(|| address.default_name())
    });
    claim(name.as_deref(), written, names, context);
    let user = one.username.take();
    let Some(mut url) = url else {
        check_password_file(None, user.as_deref(), password.as_ref(), context);
        return None;
    };
    check_tls(&url.address, &each.sweep, written, context);
    if user.is_none() && password.is_none() {
        url.take_user_as_password();
    }
    with_url(&mut each.tls, &mut url);
    if let Some(place) = written.place_of("url") {
        url.notes.iter().for_each(|note| context.warn(place, note));
    }
    check_password_file(Some(&url), user.as_deref(), password.as_ref(), context);
    let in_url = url.password.take().map(Password::Given);
    let given = password.as_ref().map(|(password, _)| password);
    let place = password.as_ref().map(|(_, place)| place);
    agree("password", place, given, in_url.as_ref(), context);
    let place = written.place_of("username");
    agree(
        "username",
        place,
        user.as_ref(),
        url.username.as_ref(),
        context,
    );
    let place = written.place_of("db");
    agree(
        "db",
        place,
        one.database.as_ref(),
        url.database.as_ref(),
        context,
    );
    url.username = user.or(url.username);
    url.database = one.database.or(url.database);
    let password = password.map(|(password, _)| password).or(in_url);
    let password = with_credentials(&draft.top.credentials, &mut url, password);
    name.map(|name| target(draft, name, url, password))
}

/// Uses the credentials for the host of a target without any. Returns its password.
fn with_credentials(
    list: &[Credential],
    url: &mut Url,
    password: Option<Password>,
) -> Option<Password> {
    if url.username.is_some() || password.is_some() {
        return password;
    }
    let (_, found) = credential_for(list, &url.address)?;
    url.username.clone_from(&found.username);
    found.password.clone()
}

/// Reserves a name, also for a target with other problems, so that all problems are reported at
/// once.
fn claim(
    name: Option<&str>,
    written: &WrittenKeys,
    names: &mut BTreeSet<String>,
    context: &mut Context<'_>,
) {
    let is_taken = name.is_some_and(|name| !names.insert(name.to_owned()));
    if is_taken {
        let remedy = "names must be unique: set `name`";
        context.report(&written.place, "has the name of an earlier target", remedy);
    }
}

/// Reports a TLS section without effect. Its author probably believes that the connection is
/// encrypted.
fn check_tls(address: &Address, sweep: &Sweep, written: &WrittenKeys, context: &mut Context<'_>) {
    if let Some(place) = written.section("tls")
        && !use_tls(address, sweep)
    {
        let remedy = "write rediss:// in the url, or remove the section";
        context.report(place, "has no effect because the url has no TLS", remedy);
    }
}

/// Reports a key that contradicts the URL, without their values.
fn agree<T: PartialEq>(
    key: &str,
    place: Option<&Place>,
    written: Option<&T>,
    in_url: Option<&T>,
    context: &mut Context<'_>,
) {
    if let (Some(place), Some(written), Some(in_url)) = (place, written, in_url)
        && written != in_url
    {
        let what = format!("differs from the {key} in the url");
        context.report(place, what, "keep one of the two");
    }
}

/// Creates a target from the draft.
pub(super) fn target(draft: &Draft, name: String, url: Url, password: Option<Password>) -> Target {
    let (each, one) = (draft.each.clone(), &draft.one);
    let Each {
        poll,
        sweep,
        canary,
        keys,
        tls,
        collectors,
        set_client_name,
        options,
        ..
    } = each;
    let endpoint = Endpoint {
        address: url.address,
        tls,
        username: url.username,
        password,
        database: url.database,
        client_name: set_client_name.then_some(CLIENT_NAME),
        allowed: None,
        node: None,
    };
    Target {
        name,
        sweep: sweep.for_target(&endpoint),
        endpoint,
        poll,
        memory_limit: one.memory_limit,
        expect_full: one.expect_full,
        canary,
        collectors,
        keys,
        options,
    }
}

fn use_tls(address: &Address, sweep: &Sweep) -> bool {
    let origin = sweep.from.as_ref().map(|from| &from.address);
    address.has_tls() || origin.is_some_and(Address::has_tls)
}

/// Adds the TLS settings of the URL. Those of the configuration take precedence.
pub(super) fn with_url(tls: &mut Tls, url: &mut Url) {
    if let Some(name) = url.server_name.take() {
        tls.server_name.get_or_insert(name);
    }
    if !url.skip_verify {
        return;
    }
    let note = if tls.ca_file.is_none() {
        tls.insecure_skip_verify = true;
        "disables TLS verification: any certificate of the server is accepted"
    } else {
        "disables TLS verification, which is ignored because ca_file is set"
    };
    url.notes.push(note.to_owned());
}

/// Checks the password file of a target, for the address and user of the target.
pub(super) fn check_password_file(
    url: Option<&Url>,
    user: Option<&str>,
    password: Option<&(Password, Place)>,
    context: &mut Context<'_>,
) {
    if let Some((Password::File(path), place)) = password {
        let server = url.map(|url| (&url.address, user.or(url.username.as_deref())));
        password_file::check_for(server, path, place, context);
    }
}

/// Warns about a probable mistake in a secret.
pub(super) fn warn_of_oddity(secret: &str, place: &Place, context: &mut Context<'_>) {
    if let Some(oddity) = oddity(secret) {
        context.warn(place, oddity);
    }
}

/// Returns the password of the keys for it, with its place.
fn password(
    draft: &mut Draft,
    written: &WrittenKeys,
    context: &mut Context<'_>,
) -> Option<(Password, Place)> {
    let (given, file) = (draft.one.password.take(), draft.one.password_file.take());
    let file_place = written.place_of("password_file").cloned();
    match (given, file.zip(file_place)) {
        (Some(_), Some((_, place))) => {
            context.report(&place, "conflicts with `password`", "keep one of the two");
            None
        }
        (Some(given), None) => {
            let place = written.place_of("password")?;
            warn_of_oddity(&given, place, context);
            Some((Password::Given(Secret::new(given)), place.clone()))
        }
        (None, file) => file.map(|(path, place)| (Password::File(path), place)),
    }
}
