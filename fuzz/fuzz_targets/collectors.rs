//! Runs the fuzz target `collectors`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_namespace_exporter::fuzz_targets::collectors;

fuzz_target!(|data: &[u8]| collectors(data));
