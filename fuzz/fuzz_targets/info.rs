//! Runs the fuzz target `info`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_namespace_exporter::fuzz_targets::info;

fuzz_target!(|data: &[u8]| info(data));
