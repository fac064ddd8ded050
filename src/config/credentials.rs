//! The list `credentials`: users and passwords for servers whose address has none.

use super::address::Address;
use super::context::Context;
use super::draft::Draft;
use super::host_pattern::HostPattern;
use super::password_file;
use super::secret::Secret;
use super::target::{Password, warn_of_oddity};
use super::written_keys::WrittenKeys;

/// A user and a password for some hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The hosts to which they may be sent; at least one pattern.
    pub hosts: Vec<HostPattern>,
    /// The ACL user.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Password>,
}

/// Returns the first entry for an address, with its place in the list. Unix sockets have no host.
#[must_use]
pub fn credential_for<'a>(
    list: &'a [Credential],
    address: &Address,
) -> Option<(usize, &'a Credential)> {
    let Address::Tcp { host, port, .. } = address else {
        return None;
    };
    let is_for = |entry: &Credential| {
        let mut hosts = entry.hosts.iter();
        hosts.any(|pattern| pattern.matches(host, *port))
    };
    list.iter().enumerate().find(|(_, entry)| is_for(entry))
}

/// Adds an entry of the list.
pub(crate) fn finish(draft: &mut Draft, written: &WrittenKeys, context: &mut Context<'_>) {
    let item = &mut draft.item;
    let hosts = std::mem::take(&mut item.hosts);
    if hosts.is_empty() && !written.is_wrong("hosts") {
        let remedy = "add the hosts that may get the password, such as hosts: [10.0.0.0/16]";
        context.report(&written.place, "has no `hosts`", remedy);
    }
    let username = item.username.take();
    let (given, file) = (item.password.take(), item.password_file.take());
    if let (Some(_), Some(_), Some(place)) = (&given, &file, written.place_of("password_file")) {
        context.report(place, "conflicts with `password`", "keep one of the two");
    }
    if let (Some(given), Some(place)) = (&given, written.place_of("password")) {
        warn_of_oddity(given, place, context);
    }
    if let (Some(path), Some(place)) = (&file, written.place_of("password_file")) {
        password_file::check_for(None, path, place, context);
    }
    let given = given.map(|text| Password::Given(Secret::new(text)));
    let password = given.or(file.map(Password::File));
    if password.is_none() && !written.is_wrong("password") {
        let remedy = "add `password` or `password_file`";
        context.report(&written.place, "has no password", remedy);
    }
    draft.top.credentials.push(Credential {
        hosts,
        username,
        password,
    });
}
