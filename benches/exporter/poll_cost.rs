//! Measures the cost of a poll: CPU of the exporter, and time in Redis, compared to
//! `redis_exporter`.

use std::thread::sleep;
use std::time::Duration;

use crate::Outcome;
use crate::child::{Redis, RedisExporter, exporter};
use crate::client::{Client, Encoding};
use crate::process;
use crate::table::{Aim, Table};

const ROUNDS: u32 = 4;
const POLLING_FOR: Duration = Duration::from_secs(3);
const SCRAPES_PER_ROUND: u32 = 20;
/// As far apart as polls. Scrapes in quick succession would benefit from warm caches.
const SCRAPES_APART: Duration = Duration::from_millis(100);

/// The cost of one poll of the exporter.
#[derive(Clone, Copy, Debug)]
pub struct PollCost {
    /// CPU time in the exporter, in microseconds.
    pub cpu: f64,
    /// Resident memory of the exporter after dozens of polls, in megabytes.
    pub resident: f64,
}

/// Lets the exporter poll and `redis_exporter` scrape alternately, for some seconds each.
///
/// `seen` is the number of distinct commands that the Redis has seen.
pub fn measure(
    redis: &Redis,
    theirs: &RedisExporter,
    seen: usize,
    table: &mut Table,
) -> Outcome<PollCost> {
    let (mut here, mut there) = (ServerTime::default(), ServerTime::default());
    let (mut cpu, mut resident) = (Duration::ZERO, 0.0_f64);
    let mut their_client = theirs.0.client(Encoding::Gzip)?;
    for _ in 0..ROUNDS {
        let ours = exporter(redis, "100ms")?;
        let id = ours.process.id();
        let mut client = ours.client(Encoding::Identity)?;
        let (polls, spent) = (polls_so_far(&mut client)?, process::cpu(id)?);
        let busy = spent_in_redis(redis, || {
            sleep(POLLING_FOR);
            Ok(())
        })?;
        cpu += process::cpu(id)?.saturating_sub(spent);
        here.add(busy, polls_so_far(&mut client)? - polls);
        resident = resident.max(process::resident_megabytes(id)?);
        drop(ours);
        let busy = spent_in_redis(redis, || scrape_redis_exporter(&mut their_client))?;
        there.add(busy, f64::from(SCRAPES_PER_ROUND));
    }
    let cpu = cpu.as_secs_f64() * 1e6 / here.times;
    let row = |what: &str| format!("(c) {what}, {seen} commands seen");
    let what = row("CPU of a poll, with its page");
    table.figure(&what, "µs", cpu, Aim::AtMost(1000.0));
    let (ours, others) = (here.each(), there.each());
    let what = row("time in Redis of a poll, against a scrape of redis_exporter");
    table.compare(&what, "µs", ours.all, others.all, Aim::AtMost(0.5));
    let what = row("the same but for LATENCY HISTOGRAM, which redis_exporter does not send");
    let rest = (ours.all - ours.histogram, others.all - others.histogram);
    table.compare(&what, "µs", rest.0, rest.1, Aim::None);
    Ok(PollCost { cpu, resident })
}

fn scrape_redis_exporter(client: &mut Client) -> Outcome<()> {
    for _ in 0..SCRAPES_PER_ROUND {
        sleep(SCRAPES_APART);
        client.scrape()?;
    }
    Ok(())
}

fn polls_so_far(client: &mut Client) -> Outcome<f64> {
    client.scrape()?;
    let text = client.text();
    let sample = text
        .lines()
        .find(|line| {
            let rest = line.strip_prefix("redis_exporter_polls_total");
            // The only target of a flag has no label.
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        })
        .and_then(|line| line.rsplit(' ').next());
    Ok(sample.ok_or("no polls are counted")?.parse()?)
}

/// Time that commands took in Redis, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    all: f64,
    histogram: f64,
}

#[derive(Debug, Default)]
struct ServerTime {
    spent: Spent,
    times: f64,
}

impl ServerTime {
    fn add(&mut self, more: Spent, times: f64) {
        self.spent.all += more.all;
        self.spent.histogram += more.histogram;
        self.times += times;
    }

    fn each(&self) -> Spent {
        Spent {
            all: self.spent.all / self.times,
            histogram: self.spent.histogram / self.times,
        }
    }
}

/// Returns the time that commands take in Redis during some work, without that of the measurement.
fn spent_in_redis(redis: &Redis, work: impl FnOnce() -> Outcome<()>) -> Outcome<Spent> {
    let mut connection = redis.connect()?;
    let first = spent_so_far(&mut connection)?;
    let second = spent_so_far(&mut connection)?;
    work()?;
    let third = spent_so_far(&mut connection)?;
    let asking = second.all - first.all;
    Ok(Spent {
        all: third.all - second.all - asking,
        histogram: third.histogram - second.histogram,
    })
}

/// Returns the sum over all commands. The statistics list subcommands instead of their parents.
fn spent_so_far(connection: &mut redis::Connection) -> Outcome<Spent> {
    let text: String = redis::cmd("INFO").arg("commandstats").query(connection)?;
    let mut spent = Spent::default();
    for line in text.lines() {
        let Some((_, rest)) = line.split_once(",usec=") else {
            continue;
        };
        let time: f64 = rest.split(',').next().unwrap_or_default().parse()?;
        spent.all += time;
        if line.starts_with("cmdstat_latency|histogram:") {
            spent.histogram += time;
        }
    }
    Ok(spent)
}
