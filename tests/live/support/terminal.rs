//! A pseudo-terminal with a program in it, and the screen that the program draws.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use vt100::Parser;

use super::process::Process;
use super::wait::{LONG, until};

/// A terminal in which a program runs.
pub struct Terminal {
    /// The program.
    pub process: Process,
    keyboard: File,
    side_of_program: OwnedFd,
    screen: Arc<Mutex<Parser>>,
    modes_before: LocalModes,
}

impl Terminal {
    /// Starts a program in a terminal of this size, with these environment variables only.
    pub fn start(arguments: &[&str], variables: &[(&str, &str)], size: (u16, u16)) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let terminal = openpt(flags).unwrap();
        unlockpt(&terminal).unwrap();
        let device = ioctl_tiocgptpeer(&terminal, flags).unwrap();
        tcsetwinsize(&device, winsize(size)).unwrap();
        let modes_before = tcgetattr(&device).unwrap().local_modes;
        let own = || device.try_clone().unwrap();
        // It becomes the terminal that sends signals to the program.
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", env!("CARGO_BIN_EXE_redis-namespace-exporter")])
            .args(arguments)
            .env_clear()
            .env("TERM", "xterm-256color")
            .envs(variables.iter().copied())
            .stdin(own())
            .stdout(own())
            .stderr(own());
        let process = Process::start(&mut command).expect("setsid is there: it is in util-linux");
        let (columns, rows) = (cells(size.0), cells(size.1));
        let screen = Arc::new(Mutex::new(Parser::new(rows, columns, 0)));
        let mut output = File::from(terminal.try_clone().unwrap());
        let drawn = Arc::clone(&screen);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It fails once no one has the other side open.
            while let Ok(count) = output.read(&mut bytes) {
                let mut drawn = drawn.lock().unwrap_or_else(PoisonError::into_inner);
                drawn.process(&bytes[..count]);
            }
        });
        Self {
            process,
            keyboard: File::from(terminal),
            side_of_program: device,
            screen,
            modes_before,
        }
    }

    /// Presses keys: the bytes that a terminal sends for them.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Changes the size of the terminal, which sends a signal.
    pub fn resize(&self, size: (u16, u16)) {
        let mut screen = self.screen.lock().unwrap();
        screen.screen_mut().set_size(cells(size.1), cells(size.0));
        tcsetwinsize(&self.side_of_program, winsize(size)).unwrap();
    }

    /// Returns the text on the screen.
    pub fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Returns whether any cell of the screen has a color.
    pub fn is_colored(&self) -> bool {
        let parser = self.screen.lock().unwrap();
        let screen = parser.screen();
        let (rows, columns) = screen.size();
        let mut cells = (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |at| (row, at)));
        cells.any(|(row, column)| {
            let cell = screen.cell(row, column);
            cell.is_some_and(|cell| cell.fgcolor() != vt100::Color::Default)
        })
    }

    /// Returns the color of the last place of a text on the screen.
    pub fn color_of(&self, text: &str) -> vt100::Color {
        let parser = self.screen.lock().unwrap();
        let screen = parser.screen();
        let (rows, columns) = screen.size();
        let found = (0..rows.get()).rev().find_map(|row| {
            let letter = |at| screen.cell(row, at).map_or(" ", vt100::Cell::contents);
            let line: Vec<&str> = (0..columns.get()).map(letter).collect();
            let starts = |at: &usize| line[*at..].concat().starts_with(text);
            let at = (0..line.len()).find(starts)?;
            screen.cell(row, u16::try_from(at).unwrap())
        });
        found.unwrap_or_else(|| panic!("no {text:?}")).fgcolor()
    }

    /// Waits for a text on the screen, and returns the whole screen.
    pub fn see(&self, part: &str) -> String {
        self.until(part, |text| text.contains(part))
    }

    /// Waits until the screen meets a condition, and returns it.
    pub fn until(&self, what: &str, is_met: impl Fn(&str) -> bool) -> String {
        let started = std::time::Instant::now();
        loop {
            let text = self.text();
            if is_met(&text) {
                return text;
            }
            assert!(started.elapsed() < LONG, "waited for {what}:\n{text}");
            thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Returns whether the program reads single keys.
    pub fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.side_of_program).unwrap().local_modes;
        !modes.contains(LocalModes::ICANON)
    }

    /// Waits for the end of the program, and checks that the terminal is as before.
    pub fn ended(&mut self) -> ExitStatus {
        let (status, _) = self.process.wait(LONG);
        let modes = tcgetattr(&self.side_of_program).unwrap().local_modes;
        assert_eq!(modes, self.modes_before);
        // The last bytes of the program may not have been read yet.
        until(LONG, "the ordinary screen", || {
            let parser = self.screen.lock().unwrap();
            let screen = parser.screen();
            (!screen.alternate_screen() && !screen.hide_cursor()).then_some(())
        });
        status
    }
}

fn cells(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

fn winsize((columns, rows): (u16, u16)) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
