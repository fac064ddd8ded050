//! Reads the configuration again on request, and applies it and the lists of the sources.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::sync::mpsc;
use tracing::{error, info};

use super::{describe, log_notice, warn_of_unverified};
use crate::clock;
use crate::collector;
use crate::config::redis_exporter::Notice;
use crate::config::{self, Arguments, Config, Problem, Web};
use crate::discovery::{self, Listing, Lists, SourceTally, Sources};
use crate::fleet::{Change, Fleet};
use crate::http::{self, ReloadRequest, ReloadResult};
use crate::metric::Names;
use crate::publish::Board;
use crate::requested::Requested;
use crate::telemetry::{Gauge, Telemetry};
use crate::threads::{Lane, Lost};

const RELOADED: Gauge<0> = Gauge::named("redis_exporter_config_last_reload_successful");
const RELOADED_AT: Gauge<0> =
    Gauge::named("redis_exporter_config_last_reload_success_timestamp_seconds");

/// Timeout for reading the files of a reload.
const RELOAD_MAX: Duration = Duration::from_secs(30);

/// The thread that reads the files of a reload.
static FILES: Lane = Lane::new("reload", 1);

/// The reason why a reload changed nothing.
#[derive(Debug, Error)]
pub(super) enum ReloadError {
    /// All problems of the configuration.
    #[error("{}", describe(.0))]
    Invalid(Vec<Problem>),
    /// The file lost settings that nobody removes by mistake.
    #[error(
        "the file {}, unlike before; it may be truncated; restart the exporter if this is intended",
        .0.join(" and ")
    )]
    Losses(Vec<&'static str>),
    #[error(transparent)]
    Gate(#[from] http::GateError),
    /// Reading panicked, or no thread could be started.
    #[error("the configuration cannot be read: {0:?}")]
    Lost(Lost),
    #[error("timed out while reading the configuration files")]
    Late,
}

/// Reads the configuration on request. No other task changes the fleet.
pub(super) struct Reloader {
    pub(super) board: Board,
    pub(super) arguments: Arguments,
    pub(super) config: Config,
    pub(super) fleet: Fleet,
    pub(super) telemetry: Telemetry,
    pub(super) names: Arc<ArcSwap<Names>>,
    pub(super) gate: http::Gate,
    pub(super) discovered: Discovered,
}

/// The sources of targets, and what they have named so far.
pub(super) struct Discovered {
    sources: Sources,
    requested: Requested,
    receiver: mpsc::Receiver<Listing>,
    lists: Lists,
    tallies: BTreeMap<String, SourceTally>,
}

impl Discovered {
    pub(super) fn new(requested: Requested, telemetry: Telemetry) -> Self {
        let (sources, receiver) = Sources::new(requested.clone(), telemetry);
        Self {
            sources,
            requested,
            receiver,
            lists: Lists::new(),
            tallies: BTreeMap::new(),
        }
    }

    /// Waits for the next list, and takes all that are waiting.
    async fn next(&mut self) {
        // This holds a sender, so there always is a next one.
        if let Some(list) = self.receiver.recv().await {
            self.lists.insert(list.source.clone(), list);
            self.take_waiting();
        }
    }

    fn take_waiting(&mut self) {
        while let Ok(list) = self.receiver.try_recv() {
            self.lists.insert(list.source.clone(), list);
        }
    }

    /// Runs the sources of a configuration. Lists of sources that read the same stay in effect.
    fn apply(&mut self, config: &Config, board: &Board) {
        self.requested.configure(config);
        // Lists of the sources that end now must not be taken for those of their successors.
        self.take_waiting();
        for before in self.sources.apply(&config.sources) {
            let mut same = config.sources.iter();
            let same = same.find(|source| source.continues(&before));
            // Until the changed source is read, its servers stay, with the new settings.
            if let (Some(now), Some(list)) = (same, self.lists.get_mut(&before.name)) {
                list.refresh(&before, now);
                continue;
            }
            self.lists.remove(&before.name);
            self.tallies.remove(&before.name);
        }
        board.await_sources(self.sources.read_marks());
    }
}

impl Reloader {
    pub(super) async fn run(&mut self, requests: &mut mpsc::Receiver<ReloadRequest>) {
        loop {
            let request = tokio::select! {
                biased;
                request = requests.recv() => request,
                () = self.discovered.next() => {
                    self.apply_lists();
                    continue;
                }
            };
            let Some(first) = request else { return };
            // One reload completes all pending requests, because it reads the files after they
            // arrived.
            let mut waiting = vec![first];
            while let Ok(next) = requests.try_recv() {
                waiting.push(next);
            }
            let result = self.reload().await;
            record_load(&self.telemetry, result.is_ok());
            let result = match result {
                Ok(summary) => {
                    info!(summary, "the configuration was loaded");
                    ReloadResult::Applied(summary)
                }
                Err(problems) => {
                    let problems = problems.to_string();
                    error!(
                        problems,
                        "the reload failed; the previous configuration stays in effect"
                    );
                    ReloadResult::Rejected(problems)
                }
            };
            for reply in waiting {
                // A reload by signal has no receiver.
                let _ = reply.send(result.clone());
            }
        }
    }

    /// Restarts tasks that a panicked reload may have stopped.
    pub(super) fn restore(&mut self) {
        self.start();
        record_load(&self.telemetry, false);
    }

    /// Starts the sources and the targets of the configuration.
    pub(super) fn start(&mut self) {
        self.discovered.apply(&self.config, &self.board);
        self.apply_targets();
    }

    fn apply_lists(&mut self) {
        let Change {
            started,
            ended,
            kept,
        } = self.apply_targets();
        if started + ended > 0 {
            info!(started, ended, kept, "the targets of the sources changed");
        }
    }

    /// Polls the targets of the configuration and of the sources.
    fn apply_targets(&mut self) -> Change {
        let Discovered { lists, tallies, .. } = &mut self.discovered;
        let merged = discovery::merge(&self.config, lists);
        for (source, tally) in merged.tallies {
            let before = tallies.get(&source);
            discovery::show(&self.telemetry, &source, &tally, before);
            tallies.insert(source, tally);
        }
        let change = self.fleet.apply(merged.targets, &self.config.namespaces);
        let Discovered { sources, lists, .. } = &self.discovered;
        sources.mark_read(lists);
        change
    }

    async fn reload(&mut self) -> Result<String, ReloadError> {
        let arguments = self.arguments.clone();
        let config = aside(move || load_again(&arguments)).await?;
        refuse_losses(&self.config, &config)?;
        let (gate, web) = (self.gate.clone(), config.web.clone());
        // Takes effect only if built in time: a failed reload must not change anything later.
        let rules = aside(move || Ok(gate.prepare(&web)?)).await?;
        self.gate.apply(rules);
        self.board.keep_history(config.web.history);
        let is_new = |notice: &&Notice| !self.config.notices.contains(notice);
        config.notices.iter().filter(is_new).for_each(log_notice);
        warn_of_unverified(&config);
        self.names.store(Arc::new(config.names.clone()));
        let changed = changed_at_start_only(&config, &self.config);
        self.config = Config {
            listen: self.config.listen,
            log: self.config.log,
            paths: self.config.paths.clone(),
            process_metrics: self.config.process_metrics,
            ..config
        };
        self.discovered.apply(&self.config, &self.board);
        let change = self.apply_targets();
        self.board.mark_stale();
        let mut summary = format!(
            "targets: {} started, {} ended, {} kept",
            change.started, change.ended, change.kept
        );
        if !changed.is_empty() {
            summary.push_str("; at the next start only: ");
            summary.push_str(&changed.join(", "));
        }
        Ok(summary)
    }
}

/// Records whether loading the configuration succeeded.
pub(super) fn record_load(telemetry: &Telemetry, is_good: bool) {
    telemetry.set(RELOADED, [], f64::from(is_good));
    if is_good {
        telemetry.set(RELOADED_AT, [], clock::now().floor());
    }
}

fn load_again(arguments: &Arguments) -> Result<Config, ReloadError> {
    let (environment, names) = (|name: &str| std::env::var(name).ok(), collector::names());
    config::load_settled(arguments, &environment, &names).map_err(ReloadError::Invalid)
}

/// Reads files on a separate thread, because the mount may hang.
async fn aside<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ReloadError> + Send + 'static,
) -> Result<T, ReloadError> {
    match tokio::time::timeout(RELOAD_MAX, FILES.run(read)).await {
        Ok(Ok(read)) => read,
        Ok(Err(lost)) => Err(ReloadError::Lost(lost)),
        Err(_) => Err(ReloadError::Late),
    }
}

/// Rejects a file that lost settings nobody removes by mistake, such as an empty or truncated file.
fn refuse_losses(old: &Config, new: &Config) -> Result<(), ReloadError> {
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
    Err(ReloadError::Losses(lost))
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

#[cfg(test)]
mod tests;
