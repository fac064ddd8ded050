//! Decodes recorded bytes into a reply, and maps error replies to failures. Pure.

use super::resp::{Decoder, ReplyLimits};
use crate::failure::{Failure, Reason};
use crate::reply::{ErrorKind, Refusal, Reply};

/// Decodes one reply of any size.
///
/// # Errors
///
/// The bytes are not exactly one reply.
pub fn decode(mut bytes: &[u8]) -> Result<Reply, Failure> {
    let limits = ReplyLimits {
        reply_bytes: usize::MAX,
        string_bytes: usize::MAX,
        wire_limit: usize::MAX,
    };
    match Decoder::new(limits).decode(&mut bytes) {
        Ok(Some(reply)) if bytes.is_empty() => Ok(reply),
        _ => Err(not_the_protocol()),
    }
}

pub(super) fn not_the_protocol() -> Failure {
    Failure::new(Reason::Protocol, "the reply is not the Redis protocol")
}

/// Returns the failure for an error reply to a required query.
#[must_use]
pub fn refused(refusal: &Refusal) -> Failure {
    let (code, message) = (refusal.code.as_str(), refusal.message.as_str());
    let reason = match (refusal.kind(), code) {
        (ErrorKind::TooLarge, _) => Reason::Protocol,
        (ErrorKind::Authentication, _) => Reason::Auth,
        (ErrorKind::Permission | ErrorKind::KeyPermission | ErrorKind::ChannelPermission, _)
        | (_, "DENIED") => Reason::Denied,
        (_, "LOADING") => Reason::Loading,
        (_, "ERR") if message.contains("max number of clients") => Reason::MaxClients,
        (_, "ERR") if is_about_passwords(message) => Reason::Auth,
        _ => Reason::Other,
    };
    let failure = Failure::new(reason, format!("{code} {message}"));
    match (code, refusal.missing_permission()) {
        ("NOAUTH", _) => password_required(),
        ("DENIED", _) => Failure::new(reason, "the server runs in protected mode (DENIED)")
            .with_remedy("set a password or an ACL user there, or `protected-mode no`"),
        (_, Some(permission)) => failure.with_remedy(format!("grant the user {permission}")),
        ("ERR", None) => match remedy_of(message) {
            Some(remedy) => failure.with_remedy(remedy),
            None => failure,
        },
        _ => failure,
    }
}

/// Parts of error texts, in lower case, with what to do.
const REMEDIES: &[(&str, &str)] = &[
    (
        "unknown command",
        "make the command available on the server, which does not have it or renames it",
    ),
    ("db index", "check the number of the database"),
    (
        "select is not allowed",
        "remove the number of the database, as a cluster has only database 0",
    ),
];

/// Returns what to do about an error that has no code of its own.
fn remedy_of(message: &str) -> Option<&'static str> {
    let message = message.to_ascii_lowercase();
    let known = REMEDIES.iter().find(|(part, _)| message.contains(part));
    known.map(|(_, remedy)| *remedy)
}

/// Returns the failure for a server that requires a password when none was sent.
pub(super) fn password_required() -> Failure {
    let detail = "the server requires a password, and none was sent (NOAUTH)";
    Failure::new(Reason::Auth, detail).with_remedy(
        "set the password of the target, for example with `password_file` or REDIS_PASSWORD_FILE",
    )
}

/// Servers before 6.0 use plain ERR for errors that later ones report with their own code.
fn is_about_passwords(message: &str) -> bool {
    ["invalid password", "AUTH", "invalid username-password"]
        .iter()
        .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_decoded_with_their_codes() {
        assert_eq!(
            decode(b"$2\r\n\xff!\r\n").unwrap(),
            Reply::Bytes([0xff, b'!'][..].into())
        );
        assert_eq!(
            decode(b"*3\r\n:7\r\n$-1\r\n+OK\r\n").unwrap(),
            Reply::List(vec![
                Reply::Integer(7),
                Reply::Nil,
                Reply::Bytes(b"OK"[..].into())
            ])
        );
        let denied = decode(b"-NOPERM this user has no permissions to run the 'info' command\r\n");
        let refusal = denied.unwrap().refusal().cloned().unwrap();
        assert_eq!(refusal.code, "NOPERM");
        assert_eq!(refused(&refusal).reason, Reason::Denied);
    }

    #[test]
    fn foreign_protocol_is_a_failure() {
        assert_eq!(
            decode(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .unwrap_err()
                .reason,
            Reason::Protocol
        );
    }

    #[test]
    fn common_errors_have_a_remedy() {
        for (text, part) in [
            (
                "ERR unknown command 'INFO', with args beginning with: ",
                "make the command available",
            ),
            ("ERR unknown command `SCAN`", "make the command available"),
            ("ERR DB index is out of range", "number of the database"),
            ("ERR invalid DB index", "number of the database"),
            (
                "ERR SELECT is not allowed in cluster mode",
                "only database 0",
            ),
        ] {
            let refusal = decode(format!("-{text}\r\n").as_bytes()).unwrap();
            let failure = refused(refusal.refusal().unwrap());
            assert_eq!(failure.reason, Reason::Other, "{text}");
            let remedy = failure.remedy.unwrap_or_default();
            assert!(remedy.contains(part), "{text}: {remedy}");
        }
    }

    #[test]
    fn old_and_new_password_errors_have_one_reason() {
        let reason = |code: &str, message: &str| {
            refused(&Refusal {
                code: code.into(),
                message: message.into(),
            })
            .reason
        };
        assert_eq!(
            reason("WRONGPASS", "invalid username-password pair"),
            Reason::Auth
        );
        assert_eq!(reason("ERR", "invalid password"), Reason::Auth);
        assert_eq!(
            reason("ERR", "Client sent AUTH, but no password is set"),
            Reason::Auth
        );
        assert_eq!(
            reason("ERR", "max number of clients reached"),
            Reason::MaxClients
        );
        assert_eq!(
            reason("LOADING", "Redis is loading the dataset in memory"),
            Reason::Loading
        );
        assert_eq!(reason("ERR", "DB index is out of range"), Reason::Other);
    }
}
