//! The first words on a stream: AUTH, SELECT, CLIENT SETNAME.
//!
//! Spoken by hand, because the exact error texts matter and the redis crate swallows some. All
//! replies to these commands are single lines.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::dial::Stream;
use super::{decode, tls};
use crate::config::{Password, Target, Tls, password_of};
use crate::failure::{Failure, Reason};
use crate::reply::Refusal;

/// Longest line that is read; an honest reply has far less.
const LINE_BYTES_MAX: usize = 4096;

/// A command of the handshake. Its arguments may be secret: there is no Debug.
pub struct Step {
    arguments: Vec<String>,
    /// Whether the connection is of use without it.
    needed: bool,
}

impl Step {
    fn is_secret(&self) -> bool {
        self.arguments.first().is_some_and(|name| name == "AUTH")
    }
}

/// What must be said to this target. A password file is read now, so that a changed password is
/// taken up at the next connect.
pub async fn commands(target: &Target, client_name: &str) -> Result<Vec<Step>, Failure> {
    let password = match &target.password {
        None => None,
        Some(Password::Given(secret)) => Some(secret.expose().to_owned()),
        Some(Password::File(path)) => {
            let text = tokio::fs::read_to_string(path).await.map_err(|error| {
                let detail = format!("password file {}: {error}", path.display());
                Failure::new(Reason::Auth, detail)
            })?;
            let username = target.username.as_deref();
            let password = password_of(&text, &target.address, username).map_err(|fault| {
                let detail = format!("password file {}: {fault}", path.display());
                Failure::new(Reason::Auth, detail)
            })?;
            match password {
                Some(password) => Some(password.expose().to_owned()),
                // A server without an entry in the map has no password.
                None => return Ok(after_authentication(target, client_name)),
            }
        }
    };
    let mut steps = Vec::new();
    if target.username.is_some() || password.is_some() {
        let mut arguments = vec!["AUTH".to_owned()];
        arguments.extend(target.username.clone());
        arguments.push(password.unwrap_or_default());
        steps.push(Step {
            arguments,
            needed: true,
        });
    }
    steps.extend(after_authentication(target, client_name));
    Ok(steps)
}

fn after_authentication(target: &Target, client_name: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    // Sentinels know no SELECT, and database 0 is selected anyway.
    if let Some(database) = target.database.filter(|database| *database != 0) {
        let arguments = vec!["SELECT".to_owned(), database.to_string()];
        steps.push(Step {
            arguments,
            needed: true,
        });
    }
    if target.set_client_name {
        let arguments = ["CLIENT", "SETNAME", client_name]
            .map(str::to_owned)
            .to_vec();
        steps.push(Step {
            arguments,
            needed: false,
        });
    }
    steps
}

/// Says all steps at once and reads one line for each.
pub async fn perform(stream: &mut Stream, steps: &[Step], tls: &Tls) -> Result<(), Failure> {
    let mut pipeline = redis::Pipeline::new();
    for step in steps {
        let mut command = redis::Cmd::new();
        command.arg(&step.arguments);
        pipeline.add_command(command);
    }
    // A server that refuses the client has said why before it reads: look at its words even when
    // ours do not get through.
    let written = stream.write_all(&pipeline.get_packed_pipeline()).await;
    let mut unread = Vec::new();
    for step in steps {
        let line = read_line(stream, &mut unread, tls).await?;
        match line.split_first() {
            Some((b'+', _)) => {}
            Some((b'-', text)) => check(step, text)?,
            _ => return Err(not_redis()),
        }
    }
    if !unread.is_empty() {
        return Err(not_redis());
    }
    written.map_err(|_| closed())
}

/// Takes a refusal as a failure where the step is needed, or where the server ends it all.
fn check(step: &Step, text: &[u8]) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(text);
    let (code, message) = text.split_once(' ').unwrap_or((&text, ""));
    let refusal = Refusal {
        code: code.to_owned(),
        message: message.to_owned(),
    };
    let mut failure = decode::refused(&refusal);
    if step.is_secret() {
        // A server that does not know AUTH repeats its arguments, and so the password.
        failure.detail = format!("AUTH was refused ({code})");
    }
    let ends_it = failure.reason == Reason::MaxClients || code == "DENIED";
    if step.needed || ends_it {
        Err(failure)
    } else {
        Ok(())
    }
}

/// Reads up to the next line end; what came after it stays in `unread`.
async fn read_line(
    stream: &mut Stream,
    unread: &mut Vec<u8>,
    tls: &Tls,
) -> Result<Vec<u8>, Failure> {
    loop {
        if let Some(end) = unread.windows(2).position(|pair| pair == b"\r\n") {
            let rest = unread.split_off(end + 2);
            let mut line = std::mem::replace(unread, rest);
            line.truncate(end);
            return Ok(line);
        }
        if unread.len() > LINE_BYTES_MAX {
            return Err(not_redis());
        }
        match stream.read_buf(unread).await {
            Ok(0) => return Err(closed()),
            Err(error) => return Err(tls::refused(&error, tls).unwrap_or_else(closed)),
            Ok(_) => {}
        }
    }
}

fn closed() -> Failure {
    Failure::new(
        Reason::Closed,
        "the server closed the connection in the handshake; if it expects TLS, use rediss://",
    )
}

fn not_redis() -> Failure {
    Failure::new(
        Reason::Protocol,
        "what answers does not speak the Redis protocol",
    )
}
