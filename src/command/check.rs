//! `check`: dials every target and says what will work, what not, and what is missing for it.

use std::io::{self, Write};
use std::sync::Arc;

use tokio::time::Instant;

use crate::collector::Collector;
use crate::config::{Config, Target, doubts};
use crate::failure::{Failure, Reason};
use crate::keyspace::sweep::{self, Examined as SweepExamined};
use crate::poll::{Poller, circumstances, collectors, describe_pace};
use crate::query::Rejected;
use crate::reply::{ErrorKind, Refusal};

/// Writes one block for every target. True when everything that is on will work.
///
/// # Errors
///
/// The report could not be written.
pub async fn run(config: &Config, out: &mut impl Write) -> io::Result<bool> {
    let count = config.targets.len();
    let targets = if count == 1 { "target" } else { "targets" };
    writeln!(out, "configuration: good, {count} {targets}")?;
    let channels = config.targets.first();
    let channels = channels.map_or(&[][..], |target| &*target.options.channels);
    for doubt in doubts(&config.namespaces, channels) {
        writeln!(out, "  warning: {doubt}")?;
    }
    let mut all_work = true;
    for target in &config.targets {
        writeln!(out, "{} ({})", target.name, target.endpoint.address)?;
        writeln!(out, "  {:<18} {}", "polls", describe_pace(target.poll))?;
        match examine(target).await {
            Ok(examined) => {
                all_work &= write_collectors(out, target, &examined)?;
                all_work &= write_sweep(out, target).await?;
            }
            Err(failure) => {
                all_work = false;
                writeln!(
                    out,
                    "  does not work: {failure}; {}",
                    remedy(failure.reason)
                )?;
            }
        }
    }
    Ok(all_work)
}

/// What one poll of a target showed.
struct Examined {
    server: String,
    applicable: Vec<&'static Collector>,
    rejected: Vec<Rejected>,
}

impl Examined {
    /// What a collector was denied.
    fn rejected(&self, collector: &Collector) -> impl Iterator<Item = &Rejected> {
        let queries = collector.queries.iter().chain(collector.further_queries);
        let queries: Vec<_> = queries.copied().collect();
        let rejected = self.rejected.iter();
        rejected.filter(move |rejected| queries.contains(&rejected.query))
    }
}

async fn examine(target: &Target) -> Result<Examined, Failure> {
    let deadline = Instant::now() + target.poll.timeout;
    let mut poller = Poller::open(target, Arc::new(|_| ()), Arc::default(), deadline).await?;
    let round = poller
        .poll(target, &circumstances(target), deadline)
        .await?;
    Ok(Examined {
        server: poller.server_text(),
        applicable: round.collectors,
        rejected: poller.rejected().to_vec(),
    })
}

fn write_collectors(
    out: &mut impl Write,
    target: &Target,
    examined: &Examined,
) -> io::Result<bool> {
    writeln!(out, "  {}", examined.server)?;
    let mut all_work = true;
    for collector in collectors(target) {
        let name = collector.name;
        if !examined.applicable.iter().any(|one| one.name == name) {
            writeln!(
                out,
                "  {name:<18} left out: this kind of server has no such thing"
            )?;
            continue;
        }
        let mut said = Vec::new();
        for Rejected { query, refusal, .. } in examined.rejected(collector) {
            let line = match refusal.kind() {
                ErrorKind::Permission => format!(
                    "denied: the user needs {}; or set collectors.{name} to false",
                    query.permission
                ),
                _ => format!(
                    "refused ({} {}); set collectors.{name} to false",
                    refusal.code, refusal.message
                ),
            };
            if !said.contains(&line) {
                writeln!(out, "  {name:<18} {line}")?;
                said.push(line);
            }
        }
        if said.is_empty() {
            writeln!(out, "  {name:<18} works")?;
        }
        all_work &= said.is_empty();
    }
    Ok(all_work)
}

/// Writes whether the sweep works, if it is on, and what it will cost.
async fn write_sweep(out: &mut impl Write, target: &Target) -> io::Result<bool> {
    let name = "sweep";
    if !target.sweep.enabled {
        return Ok(true);
    }
    let SweepExamined {
        refused,
        random_keys,
        forecast,
    } = match sweep::examine(target).await {
        Ok(examined) => examined,
        Err(failure) => {
            let remedy = match failure.reason {
                Reason::Denied => "give the user +info +scan",
                reason => remedy(reason),
            };
            writeln!(
                out,
                "  {name:<18} does not work: {failure}; {remedy}, or set sweep.enabled to false"
            )?;
            return Ok(false);
        }
    };
    if refused.is_empty() {
        writeln!(out, "  {name:<18} works")?;
    }
    if let Some(forecast) = forecast {
        writeln!(out, "  {name:<18} cost: {forecast}")?;
    }
    for (query, refusal) in &refused {
        let (code, permission) = (&refusal.code, query.query().permission);
        writeln!(
            out,
            "  {name:<18} refused ({code}): the user needs {permission}, and ~* for the keys"
        )?;
    }
    if let Some(Refusal { code, .. }) = random_keys {
        writeln!(
            out,
            "  {name:<18} refused ({code}): the user needs +randomkey for an estimate before the first pass ends"
        )?;
    }
    Ok(refused.is_empty())
}

/// What to look at, by reason.
pub(super) const fn remedy(reason: Reason) -> &'static str {
    match reason {
        Reason::Dns => "check the host name in the url",
        Reason::Refused => "check host and port, and that the server runs",
        Reason::Timeout => {
            "check that the server answers and no firewall drops packets; or raise poll.timeout"
        }
        Reason::Tls => {
            "check that the port speaks TLS and the certificates are good (ca_file, cert_file, \
             server_name of `tls`); or use redis://"
        }
        Reason::Auth => "check username and password",
        Reason::Denied => "give the user +info, or allow connections from here",
        Reason::Loading => "wait until the server has loaded its data",
        Reason::MaxClients => "raise maxclients on the server, or close connections",
        Reason::Protocol => "check that the port belongs to a Redis server",
        Reason::Closed => "check that the server accepts connections from here",
        Reason::Other => "see the server's log",
    }
}
