//! Wires the daemon: pollers, pages, HTTP server, signals, and reload.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::collector;
use crate::config::redis_exporter::{Notice, Severity};
use crate::config::{self, Arguments, Config, Problem, Target, Web};
use crate::fleet::{self, Fleet};
use crate::http::{self, ReloadRequest};
use crate::metric::Names;
use crate::output;
use crate::page;
use crate::poll;
use crate::publish::Board;
use crate::supervise::supervise;
use crate::telemetry::{Counter, Gauge, Telemetry};
use crate::threads::Lane;

const SERVICE_PANICS: Counter<1> = Counter::named("redis_exporter_service_panics_total");
const RELOADED: Gauge<0> = Gauge::named("redis_exporter_config_last_reload_successful");
const RELOADED_AT: Gauge<0> =
    Gauge::named("redis_exporter_config_last_reload_success_timestamp_seconds");

/// Maximum time from the first signal to the end of the process, even if tasks hang.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// Timeout for reading the files of a reload.
const RELOAD_MAX: Duration = Duration::from_secs(30);

/// Requests for a reload that may wait. One reload answers all of them.
const RELOADS_WAITING: usize = 64;

/// Reads the files of a reload.
static FILES: Lane = Lane::new("reload", 1);

/// Runs until a signal ends it.
///
/// # Errors
///
/// The daemon could not start: one sentence with the place and the remedy.
pub async fn run(config: Config, arguments: Arguments) -> Result<(), String> {
    // Before anything listens: it must not serve without its certificate.
    let gate = http::Gate::new(&config.web)?;
    let listener = http::bind(config.listen).await.map_err(|error| {
        format!(
            "cannot listen on {}: {error}; end what uses the port or set --web.listen-address",
            config.listen
        )
    })?;
    let telemetry = Telemetry::new(config.process_metrics).map_err(|error| error.to_string())?;
    let signals = Signals::new().map_err(|error| format!("cannot wait for signals: {error}"))?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        address = %config.listen,
        targets = config.targets.len(),
        "serving"
    );
    log_pace(&config.targets);
    warn_of_unverified(&config);
    let board = Board::default();
    let (names_sender, names) = watch::channel(config.names.clone());
    let paths = config.paths.clone();
    let mut fleet = Fleet::new(board.clone(), telemetry.clone());
    fleet.apply(config.targets.clone(), &config.namespaces);
    note_load(&telemetry, true);
    let pages = start_pages(&board, &telemetry, names);
    let (reload, requests) = mpsc::channel(RELOADS_WAITING);
    let reloader = Reloader {
        board: board.clone(),
        arguments,
        config,
        fleet,
        telemetry: telemetry.clone(),
        names: names_sender,
        gate: gate.clone(),
    };
    let reloads = start_reloads(reloader, requests);
    let watches = watch_pollers(&board, &telemetry);
    let follows = follow_files(&gate, &telemetry);
    let services = http::Services {
        board,
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
    info!("ended");
    served
}

/// Serves on a thread of its own until `shutdown` is done: no scrape waits while replies are decoded
/// or read.
async fn serve_aside(
    listener: TcpListener,
    services: http::Services,
    shutdown: impl Future<Output = ()>,
) -> Result<(), String> {
    let fail = |error: io::Error| format!("cannot serve: {error}");
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
        // The resolver of a name or a file on a dead mount may hold a thread.
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
    let broken = |_| "serving broke off; this is a defect".to_owned();
    served.map_err(broken)?.map_err(fail)
}

/// Writes pages forever. If that panics, no page is served rather than an old one.
fn start_pages(
    board: &Board,
    telemetry: &Telemetry,
    names: watch::Receiver<Names>,
) -> JoinHandle<()> {
    let (emptied, counted) = (board.clone(), telemetry.clone());
    let on_break = move || {
        counted.count(SERVICE_PANICS, ["pages"]);
        emptied.clear_pages();
    };
    let (board, telemetry) = (board.clone(), telemetry.clone());
    let task = move |_: bool| page::run(board.clone(), telemetry.clone(), names.clone());
    tokio::spawn(supervise("pages".to_owned(), on_break, task))
}

/// Applies changed certificates and passwords of the HTTP server.
fn follow_files(gate: &http::Gate, telemetry: &Telemetry) -> JoinHandle<()> {
    let (gate, counted) = (gate.clone(), telemetry.clone());
    let on_break = move || counted.count(SERVICE_PANICS, ["files"]);
    let task = move |_: bool| gate.clone().follow();
    tokio::spawn(supervise("files".to_owned(), on_break, task))
}

/// Publishes failures for pollers that no longer publish.
fn watch_pollers(board: &Board, telemetry: &Telemetry) -> JoinHandle<()> {
    let (board, counted) = (board.clone(), telemetry.clone());
    let on_break = move || counted.count(SERVICE_PANICS, ["watch"]);
    let task = move |_: bool| fleet::watch(board.clone());
    tokio::spawn(supervise("watch".to_owned(), on_break, task))
}

/// Reloads on request. A reload that panics leaves the targets unchanged.
fn start_reloads(reloader: Reloader, requests: mpsc::Receiver<ReloadRequest>) -> JoinHandle<()> {
    let counted = reloader.telemetry.clone();
    let on_break = move || counted.count(SERVICE_PANICS, ["reloads"]);
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

/// Logs how often targets are polled: one line for each way of deciding it.
fn log_pace(targets: &[Target]) {
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
    let unverified: Vec<_> = config.targets.iter().filter(is_unverified).collect();
    if let Some(first) = unverified.first() {
        warn!(
            first = first.name,
            count = unverified.len(),
            "certificates of targets are not verified (tls.insecure_skip_verify): anyone between \
             could read their passwords"
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

    /// Completes at the first SIGTERM or SIGINT. A second one, or the timeout, ends the process at
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
        info!("ending: open requests are finished; a second signal ends at once");
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

/// Reads the configuration on request. Only this task changes the fleet.
struct Reloader {
    board: Board,
    arguments: Arguments,
    config: Config,
    fleet: Fleet,
    telemetry: Telemetry,
    names: watch::Sender<Names>,
    gate: http::Gate,
}

impl Reloader {
    async fn run(&mut self, requests: &mut mpsc::Receiver<ReloadRequest>) {
        while let Some(first) = requests.recv().await {
            // One reload answers all that wait: the files are read after they were asked for.
            let mut waiting = vec![first];
            while let Ok(next) = requests.try_recv() {
                waiting.push(next);
            }
            let result = self.reload().await;
            note_load(&self.telemetry, result.is_ok());
            match &result {
                Ok(summary) => info!(summary, "the configuration was loaded"),
                Err(problems) => error!(problems, "the configuration stays as it was"),
            }
            for reply in waiting {
                // Nobody waits for the reply to a signal.
                let _ = reply.send(result.clone());
            }
        }
    }

    /// Starts tasks that a panicked reload may have left ended.
    fn restore(&mut self) {
        let Config {
            targets,
            namespaces,
            ..
        } = &self.config;
        self.fleet.apply(targets.clone(), namespaces);
        note_load(&self.telemetry, false);
    }

    async fn reload(&mut self) -> Result<String, String> {
        let arguments = self.arguments.clone();
        let config = aside(move || load_again(&arguments)).await?;
        refuse_losses(&self.config, &config)?;
        let (gate, web) = (self.gate.clone(), config.web.clone());
        // Takes effect only if it is built in time: a failed reload must not change anything later.
        let rules = aside(move || gate.prepare(&web)).await?;
        self.gate.apply(rules);
        let is_new = |notice: &&Notice| !self.config.notices.contains(notice);
        config.notices.iter().filter(is_new).for_each(log_notice);
        warn_of_unverified(&config);
        self.names.send_replace(config.names.clone());
        let change = self.fleet.apply(config.targets.clone(), &config.namespaces);
        self.board.mark_stale();
        let mut summary = format!(
            "targets: {} started, {} ended, {} kept",
            change.started, change.ended, change.kept
        );
        let changed = changed_at_start_only(&config, &self.config);
        if !changed.is_empty() {
            summary.push_str("; at the next start only: ");
            summary.push_str(&changed.join(", "));
        }
        self.config = Config {
            listen: self.config.listen,
            log: self.config.log,
            paths: self.config.paths.clone(),
            process_metrics: self.config.process_metrics,
            ..config
        };
        Ok(summary)
    }
}

/// Records whether loading the configuration succeeded.
fn note_load(telemetry: &Telemetry, is_good: bool) {
    telemetry.set(RELOADED, [], f64::from(is_good));
    if is_good {
        telemetry.set(RELOADED_AT, [], poll::now().floor());
    }
}

fn load_again(arguments: &Arguments) -> Result<Config, String> {
    let (environment, names) = (|name: &str| std::env::var(name).ok(), collector::names());
    config::load_settled(arguments, &environment, &names).map_err(|problems| describe(&problems))
}

/// Reads files on a thread that nothing else waits for, because the mount may hang.
async fn aside<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    match tokio::time::timeout(RELOAD_MAX, FILES.run(read)).await {
        Ok(Ok(read)) => read,
        Ok(Err(lost)) => Err(format!("the configuration cannot be read: {lost:?}")),
        Err(_) => Err("the files of the configuration cannot be read in time".to_owned()),
    }
}

/// Rejects a file that has lost settings nobody removes by mistake, such as an empty or truncated
/// file.
fn refuse_losses(old: &Config, new: &Config) -> Result<(), String> {
    let (was, is) = (old.file, new.file);
    let losses = [
        (was.has_content && !is.has_content, "is empty"),
        (was.has_targets && !is.has_targets, "has no `targets`"),
        (
            old.web.basic_auth.is_some() && new.web.basic_auth.is_none(),
            "has no `web.basic_auth`",
        ),
        (
            old.web.tls.is_some() && new.web.tls.is_none(),
            "has no `web.tls`",
        ),
        (
            demands_certificates(&old.web) && !demands_certificates(&new.web),
            "has no `web.tls.client_ca_file`",
        ),
        (
            old.web.reload == Some(false) && new.web.reload.is_none(),
            "has no `web.reload`",
        ),
    ];
    let lost = losses.into_iter().filter(|(is_lost, _)| *is_lost);
    let lost: Vec<_> = lost.map(|(_, loss)| loss).collect();
    if lost.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the file {}, unlike before, as if it were cut; restart the exporter if this is meant",
        lost.join(" and ")
    ))
}

fn demands_certificates(web: &Web) -> bool {
    let tls = web.tls.as_ref();
    tls.is_some_and(|tls| tls.client_ca_file.is_some())
}

/// Returns the changed keys that take effect at the next start.
fn changed_at_start_only(new: &Config, old: &Config) -> Vec<&'static str> {
    let changes = [
        ("listen", new.listen != old.listen),
        ("log", new.log != old.log),
        ("telemetry_path", new.paths.telemetry != old.paths.telemetry),
        (
            "scrape_endpoint",
            new.paths.has_scrape != old.paths.has_scrape,
        ),
        (
            "process_metrics",
            new.process_metrics != old.process_metrics,
        ),
    ];
    let different = changes.into_iter().filter(|(_, changed)| *changed);
    different.map(|(key, _)| key).collect()
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

/// Returns all problems of a configuration, one per line.
#[must_use]
pub fn describe(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| output::plain(&problem.to_string()).into_owned())
        .collect::<Vec<_>>()
        .join("\n")
}
