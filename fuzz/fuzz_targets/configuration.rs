//! Runs the fuzz target `configuration`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_namespace_exporter::fuzz_targets::configuration;

fuzz_target!(|data: &[u8]| configuration(data));
