//! Explains why a server rejected AUTH and what to change. Pure.

use crate::failure::{Failure, Reason};
use crate::reply::Refusal;

/// Parts of error texts, in lower case, with their meaning. The first match wins. `{user}` applies
/// if there is a user name.
const KNOWN: &[(&str, LoginError)] = &[
    ("no password is set", LoginError::NoPassword),
    ("without any password configured", LoginError::NoPassword),
    ("wrong number of arguments", LoginError::Arguments),
    ("syntax error", LoginError::Arguments),
    ("unknown command", LoginError::Unknown),
    ("invalid password", LoginError::Wrong),
    ("invalid username-password", LoginError::Wrong),
    ("max number of clients", LoginError::MaxClients),
];

/// The remedy if the credentials are wrong.
const CHECK: &str = "check username and password";

#[derive(Clone, Copy)]
enum LoginError {
    NoPassword,
    Arguments,
    Unknown,
    Wrong,
    MaxClients,
}

/// Returns why AUTH was rejected. It leaves out the server's own text, which may repeat the
/// password.
pub fn explain(refusal: &Refusal, has_username: bool) -> Failure {
    let message = refusal.message.to_ascii_lowercase();
    let known = KNOWN.iter().find(|(part, _)| message.contains(part));
    let (sentence, remedy) = match (known.map(|(_, meaning)| *meaning), has_username) {
        (Some(LoginError::NoPassword), _) => (
            "the server has no password",
            "remove the configured password, or set requirepass or an ACL user there",
        ),
        (Some(LoginError::Arguments), true) => (
            "the server accepts only a password, like Redis before 6.0 and some proxies",
            "remove the username",
        ),
        (Some(LoginError::Arguments), false) => (
            "the server expects other arguments than one password",
            "try to set a username",
        ),
        (Some(LoginError::Unknown), _) => ("the server does not know AUTH", "remove the password"),
        (Some(LoginError::Wrong), true) => (
            "the username or the password is wrong, or the user is off",
            CHECK,
        ),
        (Some(LoginError::Wrong), false) => {
            ("the password is wrong, or the default user is off", CHECK)
        }
        (Some(LoginError::MaxClients), _) => (
            "the server has reached maxclients",
            "raise maxclients on the server, or close connections",
        ),
        (None, _) => ("AUTH was rejected", CHECK),
    };
    let detail = if is_code(&refusal.code) {
        format!("{sentence} ({})", refusal.code)
    } else {
        sentence.to_owned()
    };
    Failure::new(Reason::Auth, detail).with_remedy(remedy)
}

/// Returns whether this is an error code rather than the start of a text.
fn is_code(word: &str) -> bool {
    (1..=16).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(text: &str, has_username: bool) -> String {
        let (code, message) = text.split_once(' ').unwrap_or((text, ""));
        let refusal = Refusal {
            code: code.to_owned(),
            message: message.to_owned(),
        };
        explain(&refusal, has_username).to_string()
    }

    #[test]
    fn known_rejections_are_explained() {
        for (text, has_username, part) in [
            (
                "ERR Client sent AUTH, but no password is set",
                false,
                "has no password",
            ),
            (
                "ERR AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?",
                false,
                "has no password",
            ),
            (
                "ERR wrong number of arguments for 'auth' command",
                true,
                "remove the username",
            ),
            ("ERR syntax error", true, "remove the username"),
            (
                "ERR wrong number of arguments for 'auth' command",
                false,
                "set a username",
            ),
            ("ERR invalid password", false, "the password is wrong"),
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                true,
                "username or the password",
            ),
            (
                "ERR unknown command `AUTH`, with args beginning with: `hunter2`",
                false,
                "not know AUTH",
            ),
            ("hunter2 hunter2", false, "AUTH was rejected"),
        ] {
            let explained = explained(text, has_username);
            assert!(explained.contains(part), "{text}: {explained}");
            assert!(!explained.contains("hunter2"), "{explained}");
        }
    }
}
