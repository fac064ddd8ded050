//! What Redis answers, raw, in a type of our own.
//!
//! Decoding the protocol is `connection`'s work; reading meaning into a reply is `collector`'s.

/// One reply of a server.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Nothing: a null bulk string or array.
    Nil,
    /// A whole number.
    Integer(i64),
    /// A bulk or simple string: any bytes.
    Bytes(Vec<u8>),
    /// An array.
    List(Vec<Reply>),
    /// The server refused the command.
    Error(Refusal),
}

/// An error reply: the code in front, as `NOPERM`, and the whole text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The first word, as `ERR`, `NOPERM`, `LOADING`.
    pub code: String,
    /// The text after the code.
    pub message: String,
}

impl Refusal {
    /// Whether the server may answer otherwise the next time: it is loading, busy or without a
    /// primary. Everything else (unknown command, no permission) stays as it is.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(
            self.code.as_str(),
            "LOADING" | "BUSY" | "BUSYKEY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "MISCONF"
        )
    }
}

impl Reply {
    /// The text of a string reply; bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn text(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            Self::Bytes(bytes) => Some(String::from_utf8_lossy(bytes)),
            Self::Nil | Self::Integer(_) | Self::List(_) | Self::Error(_) => None,
        }
    }

    /// The bytes of a string reply.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Nil | Self::Integer(_) | Self::List(_) | Self::Error(_) => None,
        }
    }

    /// The number of an integer reply.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Nil | Self::Bytes(_) | Self::List(_) | Self::Error(_) => None,
        }
    }

    /// The items of an array reply; empty for every other reply.
    #[must_use]
    pub fn items(&self) -> &[Reply] {
        match self {
            Self::List(items) => items,
            Self::Nil | Self::Integer(_) | Self::Bytes(_) | Self::Error(_) => &[],
        }
    }

    /// Whether the reply says nothing: nil, an empty string or an empty array.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Nil => true,
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Integer(_) | Self::Error(_) => false,
        }
    }

    /// The refusal, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Error(refusal) => Some(refusal),
            Self::Nil | Self::Integer(_) | Self::Bytes(_) | Self::List(_) => None,
        }
    }
}
