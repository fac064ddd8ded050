//! Runs the fuzz target `cluster_nodes`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_namespace_exporter::fuzz_targets::cluster_nodes;

fuzz_target!(|data: &[u8]| cluster_nodes(data));
