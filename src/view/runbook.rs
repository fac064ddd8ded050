//! The runbooks of the alerts whose conditions the page judges. They are part of the program, so that
//! the page links to nothing outside. Pure.

/// The alerts with the texts of their runbooks.
#[rustfmt::skip] // One runbook, one line.
static RUNBOOKS: [(&str, &str); 44] = [
    ("RedisAOFWriteFailed", include_str!("../../docs/operate/runbooks/RedisAOFWriteFailed.md")),
    ("RedisBackgroundSaveFailed", include_str!("../../docs/operate/runbooks/RedisBackgroundSaveFailed.md")),
    ("RedisClientPoolLeaking", include_str!("../../docs/operate/runbooks/RedisClientPoolLeaking.md")),
    ("RedisClientPoolNearLimit", include_str!("../../docs/operate/runbooks/RedisClientPoolNearLimit.md")),
    ("RedisClientsNearLimit", include_str!("../../docs/operate/runbooks/RedisClientsNearLimit.md")),
    ("RedisClusterSlotsPfail", include_str!("../../docs/operate/runbooks/RedisClusterSlotsPfail.md")),
    ("RedisClusterSlotsUncovered", include_str!("../../docs/operate/runbooks/RedisClusterSlotsUncovered.md")),
    ("RedisClusterStateFail", include_str!("../../docs/operate/runbooks/RedisClusterStateFail.md")),
    ("RedisCommandLatencyHigh", include_str!("../../docs/operate/runbooks/RedisCommandLatencyHigh.md")),
    ("RedisDown", include_str!("../../docs/operate/runbooks/RedisDown.md")),
    ("RedisEvictionRateHigh", include_str!("../../docs/operate/runbooks/RedisEvictionRateHigh.md")),
    ("RedisExpiryCliff", include_str!("../../docs/operate/runbooks/RedisExpiryCliff.md")),
    ("RedisExpiryLagging", include_str!("../../docs/operate/runbooks/RedisExpiryLagging.md")),
    ("RedisExporterCardinalityLimited", include_str!("../../docs/operate/runbooks/RedisExporterCardinalityLimited.md")),
    ("RedisExporterCollectorRefused", include_str!("../../docs/operate/runbooks/RedisExporterCollectorRefused.md")),
    ("RedisExporterKeyScanStale", include_str!("../../docs/operate/runbooks/RedisExporterKeyScanStale.md")),
    ("RedisExporterNamespacesFolded", include_str!("../../docs/operate/runbooks/RedisExporterNamespacesFolded.md")),
    ("RedisExporterPingSlow", include_str!("../../docs/operate/runbooks/RedisExporterPingSlow.md")),
    ("RedisExporterPollStale", include_str!("../../docs/operate/runbooks/RedisExporterPollStale.md")),
    ("RedisExporterScrapeFailing", include_str!("../../docs/operate/runbooks/RedisExporterScrapeFailing.md")),
    ("RedisExporterScrapeSlow", include_str!("../../docs/operate/runbooks/RedisExporterScrapeSlow.md")),
    ("RedisExporterSweepFailing", include_str!("../../docs/operate/runbooks/RedisExporterSweepFailing.md")),
    ("RedisLoadingTooLong", include_str!("../../docs/operate/runbooks/RedisLoadingTooLong.md")),
    ("RedisMaxmemoryUnset", include_str!("../../docs/operate/runbooks/RedisMaxmemoryUnset.md")),
    ("RedisMemoryExhausted", include_str!("../../docs/operate/runbooks/RedisMemoryExhausted.md")),
    ("RedisMemoryFragmented", include_str!("../../docs/operate/runbooks/RedisMemoryFragmented.md")),
    ("RedisMemoryMostlyIdle", include_str!("../../docs/operate/runbooks/RedisMemoryMostlyIdle.md")),
    ("RedisMemoryUsageHigh", include_str!("../../docs/operate/runbooks/RedisMemoryUsageHigh.md")),
    ("RedisNamespaceMemoryQuotaExceeded", include_str!("../../docs/operate/runbooks/RedisNamespaceMemoryQuotaExceeded.md")),
    ("RedisNamespaceTTLPolicyViolated", include_str!("../../docs/operate/runbooks/RedisNamespaceTTLPolicyViolated.md")),
    ("RedisRejectedConnections", include_str!("../../docs/operate/runbooks/RedisRejectedConnections.md")),
    ("RedisReplicaLinkDown", include_str!("../../docs/operate/runbooks/RedisReplicaLinkDown.md")),
    ("RedisReplicaSyncSlow", include_str!("../../docs/operate/runbooks/RedisReplicaSyncSlow.md")),
    ("RedisReplicationLagHigh", include_str!("../../docs/operate/runbooks/RedisReplicationLagHigh.md")),
    ("RedisRestartLoop", include_str!("../../docs/operate/runbooks/RedisRestartLoop.md")),
    ("RedisRestarted", include_str!("../../docs/operate/runbooks/RedisRestarted.md")),
    ("RedisSaveStuck", include_str!("../../docs/operate/runbooks/RedisSaveStuck.md")),
    ("RedisSentinelMasterNotOk", include_str!("../../docs/operate/runbooks/RedisSentinelMasterNotOk.md")),
    ("RedisSentinelQuorumLost", include_str!("../../docs/operate/runbooks/RedisSentinelQuorumLost.md")),
    ("RedisSentinelTilt", include_str!("../../docs/operate/runbooks/RedisSentinelTilt.md")),
    ("RedisSnapshotStale", include_str!("../../docs/operate/runbooks/RedisSnapshotStale.md")),
    ("RedisSwappingSuspected", include_str!("../../docs/operate/runbooks/RedisSwappingSuspected.md")),
    ("RedisVolatileEvictionWithoutTTLs", include_str!("../../docs/operate/runbooks/RedisVolatileEvictionWithoutTTLs.md")),
    ("RedisWritesRejected", include_str!("../../docs/operate/runbooks/RedisWritesRejected.md")),
];

/// Returns the text of a runbook.
pub(super) fn text_of(alert: &str) -> Option<&'static str> {
    let mut runbooks = RUNBOOKS.iter();
    runbooks
        .find(|(name, _)| *name == alert)
        .map(|(_, text)| *text)
}
