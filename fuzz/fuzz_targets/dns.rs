//! Runs the fuzz target `dns`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_namespace_exporter::fuzz_targets::dns;

fuzz_target!(|data: &[u8]| dns(data));
