//! Connects, and retries while the server is unavailable.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo, RedisError, RedisResult,
};
use tokio::time::sleep;

use crate::stop::Stop;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Long enough for a server that is busy saving, and short enough to detect a frozen one.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Parses the URL.
///
/// # Errors
/// Describes the problem without the URL, which may contain a password.
pub fn client(url: &str) -> Result<Client, String> {
    quiet(url).map_err(|_| {
        "--url (REDIS_URL) is not a Redis URL; write redis://user:password@host:port/0".to_owned()
    })
}

/// Omits the library's CLIENT SETINFO, which servers before 7.2 count as an error.
fn quiet(url: &str) -> RedisResult<Client> {
    let info = url.into_connection_info()?;
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    Client::open(info.set_redis_settings(settings))
}

/// Returns the settings of all connections.
pub fn settings() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
}

/// Connects once.
pub async fn dial(client: &Client) -> RedisResult<MultiplexedConnection> {
    client
        .get_multiplexed_async_connection_with_config(&settings())
        .await
}

/// Connects, and retries until it succeeds. Returns `None` if the program is stopped first. Each
/// new error is printed once.
pub async fn dial_patiently(client: &Client, stop: &Stop) -> Option<MultiplexedConnection> {
    let mut printed = String::new();
    let mut pause = FIRST_PAUSE;
    loop {
        let problem = tokio::select! {
            dialled = dial(client) => match dialled {
                Ok(connection) => return Some(connection),
                Err(problem) => problem.to_string(),
            },
            () = stop.wait() => return None,
        };
        if problem != printed {
            eprintln!("workload: cannot connect, trying on: {problem}");
            printed = problem;
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.wait() => return None,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Returns whether the connection is unusable after this error.
///
/// It is still usable after an error reply of the server (out of memory, loading).
pub fn is_lost(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.kind() == ErrorKind::Parse
}
