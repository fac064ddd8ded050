//! The first commands on a stream: AUTH, SELECT, CLIENT SETNAME.
//!
//! All replies to these commands are single lines.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::dial::Stream;
use super::{Packed, decode, login, tls};
use crate::bounded_file::{self, UnreadFile};
use crate::config::{
    Endpoint, PASSWORD_FILE_MAX, Password, Secret, Tls, missing_entry, password_of,
};
use crate::failure::{Failure, Reason};
use crate::reply::Refusal;
use crate::threads::{SharedWork, Threads};

/// Maximum length of a line. A genuine reply is far shorter.
const LINE_BYTES_MAX: usize = 4096;

/// First byte of a TLS alert.
const TLS_ALERT: u8 = 0x15;

/// A command of the handshake. `Debug` is missing on purpose: its arguments may be secret.
pub struct HandshakeStep {
    arguments: Vec<String>,
    /// Whether the connection is unusable without it.
    needed: bool,
    /// The reason why no password was sent before, if one may be missing.
    no_password: Option<String>,
}

impl HandshakeStep {
    fn name(&self) -> &str {
        self.arguments.first().map_or("", String::as_str)
    }

    fn is_secret(&self) -> bool {
        self.name() == "AUTH"
    }

    fn has_username(&self) -> bool {
        self.is_secret() && self.arguments.len() > 2
    }
}

/// Returns the commands for this endpoint.
///
/// A password file is read each time, so that a changed password is used at the next connect.
pub async fn commands(endpoint: &Endpoint) -> Result<Vec<HandshakeStep>, Failure> {
    let password = match &endpoint.password {
        None => None,
        Some(Password::Given(secret)) => Some(secret.expose().to_owned()),
        Some(Password::File(path)) => {
            let text = read(path).await?;
            let text = text.expose();
            let username = endpoint.username.as_deref();
            let password = password_of(text, &endpoint.address, username);
            let password = password.map_err(|fault| unusable(path, &fault))?;
            let Some(password) = password else {
                // A server without an entry in the map has no password.
                let note = missing_entry(text, &endpoint.address, username)
                    .map(|note| format!("password file {} {note}", path.display()));
                let mut steps: Vec<_> = note.map(without_password).into_iter().collect();
                steps.extend(after_authentication(endpoint));
                return Ok(steps);
            };
            Some(password.expose().to_owned())
        }
    };
    let mut steps = Vec::new();
    if endpoint.username.is_some() || password.is_some() {
        let mut arguments = vec!["AUTH".to_owned()];
        arguments.extend(endpoint.username.clone());
        arguments.push(password.unwrap_or_default());
        steps.push(HandshakeStep {
            arguments,
            needed: true,
            no_password: None,
        });
    }
    steps.extend(after_authentication(endpoint));
    Ok(steps)
}

/// Returns a command that shows whether the server requires a password. All servers support it.
fn without_password(note: String) -> HandshakeStep {
    HandshakeStep {
        arguments: vec!["PING".to_owned()],
        needed: false,
        no_password: Some(note),
    }
}

/// Reads a file on its own thread, because reading from a mount that hangs never returns.
async fn read(path: &Path) -> Result<Secret, Failure> {
    static FILES: SharedWork<Result<Secret, UnreadFile>> = SharedWork::new(
        "password",
        Threads {
            proven: 4,
            failed: 8,
            new: 4,
            slow: 8,
        },
        Duration::ZERO,
    );
    let file = path.to_owned();
    let read = move || bounded_file::read_text(&file, PASSWORD_FILE_MAX).map(Secret::new);
    let key = path.to_string_lossy();
    let found = FILES.get(&key, Result::is_ok, read).await;
    match found {
        Some(Ok(secret)) => Ok(secret),
        Some(Err(unread)) => Err(unusable(path, &unread)),
        None => Err(unusable(path, &"no thread to read it could be started")),
    }
}

fn unusable(path: &Path, fault: &dyn Display) -> Failure {
    let detail = format!("password file {}: {fault}", path.display());
    Failure::new(Reason::Auth, detail)
}

fn after_authentication(endpoint: &Endpoint) -> Vec<HandshakeStep> {
    let mut steps = Vec::new();
    // Sentinels do not support SELECT, and database 0 is selected anyway.
    if let Some(database) = endpoint.database.filter(|database| *database != 0) {
        let arguments = vec!["SELECT".to_owned(), database.to_string()];
        steps.push(HandshakeStep {
            arguments,
            needed: true,
            no_password: None,
        });
    }
    if let Some(name) = endpoint.client_name {
        let arguments = ["CLIENT", "SETNAME", name].map(str::to_owned).to_vec();
        steps.push(HandshakeStep {
            arguments,
            needed: false,
            no_password: None,
        });
    }
    steps
}

/// Sends all steps at once and reads one line for each.
pub async fn perform(
    stream: &mut Stream,
    steps: &[HandshakeStep],
    tls: &Tls,
) -> Result<(), Failure> {
    let mut packed = Packed::of_about(steps.len());
    for step in steps {
        packed.push(step.arguments.iter());
    }
    // A server that rejects the client sends the reason before it reads. Therefore its reply is
    // read even if our commands cannot be sent.
    let written = stream.write_all(packed.bytes()).await;
    let flushed = stream.flush().await;
    let mut unread = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let line = read_line(stream, &mut unread, tls).await?;
        let Some(line) = line else {
            return Err(closed(at, step));
        };
        match line.split_first() {
            Some((b'+', _)) => {}
            Some((b'-', text)) => check(step, text)?,
            _ => return Err(not_redis(&line)),
        }
    }
    if !unread.is_empty() {
        return Err(not_redis(&unread));
    }
    match (written.and(flushed), steps.last()) {
        (Err(_), Some(step)) => Err(closed(0, step)),
        _ => Ok(()),
    }
}

/// Returns a failure if the step is needed, or if the server is closing the connection.
fn check(step: &HandshakeStep, text: &[u8]) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(text);
    let (code, message) = text.split_once(' ').unwrap_or((&text, ""));
    let refusal = Refusal {
        code: code.to_owned(),
        message: message.to_owned(),
    };
    let mut failure = decode::refused(&refusal);
    let ends_it = failure.reason == Reason::MaxClients || code == "DENIED";
    if step.is_secret() && !ends_it {
        // A server without AUTH repeats its arguments in the error, and thus the password.
        failure = login::explain(&refusal, step.has_username());
    }
    if let Some(note) = step.no_password.as_ref().filter(|_| code == "NOAUTH") {
        let detail = format!("the server requires a password; {note}");
        return Err(Failure::new(Reason::Auth, detail).with_remedy("add the entry"));
    }
    if step.needed || ends_it {
        Err(failure)
    } else {
        Ok(())
    }
}

/// Reads up to the next line end. Later bytes stay in `unread`. Returns `None` if the server closed
/// the connection.
async fn read_line(
    stream: &mut Stream,
    unread: &mut Vec<u8>,
    tls: &Tls,
) -> Result<Option<Vec<u8>>, Failure> {
    loop {
        if let Some(end) = unread.windows(2).position(|pair| pair == b"\r\n") {
            let rest = unread.split_off(end + 2);
            let mut line = std::mem::replace(unread, rest);
            line.truncate(end);
            return Ok(Some(line));
        }
        if unread.len() > LINE_BYTES_MAX {
            return Err(not_redis(unread));
        }
        match stream.read_buf(unread).await {
            // A TLS server responds to unknown bytes with an alert, which has no line end.
            Ok(0) if unread.first() == Some(&TLS_ALERT) => return Err(not_redis(unread)),
            Ok(0) => return Ok(None),
            Err(error) => return tls::refused(&error, tls).map_or(Ok(None), Err),
            Ok(_) => {}
        }
    }
}

/// Returns the failure for a connection that the server closed instead of replying to a step.
///
/// Only a server that has sent nothing yet may be one that expects TLS.
fn closed(replies: usize, step: &HandshakeStep) -> Failure {
    let name = step.name();
    let closed = |detail: &str| Failure::new(Reason::Closed, detail);
    match (replies, name) {
        (0, _) => closed("the server closed the connection before its first reply")
            .with_remedy("if it expects TLS, use rediss://"),
        (_, "CLIENT") => closed("the server closed the connection at CLIENT SETNAME")
            .with_remedy("try set_client_name: false"),
        _ => closed(&format!("the server closed the connection at {name}")),
    }
}

fn not_redis(bytes: &[u8]) -> Failure {
    if bytes.first() == Some(&TLS_ALERT) {
        return Failure::new(Reason::Protocol, "the server speaks TLS")
            .with_remedy("use rediss://");
    }
    Failure::new(
        Reason::Protocol,
        "the server does not speak the Redis protocol",
    )
}
