//! The settings while they are read.
//!
//! Rows set the defaults first, then the values from the file, variables and flags, and finally
//! those in the map of each target. Settings that depend on each other are validated elsewhere.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tracing::Level;

use super::discover::WrittenDiscover;
use super::problem::Invalid;
use super::row::{SOURCES, Set, TARGETS};
use super::rows::ROWS;
use super::scrape::WrittenScrape;
use super::shard::WrittenShard;
use super::target_source::WrittenSource;
use super::url::Url;
use super::web::WrittenWeb;
use super::{
    Canary, ChannelGroup, ChannelName, ClientGroup, ClientMatch, CollectorChoice, CollectorOptions,
    Credential, HostPattern, Keys, Log, LogFormat, Namespace, OnEviction, Paths, Pattern,
    PollTimes, Script, Sweep, Tls, TtlPolicy,
};
use crate::metric::Names;

/// All settings while they are read.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) top: Top,
    /// The settings of each target that does not override them.
    pub(crate) each: Each,
    /// The target that is being read.
    pub(crate) one: One,
    /// The source of targets that is being read.
    pub(crate) source: WrittenSource,
    /// The item of another list that is being read.
    pub(crate) item: Item,
}

/// Settings that only the top level has.
#[derive(Clone, Debug)]
pub(crate) struct Top {
    pub(crate) listen: SocketAddr,
    pub(crate) log: Log,
    pub(crate) names: Names,
    /// Whether samples have the label `target`, if that is set.
    pub(crate) target_label: Option<bool>,
    pub(crate) paths: Paths,
    pub(crate) process_metrics: bool,
    pub(crate) namespaces: Vec<Namespace>,
    pub(crate) channels: Vec<ChannelGroup>,
    pub(crate) max_targets: u32,
    pub(crate) shard: Option<WrittenShard>,
    pub(crate) credentials: Vec<Credential>,
    pub(crate) scrape: WrittenScrape,
    pub(crate) web: WrittenWeb,
}

/// Settings that the top level and each target have.
#[derive(Clone, Debug)]
pub(crate) struct Each {
    pub(crate) poll: PollTimes,
    /// The timeout that this level sets.
    pub(crate) timeout: Option<Duration>,
    pub(crate) sweep: Sweep,
    pub(crate) canary: Canary,
    /// Notes on ignored parts of the URL in `sweep.from`.
    pub(crate) origin_notes: Vec<String>,
    pub(crate) keys: Keys,
    pub(crate) tls: Tls,
    /// The certificate files that this level sets.
    pub(crate) tls_files: TlsFiles,
    pub(crate) collectors: CollectorChoice,
    pub(crate) set_client_name: bool,
    /// The client groups that this level declares.
    pub(crate) client_groups: Vec<ClientGroup>,
    /// Options of collectors, shared by the targets that do not override them.
    pub(crate) options: Arc<CollectorOptions>,
}

/// Certificate files that one level sets.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsFiles {
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

impl TlsFiles {
    /// Returns whether there is neither a certificate nor a key.
    pub(crate) const fn is_without_pair(&self) -> bool {
        self.certificate.is_none() && self.key.is_none()
    }
}

/// Settings that only a target has.
#[derive(Clone, Debug, Default)]
pub(crate) struct One {
    pub(crate) name: Option<String>,
    pub(crate) url: Option<Url>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) database: Option<u32>,
    pub(crate) memory_limit: Option<u64>,
    pub(crate) expect_full: bool,
    pub(crate) discover: WrittenDiscover,
}

/// Settings of an item of a list other than `targets`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Item {
    pub(crate) name: Option<String>,
    pub(crate) glob: Option<Pattern>,
    pub(crate) regex: Option<Pattern>,
    pub(crate) database: Option<u32>,
    pub(crate) ttl: TtlPolicy,
    pub(crate) memory_quota: Option<u64>,
    pub(crate) on_eviction: Option<OnEviction>,
    pub(crate) expect_subscribers: Vec<ChannelName>,
    pub(crate) clients: ClientMatch,
    pub(crate) pool_max: Option<u32>,
    pub(crate) script: Option<Script>,
    pub(crate) read_only: bool,
    pub(crate) hosts: Vec<HostPattern>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
}

impl Draft {
    /// Creates a draft with the defaults of all rows.
    pub(crate) fn new() -> Self {
        let mut draft = Self {
            top: Top {
                listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
                log: Log {
                    level: Level::INFO,
                    format: LogFormat::Text,
                },
                names: Names::default(),
                target_label: None,
                paths: Paths {
                    telemetry: String::new(),
                    has_scrape: false,
                },
                process_metrics: false,
                namespaces: Vec::new(),
                channels: Vec::new(),
                max_targets: 0,
                shard: None,
                credentials: Vec::new(),
                scrape: WrittenScrape::default(),
                web: WrittenWeb::default(),
            },
            each: Each {
                poll: PollTimes::BLANK,
                timeout: None,
                sweep: Sweep::BLANK,
                canary: Canary::BLANK,
                origin_notes: Vec::new(),
                keys: Keys::BLANK,
                tls: Tls::default(),
                tls_files: TlsFiles::default(),
                collectors: CollectorChoice::default(),
                set_client_name: false,
                client_groups: Vec::new(),
                options: Arc::new(CollectorOptions::blank()),
            },
            one: One::default(),
            source: WrittenSource::default(),
            item: Item::default(),
        };
        draft.set_defaults("");
        draft.each.poll.timeout = draft.each.timeout.take().unwrap_or_default();
        // An unset `web.reload` is not the same as true.
        draft.top.web.reload = None;
        draft
    }

    /// Resets the settings of the previous item of a level.
    pub(crate) fn start(&mut self, level: &'static str) {
        match level {
            "" => return,
            TARGETS | SOURCES => {
                self.one = One::default();
                self.source = WrittenSource::default();
                self.each.tls_files = TlsFiles::default();
            }
            _ => self.item = Item::default(),
        }
        self.set_defaults(level);
    }

    fn set_defaults(&mut self, level: &str) {
        for row in ROWS {
            let key = row
                .key
                .strip_prefix(level)
                .filter(|key| !key.contains("[]"));
            if let (Some(_), Set::Value(set), false) = (key, row.set, row.default.is_empty()) {
                // A test ensures that every default is valid.
                let _ = set(self, row.default);
            }
        }
    }

    /// Returns the options of collectors, to be changed for this level only.
    pub(crate) fn options(&mut self) -> &mut CollectorOptions {
        Arc::make_mut(&mut self.each.options)
    }
}

/// Sets a value if it is valid.
pub(crate) fn put<T>(slot: &mut T, value: Result<T, Invalid>) -> Result<(), Invalid> {
    value.map(|value| *slot = value)
}

/// Sets an optional value if it is valid.
pub(crate) fn give<T>(slot: &mut Option<T>, value: Result<T, Invalid>) -> Result<(), Invalid> {
    value.map(|value| *slot = Some(value))
}

/// Sets a text. An empty text is absent, so that a variable in it may be unset.
#[expect(clippy::unnecessary_wraps, reason = "one of the setters of rows")]
pub(crate) fn give_text<T: for<'a> From<&'a str>>(
    slot: &mut Option<T>,
    text: &str,
) -> Result<(), Invalid> {
    if !text.is_empty() {
        *slot = Some(T::from(text));
    }
    Ok(())
}
