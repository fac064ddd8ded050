//! The record of the last poll as text: commands, times, and rejections. Pure.

use std::fmt::Write as _;

use super::facts::Seen;
use super::html::visible;
use crate::columns::{Cells, GAP, padded, widths};
use crate::number::length;
use crate::quantity::{age, bytes, counted, duration};
use crate::query::Ticket;
use crate::trace::{RejectedQuery, SentPipeline, Trace, words};

/// Maximum number of different commands that are listed for a pipeline.
const LINES_MAX: usize = 40;

/// Returns the record of the last poll.
#[must_use]
pub fn document(seen: &Seen<'_>) -> String {
    let mut text = format!(
        "Target {} ({})\n",
        visible(seen.name),
        visible(seen.address)
    );
    let (Some(poll), Some(polled_at)) = (seen.poll, seen.polled_at()) else {
        text.push_str("There was no poll yet.\n");
        return text;
    };
    let Trace {
        pipelines,
        rejected,
        grant,
        took,
        failure,
    } = &poll.trace;
    let (age, took) = (age(seen.now - polled_at), duration(took.as_secs_f64()));
    let result = if failure.is_some() {
        "failed"
    } else {
        "succeeded"
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "The last poll {result}. It ended {age} and took {took}."
    );
    if let Some(failure) = failure {
        let _ = writeln!(text, "Failure: {}", visible(&failure.to_string()));
    }
    for (at, pipeline) in (1..).zip(pipelines) {
        write_pipeline(&mut text, at, pipeline);
    }
    if !rejected.is_empty() {
        text.push_str("\nRejected by the server, and not sent again over this connection:\n");
    }
    text.push_str(&rejections(rejected));
    if let Some(grant) = grant {
        let _ = writeln!(
            text,
            "\nPermissions to grant:\n  {}",
            visible(&grant.command)
        );
    }
    text
}

/// Returns a line for each rejected query, in columns.
fn rejections(rejected: &[RejectedQuery]) -> String {
    let rows = rejected.iter();
    let rows = rows.map(|query| [query.collector.to_owned(), visible(&query.command)]);
    let rows: Vec<Cells<2>> = rows.collect();
    let widths = widths(&rows);
    let lines = rows.iter().zip(rejected).map(|(row, query)| {
        let cells = row.iter().zip(widths);
        let mut line = String::new();
        for (cell, width) in cells {
            line.extend([GAP, &padded(cell, width)]);
        }
        line + GAP + &visible(&query.remedy) + "\n"
    });
    lines.collect()
}

fn write_pipeline(text: &mut String, at: usize, pipeline: &SentPipeline) {
    let commands = counted(length(pipeline.commands.len()), "command", "commands");
    let microseconds = pipeline.took.as_micros();
    let replies = if pipeline.has_replies {
        bytes(length(pipeline.bytes)) + " of replies"
    } else {
        "no replies in time".to_owned()
    };
    let _ = writeln!(
        text,
        "\nPipeline {at}: {commands}, {microseconds} µs, {replies}"
    );
    // Consecutive commands of one query differ only in words that are not shown.
    let runs = pipeline
        .commands
        .chunk_by(|one, other| one.query == other.query);
    let mut hidden = 0;
    for (place, run) in runs.enumerate() {
        let Some(first) = run.first() else { continue };
        if place >= LINES_MAX {
            hidden += run.len();
            continue;
        }
        let times = match run.len() {
            1 => String::new(),
            several => format!(" (× {several})"),
        };
        let _ = writeln!(
            text,
            "  {}{times}{}",
            words(*first),
            error(pipeline, *first)
        );
    }
    if hidden > 0 {
        let _ = writeln!(text, "  and {hidden} more");
    }
}

/// Returns the error replies to the commands of a query.
fn error(pipeline: &SentPipeline, ticket: Ticket) -> String {
    let mut errors = pipeline.errors.iter();
    let error = errors.find(|(failed, _)| failed.query == ticket.query);
    error.map_or_else(String::new, |(_, code)| format!(": {}", visible(code)))
}
