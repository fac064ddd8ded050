//! Runs the fuzz target `sentinel`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_namespace_exporter::fuzz_targets::sentinel;

fuzz_target!(|data: &[u8]| sentinel(data));
