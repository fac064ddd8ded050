//! Runs the fuzz target `glob`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_namespace_exporter::fuzz_targets::glob;

fuzz_target!(|data: &[u8]| glob(data));
