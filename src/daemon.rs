//! Wires the daemon: pollers, pages, HTTP server, signals, and reload.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::config::redis_exporter::{Notice, Severity};
use crate::config::{Arguments, Config, Problem, Target};
use crate::fleet::{self, Fleet};
use crate::http::{self, ReloadRequest};
use crate::metric::Names;
use crate::output;
use crate::page;
use crate::poll;
use crate::publish::Board;
use crate::requested::Requested;
use crate::supervise::supervise;
use crate::telemetry::{PanickedTask, Telemetry};

mod reload;

use reload::{Discovered, Reloader, record_load};

/// Maximum time from the first signal to the end of the process, even if tasks hang.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// Maximum number of problems that are listed. More than the queue of standard error can hold would
/// be lost.
const PROBLEMS_SHOWN: usize = 50;

/// Maximum number of pending reload requests. One reload completes all of them.
const RELOADS_WAITING: usize = 64;

/// Why the daemon could not start, or stopped.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// The `web` settings cannot be used.
    #[error(transparent)]
    Gate(#[from] http::GateError),
    /// The exporter cannot listen on the address.
    #[error(
        "cannot listen on {address}: {error}; stop the process that uses the port, or set --web.listen-address"
    )]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The exporter's own metrics are inconsistent.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
    /// Signals cannot be received.
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    /// The HTTP server could not start.
    #[error("cannot serve: {0}")]
    Serve(io::Error),
    /// The HTTP server panicked.
    #[error("the HTTP server panicked; this is a defect")]
    ServingBrokeOff,
}

/// Runs until a signal ends it.
///
/// # Errors
///
/// Returns an error if the daemon cannot start, or stops without a signal.
pub async fn run(config: Config, arguments: Arguments) -> Result<(), DaemonError> {
    // Before listening: the exporter must not serve without its certificate.
    let gate = http::Gate::new(&config.web)?;
    let address = config.listen;
    let listener = http::bind(address).await;
    let listener = listener.map_err(|error| DaemonError::Listen { address, error })?;
    let telemetry = Telemetry::new(config.process_metrics)?;
    let signals = Signals::new().map_err(DaemonError::Signals)?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        address = %config.listen,
        targets = config.targets.len(),
        sources = config.sources.len(),
        "serving"
    );
    log_pace(&config.targets);
    warn_of_unverified(&config);
    let board = Board::default();
    board.keep_history(config.web.history);
    let requested = Requested::default();
    let names = Arc::new(ArcSwap::from_pointee(config.names.clone()));
    let paths = config.paths.clone();
    let pages = start_pages(&board, &telemetry, Arc::clone(&names));
    let (reload, requests) = mpsc::channel(RELOADS_WAITING);
    let mut reloader = Reloader {
        board: board.clone(),
        arguments,
        config,
        fleet: Fleet::new(board.clone(), telemetry.clone()),
        discovered: Discovered::new(requested.clone(), telemetry.clone()),
        telemetry: telemetry.clone(),
        names: Arc::clone(&names),
        gate: gate.clone(),
    };
    reloader.start();
    record_load(&telemetry, true);
    let reloads = start_reloads(reloader, requests);
    let watches = watch_pollers(&board, &telemetry);
    let follows = follow_files(&gate, &telemetry);
    let services = http::Services {
        board,
        requested,
        names,
        reload: reload.clone(),
        gate,
        paths,
        telemetry,
        readers: http::Readers::default(),
        reload_rate: http::Rate::default(),
    };
    let served = serve_aside(listener, services, signals.shutdown(reload)).await;
    pages.abort();
    follows.abort();
    reloads.abort();
    watches.abort();
    info!("stopped");
    served
}

/// Serves on a separate thread until `shutdown` completes, so that scrapes do not wait for the
/// decoding and reading of replies.
async fn serve_aside(
    listener: TcpListener,
    services: http::Services,
    shutdown: impl Future<Output = ()>,
) -> Result<(), DaemonError> {
    let fail = DaemonError::Serve;
    let listener = listener.into_std().map_err(fail)?;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().map_err(fail)?;
    let (end, ended) = oneshot::channel::<()>();
    let (finish, mut finished) = oneshot::channel();
    let serve = move || {
        let served = runtime.block_on(async {
            let listener = TcpListener::from_std(listener)?;
            // Also if the sender is gone.
            let ended = async { drop(ended.await) };
            http::serve(listener, services, ended).await;
            Ok(())
        });
        // The resolver, or a file on a dead mount, may block a thread.
        runtime.shutdown_background();
        let _ = finish.send(served);
    };
    let thread = thread::Builder::new().name("serve".to_owned());
    thread.spawn(serve).map_err(fail)?;
    let served = tokio::select! {
        () = shutdown => {
            drop(end);
            finished.await
        }
        broken = &mut finished => broken,
    };
    served
        .map_err(|_| DaemonError::ServingBrokeOff)?
        .map_err(fail)
}

/// Writes pages forever. If that panics, no page is served instead of an old one.
fn start_pages(board: &Board, telemetry: &Telemetry, names: Arc<ArcSwap<Names>>) -> JoinHandle<()> {
    let (emptied, counted) = (board.clone(), telemetry.clone());
    let on_break = move || {
        counted.count_panic(PanickedTask::Service("pages"));
        emptied.clear_pages();
    };
    let (board, telemetry) = (board.clone(), telemetry.clone());
    let task = move |_: bool| page::run(board.clone(), telemetry.clone(), Arc::clone(&names));
    tokio::spawn(supervise("pages".to_owned(), on_break, task))
}

/// Applies changed certificates and passwords of the HTTP server.
fn follow_files(gate: &http::Gate, telemetry: &Telemetry) -> JoinHandle<()> {
    let (gate, counted) = (gate.clone(), telemetry.clone());
    let on_break = move || counted.count_panic(PanickedTask::Service("files"));
    let task = move |_: bool| gate.clone().follow();
    tokio::spawn(supervise("files".to_owned(), on_break, task))
}

/// Publishes failures for pollers that no longer publish.
fn watch_pollers(board: &Board, telemetry: &Telemetry) -> JoinHandle<()> {
    let (board, counted) = (board.clone(), telemetry.clone());
    let on_break = move || counted.count_panic(PanickedTask::Service("watch"));
    let task = move |_: bool| fleet::watch(board.clone());
    tokio::spawn(supervise("watch".to_owned(), on_break, task))
}

/// Reloads on request. A reload that panics leaves the targets unchanged.
fn start_reloads(reloader: Reloader, requests: mpsc::Receiver<ReloadRequest>) -> JoinHandle<()> {
    let counted = reloader.telemetry.clone();
    let on_break = move || counted.count_panic(PanickedTask::Service("reloads"));
    let state = Arc::new(Mutex::new((reloader, requests)));
    let task = move |is_restart: bool| {
        let state = Arc::clone(&state);
        async move {
            let (reloader, requests) = &mut *state.lock().await;
            if is_restart {
                reloader.restore();
            }
            reloader.run(requests).await;
        }
    };
    tokio::spawn(supervise("reloads".to_owned(), on_break, task))
}

/// Logs how often targets are polled, one line per kind of interval.
fn log_pace(targets: &[Arc<Target>]) {
    for follows in [true, false] {
        let same = targets.iter();
        let mut same = same.filter(|target| target.poll.follows_faster_scrapes() == follows);
        if let Some(first) = same.next() {
            let (name, count) = (&first.name, 1 + same.count());
            let pace = poll::describe_pace(first.poll);
            info!(first = name, count, pace, "targets are polled");
        }
    }
}

/// Logs the servers whose identity is not verified.
fn warn_of_unverified(config: &Config) {
    let is_unverified =
        |target: &&Target| target.speaks_tls() && target.endpoint.tls.insecure_skip_verify;
    let of_sources = config.sources.iter().map(|source| &source.template);
    let of_sources = of_sources.filter(|template| template.endpoint.tls.insecure_skip_verify);
    let targets = config.targets.iter().map(Arc::as_ref);
    let unverified = targets.filter(is_unverified);
    let unverified: Vec<_> = unverified.chain(of_sources).collect();
    if let Some(first) = unverified.first() {
        warn!(
            first = first.name,
            count = unverified.len(),
            "certificates of targets are not verified (tls.insecure_skip_verify): an attacker on \
             the network could read their passwords"
        );
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Completes at the first SIGTERM or SIGINT. A second signal or the timeout ends the process at
    /// once. SIGHUP requests a reload.
    async fn shutdown(mut self, reload: mpsc::Sender<ReloadRequest>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.hangup.recv() => {
                    let (reply, _) = oneshot::channel();
                    // A pending reload will read the same files.
                    let _ = reload.try_send(reply);
                }
            }
        }
        info!("shutting down after open requests; a second signal exits at once");
        tokio::spawn(async move {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                () = tokio::time::sleep(SHUTDOWN_MAX) => {}
            }
            std::process::exit(1);
        });
    }
}

/// Logs a setting that is ignored or interpreted in an unusual way.
pub fn log_notice(notice: &Notice) {
    let Notice {
        severity,
        place,
        text,
    } = notice;
    match severity {
        Severity::Info => info!("{place} {text}"),
        Severity::Warning => warn!("{place} {text}"),
    }
}

/// Returns the problems of a configuration, one per line: the first ones, and the number of others.
#[must_use]
pub fn describe(problems: &[Problem]) -> String {
    let shown = problems.iter().take(PROBLEMS_SHOWN);
    let mut lines: Vec<String> = shown
        .map(|problem| output::plain(&problem.to_string()).into_owned())
        .collect();
    match problems.len().saturating_sub(PROBLEMS_SHOWN) {
        0 => {}
        1 => lines.push("and 1 more problem".to_owned()),
        more => lines.push(format!("and {more} more problems")),
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_listed_up_to_a_limit() {
        let problem = Problem {
            place: "c.yaml:1:1".to_owned(),
            what: "is wrong".to_owned(),
            remedy: "mend it".to_owned(),
            position: None,
        };
        let lines = |count: usize| -> Vec<String> {
            let text = describe(&vec![problem.clone(); count]);
            text.lines().map(str::to_owned).collect()
        };
        assert_eq!(lines(1), ["c.yaml:1:1: is wrong; mend it"]);
        assert_eq!(lines(PROBLEMS_SHOWN).len(), PROBLEMS_SHOWN);
        let some = lines(PROBLEMS_SHOWN + 1);
        assert_eq!(some.last().map(String::as_str), Some("and 1 more problem"));
        let many = lines(5_000);
        assert_eq!(many.len(), PROBLEMS_SHOWN + 1);
        assert_eq!(many[0], "c.yaml:1:1: is wrong; mend it");
        assert_eq!(many[PROBLEMS_SHOWN], "and 4950 more problems");
    }
}
