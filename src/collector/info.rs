//! INFO: one row per field, one file per group of sections; records have files of their own.
//!
//! Rows are keyed by field name. A field without a row is a record or is listed in [`left_out`]
//! with the reason.

#[cfg(test)]
mod cases;
pub mod certificates;
mod clients;
mod cluster;
pub mod commandstats;
mod cpu;
pub mod errorstats;
pub mod instance;
pub mod keysizes;
pub mod keyspace;
pub mod latencystats;
pub mod left_out;
mod memory;
pub mod module_list;
mod modules;
mod persistence;
mod relatives;
pub mod replication;
mod replication_fields;
mod row;
pub mod scripting_engines;
pub mod sentinel;
mod server;
mod states;
mod stats;
pub mod system_memory;
pub mod threads;
pub mod traffic;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Collector, INFO, Memo, Read};
use crate::info::{Info, number, signed_number};
use crate::metric::{Family, Snapshot, Unit};
use traffic::OthersTraffic;

/// Reads all plain INFO fields that have a row.
pub static COLLECTOR: Collector = Collector {
    name: "info",
    about: "Plain fields of INFO.",
    queries: &[&INFO],
    families: || {
        rows()
            .map(Family::descriptor)
            .chain(states::families())
            .chain(traffic::families())
            .collect()
    },
    read: Read::Remembering(|replies, snapshot| {
        let traffic = OthersTraffic::after(replies);
        let corrected = |field: &str| traffic.as_ref()?.of(field);
        read_corrected(&replies.info, corrected, snapshot);
        traffic::read(&replies.info, snapshot);
        states::read(&replies.info, snapshot);
        traffic.map(Memo::new)
    }),
    ..Collector::ON
};

/// Sections with records or user-defined field names. None of these fields has a row.
const RECORD_SECTIONS: &[&str] = &[
    "Commandstats",
    "Errorstats",
    "Latencystats",
    "Keyspace",
    "Keysizes",
    "Modules",
];

static ROWS: LazyLock<HashMap<&'static str, &'static Family<0>>> =
    LazyLock::new(|| rows().map(|row| (row.field(), row)).collect());

fn rows() -> impl Iterator<Item = &'static Family<0>> {
    [
        server::ROWS,
        clients::ROWS,
        memory::ROWS,
        persistence::ROWS,
        stats::ROWS,
        replication_fields::ROWS,
        cpu::ROWS,
        cluster::ROWS,
        modules::ROWS,
        relatives::ROWS,
    ]
    .into_iter()
    .flatten()
}

/// Returns whether an INFO field has a row.
#[must_use]
pub fn has_row(field: &str) -> bool {
    ROWS.contains_key(field)
}

/// Publishes every numeric field that has a row. Also used for CLUSTER INFO, which has the same
/// form.
pub fn read_fields(info: &Info, snapshot: &mut Snapshot) {
    read_corrected(info, |_| None, snapshot);
}

/// Reads fields like [`read_fields`], but replaces fields for which `corrected` returns a value.
fn read_corrected(info: &Info, corrected: impl Fn(&str) -> Option<f64>, snapshot: &mut Snapshot) {
    let plain = info
        .plain()
        .filter(|field| !RECORD_SECTIONS.contains(&field.section));
    for field in plain {
        let Some(row) = ROWS.get(field.name) else {
            continue;
        };
        let may_be_negative = memory::MAY_BE_NEGATIVE.contains(&field.name);
        let read = if may_be_negative {
            signed_number
        } else {
            number
        };
        let value = read(field.value).filter(|value| is_possible(*value, row.descriptor().unit));
        if let Some(value) = value {
            snapshot.push(row, [], corrected(field.name).unwrap_or(value));
        }
    }
}

/// Maximum plausible percentage. Larger values come from an unsigned underflow.
const PERCENT_MAX: f64 = 1e6;

fn is_possible(value: f64, unit: Unit) -> bool {
    unit != Unit::Percent || value < PERCENT_MAX
}

/// Returns the text of the number in a name such as `db0`, `slave1`, or `engine_0`.
fn numbered<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let number = name.strip_prefix(prefix)?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}
