//! Colors and other styles of the screen. Pure.

use ratatui::style::{Color, Modifier, Style};

/// The meaning of a text, which determines its style.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Ordinary text.
    #[default]
    Plain,
    /// Less important text.
    Dim,
    /// A heading.
    Heading,
    /// A good state.
    Good,
    /// A warning.
    Warn,
    /// A critical state.
    Bad,
    /// A bar or a graph.
    Drawn,
}

/// Whether to use colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The colors of the terminal.
    Colored,
    /// Only attributes such as bold.
    Plain,
}

impl Look {
    /// Returns the style of a text.
    #[must_use]
    pub const fn style(self, tone: Tone) -> Style {
        let style = Style::new();
        let style = match (self, tone) {
            (Self::Colored, Tone::Good) => style.fg(Color::Green),
            (Self::Colored, Tone::Warn) => style.fg(Color::Yellow),
            (Self::Colored, Tone::Bad) => style.fg(Color::Red),
            (Self::Colored, Tone::Drawn) => style.fg(Color::Cyan),
            _ => style,
        };
        match tone {
            Tone::Dim => style.add_modifier(Modifier::DIM),
            Tone::Heading | Tone::Bad => style.add_modifier(Modifier::BOLD),
            _ => style,
        }
    }

    /// Returns the style of the selected line. It is weaker in a pane without focus.
    #[must_use]
    pub const fn selected(is_focused: bool) -> Style {
        let modifier = if is_focused {
            Modifier::REVERSED
        } else {
            Modifier::UNDERLINED
        };
        Style::new().add_modifier(modifier)
    }
}

/// Returns the tone of a severity: that of an alert.
#[must_use]
pub fn tone_of(severity: &str) -> Tone {
    match severity {
        "critical" => Tone::Bad,
        "warning" => Tone::Warn,
        _ => Tone::Plain,
    }
}
