//! The address to serve at, for a program that only needs this.

use std::net::SocketAddr;

use super::document::YamlValue;
use super::draft::Draft;
use super::expand::Environment;
use super::{Arguments, document, expand, file, unit};

/// The variable of the listen address.
const LISTEN_VARIABLE: &str = "REDIS_EXPORTER_WEB_LISTEN_ADDRESS";

/// Returns the address at which an exporter with these arguments listens.
///
/// Unlike [`super::load`] it does not require a valid configuration: a health check must not fail because
/// of a file that the running exporter has rejected.
#[must_use]
pub fn listen_address(arguments: &Arguments, environment: &Environment<'_>) -> SocketAddr {
    let read = |text: &str| unit::listen_address(text).ok();
    let variable = || read(&environment(LISTEN_VARIABLE)?);
    let file = || {
        let path =
            file::path(arguments, environment).filter(|path| !file::is_standard_input(path))?;
        let text = file::read(&path).ok()?;
        let document = document::read(&text).ok()?;
        match &document.get("listen")?.node.value {
            YamlValue::Scalar(scalar) => read(&expand::expand(&scalar.text, environment).ok()?),
            _ => None,
        }
    };
    let flag = arguments.listen().and_then(read);
    let found = flag.or_else(variable).or_else(file);
    found.unwrap_or_else(|| Draft::new().top.listen)
}
