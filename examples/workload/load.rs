//! The steady load: workers take turns on a shared connection.

use std::collections::VecDeque;
use std::sync::Arc;

use fastrand::Rng;
use redis::aio::MultiplexedConnection;
use redis::{Client, RedisError, RedisResult};
use tokio::task::JoinSet;

use crate::arguments::Arguments;
use crate::counts::Counts;
use crate::pace::Pace;
use crate::population::Population;
use crate::stop::Stop;
use crate::{api_cache, connect, pub_sub, rate_limit, session, websocket};

/// Maximum number of operations in flight. With one at a time, a distant server would limit the
/// rate.
const WORKERS: u32 = 16;

/// Runs the load until it is stopped. Reconnects if the connection is lost.
pub async fn run(
    arguments: &Arguments,
    client: &Client,
    mut random: Rng,
    population: Population,
    counts: &Arc<Counts>,
    stop: &Stop,
) {
    while let Some(connection) = connect::dial_patiently(client, stop).await {
        println!("connected, {} operations/s", arguments.rate);
        let mut workers = JoinSet::new();
        for index in 0..WORKERS {
            let worker = Worker {
                connection: connection.clone(),
                random: random.fork(),
                pace: Pace::new(arguments.rate, index, WORKERS),
                population,
                forget_expire: arguments.forget_expire,
                open: VecDeque::new(),
                counts: counts.clone(),
            };
            workers.spawn(work(worker, stop.clone()));
        }
        match first_loss(&mut workers).await {
            Some(error) => eprintln!("workload: connection lost: {error}"),
            None => return,
        }
    }
}

/// Returns the error that ended the connection. Dropping the set ends the other workers.
///
/// Returns `None` if all workers ended because the program is stopped.
async fn first_loss(workers: &mut JoinSet<Result<(), RedisError>>) -> Option<RedisError> {
    while let Some(ended) = workers.join_next().await {
        if let Ok(Err(error)) = ended {
            return Some(error);
        }
    }
    None
}

struct Worker {
    connection: MultiplexedConnection,
    random: Rng,
    pace: Pace,
    population: Population,
    forget_expire: f64,
    open: VecDeque<websocket::Open>,
    counts: Arc<Counts>,
}

async fn work(mut worker: Worker, stop: Stop) -> Result<(), RedisError> {
    while worker.pace.turn(&stop).await {
        let done = operation(&mut worker).await;
        worker.counts.operations.add(1);
        if let Err(error) = done {
            worker.counts.failures.add(1);
            if connect::is_lost(&error) {
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Runs one operation. The shares are those of a web application that mostly reads.
async fn operation(worker: &mut Worker) -> RedisResult<()> {
    let Worker {
        connection,
        random,
        population,
        forget_expire,
        open,
        counts,
        ..
    } = worker;
    match random.u8(0..100) {
        0..40 => session::visit(connection, random, population.users, counts).await,
        40..70 => {
            api_cache::look_up(connection, random, population.popular_responses, counts).await
        }
        70..85 => rate_limit::hit(connection, random, population.clients, *forget_expire).await,
        85..95 => {
            let each = population.connections.div_ceil(u64::from(WORKERS));
            let wanted = usize::try_from(each).unwrap_or(usize::MAX);
            websocket::event(connection, random, open, wanted).await
        }
        _ => pub_sub::publish(connection, random).await,
    }
}
