//! A Prometheus exporter for Redis and its relatives.
//!
//! Data flows one way: `config` names the targets, `connection` queries them, `collector` turns the
//! replies into a `metric::Snapshot`, `encode` writes it as text, and `http` serves that text.

// `print!` and its relatives panic if the output cannot be written.
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod backoff;
pub mod bounded_file;
pub mod catalogue;
pub mod clock;
pub mod collector;
pub mod command;
pub mod config;
pub mod connection;
pub mod daemon;
pub mod encode;
pub mod failure;
pub mod fleet;
pub mod footprint;
pub mod glob;
pub mod http;
pub mod info;
pub mod keyspace;
pub mod label;
pub mod logfmt;
pub mod metric;
pub mod outcome;
pub mod output;
pub mod page;
pub mod pattern;
pub mod poll;
pub mod publish;
pub mod query;
pub mod reply;
pub mod supervise;
pub mod telemetry;
pub mod threads;
pub mod tls;
