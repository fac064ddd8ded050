//! Replies of Redis, without interpretation.
//!
//! `connection` decodes the protocol. Collectors interpret the replies. Pure.

use smallvec::SmallVec;

use crate::number::signed as float;

/// Error code that replaces a reply above the size limit.
pub const TOO_LARGE: &str = "TOOLARGE";

/// Error code that replaces a reply for which there is no memory now, because of the replies of
/// other targets.
pub const NO_ROOM: &str = "NOROOM";

/// The bytes of a string reply. Short ones, such as most names of keys, need no allocation of their
/// own.
pub type ReplyBytes = SmallVec<[u8; 32]>;

/// One reply of a server.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A null bulk string or array.
    Nil,
    /// An integer.
    Integer(i64),
    /// A bulk or simple string, which may contain any bytes.
    Bytes(ReplyBytes),
    /// An array.
    List(Vec<Reply>),
    /// An error reply.
    Error(Refusal),
}

/// An error reply, split into its code and the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The first word, such as `ERR`, `NOPERM` or `LOADING`.
    pub code: String,
    /// The text after the code.
    pub message: String,
}

/// The classification of an error reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The user lacks the permission for the command.
    Permission,
    /// The user lacks the permission for this key.
    KeyPermission,
    /// The user may not use this channel.
    ChannelPermission,
    /// The connection is not authenticated, or the password is wrong.
    Authentication,
    /// The server does not know the command or subcommand.
    UnknownCommand,
    /// The server cannot reply now: it is loading, busy, or has no primary.
    Passing,
    /// Another node of the cluster has the key.
    Redirect,
    /// The reply exceeds the size limit.
    TooLarge,
    /// Anything else, such as the error of a script.
    Other,
}

impl Refusal {
    /// Classifies the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self.code.as_str() {
            // "… has no permissions to run the 'type' command"; for keys and channels the text
            // contains "access".
            "NOPERM" if self.message.contains("channel") && !self.message.contains('\'') => {
                ErrorKind::ChannelPermission
            }
            "NOPERM" if self.message.contains("access") => ErrorKind::KeyPermission,
            "NOPERM" => ErrorKind::Permission,
            "NOAUTH" | "WRONGPASS" => ErrorKind::Authentication,
            "MOVED" | "ASK" => ErrorKind::Redirect,
            TOO_LARGE => ErrorKind::TooLarge,
            NO_ROOM | "LOADING" | "BUSY" | "BUSYKEY" | "MASTERDOWN" | "CLUSTERDOWN"
            | "TRYAGAIN" | "MISCONF" => ErrorKind::Passing,
            _ => {
                let message = self.message.to_ascii_lowercase();
                let mut unknown = ["unknown command", "unknown subcommand"].into_iter();
                if unknown.any(|start| message.starts_with(start)) {
                    ErrorKind::UnknownCommand
                } else {
                    ErrorKind::Other
                }
            }
        }
    }

    /// Returns the ACL permission for the command that the user may not run, such as `+config|get`;
    /// none if the error does not name it.
    #[must_use]
    pub fn missing_permission(&self) -> Option<String> {
        if self.kind() != ErrorKind::Permission {
            return None;
        }
        let command = self.message.split('\'').nth(1)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"|_-.".contains(&byte);
        let is_command = (1..=64).contains(&command.len()) && command.bytes().all(is_plain);
        is_command.then(|| format!("+{command}"))
    }

    /// Returns whether the server may accept the command the next time.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.kind() == ErrorKind::Passing
    }

    /// Returns whether the server runs a script or function and executes nothing else until its end.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.code == "BUSY"
    }

    /// Returns whether the server rejected the command before executing it, so that it does not
    /// count as processed.
    #[must_use]
    pub fn is_before_execution(&self) -> bool {
        let is_code = match self.kind() {
            ErrorKind::Permission
            | ErrorKind::KeyPermission
            | ErrorKind::ChannelPermission
            | ErrorKind::Redirect => true,
            ErrorKind::Passing => !matches!(self.code.as_str(), NO_ROOM | "BUSYKEY" | "MISCONF"),
            _ => self.code == "NOAUTH",
        };
        is_code || self.message.starts_with("unknown") || self.message.starts_with("wrong number")
    }
}

impl Reply {
    /// Returns the text of a string reply. Bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn text(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            // Replacing bytes takes several times as long as checking that none needs it.
            Self::Bytes(bytes) => Some(match std::str::from_utf8(bytes) {
                Ok(text) => text.into(),
                Err(_) => String::from_utf8_lossy(bytes),
            }),
            Self::Nil | Self::Integer(_) | Self::List(_) | Self::Error(_) => None,
        }
    }

    /// Returns the text of a string reply without copying it; see [`Reply::text`].
    #[must_use]
    pub fn into_text(self) -> Option<String> {
        match self {
            Self::Bytes(bytes) => {
                Some(String::from_utf8(bytes.into_vec()).unwrap_or_else(|error| {
                    let bytes = error.into_bytes();
                    String::from_utf8_lossy(&bytes).into_owned()
                }))
            }
            Self::Nil | Self::Integer(_) | Self::List(_) | Self::Error(_) => None,
        }
    }

    /// Returns the bytes of a string reply.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Nil | Self::Integer(_) | Self::List(_) | Self::Error(_) => None,
        }
    }

    /// Returns the number of an integer reply.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Nil | Self::Bytes(_) | Self::List(_) | Self::Error(_) => None,
        }
    }

    /// Returns the items of an array reply. Other replies have none.
    #[must_use]
    pub fn items(&self) -> &[Reply] {
        match self {
            Self::List(items) => items,
            Self::Nil | Self::Integer(_) | Self::Bytes(_) | Self::Error(_) => &[],
        }
    }

    /// Returns the value after a name in an array of names and values.
    #[must_use]
    pub fn value_of(&self, name: &str) -> Option<&Reply> {
        self.items().chunks(2).find_map(|pair| match pair {
            [key, value] if key.bytes() == Some(name.as_bytes()) => Some(value),
            _ => None,
        })
    }

    /// Returns the reply as a number, also if it is text. Returns `None` if it is not finite.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(float(*number)),
            Self::Bytes(bytes) => {
                let number: f64 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
                number.is_finite().then_some(number)
            }
            Self::Nil | Self::List(_) | Self::Error(_) => None,
        }
    }

    /// Returns whether the reply is empty: nil, an empty string or an empty array.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Nil => true,
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Integer(_) | Self::Error(_) => false,
        }
    }

    /// Returns the error, if the reply is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Error(refusal) => Some(refusal),
            Self::Nil | Self::Integer(_) | Self::Bytes(_) | Self::List(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Reply {
        Reply::Bytes(text.as_bytes().into())
    }

    fn refusal(code: &str, message: &str) -> Refusal {
        Refusal {
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn permissions_of_commands_keys_and_channels_differ() {
        for (message, kind, permission) in [
            (
                "User watcher has no permissions to run the 'config|get' command",
                ErrorKind::Permission,
                Some("+config|get"),
            ),
            (
                "this user has no permissions to run the 'info' command or its subcommand",
                ErrorKind::Permission,
                Some("+info"),
            ),
            (
                "User channel has no permissions to run the 'pubsub|channels' command",
                ErrorKind::Permission,
                Some("+pubsub|channels"),
            ),
            (
                "this user has no permissions to access one of the keys used as arguments",
                ErrorKind::KeyPermission,
                None,
            ),
            (
                "No permissions to access a key",
                ErrorKind::KeyPermission,
                None,
            ),
            (
                "No permissions to access a channel",
                ErrorKind::ChannelPermission,
                None,
            ),
        ] {
            let refusal = refusal("NOPERM", message);
            assert_eq!(refusal.kind(), kind, "{message}");
            assert_eq!(refusal.missing_permission().as_deref(), permission);
        }
        let refusal = refusal("NOAUTH", "Authentication required.");
        assert_eq!(refusal.kind(), ErrorKind::Authentication);
        assert_eq!(refusal.missing_permission(), None);
    }

    #[test]
    fn values_are_found_by_the_preceding_name() {
        let reply = Reply::List(vec![
            bytes("b"),
            bytes("a"),
            bytes("a"),
            Reply::Integer(1),
            bytes("c"),
        ]);
        assert_eq!(reply.value_of("a"), Some(&Reply::Integer(1)));
        assert_eq!(reply.value_of("c"), None);
        assert_eq!(Reply::Nil.value_of("a"), None);
    }

    #[test]
    fn integers_and_numeric_text_are_numbers() {
        assert_eq!(Reply::Integer(-3).number(), Some(-3.0));
        assert_eq!(bytes("1.5").number(), Some(1.5));
        for none in ["", "1 2", "nan", "-nan", "inf", "10mb"] {
            assert_eq!(bytes(none).number(), None, "{none}");
        }
        assert_eq!(Reply::Nil.number(), None);
    }
}
