//! Parses the user and password of a URL. Pure.

use super::super::problem::Invalid;
use super::super::secret::Secret;
use super::{decode, percent_decoded};

/// Returns user and password. A `%` of a password must be encoded: most servers would reject the
/// password that another reading gives.
pub(super) fn parse_user_info(text: &str) -> Result<(Option<String>, Option<Secret>), Invalid> {
    let (username, password) = text.split_once(':').unwrap_or((text, ""));
    for (part, name) in [(username, "user"), (password, "password")] {
        if percent_decoded(part).is_none() {
            return Err(Invalid::new(
                format!("has a % in its {name} without two hexadecimal digits after it"),
                "percent-encode special characters: % as %25",
            ));
        }
    }
    let username = decode(username)?;
    let password = decode(password)?;
    Ok((
        (!username.is_empty()).then_some(username),
        (!password.is_empty()).then(|| Secret::new(password)),
    ))
}
