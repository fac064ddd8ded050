//! A connection to one target: dial, handshake, ask. The only place that names the redis crate.
//!
//! A connection is used until its first failure and then dropped; dialling again is the caller's
//! decision. What a reply means is not known here.

mod budget;
mod decode;
mod dial;
mod handshake;
mod plain_lines;
mod tls;

use std::future::Future;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::Target;
use crate::failure::{Failure, Reason};
use crate::reply::Reply;

use budget::{Bounded, Budget};
pub use decode::{decode, refused};

/// An open, authenticated connection. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    redis: MultiplexedConnection,
    driver: JoinHandle<()>,
    budget: Budget,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Dials a target, authenticates, selects its database and takes a name for CLIENT LIST, all
    /// before `deadline`.
    ///
    /// # Errors
    ///
    /// The step that failed, with one of the closed set of reasons.
    pub async fn dial(
        target: &Target,
        client_name: &str,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let mut stream = dial::open(&target.address, &target.tls, deadline).await?;
        // A file on a file system that hangs must not hold up the target.
        let commands = handshake::commands(target, client_name);
        let commands = within(deadline, "the password file", commands).await?;
        let shake = handshake::perform(&mut stream, &commands, &target.tls);
        within(deadline, "the handshake", shake).await?;
        let (stream, budget) = Bounded::new(stream);
        let (redis, driver) = multiplex(stream).await?;
        Ok(Self {
            redis,
            driver: tokio::spawn(driver),
            budget,
        })
    }

    /// Sends commands in one pipeline; the replies come in the same order, refusals among them.
    ///
    /// # Errors
    ///
    /// The connection broke, no answer came before `deadline`, or what came is not the protocol.
    /// The connection must not be used again then: late replies would go to the wrong questions.
    pub async fn ask<Argument: AsRef<[u8]>>(
        &mut self,
        commands: &[impl AsRef<[Argument]>],
        deadline: Instant,
    ) -> Result<Vec<Reply>, Failure> {
        let mut pipeline = redis::Pipeline::with_capacity(commands.len());
        for words in commands {
            let mut command = redis::Cmd::new();
            for word in words.as_ref() {
                command.arg(word.as_ref());
            }
            pipeline.add_command(command);
        }
        self.budget.renew();
        let sent = async {
            let replies = self
                .redis
                .send_packed_commands(&pipeline, 0, commands.len())
                .await;
            replies.map_err(|error| decode::failure(&error))
        };
        let values = match within(deadline, "the reply", sent).await {
            Err(_) if self.budget.is_spent() => {
                return Err(Failure::new(Reason::Protocol, "the reply is far too large"));
            }
            values => values?,
        };
        if values.len() == commands.len() {
            Ok(values.into_iter().map(decode::reply).collect())
        } else {
            let detail = format!("{} replies to {} commands", values.len(), commands.len());
            Err(Failure::new(Reason::Protocol, detail))
        }
    }
}

/// Hands an authenticated stream to the redis crate, which then sends nothing of its own.
async fn multiplex(stream: Bounded) -> Result<(MultiplexedConnection, Driver), Failure> {
    let silent = RedisConnectionInfo::default().set_skip_set_lib_name();
    // Every call has its own deadline; the crate's default of 500 ms would cut it short.
    let patient = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(None);
    let (redis, driver) = MultiplexedConnection::new_with_config(&silent, stream, patient)
        .await
        .map_err(|error| decode::failure(&error))?;
    Ok((redis, Box::pin(driver)))
}

/// What moves bytes between a connection and its stream.
type Driver = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Waits for a step until the deadline.
async fn within<T>(
    deadline: Instant,
    step: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout_at(deadline, work).await {
        Ok(result) => result,
        Err(_) => Err(Failure::new(
            Reason::Timeout,
            format!("{step} did not come in time"),
        )),
    }
}
