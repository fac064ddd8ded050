//! Colors of the output of commands on a terminal, and its width.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use anstyle::{AnsiColor, Style};
use terminal_size::{Width, terminal_size_of};

/// Width of a terminal that does not report it, in cells.
const WIDTH: usize = 80;

/// The meaning of a text to the reader, which determines its color.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextMeaning {
    /// Neither good nor bad.
    #[default]
    Neutral,
    /// A heading.
    Heading,
    /// Something that works.
    Fine,
    /// Something to know about.
    Warning,
    /// Something that is wrong.
    Wrong,
    /// A bar.
    Bar,
}

/// Whether to use colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    /// Text for files and pipes, and for terminals without colors.
    Plain,
    /// The colors of the terminal.
    Colored,
}

impl Palette {
    /// Returns the palette for standard output: colors if it is a terminal that has them.
    ///
    /// `NO_COLOR` disables colors: see no-color.org.
    #[must_use]
    pub fn of_output() -> Self {
        let has_no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if io::stdout().is_terminal() && !has_no_color && !is_dumb {
            Self::Colored
        } else {
            Self::Plain
        }
    }

    /// Returns a text in the color of its meaning.
    #[must_use]
    pub fn paint(self, meaning: TextMeaning, text: &str) -> String {
        let style = match meaning {
            TextMeaning::Neutral => Style::new(),
            TextMeaning::Heading => Style::new().bold(),
            TextMeaning::Fine => AnsiColor::Green.on_default(),
            TextMeaning::Warning => AnsiColor::Yellow.on_default(),
            TextMeaning::Wrong => AnsiColor::Red.on_default().bold(),
            TextMeaning::Bar => AnsiColor::Cyan.on_default(),
        };
        if self == Self::Plain || text.is_empty() || style.is_plain() {
            return text.to_owned();
        }
        format!("{style}{text}{style:#}")
    }
}

/// Returns the width of a stream that is a terminal, in cells; `None` for other streams.
#[must_use]
pub fn width_of(out: &(impl IsTerminal + AsFd)) -> Option<usize> {
    let size = out.is_terminal().then(|| terminal_size_of(out.as_fd()))?;
    Some(size.map_or(WIDTH, |(Width(width), _)| width.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_meaning_has_its_color() {
        for (meaning, expected) in [
            (TextMeaning::Neutral, "text"),
            (TextMeaning::Heading, "\u{1b}[1mtext\u{1b}[0m"),
            (TextMeaning::Fine, "\u{1b}[32mtext\u{1b}[0m"),
            (TextMeaning::Warning, "\u{1b}[33mtext\u{1b}[0m"),
            (TextMeaning::Wrong, "\u{1b}[1m\u{1b}[31mtext\u{1b}[0m"),
            (TextMeaning::Bar, "\u{1b}[36mtext\u{1b}[0m"),
        ] {
            assert_eq!(Palette::Colored.paint(meaning, "text"), expected);
            assert_eq!(Palette::Plain.paint(meaning, "text"), "text");
            assert_eq!(Palette::Colored.paint(meaning, ""), "");
        }
    }
}
