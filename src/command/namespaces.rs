//! `namespaces`: scans the keys of a target once, and prints its namespaces.
//!
//! It uses the sweep, the matcher and the estimates of the exporter. By default it prints a table.
//! With `--suggest`, the table goes to standard error and a `namespaces` block for the
//! configuration to standard output. `json` documents the fields of the JSON document.

mod comparison;
mod earlier;
mod evictions;
mod json;
mod kept_name;
mod layout;
mod named;
mod notes;
mod pass;
mod print;
mod progress;
mod report;
mod sample;
mod suggest;
mod table;
mod verdict;
mod watch;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::check::explained;
use crate::clock::now;
use crate::config::arguments::{LookupLimit, NamespacesArguments};
use crate::config::{Config, Keys, Namespace, Share, Target};
use crate::failure::Failure;
use crate::keyspace::single_pass::LookupBudget;
use crate::keyspace::sweep::census::Census;
use comparison::EarlierPass;
use evictions::EvictionWatch;
use named::KeptNames;
use pass::{EndSignals, PassLimits, SeenNames, scan};
use print::{PassFindings, block, print, print_failure};
use report::{PassEnd, Report};
use sample::NamedSample;
use suggest::{Options, Suggestion, suggest};

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

/// Scans one target and prints the result, repeatedly if the user watches it. Returns whether a pass
/// was completed.
///
/// # Errors
///
/// Returns an error if there is no such target, it failed, or the output could not be written.
pub async fn run(
    config: &Config,
    arguments: &NamespacesArguments,
    out: &mut impl Write,
) -> Result<bool, PassError> {
    let configured = find(&config.targets, arguments.target.as_deref())?;
    let earlier = arguments.compare.as_deref();
    let earlier = earlier.map(earlier::read).transpose()?;
    let target = at_speed(configured, arguments.full_speed);
    let is_declared = !config.namespaces.is_empty();
    let mut signals = EndSignals::new()?;
    let (mut passes, mut last, mut evictions) = (0_u32, None, None::<EvictionWatch>);
    loop {
        let started = Instant::now();
        let mut census = Census::new(&config.namespaces, &target.sweep, &Keys::default());
        let mut names = wanted_names(arguments);
        let limits = PassLimits {
            lookups: lookups(arguments, passes),
            time: None,
        };
        let pass = scan(&target, limits, &mut census, &mut names, &mut signals).await;
        if last.is_some() && pass.end == PassEnd::Interrupted {
            return Ok(true);
        }
        let ended = ended(&target, &pass.end);
        let goes_on = arguments.watch && watch::goes_on(&pass.end, last.is_some());
        let has_keys = census.keys_visited() > 0;
        if ended.is_err() && !has_keys && !goes_on {
            return ended;
        }
        let mut report = report::build(&target, &census, pass, is_declared, now());
        report.sort(arguments.sort);
        if let Some(evictions) = &evictions {
            report.evicted = evictions.rates(&report);
        } else if goes_on && ended.is_ok() && report.removed.may_evict() {
            evictions = Some(EvictionWatch::start(configured, &config.namespaces));
        }
        let findings = findings(report, &census, &names, earlier.as_ref(), arguments);
        let rest = watch::rest(started.elapsed(), &target.sweep, has_keys);
        let shown = match &ended {
            Err(error) if goes_on => {
                let partial = has_keys.then_some(&findings);
                print_failure(error, (partial, last.as_ref()), arguments, rest, out)
            }
            _ => print(&findings, arguments, goes_on.then_some(rest), out),
        };
        shown.map_err(PassError::Output)?;
        if !goes_on {
            return ended;
        }
        if ended.is_ok() {
            last = Some(findings);
            passes += 1;
        }
        tokio::select! {
            () = sleep(rest) => {}
            () = signals.arrive() => return Ok(last.is_some()),
        }
    }
}

/// Returns the names to keep during a pass.
fn wanted_names(arguments: &NamespacesArguments) -> SeenNames {
    SeenNames {
        sample: arguments.suggest.then(NamedSample::default),
        kept: KeptNames::new(arguments.largest.unwrap_or(0) as usize, arguments.examples),
    }
}

/// Returns the lookups of the pass after this many others.
fn lookups(arguments: &NamespacesArguments, passes: u32) -> LookupBudget {
    match arguments.lookups {
        None if passes > 0 => LookupBudget::AtMost(watch::LOOKUPS),
        None => LookupBudget::Default,
        Some(LookupLimit::AtMost(lookups)) => LookupBudget::AtMost(lookups),
        Some(LookupLimit::All) => LookupBudget::All,
    }
}

/// Returns whether a pass was completed, or the error if the target failed.
fn ended(target: &Target, end: &PassEnd) -> Result<bool, PassError> {
    match end {
        PassEnd::Failed(failure) => Err(PassError::Target {
            name: target.name.clone(),
            address: target.sweep_endpoint().address.to_string(),
            failure: failure.clone(),
        }),
        PassEnd::Complete => Ok(true),
        PassEnd::Interrupted => Ok(false),
    }
}

fn findings(
    report: Report,
    census: &Census,
    names: &SeenNames,
    earlier: Option<&EarlierPass>,
    arguments: &NamespacesArguments,
) -> PassFindings {
    let name_of = |namespace| census.name_of(namespace).to_owned();
    let (kept, sample) = (&names.kept, names.sample.as_ref());
    PassFindings {
        suggestions: sample.map(|sample| (sample.keys().len(), guess(sample, census))),
        comparison: earlier.map(|earlier| comparison::compare(earlier, &report)),
        largest: arguments.largest.map(|_| kept.largest(&name_of)),
        broken: arguments.examples.then(|| kept.broken(&name_of)),
        report,
    }
}

/// Namespaces that the keys of a target suggest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Whether there are any.
    pub is_found: bool,
    /// The block for the configuration.
    pub text: String,
}

/// Scans a target for a limited time, and suggests namespaces.
///
/// # Errors
///
/// Returns an error if the target failed.
pub async fn survey(
    namespaces: &[Namespace],
    target: &Target,
    time: Duration,
) -> Result<Survey, PassError> {
    let mut signals = EndSignals::new()?;
    let mut census = Census::new(namespaces, &target.sweep, &Keys::default());
    let mut names = SeenNames {
        sample: Some(NamedSample::default()),
        ..SeenNames::default()
    };
    let limits = PassLimits {
        lookups: LookupBudget::Default,
        time: Some(time),
    };
    let pass = scan(target, limits, &mut census, &mut names, &mut signals).await;
    if census.keys_visited() == 0 {
        ended(target, &pass.end)?;
    }
    let report = report::build(target, &census, pass, false, now());
    let sample = names.sample.unwrap_or_default();
    let suggestions = guess(&sample, &census);
    Ok(Survey {
        is_found: !suggestions.is_empty(),
        text: block(&report, sample.keys().len(), &suggestions),
    })
}

/// Returns the target of that name, or the first one.
fn find<'a>(targets: &'a [Arc<Target>], name: Option<&str>) -> Result<&'a Target, PassError> {
    let found = targets
        .iter()
        .find(|target| name.is_none_or(|name| target.name == name));
    found.map(Arc::as_ref).ok_or_else(|| {
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

fn guess(sample: &NamedSample, census: &Census) -> Vec<Suggestion> {
    let known = census.longest_known_idle().unwrap_or(0.0);
    let measured = sample.measured_use(known, census.lru_horizon());
    suggest(sample.sampled(), &measured, &Options::default())
}
