//! Prints the result of a pass.

use std::io::{self, Write};
use std::time::Duration;

use super::super::palette::Palette;
use super::comparison::{self, Comparison};
use super::json::{self, Additions};
use super::layout::Layout;
use super::named::{self, BrokenPolicy, SizedKey};
use super::report::{PassEnd, Report};
use super::suggest::{Suggestion, to_yaml};
use super::{PassError, table, watch};
use crate::config::arguments::{NamespacesArguments, Output};
use crate::output::{Plain, Styled, complain};
use crate::quantity;

/// Everything that a pass found.
pub(super) struct PassFindings {
    pub(super) report: Report,
    /// The suggestions, and the number of keys behind them.
    pub(super) suggestions: Option<(usize, Vec<Suggestion>)>,
    pub(super) comparison: Option<Comparison>,
    pub(super) largest: Option<Vec<SizedKey>>,
    pub(super) broken: Option<Vec<BrokenPolicy>>,
}

/// Writes the result in the requested format. `rest` is the time until the next pass, if there is
/// one.
pub(super) fn print(
    findings: &PassFindings,
    arguments: &NamespacesArguments,
    rest: Option<Duration>,
    out: &mut impl Write,
) -> io::Result<()> {
    let report = &findings.report;
    let layout = layout(arguments);
    match (arguments.output, &findings.suggestions) {
        (Output::Json, _) => {
            let text = document(findings);
            Plain(&mut *out).write_all(text.as_bytes())?;
        }
        (Output::Table, None) => {
            let mut text = tables(findings, &layout);
            if let Some(rest) = rest {
                text.push_str(&watch::footer(rest));
            }
            text.push_str(&table::notable(report, &layout));
            draw(&text, &layout, rest.is_some(), out)?;
        }
        (Output::Table, Some((sampled, suggestions))) => {
            let layout = Layout::of_errors(rows(arguments));
            Plain(io::stderr()).write_all(tables(findings, &layout).as_bytes())?;
            Plain(&mut *out).write_all(block(report, *sampled, suggestions).as_bytes())?;
            // The verdict ends the output also on a terminal, which gets both streams.
            out.flush()?;
            Plain(io::stderr()).write_all(table::notable(report, &layout).as_bytes())?;
        }
    }
    out.flush()
}

/// Writes the error of a pass that another one follows in `rest`.
///
/// A terminal keeps the table of the last complete pass, or else gets what this pass has seen. In
/// other outputs that table is already written, and the error goes to standard error.
pub(super) fn print_failure(
    error: &PassError,
    (partial, last): (Option<&PassFindings>, Option<&PassFindings>),
    arguments: &NamespacesArguments,
    rest: Duration,
    out: &mut impl Write,
) -> io::Result<()> {
    let layout = layout(arguments);
    let text = |has_table| watch::failure_text(&error.to_string(), rest, has_table);
    match arguments.output {
        Output::Table if layout.is_terminal => {
            let table = last.or(partial).map(|findings| whole(findings, &layout));
            let error = layout.warned(&layout.wrapped(&text(last.is_some()), 0));
            let text = format!("{}\n{error}\n", table.unwrap_or_default());
            draw(&text, &layout, true, out)?;
        }
        Output::Table => {
            let partial = partial.filter(|_| last.is_none());
            let table = partial.map(|findings| whole(findings, &layout));
            Plain(&mut *out).write_all(table.unwrap_or_default().as_bytes())?;
            complain(&text(false));
        }
        Output::Json => {
            let document = partial.map(document);
            Plain(&mut *out).write_all(document.unwrap_or_default().as_bytes())?;
            complain(&text(false));
        }
    }
    out.flush()
}

fn layout(arguments: &NamespacesArguments) -> Layout {
    Layout::of_output(rows(arguments))
}

/// Returns the maximum number of namespaces in the table, if there is one.
fn rows(arguments: &NamespacesArguments) -> Option<usize> {
    arguments.top.and_then(|top| usize::try_from(top).ok())
}

/// Writes a table, instead of the previous one if a terminal is redrawn.
fn draw(text: &str, layout: &Layout, is_redrawn: bool, out: &mut impl Write) -> io::Result<()> {
    if is_redrawn && layout.is_terminal {
        out.write_all(watch::CLEAR.as_bytes())?;
    }
    if layout.palette == Palette::Colored {
        Styled(&mut *out).write_all(text.as_bytes())
    } else {
        Plain(&mut *out).write_all(text.as_bytes())
    }
}

/// Returns the JSON document, and what the flags add to it.
fn document(findings: &PassFindings) -> String {
    let suggestions = findings.suggestions.as_ref();
    let additions = Additions {
        suggestions: suggestions.map(|(_, suggestions)| suggestions.as_slice()),
        comparison: findings.comparison.as_ref(),
        largest: findings.largest.as_deref(),
        broken: findings.broken.as_deref(),
    };
    json::document(&findings.report, &additions)
}

/// Returns the table, what the flags add to it, and what is notable.
fn whole(findings: &PassFindings, layout: &Layout) -> String {
    tables(findings, layout) + &table::notable(&findings.report, layout)
}

/// Returns the table, and what the flags add to it.
fn tables(findings: &PassFindings, layout: &Layout) -> String {
    let report = &findings.report;
    let mut text = table::text(report, layout);
    if let Some(comparison) = &findings.comparison {
        let changes = comparison::text::text(comparison, &report.target, layout);
        text.push_str(&changes);
    }
    if let Some(largest) = &findings.largest {
        text.push_str(&named::largest_text(largest, report, layout));
    }
    if let Some(broken) = &findings.broken {
        text.push_str(&named::examples_text(broken, report, layout));
    }
    text
}

/// Returns the block for the configuration, with a comment on the sample behind it.
pub(super) fn block(report: &Report, sampled: usize, suggestions: &[Suggestion]) -> String {
    let part = match report.end {
        PassEnd::Complete => "",
        PassEnd::Interrupted | PassEnd::Failed(_) => " before the pass was complete",
    };
    format!(
        "# Based on {} of {} seen{part}, and the TTLs of {}. Review it before you use it.\n{}",
        quantity::whole_count(sampled as u64),
        quantity::whole_counted(report.keys_seen, "key that was", "keys that were"),
        quantity::whole_count(report.queried.ttls),
        to_yaml(suggestions)
    )
}
