//! Access rules for clients: TLS and a password.
//!
//! They are built from the configuration and rebuilt when one of its files changes. Connections and
//! requests always use the current rules.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use super::access::{Access, NoRandomNumbers};
use crate::bounded_file;
use crate::config::{BasicAuth, PASSWORD_FILE_MAX, Web, WebPassword, WebTls, trimmed};
use crate::threads::Lane;
use crate::tls::{self, Stamp, TlsError};

/// Reads the files of `web`, which may be on a mount that hangs.
static FILES: Lane = Lane::new("web files", 1);

/// Interval between checks for changed files.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// An error in the settings of `web`.
#[derive(Clone, Debug, Error)]
pub enum GateError {
    /// The certificate, its key, or the authorities of clients cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The password file cannot be read.
    #[error("password file {}: {what}", path.display())]
    PasswordFile {
        /// Its path.
        path: PathBuf,
        /// The problem with the file.
        what: String,
    },
    /// The password file is empty.
    #[error("password file {} is empty", .0.display())]
    EmptyPasswordFile(PathBuf),
    /// Passwords cannot be compared.
    #[error(transparent)]
    Access(#[from] NoRandomNumbers),
}

/// The current access rules. Clones share them.
#[derive(Clone)]
pub struct Gate(Arc<ArcSwap<AccessRules>>);

/// Rules that are ready to be applied.
pub struct Prepared(AccessRules);

#[derive(Clone, Default)]
struct AccessRules {
    web: Web,
    /// State of the files when they were last read, successfully or not.
    stamp: Stamp,
    acceptor: Option<TlsAcceptor>,
    access: Option<Arc<Access>>,
}

impl Gate {
    /// Builds the rules of these settings. Blocks to read files.
    ///
    /// # Errors
    ///
    /// A file is invalid. The message contains its path.
    pub fn new(web: &Web) -> Result<Self, GateError> {
        let rules = build(web, &AccessRules::default())?;
        Ok(Self(Arc::new(ArcSwap::from_pointee(rules))))
    }

    /// Builds the rules of other settings without applying them. Blocks to read files.
    ///
    /// # Errors
    ///
    /// A file is invalid.
    pub fn prepare(&self, web: &Web) -> Result<Prepared, GateError> {
        let before = self.0.load_full();
        build(web, &before).map(Prepared)
    }

    /// Applies prepared rules. Open connections are kept.
    pub fn apply(&self, prepared: Prepared) {
        self.0.store(Arc::new(prepared.0));
    }

    /// Checks for changed files forever. If they are invalid, the previous rules stay in effect.
    pub async fn follow(self) {
        loop {
            sleep(CHECK_INTERVAL).await;
            let before = self.0.load_full();
            if before.web.files().next().is_none() {
                continue;
            }
            let checked = FILES.run(move || check_files(&before)).await;
            let Ok(Some((web, stamp, built))) = checked else {
                continue;
            };
            self.0.rcu(|rules| match &built {
                // A reload in between has read newer files.
                _ if rules.web != web => Arc::clone(rules),
                Ok(built) => Arc::new(built.clone()),
                Err(_) => Arc::new(AccessRules {
                    stamp: stamp.clone(),
                    ..AccessRules::clone(rules)
                }),
            });
        }
    }

    /// Returns the TLS acceptor, or `None` without TLS.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.0.load().acceptor.clone()
    }

    /// Returns the configured address at which Prometheus reaches the exporter.
    pub(super) fn external_address(&self) -> Option<String> {
        self.0.load().web.external_address.clone()
    }

    /// Returns whether reloads over HTTP are disabled.
    pub(super) fn rejects_reload(&self) -> bool {
        self.0.load().web.reload == Some(false)
    }

    /// Returns the expected credentials, or `None` if there are none.
    pub(super) fn access(&self) -> Option<Arc<Access>> {
        self.0.load().access.clone()
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Gate")
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Prepared")
    }
}

type CheckedFiles = (Web, Stamp, Result<AccessRules, GateError>);

/// Rebuilds the rules if the files have changed, and logs the result. Returns `None` if they have
/// not.
fn check_files(before: &AccessRules) -> Option<CheckedFiles> {
    let stamp = Stamp::of(before.web.files());
    if stamp == before.stamp {
        return None;
    }
    let built = build(&before.web, before);
    match &built {
        Ok(_) => info!("applied the changed files of `web`"),
        Err(problem) => {
            let problem = problem.to_string();
            warn!(
                problem,
                "the changed files of `web` are invalid; the previous ones stay in effect"
            );
        }
    }
    Some((before.web.clone(), stamp, built))
}

fn build(web: &Web, before: &AccessRules) -> Result<AccessRules, GateError> {
    // Taken before reading, so that the next check sees a change in between.
    let stamp = Stamp::of(web.files());
    let acceptor = web.tls.as_ref().map(acceptor).transpose()?;
    let access = match &web.basic_auth {
        None => None,
        // Keeps the accepted credentials, so that they are not hashed again.
        Some(auth) if is_the_same(auth, &before.web) => before.access.clone(),
        Some(auth) => Some(Arc::new(access(auth)?)),
    };
    Ok(AccessRules {
        web: web.clone(),
        stamp,
        acceptor,
        access,
    })
}

fn is_the_same(auth: &BasicAuth, before: &Web) -> bool {
    let is_file = matches!(auth.password, WebPassword::File(_));
    !is_file && before.basic_auth.as_ref() == Some(auth)
}

fn acceptor(web: &WebTls) -> Result<TlsAcceptor, GateError> {
    let identity = tls::identity(&web.identity.cert_file, &web.identity.key_file);
    let authorities = web.client_ca_file.as_deref().map(|path| {
        let authorities = tls::client_authorities(path);
        authorities.map_err(|fault| fault.of(path))
    });
    let config = tls::server(identity?, authorities.transpose()?, web.min_version)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn access(auth: &BasicAuth) -> Result<Access, GateError> {
    match &auth.password {
        WebPassword::Given(password) => Ok(Access::known(&auth.username, password.expose())?),
        WebPassword::Hash(hash) => Ok(Access::hashed(&auth.username, hash)?),
        WebPassword::File(path) => {
            let text = bounded_file::read_text(path, PASSWORD_FILE_MAX);
            let text = text.map_err(|unread| GateError::PasswordFile {
                path: path.clone(),
                what: unread.what,
            })?;
            let password = trimmed(&text);
            if password.is_empty() {
                return Err(GateError::EmptyPasswordFile(path.clone()));
            }
            Ok(Access::known(&auth.username, password)?)
        }
    }
}
