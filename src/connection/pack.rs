//! Encodes commands as the bytes of a pipeline. Pure.

use std::time::Duration;

/// How a pipeline is sent.
///
/// A server executes all received commands before it serves other clients. A large pipeline in
/// parts still takes one round trip, and other clients are served in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spacing {
    /// Approximate number of commands in a part.
    pub commands: usize,
    /// Time from the start of one part to the start of the next.
    pub gap: Duration,
}

impl Spacing {
    /// Sends all commands at once.
    pub const NONE: Self = Self {
        commands: usize::MAX,
        gap: Duration::ZERO,
    };
}

impl Default for Spacing {
    fn default() -> Self {
        Self::NONE
    }
}

/// An encoded pipeline.
#[derive(Clone, Debug)]
pub struct Packed {
    bytes: Vec<u8>,
    spacing: Spacing,
    /// Positions of the command names in `bytes`.
    names: Vec<std::ops::Range<usize>>,
}

/// Bytes of a short command, for which there is room from the start.
const COMMAND_BYTES: usize = 48;

impl Packed {
    /// Starts a pipeline of about this many commands.
    pub fn of_about(commands: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(COMMAND_BYTES * commands),
            names: Vec::with_capacity(commands),
            spacing: Spacing::NONE,
        }
    }

    /// Encodes commands, each a list of words.
    pub fn new<Word: AsRef<[u8]>>(commands: &[impl AsRef<[Word]>]) -> Self {
        let mut packed = Self::of_about(commands.len());
        for words in commands {
            packed.push(words.as_ref().iter());
        }
        packed
    }

    /// Returns the same commands, to be sent in parts.
    pub const fn spaced(mut self, spacing: Spacing) -> Self {
        self.spacing = spacing;
        self
    }

    /// Returns the time between two parts.
    pub const fn gap(&self) -> Duration {
        self.spacing.gap
    }

    /// Returns the parts to send. A command may be split between two of them.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let parts = self.len().div_ceil(self.spacing.commands.max(1)).max(1);
        self.bytes.chunks(self.bytes.len().div_ceil(parts).max(1))
    }

    /// Adds a command.
    pub fn push<Word: AsRef<[u8]>>(&mut self, words: impl Iterator<Item = Word> + Clone) {
        self.header(b'*', words.clone().count());
        let mut name = 0..0;
        for (at, word) in words.enumerate() {
            let word = word.as_ref();
            self.header(b'$', word.len());
            if at == 0 {
                name = self.bytes.len()..self.bytes.len() + word.len();
            }
            self.bytes.extend_from_slice(word);
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.names.push(name);
    }

    fn header(&mut self, kind: u8, length: usize) {
        self.bytes.push(kind);
        let mut digits = itoa::Buffer::new();
        self.bytes
            .extend_from_slice(digits.format(length).as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Returns the encoded bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the number of commands.
    pub const fn len(&self) -> usize {
        self.names.len()
    }

    /// Returns whether there are no commands.
    pub const fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the first word of a command, or nothing if there is no such command.
    pub fn name(&self, at: usize) -> &[u8] {
        let name = self.names.get(at);
        name.and_then(|name| self.bytes.get(name.clone()))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_arrays_of_strings() {
        let packed = Packed::new(&[vec!["GET", "a b"], vec!["PING"]]);
        assert_eq!(
            packed.bytes(),
            b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\n*1\r\n$4\r\nPING\r\n"
        );
        assert_eq!(packed.len(), 2);
        assert_eq!(packed.name(1), b"PING");
        assert_eq!(packed.name(2), b"");
    }

    #[test]
    fn spaced_pipeline_is_sent_in_even_parts() {
        let packed = Packed::new(&vec![["PING"]; 200]);
        assert_eq!(packed.parts().count(), 1);
        let spacing = Spacing {
            commands: 75,
            gap: Duration::from_millis(3),
        };
        let spaced = packed.clone().spaced(spacing);
        let parts: Vec<&[u8]> = spaced.parts().collect();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts.concat(), packed.bytes());
        assert_eq!(spaced.gap(), spacing.gap);
    }
}
