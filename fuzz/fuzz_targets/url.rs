//! Runs the fuzz target `url`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_namespace_exporter::fuzz_targets::url;

fuzz_target!(|data: &[u8]| url(data));
