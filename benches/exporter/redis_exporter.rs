//! Compares scrapes with `redis_exporter` on the same Redis.

use std::thread::sleep;
use std::time::Duration;

use crate::Outcome;
use crate::child::{Redis, RedisExporter, exporter};
use crate::client::Encoding;
use crate::poll_cost::PollCost;
use crate::process;
use crate::quantile;
use crate::table::{Aim, Table};

const SCRAPES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(5);

/// Scrapes both alternately.
pub fn measure(
    redis: &Redis,
    theirs: &RedisExporter,
    poll: &PollCost,
    table: &mut Table,
) -> Outcome<()> {
    // No poll falls into the measurement. The cost of a poll is added separately.
    let ours = exporter(redis, "1h")?;
    let (here, there) = (ours.process.id(), theirs.0.process.id());
    let mut clients = (
        ours.client(Encoding::Gzip)?,
        theirs.0.client(Encoding::Gzip)?,
    );
    let mut taken = (Vec::new(), Vec::new());
    let before = (process::cpu(here)?, process::cpu(there)?);
    for _ in 0..SCRAPES {
        // Work that one program does after its response must not affect the other.
        sleep(PAUSE);
        taken.0.push(clients.0.scrape()?);
        sleep(PAUSE);
        taken.1.push(clients.1.scrape()?);
    }
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / f64::from(SCRAPES);
    let cpu = (
        each(process::cpu(here)?.saturating_sub(before.0)),
        each(process::cpu(there)?.saturating_sub(before.1)),
    );
    let quantiles = (quantile::of(&taken.0), quantile::of(&taken.1));
    let row = |what: &str| format!("(b) {what}, against redis_exporter");
    let aim = Aim::AtLeast(20.0);
    let (ours_taken, theirs_taken) = quantiles;
    table.faster(
        &row("scrape: p50"),
        "µs",
        ours_taken.p50,
        theirs_taken.p50,
        aim,
    );
    table.faster(
        &row("scrape: p99"),
        "µs",
        ours_taken.p99,
        theirs_taken.p99,
        aim,
    );
    table.faster(&row("CPU of a scrape"), "µs", cpu.0, cpu.1, Aim::None);
    let with_poll = cpu.0 + poll.cpu;
    let what = row("CPU of a scrape and of a poll, one of each in 15 s");
    table.faster(&what, "µs", with_poll, cpu.1, Aim::None);
    let resident = (
        process::resident_megabytes(here)?.max(poll.resident),
        process::resident_megabytes(there)?,
    );
    let what = row("resident memory");
    table.compare(&what, "MB", resident.0, resident.1, Aim::AtMost(0.5));
    Ok(())
}
