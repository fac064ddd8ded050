//! Compares scrapes with a minimal hyper server that returns the same bytes.

use std::fs;

use crate::Outcome;
use crate::child::{Redis, bare_server, exporter};
use crate::client::{Client, Encoding};
use crate::quantile::{self, Quantiles};
use crate::table::{Aim, Table};

/// The core on which the threads of a connection run decides half of its latency. Therefore the
/// result is the median over many connections.
const BLOCKS: usize = 31;
const SCRAPES: usize = 600;
const WARM_UP: usize = 50;

/// Measures both encodings.
pub fn measure(redis: &Redis, table: &mut Table) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let page = folder.path().join("page");
    // Default polls, so that their cost is included.
    let exporter = exporter(redis, "15s")?;
    for (encoding, path) in [
        (Encoding::Identity, page.clone()),
        (Encoding::Gzip, folder.path().join("page.gz")),
    ] {
        let mut client = exporter.client(encoding)?;
        client.scrape()?;
        fs::write(path, &client.body)?;
    }
    let bare = bare_server(&page)?;
    for encoding in [Encoding::Gzip, Encoding::Identity] {
        let mut blocks = (Vec::new(), Vec::new());
        let mut bytes = 0;
        for _ in 0..BLOCKS {
            let mut clients = (exporter.client(encoding)?, bare.client(encoding)?);
            let (here, there) = block(&mut clients.0, &mut clients.1)?;
            blocks.0.push(here);
            blocks.1.push(there);
            bytes = clients.1.body.len();
        }
        let (here, there) = (quantile::median(&blocks.0), quantile::median(&blocks.1));
        let what = format!(
            "(a) scrape, {}, {} kB, against a bare hyper server",
            encoding.name(),
            bytes / 1000
        );
        let aim = Aim::AtMost(1.3);
        table.compare(&format!("{what}: p50"), "µs", here.p50, there.p50, aim);
        table.compare(&format!("{what}: p99"), "µs", here.p99, there.p99, aim);
    }
    Ok(())
}

/// Scrapes both alternately.
fn block(here: &mut Client, there: &mut Client) -> Outcome<(Quantiles, Quantiles)> {
    let mut taken = (Vec::new(), Vec::new());
    for round in 0..SCRAPES + WARM_UP {
        // The order alternates, so that neither always runs after the other.
        let pair = if round % 2 == 0 {
            let first = here.scrape()?;
            (first, there.scrape()?)
        } else {
            let first = there.scrape()?;
            (here.scrape()?, first)
        };
        if round >= WARM_UP {
            taken.0.push(pair.0);
            taken.1.push(pair.1);
        }
    }
    Ok((quantile::of(&taken.0), quantile::of(&taken.1)))
}
