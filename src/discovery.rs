//! Finds targets while the exporter runs: one task for each source of targets.
//!
//! A task sends the complete list of its source whenever it changes. It neither polls the servers of
//! the list nor decides which of them become targets: see [`merge`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

mod changes;
pub(crate) mod dns;
mod error;
mod file;
mod group;
pub(crate) mod groups;
mod http;
mod merge;
mod refused;
mod report;
mod requests;
mod shard;

pub use error::SourceError;
pub use merge::{Lists, Merged, SourceTally, WatchedTarget, merge};
pub use refused::RefusedServers;
pub use report::{Reporter, forget, show};

use crate::config::{Config, Endpoint, SourceKind, TargetSource};
use crate::publish::{Attributes, ClusterMember, SourceWake};
use crate::requested::Requested;
use crate::supervise::supervise;
use crate::telemetry::{PanickedTask, Telemetry};

/// Maximum number of lists that wait to be applied.
const WAITING_LISTS: usize = 64;

/// Everything that a source names at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The name of the source.
    pub source: String,
    /// Its servers.
    pub servers: Vec<ListedServer>,
    /// Entries that are not the address of a server, or that may not be polled.
    pub refused: RefusedServers,
}

/// A server that a source names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedServer {
    /// The name of the target, `<source>/<host:port>`.
    pub name: String,
    /// How to connect to it.
    pub endpoint: Endpoint,
    /// Labels of all its series. A list may have very many servers with the same ones.
    pub labels: Arc<[(String, String)]>,
    /// Its place in a cluster, if it has one.
    pub member: Option<ClusterMember>,
    /// Whether its keyspace is swept, if the settings enable that.
    pub is_swept: bool,
    /// Woken when it goes down, if its source wants to know.
    pub on_failure: Option<SourceWake>,
}

impl ListedServer {
    fn attributes(&self) -> Attributes {
        let attributes = Attributes::new(self.labels.to_vec(), self.member.clone());
        attributes.waking(self.on_failure.clone())
    }
}

impl Listing {
    /// Applies changed settings of its source.
    pub fn refresh(&mut self, before: &TargetSource, now: &TargetSource) {
        for server in &mut self.servers {
            let endpoint = &server.endpoint;
            let is_listed = before.template.endpoint.database.is_none();
            let database = endpoint.database.filter(|_| is_listed);
            server.endpoint = now.endpoint_at(endpoint.address.clone(), database);
        }
    }
}

/// The running tasks of all sources.
#[derive(Debug)]
pub struct Sources {
    running: Vec<RunningSource>,
    lists: mpsc::Sender<Listing>,
    requested: Requested,
    telemetry: Telemetry,
}

#[derive(Debug)]
struct RunningSource {
    source: Arc<TargetSource>,
    /// Whether it was read, successfully or not.
    is_read: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Drop for RunningSource {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sources {
    /// Returns no sources, and the receiver of the lists of those that will start.
    #[must_use]
    pub fn new(requested: Requested, telemetry: Telemetry) -> (Self, mpsc::Receiver<Listing>) {
        let (lists, receiver) = mpsc::channel(WAITING_LISTS);
        let sources = Self {
            running: Vec::new(),
            lists,
            requested,
            telemetry,
        };
        (sources, receiver)
    }

    /// Runs exactly these sources. Unchanged ones continue. Returns the sources that ended or changed.
    pub fn apply(&mut self, sources: &[TargetSource]) -> Vec<Arc<TargetSource>> {
        let before = std::mem::take(&mut self.running);
        let (mut kept, gone): (Vec<_>, Vec<_>) = before
            .into_iter()
            .partition(|old| sources.contains(&old.source));
        let gone: Vec<_> = gone
            .iter()
            .map(|old| {
                old.task.abort();
                Arc::clone(&old.source)
            })
            .collect();
        for source in &gone {
            forget(&self.telemetry, &source.name);
        }
        for source in sources {
            let same = kept.iter().position(|old| *old.source == *source);
            let running = match same {
                Some(at) => kept.swap_remove(at),
                None => self.start(Arc::new(source.clone())),
            };
            self.running.push(running);
        }
        gone
    }

    /// Returns for each source whether it was read, successfully or not.
    #[must_use]
    pub fn read_marks(&self) -> Vec<Arc<AtomicBool>> {
        let running = self.running.iter();
        running.map(|one| Arc::clone(&one.is_read)).collect()
    }

    /// Records that the lists of these sources have been applied.
    pub fn mark_read(&self, lists: &Lists) {
        for one in &self.running {
            if lists.contains_key(&one.source.name) {
                one.is_read.store(true, Ordering::Release);
            }
        }
    }

    fn start(&self, source: Arc<TargetSource>) -> RunningSource {
        let (started, lists) = (Arc::clone(&source), self.lists.clone());
        let is_read = Arc::new(AtomicBool::new(false));
        let failed = Arc::clone(&is_read);
        let (requested, telemetry) = (self.requested.clone(), self.telemetry.clone());
        let task = move |_: bool| {
            let reporter = Reporter::new(&started.name, lists.clone(), telemetry.clone());
            let reporter = reporter.marking(Arc::clone(&failed));
            run(Arc::clone(&started), requested.clone(), reporter)
        };
        let counted = self.telemetry.clone();
        let on_break = move || counted.count_panic(PanickedTask::Service("discovery"));
        let supervised = supervise(source.name.clone(), on_break, task);
        RunningSource {
            source,
            is_read,
            task: tokio::spawn(supervised).abort_handle(),
        }
    }
}

/// Reads one source again and again. Never returns.
async fn run(source: Arc<TargetSource>, requested: Requested, reporter: Reporter) {
    match &source.kind {
        SourceKind::File(path) => file::run(&source, path, reporter).await,
        SourceKind::Http(web) => http::run(&source, web, reporter).await,
        SourceKind::Dns(name) => dns::run(&source, name, reporter).await,
        SourceKind::Group(discover) => group::run(&source, discover, reporter).await,
        SourceKind::Requests(_) => requests::run(&source, &requested, reporter).await,
    }
}

/// Reads a source once.
async fn read_once(source: &TargetSource) -> Result<Listing, SourceError> {
    match &source.kind {
        SourceKind::File(path) => file::read_once(source, path).await,
        SourceKind::Http(web) => http::read(source, web).await,
        SourceKind::Dns(name) => dns::read(source, name).await,
        SourceKind::Group(discover) => group::read(source, discover).await,
        SourceKind::Requests(_) => Ok(requests::listing(source, Vec::new())),
    }
}

/// The targets of a configuration, and what its sources report, each with the name of the source.
#[derive(Debug)]
pub struct CurrentTargets {
    /// The targets.
    pub watched: Vec<WatchedTarget>,
    /// The errors of sources.
    pub problems: Vec<(String, SourceError)>,
    /// The refused entries of the sources that have some.
    pub refused: Vec<(String, RefusedServers)>,
}

/// Returns all targets of a configuration: those that it names, and those that its sources name now.
pub async fn targets_now(config: &Config) -> CurrentTargets {
    let (mut lists, mut problems) = (Lists::new(), Vec::new());
    for source in &config.sources {
        match read_once(source).await {
            Ok(list) => {
                lists.insert(source.name.clone(), list);
            }
            Err(error) => problems.push((source.name.clone(), error)),
        }
    }
    let Merged { targets, tallies } = merge(config, &lists);
    let refused = tallies
        .into_iter()
        .map(|(name, tally)| (name, tally.refused));
    CurrentTargets {
        watched: targets,
        problems,
        refused: refused.filter(|(_, refused)| refused.count() > 0).collect(),
    }
}

/// Waits until a source is read again. The times of many sources spread by themselves.
async fn pause(interval: Duration) {
    let jitter = interval.mul_f64(fastrand::f64() / 10.0);
    tokio::time::sleep(interval.saturating_sub(jitter).max(MIN_PAUSE)).await;
}

/// Minimum time between two reads of a source.
const MIN_PAUSE: Duration = Duration::from_millis(100);
