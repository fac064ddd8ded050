//! One, hundreds and thousands of targets in one process: CPU, memory, delays of polls, and reads.
//!
//! A scraper reads the page of all targets with gzip at each interval, like Prometheus.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;

use crate::Outcome;
use crate::child::{Redis, Server, exporter_of};
use crate::client::{Client, Encoding};
use crate::load;
use crate::process::{self, Memory};
use crate::quantile;
use crate::table::{Aim, Table};

const SERVERS: usize = 8;

/// Number of keys of each server. With a handful of them, the sweep costs next to nothing.
const KEYS: usize = 1_500;

const INTERVAL: Duration = Duration::from_secs(15);

/// Time between the first polls of two targets, which the exporter dials one after the other.
const DIALS_APART: Duration = Duration::from_millis(10);

/// Number of scrapes over which CPU and delays of polls are measured.
const SCRAPES: u32 = 4;

/// Number of targets, and what they may cost.
struct Fleet {
    targets: usize,
    /// Whether the servers have more than a handful of keys. From the first such fleet on, they do.
    has_keys: bool,
    /// Resident memory in megabytes, and the anonymous part of it.
    resident: Aim,
    anonymous: Aim,
    /// CPU in percent of a core.
    cpu: Aim,
}

const FLEETS: [Fleet; 4] = [
    Fleet {
        targets: 1,
        has_keys: false,
        resident: Aim::AtMost(7.0),
        anonymous: Aim::AtMost(1.5),
        cpu: Aim::None,
    },
    Fleet {
        targets: 500,
        has_keys: false,
        resident: Aim::AtMost(45.0),
        anonymous: Aim::None,
        cpu: Aim::AtMost(7.0),
    },
    Fleet {
        targets: 2_000,
        has_keys: false,
        resident: Aim::AtMost(150.0),
        anonymous: Aim::None,
        cpu: Aim::AtMost(25.0),
    },
    Fleet {
        targets: 2_000,
        has_keys: true,
        resident: Aim::AtMost(150.0),
        anonymous: Aim::None,
        cpu: Aim::AtMost(25.0),
    },
];

/// Aim for the memory of a further target with a page of 40 KB, in kilobytes.
const KILOBYTES_PER_TARGET: f64 = 80.0;

/// Aim for the delays of polls at p99, in milliseconds.
const LATE_MOST: f64 = 20.0;

/// Measures each number of targets.
pub fn measure(table: &mut Table) -> Outcome<()> {
    let mut servers = Vec::new();
    for _ in 0..SERVERS {
        let redis = Redis::start()?;
        load::drive_common(&redis)?;
        servers.push(redis);
    }
    let mut alone = None;
    for fleet in &FLEETS {
        if fleet.has_keys {
            for redis in &servers {
                load::fill(redis, KEYS)?;
            }
        }
        let resident = run(&servers, fleet, table)?;
        if let Some(alone) = alone {
            let further = u32::try_from(fleet.targets - 1)?;
            let each = (resident - alone) * 1e3 / f64::from(further);
            let what = format!(
                "(d) memory of each of {further} further targets{}",
                keys(fleet)
            );
            table.figure(&what, "kB", each, Aim::AtMost(KILOBYTES_PER_TARGET));
        }
        alone.get_or_insert(resident);
    }
    Ok(())
}

/// Returns how many keys the targets have, as a part of the name of a row.
fn keys(fleet: &Fleet) -> String {
    if fleet.has_keys {
        format!(" with {KEYS} keys each")
    } else {
        String::new()
    }
}

/// Returns the resident memory, in megabytes.
fn run(servers: &[Redis], fleet: &Fleet, table: &mut Table) -> Outcome<f64> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("config.yaml");
    fs::write(&path, config(servers, fleet.targets)?)?;
    let exporter = exporter_of(&path)?;
    let targets = fleet.targets;
    let what = |what: &str| format!("(d) {targets} targets{} every 15 s: {what}", keys(fleet));
    // First polls follow each other closely. Second polls are spread over the interval.
    sleep(INTERVAL + DIALS_APART * u32::try_from(targets)?);
    let mut scraper = Scraper::new(&exporter)?;
    scraper.scrape()?;
    scraper.scrape()?;
    let id = exporter.process.id();
    let (started, before) = (Instant::now(), process::cpu(id)?);
    let mut last = last_polls(&scraper.client.body, targets)?;
    let mut late = Vec::new();
    for _ in 0..SCRAPES {
        scraper.scrape()?;
        let now = last_polls(&scraper.client.body, targets)?;
        late.extend(delays(&last, &now)?);
        last = now;
    }
    let spent = process::cpu(id)?.saturating_sub(before);
    let share = spent.as_secs_f64() / started.elapsed().as_secs_f64();
    let Memory {
        resident,
        anonymous,
        peak,
    } = process::memory(id)?;
    table.figure(&what("resident memory"), "MB", resident, fleet.resident);
    table.figure(&what("anonymous memory"), "MB", anonymous, fleet.anonymous);
    table.figure(&what("peak memory"), "MB", peak, Aim::None);
    table.figure(&what("CPU of one core"), "%", share * 100.0, fleet.cpu);
    let late = quantile::of(&late);
    let row = what("time between polls is off by, p50");
    table.figure(&row, "ms", late.p50 / 1e3, Aim::None);
    let row = what("time between polls is off by, p99");
    table.figure(&row, "ms", late.p99 / 1e3, Aim::AtMost(LATE_MOST));
    let size = scraper.client.body.len() / 1000;
    let row = what(&format!("/metrics, gzip, {size} kB, p50"));
    let times = quantile::of(&scraper.taken);
    table.figure(&row, "ms", times.p50 / 1e3, Aim::None);
    let mut discovery = Client::connect_to(exporter.address, "/sd", Encoding::Identity)?;
    let took = discovery.scrape()?;
    let row = what(&format!("/sd, {} kB", discovery.body.len() / 1000));
    table.figure(&row, "ms", took.as_secs_f64() * 1e3, Aim::None);
    Ok(resident)
}

fn config(servers: &[Redis], targets: usize) -> Outcome<String> {
    let mut text = "poll: { interval: 15s }\ntargets:\n".to_owned();
    for (target, redis) in (0..targets).zip(servers.iter().cycle()) {
        writeln!(
            text,
            "  - {{ name: target-{target}, url: \"redis://{}\" }}",
            redis.address
        )?;
    }
    Ok(text)
}

/// A client that scrapes at the interval.
struct Scraper {
    client: Client,
    next: Instant,
    taken: Vec<Duration>,
}

impl Scraper {
    fn new(exporter: &Server) -> Outcome<Self> {
        Ok(Self {
            client: exporter.client(Encoding::Gzip)?,
            next: Instant::now(),
            taken: Vec::new(),
        })
    }

    fn scrape(&mut self) -> Outcome<()> {
        sleep(self.next.saturating_duration_since(Instant::now()));
        self.next += INTERVAL;
        self.taken.push(self.client.scrape()?);
        Ok(())
    }
}

/// Returns the time of the last poll of each target, in seconds.
fn last_polls(page: &[u8], targets: usize) -> Outcome<HashMap<String, f64>> {
    use std::io::{BufRead as _, BufReader};
    let mut found = HashMap::new();
    // The text of thousands of targets is never in memory as a whole.
    for line in BufReader::new(GzDecoder::new(page)).lines() {
        let line = line?;
        if let Some(rest) = line.strip_prefix("redis_exporter_last_poll_timestamp_seconds")
            && let Some((labels, value)) = rest.split_once(' ')
        {
            found.insert(labels.to_owned(), value.parse()?);
        }
    }
    if found.len() == targets {
        Ok(found)
    } else {
        Err(format!("{} of {targets} targets are on the page", found.len()).into())
    }
}

/// Returns how much the times between two polls of each target differ from the interval.
fn delays(earlier: &HashMap<String, f64>, later: &HashMap<String, f64>) -> Outcome<Vec<Duration>> {
    let mut late = Vec::new();
    for (target, at) in later {
        let before = earlier.get(target).ok_or("a target came out of nowhere")?;
        if at > before {
            let apart = at - before;
            // A page may skip a poll that ended just before the next one.
            let polls = (apart / INTERVAL.as_secs_f64()).round().max(1.0);
            late.push(Duration::try_from_secs_f64(apart / polls)?.abs_diff(INTERVAL));
        }
    }
    Ok(late)
}
