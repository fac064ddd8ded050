//! Numeric INFO fields without a row, each with the reason.

/// An INFO field without a row.
#[derive(Debug)]
pub struct LeftOut {
    /// Name of the field. One `*` matches any text, one `#` a number.
    pub field: &'static str,
    /// Reason for the missing row.
    pub reason: &'static str,
}

impl LeftOut {
    /// Returns whether the pattern matches a field.
    #[must_use]
    pub fn matches(&self, field: &str) -> bool {
        let Some((prefix, suffix)) = self.field.split_once(['*', '#']) else {
            return field == self.field;
        };
        let middle = field
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(suffix));
        middle.is_some_and(|middle| self.field.contains('*') || middle.parse::<u64>().is_ok())
    }
}

/// Returns the reason why a field has no row; `None` if it has one or is unknown.
#[must_use]
pub fn reason(field: &str) -> Option<&'static str> {
    LEFT_OUT
        .iter()
        .find(|left_out| left_out.matches(field))
        .map(|left_out| left_out.reason)
}

/// All numeric fields that are known to have no row.
#[rustfmt::skip] // One field, one line.
pub static LEFT_OUT: &[LeftOut] = &[
    LeftOut { field: "*_human", reason: "a rounded copy of the field without this ending" },
    LeftOut { field: "uptime_in_days", reason: "the uptime in seconds, rounded" },
    LeftOut { field: "redis_git_sha1", reason: "identifies the source of the build: not a measurement" },
    LeftOut { field: "redis_git_dirty", reason: "describes the build: not a measurement" },
    LeftOut { field: "redis_build_id", reason: "a label of redis_instance_info" },
    LeftOut { field: "gcc_version", reason: "the version of the compiler: not a measurement" },
    LeftOut { field: "arch_bits", reason: "fixed with the build: not a measurement" },
    LeftOut { field: "run_id", reason: "a label of redis_instance_info" },
    LeftOut { field: "tcp_port", reason: "a label of redis_instance_info" },
    LeftOut { field: "lru_clock", reason: "an internal clock that wraps around" },
    LeftOut { field: "thread_#_clients", reason: "exported as redis_thread_clients with the thread in a label" },
    LeftOut { field: "used_active_time_io_thread_#", reason: "exported as redis_active_time_io_thread_seconds_total with the thread in a label" },
    LeftOut { field: "master_replid", reason: "a label of redis_instance_info" },
    LeftOut { field: "master_replid2", reason: "an identifier, not a measurement" },
    LeftOut { field: "master_port", reason: "a label of redis_slave_info" },
    LeftOut { field: "master_#_port", reason: "a label of the metrics of that primary" },
    LeftOut { field: "master_link_status", reason: "exported as redis_master_link_up with the primary in labels" },
    LeftOut { field: "master_#_link_status", reason: "exported as redis_master_link_up with the primary in labels" },
    LeftOut { field: "master_last_io_seconds_ago", reason: "exported as redis_master_last_io_seconds_ago with the primary in labels" },
    LeftOut { field: "master_#_last_io_seconds_ago", reason: "exported as redis_master_last_io_seconds_ago with the primary in labels" },
    LeftOut { field: "master_sync_in_progress", reason: "exported as redis_master_sync_in_progress with the primary in labels" },
    LeftOut { field: "master_#_sync_in_progress", reason: "exported as redis_master_sync_in_progress with the primary in labels" },
    LeftOut { field: "master_client_io_thread", reason: "the number of a thread: not a measurement" },
    LeftOut { field: "master_link_up_since_seconds", reason: "exported as redis_master_link_up_since_seconds with the primary in labels" },
    LeftOut { field: "master_link_down_since_seconds", reason: "exported as redis_master_link_down_since_seconds with the primary in labels" },
    LeftOut { field: "slave_read_repl_offset", reason: "exported as redis_slave_read_repl_offset with the primary in labels" },
    LeftOut { field: "slave_repl_offset", reason: "exported as redis_slave_repl_offset with the primary in labels" },
    LeftOut { field: "slave_read_only", reason: "a label of redis_slave_info" },
    LeftOut { field: "sentinel_masters", reason: "exported as redis_sentinel_masters, on sentinels" },
    LeftOut { field: "sentinel_tilt", reason: "exported as redis_sentinel_tilt, on sentinels" },
    LeftOut { field: "sentinel_tilt_since_seconds", reason: "exported as redis_sentinel_tilt_since_seconds, on sentinels" },
    LeftOut { field: "sentinel_total_tilt", reason: "exported as redis_sentinel_tilts_total, on sentinels" },
    LeftOut { field: "sentinel_running_scripts", reason: "exported as redis_sentinel_running_scripts, on sentinels" },
    LeftOut { field: "sentinel_scripts_queue_length", reason: "exported as redis_sentinel_scripts_queue_length, on sentinels" },
    LeftOut { field: "sentinel_simulate_failure_flags", reason: "exported as redis_sentinel_simulate_failure_flags, on sentinels" },
    LeftOut { field: "tls_*_cert_serial", reason: "the serial number of a certificate: not a measurement" },
    LeftOut { field: "tls_*_cert_expires_in_seconds", reason: "exported as redis_tls_certificate_expiry_timestamp_seconds with the certificate in a label" },
    LeftOut { field: "total_system_memory", reason: "exported as redis_total_system_memory_bytes if the collector system_memory is on" },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_matches_any_text_and_hash_a_number() {
        assert!(reason("used_memory_human").is_some());
        assert!(reason("thread_0_clients").is_some());
        assert!(reason("thread_x_clients").is_none());
        assert!(reason("used_memory").is_none());
        assert!(reason("tls_cert_expires_in_seconds").is_none());
    }

    #[test]
    fn left_out_fields_are_unique() {
        for (at, left_out) in LEFT_OUT.iter().enumerate() {
            let twins = LEFT_OUT
                .iter()
                .skip(at + 1)
                .filter(|other| other.matches(left_out.field));
            assert_eq!(twins.count(), 0, "{} is left out twice", left_out.field);
        }
    }
}
