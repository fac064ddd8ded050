//! Runs the fuzz target `client_list`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_namespace_exporter::fuzz_targets::client_list;

fuzz_target!(|data: &[u8]| client_list(data));
