//! Hundreds of targets in one process: CPU, memory, regularity of polls, and scrapes.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::child::{Redis, Server, exporter_of};
use crate::client::{Client, Encoding};
use crate::load;
use crate::process;
use crate::quantile;
use crate::table::{Aim, Table};

const TARGETS: usize = 500;
const SERVERS: usize = 4;
const SCRAPES: usize = 100;

/// Measures at the default interval and at a third of it.
pub fn measure(table: &mut Table) -> Outcome<()> {
    let mut servers = Vec::new();
    for _ in 0..SERVERS {
        let redis = Redis::start()?;
        load::drive_common(&redis)?;
        servers.push(redis);
    }
    for (interval, seconds) in [("15s", 15), ("5s", 5)] {
        run(&servers, interval, Duration::from_secs(seconds), table)?;
    }
    Ok(())
}

fn run(servers: &[Redis], text: &str, interval: Duration, table: &mut Table) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("config.yaml");
    fs::write(&path, config(servers, text)?)?;
    let exporter = exporter_of(&path)?;
    // First polls follow each other closely. Second polls are spread over the interval.
    sleep(Duration::from_secs(6) + interval);
    let id = exporter.process.id();
    let before = process::cpu(id)?;
    let started = Instant::now();
    sleep(interval * 2);
    let spent = process::cpu(id)?.saturating_sub(before);
    let share = spent.as_secs_f64() / started.elapsed().as_secs_f64();
    let resident = process::resident_megabytes(id)?;
    let what = |what: &str| format!("(d) {TARGETS} targets every {text}: {what}");
    table.figure(&what("CPU of one core"), "%", share * 100.0, Aim::None);
    table.figure(&what("resident memory"), "MB", resident, Aim::None);
    irregularity(&exporter, interval, &what, table)?;
    scrapes(&exporter, &what, table)
}

fn config(servers: &[Redis], interval: &str) -> Outcome<String> {
    let mut text = format!("poll: {{ interval: {interval} }}\ntargets:\n");
    for (target, redis) in (0..TARGETS).zip(servers.iter().cycle()) {
        writeln!(
            text,
            "  - {{ name: target-{target}, url: \"redis://{}\" }}",
            redis.address
        )?;
    }
    Ok(text)
}

/// Measures how much the time between two polls of a target differs from the interval.
fn irregularity(
    exporter: &Server,
    interval: Duration,
    what: &impl Fn(&str) -> String,
    table: &mut Table,
) -> Outcome<()> {
    let mut client = exporter.client(Encoding::Identity)?;
    let mut last = last_polls(&mut client)?;
    let mut off = Vec::new();
    let started = Instant::now();
    while started.elapsed() < interval * 2 {
        sleep(interval / 4);
        let now = last_polls(&mut client)?;
        for (target, at) in &now {
            let before = last.get(target).ok_or("a target came out of nowhere")?;
            if at > before {
                let apart = at - before;
                // A page may skip a poll that ended just before the next one.
                let polls = (apart / interval.as_secs_f64()).round().max(1.0);
                off.push(Duration::try_from_secs_f64(apart / polls)?.abs_diff(interval));
            }
        }
        last = now;
    }
    let off = quantile::of(&off);
    let row = what("time between polls is off by, p50");
    table.figure(&row, "ms", off.p50 / 1e3, Aim::None);
    let row = what("time between polls is off by, p99");
    table.figure(&row, "ms", off.p99 / 1e3, Aim::None);
    Ok(())
}

fn last_polls(client: &mut Client) -> Outcome<HashMap<String, f64>> {
    client.scrape()?;
    let mut found = HashMap::new();
    for line in client.text().lines() {
        if let Some(rest) = line.strip_prefix("redis_exporter_last_poll_timestamp_seconds")
            && let Some((labels, value)) = rest.split_once(' ')
        {
            found.insert(labels.to_owned(), value.parse()?);
        }
    }
    if found.len() == TARGETS {
        Ok(found)
    } else {
        Err(format!("{} of {TARGETS} targets are on the page", found.len()).into())
    }
}

fn scrapes(exporter: &Server, what: &impl Fn(&str) -> String, table: &mut Table) -> Outcome<()> {
    let mut client = exporter.client(Encoding::Gzip)?;
    let mut taken = Vec::new();
    for _ in 0..SCRAPES {
        taken.push(client.scrape()?);
        sleep(Duration::from_millis(20));
    }
    let size = client.body.len() / 1000;
    let taken = quantile::of(&taken);
    let row = what(&format!("scrape, gzip, {size} kB, p50"));
    table.figure(&row, "ms", taken.p50 / 1e3, Aim::None);
    let row = what(&format!("scrape, gzip, {size} kB, p99"));
    table.figure(&row, "ms", taken.p99 / 1e3, Aim::None);
    Ok(())
}
