//! What clients must pass: TLS, a password. Built from the configuration, and again when one of
//! its files changes; connections and requests look at what holds now.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use super::access::Access;
use crate::config::{BasicAuth, Web, WebPassword, WebTls, trimmed};
use crate::threads::Lane;
use crate::tls::{self, Stamp};

/// The files of `web`, which may be on a mount that hangs.
static FILES: Lane = Lane::new("web files", 1);

/// A changed file is in force within this time.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What clients must pass. Clones are the same gate.
#[derive(Clone)]
pub struct Gate(Arc<watch::Sender<Rules>>);

/// Settings that may hold next.
pub struct Prepared(Rules);

#[derive(Clone, Default)]
struct Rules {
    web: Web,
    /// The files as they were when they were read last, with or without success.
    stamp: Stamp,
    acceptor: Option<TlsAcceptor>,
    access: Option<Arc<Access>>,
}

impl Gate {
    /// A gate for these settings. Reads files: it blocks.
    ///
    /// # Errors
    ///
    /// A file is no good: the whole sentence, with its path.
    pub fn new(web: &Web) -> Result<Self, String> {
        let rules = build(web, &Rules::default())?;
        Ok(Self(Arc::new(watch::Sender::new(rules))))
    }

    /// Makes ready for other settings, and changes nothing yet. Reads files: it blocks.
    ///
    /// # Errors
    ///
    /// A file cannot be used.
    pub fn prepare(&self, web: &Web) -> Result<Prepared, String> {
        let before = self.0.borrow().clone();
        build(web, &before).map(Prepared)
    }

    /// Holds to the other settings from now on. Connections that are open stay.
    pub fn apply(&self, prepared: Prepared) {
        self.0.send_replace(prepared.0);
    }

    /// Looks for changed files for ever. While they are no good, what was read before holds.
    pub async fn follow(self) {
        loop {
            sleep(LOOK_EVERY).await;
            let before = self.0.borrow().clone();
            if before.web.files().next().is_none() {
                continue;
            }
            let looked = FILES.run(move || look(&before)).await;
            let Ok(Some((web, stamp, built))) = looked else {
                continue;
            };
            self.0.send_if_modified(|rules| {
                // A reload that came in between has read newer ones.
                if rules.web != web {
                    return false;
                }
                match built {
                    Ok(built) => *rules = built,
                    Err(_) => rules.stamp = stamp,
                }
                true
            });
        }
    }

    /// How TLS is spoken, where it is.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.0.borrow().acceptor.clone()
    }

    /// Whether nobody may ask for a reload over HTTP.
    pub(super) fn refuses_reload(&self) -> bool {
        self.0.borrow().web.reload == Some(false)
    }

    /// The credentials that are asked for, where they are.
    pub(super) fn access(&self) -> Option<Arc<Access>> {
        self.0.borrow().access.clone()
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

type Looked = (Web, Stamp, Result<Rules, String>);

/// What the files say now; nothing where they did not change. Says in the log how it went.
fn look(before: &Rules) -> Option<Looked> {
    let stamp = Stamp::of(before.web.files());
    if stamp == before.stamp {
        return None;
    }
    let built = build(&before.web, before);
    match &built {
        Ok(_) => info!("the changed files of `web` are in force"),
        Err(problem) => warn!(
            problem,
            "the changed files of `web` are no good, so the old ones hold"
        ),
    }
    Some((before.web.clone(), stamp, built))
}

fn build(web: &Web, before: &Rules) -> Result<Rules, String> {
    // Before reading: a change in between is then seen at the next look.
    let stamp = Stamp::of(web.files());
    let acceptor = web.tls.as_ref().map(acceptor).transpose()?;
    let access = match &web.basic_auth {
        None => None,
        // What it has admitted so far need not be hashed again.
        Some(auth) if is_the_same(auth, &before.web) => before.access.clone(),
        Some(auth) => Some(Arc::new(access(auth)?)),
    };
    Ok(Rules {
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

fn acceptor(web: &WebTls) -> Result<TlsAcceptor, String> {
    let identity = tls::identity(&web.identity.cert_file, &web.identity.key_file)?;
    let authorities = web.client_ca_file.as_deref().map(|path| {
        let authorities = tls::client_authorities(path);
        authorities.map_err(|fault| fault.of(path))
    });
    let config = tls::server(identity, authorities.transpose()?, web.min_version)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn access(auth: &BasicAuth) -> Result<Access, String> {
    match &auth.password {
        WebPassword::Given(password) => Access::known(&auth.username, password.expose()),
        WebPassword::Hash(hash) => Access::hashed(&auth.username, hash),
        WebPassword::File(path) => {
            let fail = |error: io::Error| format!("password file {}: {error}", path.display());
            let text = std::fs::read_to_string(path).map_err(fail)?;
            let password = trimmed(&text);
            if password.is_empty() {
                return Err(format!("password file {} is empty", path.display()));
            }
            Access::known(&auth.username, password)
        }
    }
}
