//! Runs the fuzz target `request`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_namespace_exporter::fuzz_targets::request;

fuzz_target!(|data: &[u8]| request(data));
