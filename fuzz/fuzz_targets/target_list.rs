//! Runs the fuzz target `target_list`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_namespace_exporter::fuzz_targets::target_list;

fuzz_target!(|data: &[u8]| target_list(data));
