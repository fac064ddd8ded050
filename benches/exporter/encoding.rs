//! Compares our encoder with that of the `prometheus` crate, on the same samples.

use std::hint::black_box;
use std::time::Instant;

use prometheus::{GaugeVec, Opts, Registry, TextEncoder};
use redis_namespace_exporter::encode::encode;
use redis_namespace_exporter::metric::Names;
use redis_namespace_exporter::metric::{Family, Snapshot, Unit, source};

use crate::Outcome;
use crate::quantile;
use crate::table::{Aim, Table};

/// Number of samples of a family of one target.
const PER_FAMILY: u32 = 240;

static FAMILIES: [Family<1>; 8] = [
    family("redis_bench_a"),
    family("redis_bench_b"),
    family("redis_bench_c"),
    family("redis_bench_d"),
    family("redis_bench_e"),
    family("redis_bench_f"),
    family("redis_bench_g"),
    family("redis_bench_h"),
];

const fn family(name: &'static str) -> Family<1> {
    let from = source("INFO", "bench");
    Family::gauge(name, &["cmd"], from, Unit::One, "A figure of a command.")
}

/// Measures a page of 1,920 samples and one of 99,840.
pub fn measure(table: &mut Table) -> Outcome<()> {
    compare(1, 200, table)?;
    compare(52, 10, table)
}

fn compare(targets: u32, rounds: u32, table: &mut Table) -> Outcome<()> {
    let names: Vec<_> = (0..targets).map(|at| format!("target-{at}")).collect();
    let (snapshot, registry) = (snapshot(), registry(&names)?);
    let pairs: Vec<_> = names
        .iter()
        .map(|name| (Some(name.as_str()), &snapshot))
        .collect();
    let (mut here, mut there) = (Vec::new(), Vec::new());
    let mut lines = 0;
    for _ in 0..rounds {
        let started = Instant::now();
        let page = black_box(encode(&pairs, &Names::default()));
        here.push(started.elapsed());
        let started = Instant::now();
        let text = TextEncoder::new().encode_to_string(&registry.gather())?;
        there.push(started.elapsed());
        lines = page.split(|byte| *byte == b'\n').count();
        if lines != black_box(text).split('\n').count() {
            return Err("the two pages have not the same number of lines".into());
        }
    }
    let what = format!(
        "writing {} samples, against the prometheus crate: p50",
        lines - 17
    );
    let (here, there) = (quantile::of(&here).p50, quantile::of(&there).p50);
    table.faster(&what, "µs", here, there, Aim::None);
    Ok(())
}

fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::default();
    for family in &FAMILIES {
        for command in 0..PER_FAMILY {
            let label = format!("command-{command}");
            snapshot.push(family, [&label], f64::from(command) * 1.25);
        }
    }
    snapshot.finish()
}

fn registry(targets: &[String]) -> Outcome<Registry> {
    let registry = Registry::new();
    for family in &FAMILIES {
        let name = family.descriptor().name;
        let gauge = GaugeVec::new(
            Opts::new(name, "A figure of a command."),
            &["target", "cmd"],
        )?;
        for target in targets {
            for command in 0..PER_FAMILY {
                let label = format!("command-{command}");
                gauge
                    .get_metric_with_label_values(&[target, &label])?
                    .set(f64::from(command) * 1.25);
            }
        }
        registry.register(Box::new(gauge))?;
    }
    Ok(registry)
}
