//! Runs the fuzz target `reply`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_namespace_exporter::fuzz_targets::reply;

fuzz_target!(|data: &[u8]| reply(data));
