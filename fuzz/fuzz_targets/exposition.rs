//! Runs the fuzz target `exposition`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_namespace_exporter::fuzz_targets::exposition;

fuzz_target!(|data: &[u8]| exposition(data));
