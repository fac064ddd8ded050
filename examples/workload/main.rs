//! A workload generator: uses a cache like a web application, at a steady rate.
//!
//! Sessions, an API cache, rate limits, websocket connections and pub/sub each have their own file.
//! It is not a benchmark: it never exceeds its rate, and does not measure latency.

mod api_cache;
mod arguments;
mod connect;
mod counts;
mod json;
mod load;
mod pace;
mod popularity;
mod population;
mod pressure;
mod progress;
mod pub_sub;
mod rate_limit;
mod seed;
mod session;
mod stop;
mod websocket;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use redis::Client;

use crate::arguments::Arguments;
use crate::counts::Counts;
use crate::population::Population;
use crate::stop::Stop;

/// One thread is enough for the rates of a small cache, and leaves the cores to the server.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("workload: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), String> {
    let client = connect::client(&arguments.url)?;
    let stop = stop::on_signal()?;
    let mut random = fastrand::Rng::with_seed(arguments.random_seed.unwrap_or_else(any_seed));
    let population = Population::new(arguments.rate, arguments.seed_keys);

    if arguments.seed_keys > 0 {
        let keys = arguments.seed_keys;
        let share = arguments.forget_expire;
        seed::seed(&client, &mut random, &population, keys, share, &stop).await?;
    }
    if arguments.seed_only || stop.is_set() {
        return Ok(());
    }
    if let Some(seconds) = arguments.duration {
        stop.set_after(std::time::Duration::from_secs_f64(seconds));
    }
    steady(arguments, &client, random, population, &stop).await;
    Ok(())
}

/// Runs the load and the tasks around it until the program is stopped.
async fn steady(
    arguments: &Arguments,
    client: &Client,
    mut random: fastrand::Rng,
    population: Population,
    stop: &Stop,
) {
    let counts = Arc::new(Counts::default());
    for channel in pub_sub::SUBSCRIPTIONS {
        let task = pub_sub::subscribe(client.clone(), channel, counts.clone(), stop.clone());
        tokio::spawn(task);
    }
    if arguments.pressure {
        let task = pressure::keep_full(client.clone(), random.fork(), counts.clone(), stop.clone());
        tokio::spawn(task);
    }
    let reports = progress::report(client.clone(), counts.clone(), stop.clone());
    let load = load::run(arguments, client, random, population, &counts, stop);
    tokio::join!(reports, load);
}

fn any_seed() -> u64 {
    fastrand::u64(..)
}
