//! `namespaces`: scans the keys of a target once, and prints its namespaces.
//!
//! It uses the sweep, the matcher and the estimates of the exporter. By default it prints a table.
//! With `--suggest`, the table goes to standard error and a `namespaces` block for the
//! configuration to standard output. [`json`] documents the fields of the JSON document.

pub mod comparison;
mod earlier;
pub mod human;
pub mod json;
pub mod layout;
pub mod notes;
pub mod progress;
pub mod report;
pub mod sample;
pub mod table;
pub mod verdict;

use std::io::{self, Write};

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::check::explained;
use crate::clock::now;
use crate::config::arguments::{LookupLimit, NamespacesArguments, Output};
use crate::config::{Config, Keys, Share, Target};
use crate::failure::Failure;
use crate::keyspace::single_pass::LookupBudget;
use crate::keyspace::suggest::{Options, Suggestion, suggest, to_yaml};
use crate::keyspace::sweep::census::Census;
use crate::keyspace::sweep::{Event, once};
use crate::output::{Plain, Styled};
use comparison::Comparison;
use json::Additions;
use layout::Layout;
use progress::ProgressLine;
use report::{Ended, PassEnd, Queried, Report};
use sample::NamedSample;

/// Why there is no result, or only a partial one.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// No target has the given name. The error omits the name, which may be a URL with a password.
    #[error("TARGET is not the name of a configured target; use one of: {known}")]
    UnknownTarget {
        /// The names of the targets.
        known: String,
    },
    /// The file of `--compare` is not usable.
    #[error("{place} {what}; {remedy}")]
    Earlier {
        /// The file, with line and column if they are known.
        place: String,
        /// The mistake.
        what: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// Signals could not be handled.
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    /// The target failed during the pass.
    #[error("{name} ({address}) failed: {}", explained(.failure))]
    Target {
        /// Name of the target.
        name: String,
        /// The scanned address.
        address: String,
        /// The failure.
        failure: Failure,
    },
    /// The result could not be written.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

/// Scans one target and prints the result. Returns whether the pass was completed.
///
/// # Errors
///
/// Returns an error if there is no such target, it failed, or the output could not be written.
pub async fn run(
    config: &Config,
    arguments: &NamespacesArguments,
    out: &mut impl Write,
) -> Result<bool, PassError> {
    let target = find(&config.targets, arguments.target.as_deref())?;
    let earlier = arguments.compare.as_deref().map(earlier::read);
    let earlier = earlier.transpose()?;
    let target = at_speed(target, arguments.full_speed);
    let mut census = Census::new(&config.namespaces, &target.sweep, &Keys::default());
    let mut sample = arguments.suggest.then(NamedSample::default);
    let lookups = match arguments.lookups {
        None => LookupBudget::Default,
        Some(LookupLimit::AtMost(lookups)) => LookupBudget::AtMost(lookups),
        Some(LookupLimit::All) => LookupBudget::All,
    };
    let pass = scan(&target, lookups, &mut census, sample.as_mut()).await?;
    let ended = match &pass.end {
        PassEnd::Failed(failure) => Err(PassError::Target {
            name: target.name.clone(),
            address: target.sweep_endpoint().address.to_string(),
            failure: failure.clone(),
        }),
        PassEnd::Complete => Ok(true),
        PassEnd::Interrupted => Ok(false),
    };
    if ended.is_err() && census.keys_visited() == 0 {
        return ended;
    }
    let mut report = report::build(&target, &census, pass, !config.namespaces.is_empty(), now());
    report.sort(arguments.sort);
    let findings = PassFindings {
        suggestions: sample.map(|sample| (sample.keys().len(), guess(&sample, &census))),
        comparison: earlier.map(|earlier| comparison::compare(&earlier, &report)),
        report,
    };
    print(&findings, arguments, out).map_err(PassError::Output)?;
    ended
}

/// Returns the target of that name, or the first one.
fn find<'a>(targets: &'a [Target], name: Option<&str>) -> Result<&'a Target, PassError> {
    let found = targets
        .iter()
        .find(|target| name.is_none_or(|name| target.name == name));
    found.ok_or_else(|| {
        let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        let known = names.join(", ");
        PassError::UnknownTarget { known }
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

/// Scans until the pass is complete, a signal arrives, or the target fails.
async fn scan(
    target: &Target,
    lookups: LookupBudget,
    census: &mut Census,
    mut sample: Option<&mut NamedSample>,
) -> Result<Ended, PassError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(PassError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(PassError::Signals)?;
    let started = Instant::now();
    let mut progress = ProgressLine::on_terminal();
    let (mut server, mut queried) = (None, Queried::default());
    let mut listener = |event: Event<'_>| match event {
        Event::Opened(opened) => server = Some(opened.to_string()),
        Event::Key(name, found) => {
            queried.count(found);
            if let Some(sample) = &mut sample {
                sample.see(name, found, |below| fastrand::u64(..below));
            }
        }
        Event::Idle { keys, lookups } => {
            queried.idle += keys.len() as u64;
            queried.lookups += lookups;
            if let Some(sample) = &mut sample {
                sample.see_idle(keys);
            }
        }
        Event::Progress { seen, keys } => progress.show(seen, keys),
        Event::Estimate(_) => {}
    };
    let end = tokio::select! {
        pass = Box::pin(once(target, lookups, census, &mut listener)) => match pass {
            Ok(()) => PassEnd::Complete,
            Err(failure) => PassEnd::Failed(failure),
        },
        _ = interrupt.recv() => PassEnd::Interrupted,
        _ = terminate.recv() => PassEnd::Interrupted,
    };
    progress.clear();
    Ok(Ended {
        end,
        server,
        queried,
        duration: started.elapsed(),
    })
}

fn guess(sample: &NamedSample, census: &Census) -> Vec<Suggestion> {
    let known = census.longest_known_idle().unwrap_or(0.0);
    let measured = sample.measured_use(known, census.lru_horizon());
    suggest(sample.sampled(), &measured, &Options::default())
}

/// Everything that a pass found.
struct PassFindings {
    report: Report,
    /// The suggestions, and the number of keys behind them.
    suggestions: Option<(usize, Vec<Suggestion>)>,
    comparison: Option<Comparison>,
}

/// Writes the result in the requested format.
fn print(
    findings: &PassFindings,
    arguments: &NamespacesArguments,
    out: &mut impl Write,
) -> io::Result<()> {
    let report = &findings.report;
    let rows = arguments.top.and_then(|top| usize::try_from(top).ok());
    let layout = Layout::of_output(rows);
    match (arguments.output, &findings.suggestions) {
        (Output::Json, suggestions) => {
            let suggestions = suggestions.as_ref();
            let additions = Additions {
                suggestions: suggestions.map(|(_, suggestions)| suggestions.as_slice()),
                comparison: findings.comparison.as_ref(),
            };
            Plain(&mut *out).write_all(json::document(report, &additions).as_bytes())?;
        }
        (Output::Table, None) if layout.is_colored => {
            Styled(&mut *out).write_all(tables(findings, &layout).as_bytes())?;
        }
        (Output::Table, None) => {
            Plain(&mut *out).write_all(tables(findings, &layout).as_bytes())?;
        }
        (Output::Table, Some((sampled, suggestions))) => {
            let layout = Layout {
                rows: layout.rows,
                ..Layout::PLAIN
            };
            Plain(io::stderr()).write_all(tables(findings, &layout).as_bytes())?;
            Plain(&mut *out).write_all(block(report, *sampled, suggestions).as_bytes())?;
        }
    }
    out.flush()
}

/// Returns the table, and what the flags add to it.
fn tables(findings: &PassFindings, layout: &Layout) -> String {
    let report = &findings.report;
    let mut text = table::text(report, layout);
    if let Some(comparison) = &findings.comparison {
        let changes = comparison::text::text(comparison, &report.target, layout);
        text.push_str(&changes);
    }
    text
}

/// Returns the block for the configuration, with a comment on the sample behind it.
fn block(report: &Report, sampled: usize, suggestions: &[Suggestion]) -> String {
    let part = match report.end {
        PassEnd::Complete => "",
        PassEnd::Interrupted | PassEnd::Failed(_) => " before the pass was complete",
    };
    format!(
        "# Based on {} of {} keys that were seen{part}, and the TTLs of {}. Review it before you use \
         it.\n{}",
        human::count(sampled as u64),
        human::count(report.keys_seen),
        human::count(report.queried.ttls),
        to_yaml(suggestions)
    )
}
