//! The layout of the table: its width, colors and number of rows.

use std::io;

use super::super::palette::{Palette, TextMeaning, width_of};
use super::super::wrap;

/// Width of a table that is not for a terminal, in characters. Wider ones are hard to read.
const WIDTH: usize = 100;

/// Width below which a table is unreadable anyway, in characters.
const WIDTH_MIN: usize = 60;

/// How to write the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Maximum width, in characters.
    pub width: usize,
    /// Whether the table is for a terminal, which gets bars.
    pub is_terminal: bool,
    /// Whether to use colors.
    pub palette: Palette,
    /// Maximum number of namespaces.
    pub rows: usize,
}

impl Layout {
    /// Text for files and pipes.
    pub const PLAIN: Self = Self {
        width: WIDTH,
        is_terminal: false,
        palette: Palette::Plain,
        rows: usize::MAX,
    };

    /// Returns the layout for standard output: that of its terminal, if it is one.
    #[must_use]
    pub fn of_output(rows: Option<usize>) -> Self {
        Self::new(width_of(&io::stdout()), Palette::of_output(), rows)
    }

    /// Returns the layout for standard error, without colors.
    #[must_use]
    pub fn of_errors(rows: Option<usize>) -> Self {
        Self::new(width_of(&io::stderr()), Palette::Plain, rows)
    }

    /// Returns the layout for a terminal of this width, or for files and pipes.
    fn new(width: Option<usize>, palette: Palette, rows: Option<usize>) -> Self {
        let rows = rows.unwrap_or(usize::MAX);
        match width {
            None => Self {
                rows,
                ..Self::PLAIN
            },
            Some(width) => Self {
                width: width.max(WIDTH_MIN),
                is_terminal: true,
                palette,
                rows,
            },
        }
    }

    /// Returns a text of whole sentences. On a terminal, it is wrapped, and its lines after the first
    /// start with `indent` blanks.
    #[must_use]
    pub fn wrapped(&self, text: &str, indent: usize) -> String {
        if self.is_terminal {
            wrap::wrapped(text, self.width, indent)
        } else {
            text.to_owned()
        }
    }

    /// Returns a heading.
    #[must_use]
    pub fn emphasized(&self, text: &str) -> String {
        self.palette.paint(TextMeaning::Heading, text)
    }

    /// Returns a number that means that something is wrong.
    #[must_use]
    pub fn warned(&self, text: &str) -> String {
        self.palette.paint(TextMeaning::Wrong, text)
    }

    /// Returns a bar.
    #[must_use]
    pub fn drawn(&self, text: &str) -> String {
        self.palette.paint(TextMeaning::Bar, text)
    }
}
