//! The repository against itself: recorded replies, generated pages, rows and layers. No server
//! is started here. The only process is cargo, which lists the dependencies.

mod additions;
mod alert_targets;
mod alerts;
mod book;
mod catalogue;
mod chart;
mod compat;
mod dashboards;
mod deploy;
mod documentation;
mod documents;
mod either_spelling;
mod error_types;
mod golden;
mod hosted;
mod info_fields;
mod layers;
mod live_page;
mod metric_pages;
mod minimum_compiler;
mod one_place;
mod openmetrics;
mod options;
mod program;
mod promql;
mod purity;
mod recorded;
mod selectors;
mod sizes;
mod source_paths;
mod style;
mod support;
mod type_names;
