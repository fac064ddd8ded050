//! The terminal: its screen and its keys.

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write};
use std::panic;
use std::thread;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use tokio::sync::mpsc;

use super::draw;
use super::look::Look;
use super::state::{Press, TopState};

/// Keys that wait to be handled.
const KEYS_MAX: usize = 64;

/// Returns whether input and output are a terminal that can show more than lines.
#[must_use]
pub fn is_usable() -> bool {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb
}

/// Returns the look that the environment requests: see no-color.org.
#[must_use]
pub fn look() -> Look {
    let has_no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if has_no_color {
        Look::Plain
    } else {
        Look::Colored
    }
}

/// The screen of the terminal. Dropping it restores the terminal.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    // Dropped last, after `terminal` has written its last bytes.
    _restore: Restore<Stdout>,
}

impl Screen {
    /// Takes over the terminal until it is dropped, or until a panic.
    ///
    /// # Errors
    ///
    /// The terminal cannot be changed.
    pub fn open() -> io::Result<Self> {
        enable_raw_mode()?;
        let restore = Restore(io::stdout());
        let before = panic::take_hook();
        // The message of a panic would be lost with the screen.
        panic::set_hook(Box::new(move |panic| {
            drop(Restore(io::stdout()));
            before(panic);
        }));
        let mut out = BufWriter::new(io::stdout());
        execute!(out, EnterAlternateScreen, Hide)?;
        Ok(Self {
            terminal: Terminal::new(CrosstermBackend::new(out))?,
            _restore: restore,
        })
    }

    /// Draws the screen. Only changes are written.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub fn draw(&mut self, state: &TopState, look: Look, now: f64) -> io::Result<()> {
        let drawn = self.terminal.draw(|frame| {
            let area = frame.area();
            draw::screen(state, look, now, area, frame.buffer_mut());
        });
        drawn.map(|_| ())
    }
}

/// Restores the terminal when it is dropped.
#[derive(Debug)]
struct Restore<W: Write>(W);

impl<W: Write> Drop for Restore<W> {
    fn drop(&mut self) {
        // If the terminal is gone, nobody needs it.
        let _ = disable_raw_mode();
        let _ = execute!(self.0, LeaveAlternateScreen, Show);
    }
}

/// An event of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key.
    Pressed(Press),
    /// The size has changed.
    Resized,
}

/// Starts a thread that reads the keys. The channel ends with the terminal.
///
/// # Errors
///
/// The thread cannot be started.
pub fn inputs() -> io::Result<mpsc::Receiver<Input>> {
    let (sender, receiver) = mpsc::channel(KEYS_MAX);
    thread::Builder::new()
        .name("keys".to_owned())
        .spawn(move || {
            while let Ok(event) = event::read() {
                if let Some(input) = input(&event)
                    && sender.blocking_send(input).is_err()
                {
                    return;
                }
            }
        })?;
    Ok(receiver)
}

fn input(event: &Event) -> Option<Input> {
    match event {
        Event::Resize(..) => Some(Input::Resized),
        Event::Key(key) if key.kind != KeyEventKind::Release => press(*key).map(Input::Pressed),
        _ => None,
    }
}

fn press(key: KeyEvent) -> Option<Press> {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c') if is_control => Press::Interrupt,
        KeyCode::Char(_) if is_control || key.modifiers.contains(KeyModifiers::ALT) => return None,
        KeyCode::Char(letter) => Press::Letter(letter),
        KeyCode::Up => Press::Up,
        KeyCode::Down => Press::Down,
        KeyCode::PageUp => Press::PageUp,
        KeyCode::PageDown => Press::PageDown,
        KeyCode::Home => Press::First,
        KeyCode::End => Press::Last,
        KeyCode::Enter => Press::Enter,
        KeyCode::Tab | KeyCode::BackTab => Press::Tab,
        KeyCode::Esc => Press::Escape,
        KeyCode::Backspace => Press::Backspace,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn panic_restores_the_screen() {
        let mut written = Vec::new();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let _restore = Restore(&mut written);
            panic!("on purpose");
        }));
        assert!(ended.is_err());
        let written = String::from_utf8(written).unwrap();
        // The alternate screen ends, and the cursor is visible.
        assert!(written.contains("\u{1b}[?1049l"), "{written:?}");
        assert!(written.contains("\u{1b}[?25h"), "{written:?}");
    }

    #[test]
    fn keys_have_their_meanings() {
        let key = |code, modifiers| press(KeyEvent::new(code, modifiers));
        let none = KeyModifiers::NONE;
        for (code, modifiers, expected) in [
            (KeyCode::Char('j'), none, Some(Press::Letter('j'))),
            (
                KeyCode::Char('G'),
                KeyModifiers::SHIFT,
                Some(Press::Letter('G')),
            ),
            (
                KeyCode::Char('c'),
                KeyModifiers::CONTROL,
                Some(Press::Interrupt),
            ),
            (KeyCode::Char('s'), KeyModifiers::CONTROL, None),
            (KeyCode::Char('q'), KeyModifiers::ALT, None),
            (KeyCode::BackTab, KeyModifiers::SHIFT, Some(Press::Tab)),
            (KeyCode::F(1), none, None),
        ] {
            assert_eq!(key(code, modifiers), expected);
        }
        let mut released = KeyEvent::new(KeyCode::Enter, none);
        released.kind = KeyEventKind::Release;
        assert_eq!(input(&Event::Key(released)), None);
        assert_eq!(input(&Event::Resize(80, 24)), Some(Input::Resized));
    }
}
