//! `top`: a live view of all targets of a running exporter, for a terminal.
//!
//! `exporter` requests the JSON that the live page consists of, `received` and `state` turn it into
//! a state, and `draw` makes a screen of the state, the time and the size. Only `exporter` and
//! `terminal` do I/O.

mod draw;
mod exporter;
mod grid;
mod look;
mod order;
mod received;
mod state;
mod terminal;
mod text;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::clock::now;
use crate::config::TopArguments;
use crate::number::to_count;
use exporter::{ExporterError, ExporterSource, TopData, follow};
use state::{PressEffect, TopState};
use terminal::{Input, Screen, inputs, is_usable, look};

/// Time between two drawings without a key or new data, so that times go on.
const REDRAW: Duration = Duration::from_secs(1);

/// Data that wait to be shown.
const DATA_MAX: usize = 4;

/// The reason why there is no live view.
#[derive(Debug, Error)]
pub enum TopError {
    /// Input or output is a file or a pipe.
    #[error(
        "`top` needs a terminal as its input and output; in scripts, read /api/v1/targets of the \
         exporter, or use `once`"
    )]
    NoTerminal,
    /// The exporter did not return a list of targets.
    #[error(
        "{url} {problem}; start the exporter, or name it: redis-namespace-exporter top \
         http://HOST:9121"
    )]
    NoExporter {
        /// The URL of the exporter.
        url: String,
        /// The rest of the sentence about it.
        problem: ExporterError,
    },
    /// The password file cannot be used.
    #[error("--password-file {path}: {what}", path = .path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// The problem.
        what: String,
    },
    /// The terminal failed.
    #[error("cannot use the terminal: {0}")]
    Terminal(#[from] io::Error),
}

/// Shows the targets until the user quits or a signal arrives. Always restores the terminal.
///
/// # Errors
///
/// There is no terminal, or the exporter does not respond at the start.
pub async fn run(arguments: &TopArguments) -> Result<(), TopError> {
    if !is_usable() {
        return Err(TopError::NoTerminal);
    }
    let source = ExporterSource::new(arguments)?;
    let url = arguments.url.shown.clone();
    let mut state = TopState::new(&url);
    let list = source.list("").await;
    let list = list.map_err(|problem| TopError::NoExporter { url, problem })?;
    state.receive_list(list);
    let mut signals = QuitSignals::new()?;
    let (wanted, to_request) = watch::channel(state.wanted());
    let (sender, mut data) = mpsc::channel(DATA_MAX);
    let requests = tokio::spawn(follow(source, to_request, sender));
    let mut screen = Screen::open()?;
    let mut inputs = inputs()?;
    let mut redraw = interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let look = look();
    loop {
        screen.draw(&state, look, now())?;
        tokio::select! {
            input = inputs.recv() => match input {
                Some(Input::Pressed(press)) if state.press(press) == PressEffect::Stay => {}
                Some(Input::Resized) => {}
                // The user quits, or the terminal is gone.
                Some(Input::Pressed(_)) | None => break,
            },
            data = data.recv() => match data {
                Some(data) => receive(&mut state, data),
                // The task that requests them has ended, which it never should.
                None => break,
            },
            _ = redraw.tick() => {}
            () = signals.any() => break,
        }
        wanted.send_if_modified(|wanted| {
            let now = state.wanted();
            let is_new = *wanted != now;
            *wanted = now;
            is_new
        });
    }
    requests.abort();
    drop(screen);
    match requests.await {
        // Shows the panic, now that the terminal is restored.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        _ => Ok(()),
    }
}

fn receive(state: &mut TopState, data: TopData) {
    match data {
        TopData::List(list) => state.receive_list(list),
        TopData::Report(report) => state.receive_report(*report),
        TopData::Failed(error) => state.fail(error.to_string(), to_count(now())),
    }
}

/// The signals that end the program.
struct QuitSignals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl QuitSignals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them.
    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
