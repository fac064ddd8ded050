//! `namespaces`: one pass over a target's keys, and what its namespaces hold.
//!
//! The walk, the matching and the estimates are those of the exporter; here they are only driven
//! and shown. Without `--output json` it prints a table; with `--suggest` the table goes to
//! standard error and a `namespaces` block for the configuration to standard output.
//! [`json`] documents the fields of the JSON document.

pub mod human;
pub mod json;
pub mod progress;
pub mod report;
pub mod sample;
pub mod table;

use std::io::{self, Write};

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::check;
use crate::config::arguments::{Look, LookupLimit, Output};
use crate::config::{Config, Keys, Share, Target};
use crate::failure::{Failure, Reason};
use crate::keyspace::single_pass::Lookups;
use crate::keyspace::suggest::{Options, Suggestion, suggest, to_yaml};
use crate::keyspace::sweep::census::Census;
use crate::keyspace::sweep::{Event, once};
use crate::output::Plain;
use progress::Progress;
use report::{Asked, End, Report, Walked};
use sample::Sample;

/// Walks one target and prints what was found. True when the pass was completed.
///
/// # Errors
///
/// There is no such target, nothing at all was seen of it, or the output could not be written:
/// one sentence with the remedy.
pub async fn run(config: &Config, look: &Look, out: &mut impl Write) -> Result<bool, String> {
    let target = find(&config.targets, look.target.as_deref())?;
    let target = at_speed(target, look.full_speed);
    let mut census = Census::new(&config.namespaces, &target.sweep, &Keys::default());
    let mut sample = look.suggest.then(Sample::default);
    let lookups = match look.lookups {
        None => Lookups::Default,
        Some(LookupLimit::AtMost(lookups)) => Lookups::AtMost(lookups),
        Some(LookupLimit::All) => Lookups::All,
    };
    let walked = walk(&target, lookups, &mut census, sample.as_mut()).await?;
    let complaint = match &walked.end {
        End::Failed(failure) => Some(describe(&target, failure)),
        End::Complete | End::Interrupted => None,
    };
    if let Some(complaint) = &complaint
        && census.keys_visited() == 0
    {
        return Err(complaint.clone());
    }
    let report = report::build(&target, &census, walked, !config.namespaces.is_empty());
    let suggestions = sample.map(|sample| (sample.keys().len(), guess(&sample)));
    print(&report, suggestions.as_ref(), look.output, out)
        .map_err(|error| format!("cannot write the result: {error}"))?;
    complaint.map_or(Ok(report.end == End::Complete), Err)
}

/// The target of that name, or the first.
fn find<'a>(targets: &'a [Target], name: Option<&str>) -> Result<&'a Target, String> {
    let found = targets
        .iter()
        .find(|target| name.is_none_or(|name| target.name == name));
    // The word itself is not shown: it may be a URL with a password.
    found.ok_or_else(|| {
        let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        format!(
            "TARGET is not the name of a configured target; give one of: {}",
            names.join(", ")
        )
    })
}

fn at_speed(target: &Target, full: bool) -> Target {
    let mut target = target.clone();
    if full {
        target.sweep.cpu_share = Share::WHOLE;
        target.sweep.keys_per_second = None;
    }
    target
}

/// Walks until the pass is complete, a signal comes, or the target fails.
async fn walk(
    target: &Target,
    lookups: Lookups,
    census: &mut Census,
    mut sample: Option<&mut Sample>,
) -> Result<Walked, String> {
    let listening = |error: io::Error| format!("cannot wait for signals: {error}");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(listening)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(listening)?;
    let started = Instant::now();
    let mut progress = Progress::on_terminal();
    let (mut server, mut asked) = (None, Asked::default());
    let mut listener = |event: Event<'_>| match event {
        Event::Opened(opened) => server = Some(opened.to_string()),
        Event::Key(name, found) => {
            asked.count(found);
            if let Some(sample) = &mut sample {
                sample.see(name, found, |below| fastrand::u64(..below));
            }
        }
        Event::Progress { seen, keys } => progress.show(seen, keys),
        Event::Estimate(_) => {}
    };
    let end = tokio::select! {
        walked = Box::pin(once(target, lookups, census, &mut listener)) => match walked {
            Ok(()) => End::Complete,
            Err(failure) => End::Failed(failure),
        },
        _ = interrupt.recv() => End::Interrupted,
        _ = terminate.recv() => End::Interrupted,
    };
    progress.clear();
    Ok(Walked {
        end,
        server,
        asked,
        duration: started.elapsed(),
    })
}

/// One sentence: which target, what happened, what to do.
fn describe(target: &Target, failure: &Failure) -> String {
    let remedy = match failure.reason {
        Reason::Denied => {
            "give the user +info +select +scan +memory|usage +pttl +type and read access to the \
             keys, as by %R~* or ~*"
        }
        reason => check::remedy(reason),
    };
    let address = target
        .sweep
        .from
        .as_ref()
        .map_or(&target.endpoint.address, |from| &from.address);
    format!("{} ({address}) failed: {failure}; {remedy}", target.name)
}

fn guess(sample: &Sample) -> Vec<Suggestion> {
    suggest(sample.sampled(), &Options::default())
}

/// Writes what was asked for.
fn print(
    report: &Report,
    suggestions: Option<&(usize, Vec<Suggestion>)>,
    output: Output,
    out: &mut impl Write,
) -> io::Result<()> {
    match (output, suggestions) {
        (Output::Json, suggestions) => {
            let suggestions = suggestions.map(|(_, suggestions)| suggestions.as_slice());
            out.write_all(json::document(report, suggestions).as_bytes())?;
        }
        (Output::Table, None) => out.write_all(table::text(report).as_bytes())?,
        (Output::Table, Some((sampled, suggestions))) => {
            Plain(io::stderr()).write_all(table::text(report).as_bytes())?;
            out.write_all(block(report, *sampled, suggestions).as_bytes())?;
        }
    }
    out.flush()
}

/// The block for the configuration, with a comment on what it stands on.
fn block(report: &Report, sampled: usize, suggestions: &[Suggestion]) -> String {
    let part = match report.end {
        End::Complete => "",
        End::Interrupted | End::Failed(_) => " before the pass was complete",
    };
    format!(
        "# Guessed from {} of {} keys that were seen{part}; read it before you use it.\n{}",
        human::count(sampled as u64),
        human::count(report.keys_seen),
        to_yaml(suggestions)
    )
}
