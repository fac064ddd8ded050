//! A Prometheus exporter for Redis and compatible servers.
//!
//! Data flows one way: `config` names the targets, `connection` queries them, `collector` turns the
//! replies into a `metric::Snapshot`, `encode` writes it as text, and `http` serves that text.

// `print!` and similar macros panic if the output cannot be written.
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod access_rule;
mod backoff;
mod bounded_file;
pub mod canary;
pub mod catalogue;
mod clock;
pub mod collector;
mod columns;
pub mod command;
pub mod config;
pub mod connection;
pub mod daemon;
mod discovery;
pub mod encode;
mod failure;
mod fetch;
mod fleet;
mod footprint;
#[cfg(any(test, fuzzing))]
pub mod fuzz_targets;
pub mod glob;
mod history;
pub mod http;
pub mod info;
mod invisible;
pub mod keyspace;
pub mod label;
pub mod logfmt;
pub mod metric;
mod number;
pub mod outcome;
pub mod output;
mod page;
mod pattern;
mod poll;
mod publish;
mod quantity;
pub mod query;
pub mod reply;
mod requested;
mod supervise;
pub mod telemetry;
mod threads;
mod tls;
mod topology;
mod trace;
mod view;
