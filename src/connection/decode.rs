//! The redis crate's values and errors → our replies and failures. Pure.

use redis::{ErrorKind, RedisError, Value};

use crate::failure::{Failure, Reason};
use crate::reply::{Refusal, Reply};

/// Decodes one reply as the server sends it (RESP2 or RESP3 bytes).
///
/// # Errors
///
/// The bytes are not one whole reply.
pub fn decode(bytes: &[u8]) -> Result<Reply, Failure> {
    redis::parse_redis_value(bytes)
        .map(reply)
        .map_err(|error| failure(&error))
}

pub(super) fn reply(value: Value) -> Reply {
    match value {
        Value::Int(number) => Reply::Integer(number),
        Value::Boolean(flag) => Reply::Integer(i64::from(flag)),
        Value::BulkString(bytes) | Value::BigNumber(bytes) => Reply::Bytes(bytes),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => {
            Reply::Bytes(text.into_bytes())
        }
        Value::Okay => Reply::Bytes(b"OK".to_vec()),
        Value::Double(number) => Reply::Bytes(number.to_string().into_bytes()),
        Value::Array(items) | Value::Set(items) | Value::Push { data: items, .. } => {
            Reply::List(items.into_iter().map(reply).collect())
        }
        Value::Map(pairs) => Reply::List(
            pairs
                .into_iter()
                .flat_map(|(key, value)| [reply(key), reply(value)])
                .collect(),
        ),
        Value::Attribute { data, .. } => reply(*data),
        Value::ServerError(error) => Reply::Error(Refusal {
            code: error.code().to_owned(),
            message: error.details().unwrap_or_default().to_owned(),
        }),
        // Nil, and whatever the enumeration may grow: what is not understood says nothing.
        _ => Reply::Nil,
    }
}

/// Names the reason of an error of the connection itself. The crate's text is not passed on: it
/// may hold a whole reply.
pub(super) fn failure(error: &RedisError) -> Failure {
    if error.is_timeout() {
        Failure::new(Reason::Timeout, "the reply did not come in time")
    } else if error.is_connection_dropped() || error.is_io_error() {
        Failure::new(Reason::Closed, "the server closed the connection")
    } else if matches!(error.kind(), ErrorKind::Parse) {
        Failure::new(Reason::Protocol, "the reply is not the Redis protocol")
    } else {
        Failure::new(Reason::Other, error.category())
    }
}

/// The failure that a refusal stands for where the poll cannot do without the answer.
#[must_use]
pub fn refused(refusal: &Refusal) -> Failure {
    let (code, message) = (refusal.code.as_str(), refusal.message.as_str());
    let reason = match code {
        "NOAUTH" | "WRONGPASS" => Reason::Auth,
        "NOPERM" | "DENIED" => Reason::Denied,
        "LOADING" => Reason::Loading,
        "ERR" if message.contains("max number of clients") => Reason::MaxClients,
        "ERR" if is_about_passwords(message) => Reason::Auth,
        _ => Reason::Other,
    };
    Failure::new(reason, format!("{code} {message}"))
}

/// Servers before 6.0 say with a plain ERR what later ones say with a code of its own.
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
            Reply::Bytes(vec![0xff, b'!'])
        );
        assert_eq!(
            decode(b"*3\r\n:7\r\n$-1\r\n+OK\r\n").unwrap(),
            Reply::List(vec![
                Reply::Integer(7),
                Reply::Nil,
                Reply::Bytes(b"OK".to_vec())
            ])
        );
        let denied = decode(b"-NOPERM this user has no permissions to run the 'info' command\r\n");
        let refusal = denied.unwrap().refusal().cloned().unwrap();
        assert_eq!(refusal.code, "NOPERM");
        assert_eq!(refused(&refusal).reason, Reason::Denied);
    }

    #[test]
    fn what_is_not_the_protocol_is_a_failure() {
        assert_eq!(
            decode(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .unwrap_err()
                .reason,
            Reason::Protocol
        );
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
