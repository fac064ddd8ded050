//! Runs the real exporter against real servers.
//!
//! Every test starts its own servers, on loopback and in temporary folders. If a program is
//! missing, the test fails and names the package to install. Only tests that need root are left out
//! without it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![allow(clippy::float_cmp, reason = "the compared values are whole numbers")]

mod support;

mod address;
mod authentication;
mod browser;
mod canary;
mod cardinality;
mod certificate_kinds;
mod certificates;
mod changes;
mod channels;
mod check_rule;
mod clients;
mod clock_jumps;
mod cluster_churn;
mod cluster_kinds;
mod cluster_members;
mod cluster_nat;
mod cluster_totals;
mod compatible_servers;
mod config_command;
mod discovery;
mod expiring_keys;
mod exposition;
mod footprint;
mod forbidden_addresses;
mod hanging;
mod hit_ratio;
mod hit_ratio_memory;
mod hit_ratio_rates;
mod hostile;
mod idle_times;
mod keys;
mod large_cluster;
mod live_page;
mod log_output;
mod logs;
mod lost_keys;
mod lost_keys_event_rounds;
mod lost_keys_events;
mod misses;
mod more_collectors;
mod moved;
mod namespaces_command;
mod namespaces_command_compare;
mod namespaces_command_names;
mod namespaces_command_watch;
mod network;
mod newer_servers;
mod no_shift;
mod openmetrics;
mod outage;
mod password_files;
mod permission;
mod reconnect;
mod redis_exporter_keys;
mod redis_exporter_options;
mod reload;
mod requested;
mod scrape_pace;
mod secret;
mod sentinel;
mod sentinel_members;
mod sentinel_stale;
mod shutdown;
mod side_by_side;
mod slowlog;
mod srv_records;
mod startup;
mod streams;
mod subcommand;
mod sweep_churn;
mod sweep_compatible_servers;
mod sweep_cost;
mod sweep_databases;
mod sweep_estimate;
mod sweep_living;
mod sweep_memory;
mod sweep_observer;
mod sweep_outage;
mod sweep_permission;
mod sweep_policy;
mod sweep_replaced;
mod sweep_scope;
mod sweep_slots;
mod sweep_undeclared;
mod tls;
#[cfg(feature = "top")]
mod top;
mod topology;
mod up;
mod urls;
mod watches;
mod web_access;
