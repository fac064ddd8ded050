//! Measures what the sweep costs Redis and its other clients.
//!
//! The machine may be busy, so every row compares short windows that alternate. An exporter whose
//! turn it is not is stopped with SIGSTOP.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::bystander::{Pings, during};
use crate::page::Exporter;
use crate::proxy::Proxy;
use crate::server::Server;
use crate::{Outcome, bare, row};

/// Time after a change of turns that is not measured. A sweep makes up for a short delay first.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// Turns of each side.
const TURNS: u32 = 12;

/// Settings with which only the CPU share limits the sweep.
const ONE_PERCENT: &str =
    "cpu_share: 1%, commands_per_second: 1000000, first_keys: 0, min_pass_interval: 1s";

/// The same, and every key is queried for its TTL and type.
const ONE_PERCENT_OF_ALL: &str = "cpu_share: 1%, commands_per_second: 1000000, \
    lookup_share: 100%, first_keys: 0, min_pass_interval: 1s";

/// Prints all rows.
pub fn rows(server: &Server) -> Outcome<()> {
    full_speed(server)?;
    cpu(server)?;
    distance(server)?;
    pings(server)
}

/// Starts an exporter that visits keys, and stops it until its turn.
fn stopped(server: &Server, sweep: &str, is_sweeping: bool) -> Outcome<Exporter> {
    let exporter = Exporter::ours(server, sweep)?;
    exporter.until(Duration::from_secs(60), |page| {
        let visited = page.value("redis_exporter_sweep_keys_visited_total", "");
        !is_sweeping && page.0.contains("redis_up") || visited > Some(8_000.0)
    })?;
    exporter.signal("STOP")?;
    Ok(exporter)
}

/// Lets an exporter run for a window, and returns what `measure` measures in it.
fn turn<T>(exporter: &Exporter, measure: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    exporter.signal("CONT")?;
    sleep(SETTLED_AFTER);
    let measured = measure();
    exporter.signal("STOP")?;
    measured
}

/// Returns the median.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Compares the CPU time of the server during a sweep with the time during polls alone.
fn cpu(server: &Server) -> Outcome<()> {
    let polls = stopped(server, "enabled: false", false)?;
    for (what, sweep, aim) in [
        ("at `cpu_share: 1%`", ONE_PERCENT, "0.8–1.0 %"),
        (
            "at `cpu_share: 1%`, with TTL and type of every key",
            ONE_PERCENT_OF_ALL,
            "0.8–1.0 %",
        ),
        ("with default settings", "first_keys: 0", "≤ 1.0 %"),
    ] {
        let swept = stopped(server, sweep, true)?;
        let mut shares = Vec::new();
        for _ in 0..TURNS {
            let idle = turn(&polls, || share_of_core(server))?;
            shares.push(turn(&swept, || share_of_core(server))? - idle);
        }
        let measured = format!("{:.2} % of a core", median(shares) * 100.0);
        row(&format!("Redis CPU of the sweep {what}"), &measured, aim);
    }
    Ok(())
}

fn share_of_core(server: &Server) -> Outcome<f64> {
    let (started, before) = (Instant::now(), server.cpu()?);
    sleep(Duration::from_secs(4));
    let spent = server.cpu()? - before;
    Ok(spent / started.elapsed().as_secs_f64())
}

/// Compares a sweep without limits with a client that sends the same commands.
fn full_speed(server: &Server) -> Outcome<()> {
    let settings = "cpu_share: 100%, lookup_share: 100%, min_pass_interval: 1h";
    let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..5 {
        let plain = bare::scan(server)?;
        let exporter = Exporter::ours(server, settings)?;
        let page = exporter.pass()?;
        let took = page.value("redis_exporter_sweep_pass_duration_seconds", "");
        let keys = page.value("redis_exporter_sweep_keys_visited_total", "");
        let speed = keys.ok_or("no keys")? / took.ok_or("no duration of the pass")?;
        ours.push(speed);
        bare.push(plain);
        ratios.push(speed / plain);
    }
    let measured = format!(
        "{:.0} against {:.0}: × {:.2}",
        median(ours),
        median(bare),
        median(ratios)
    );
    let what = "keys a second without limit, against a bare client that sends the same";
    row(what, &measured, "× ≥ 0.95");
    Ok(())
}

/// Compares the speed of a sweep over a slow network with one over loopback.
fn distance(server: &Server) -> Outcome<()> {
    let proxy = Proxy::to(server.address.port());
    proxy.delay(Duration::from_millis(20));
    let near = stopped(server, ONE_PERCENT_OF_ALL, true)?;
    let address = ([127, 0, 0, 1], proxy.port).into();
    let far = Exporter::at(address, ONE_PERCENT_OF_ALL)?;
    far.until(Duration::from_secs(60), |page| {
        page.value("redis_exporter_sweep_keys_visited_total", "") > Some(8_000.0)
    })?;
    far.signal("STOP")?;
    let mut ratios = Vec::new();
    for _ in 0..TURNS {
        let near = turn(&near, || speed(server))?;
        ratios.push(turn(&far, || speed(server))? / near);
    }
    let measured = format!("× {:.2}", median(ratios));
    let what = "keys a second at `cpu_share: 1%` over 20 ms, against loopback";
    row(what, &measured, "× ≥ 0.8");
    Ok(())
}

/// Returns the TYPE commands per second that the server counts, one for each key.
fn speed(server: &Server) -> Outcome<f64> {
    let (started, before) = (Instant::now(), server.calls("type")?);
    sleep(Duration::from_secs(4));
    let calls = server.calls("type")? - before;
    Ok(calls / started.elapsed().as_secs_f64())
}

/// Compares the round trips of another client during the default sweep with those without.
fn pings(server: &Server) -> Outcome<()> {
    let swept = stopped(server, "first_keys: 0", true)?;
    let rest = || {
        sleep(Duration::from_secs(2));
        Ok(())
    };
    let (mut idle, mut again, mut with) = <(Pings, Pings, Pings)>::default();
    for _ in 0..TURNS * 3 {
        idle.add(during(server, rest)?.1);
        with.add(turn(&swept, || Ok(during(server, rest)?.1))?);
        again.add(during(server, rest)?.1);
    }
    let noise = again.quantile(0.99) / idle.quantile(0.99);
    idle.add(again);
    let ratio = with.quantile(0.99) / idle.quantile(0.99);
    row("PING of another client, idle", &idle.describe(), "");
    let measured = format!(
        "{}: p99 × {ratio:.2}, idle against idle × {noise:.2}",
        with.describe()
    );
    let what = "PING of another client during the default sweep";
    row(what, &measured, "p99 × ≤ 1.05");
    Ok(())
}
