//! Whether a target can be reached, and its connections and latencies. Pure.

use super::super::card::{command_seconds, max_clients};
use super::super::facts::Seen;
use super::{Condition, critical, info, warning};
use crate::failure::Reason;
use crate::history::Increase;
use crate::quantity::{age, count, counted, duration, percent};

/// Reasons for which only `RedisDown` applies, because the server does not respond.
const SILENT: [Reason; 5] = [
    Reason::Closed,
    Reason::Dns,
    Reason::Loading,
    Reason::Refused,
    Reason::Timeout,
];

const FIVE_MINUTES: f64 = 300.0;

pub(super) const CONDITIONS: &[Condition] = &[
    critical("RedisDown", |seen| {
        let reason = seen.poll?.failure?;
        Some(format!("The last poll failed: {}.", reason.meaning()))
    }),
    warning("RedisExporterScrapeFailing", |seen| {
        let reason = seen.poll?.failure?;
        let text = "The server responds, but polls fail";
        (!SILENT.contains(&reason)).then(|| format!("{text}: {}.", reason.remedy()))
    }),
    warning("RedisLoadingTooLong", |seen| {
        let is = |family| super::is(seen, family, 1.0);
        let is_loading = is("redis_loading_dump_file") || is("redis_async_loading");
        let is_loading = is_loading || seen.poll?.failure == Some(Reason::Loading);
        is_loading.then(|| "The server is loading its data.".to_owned())
    }),
    critical("RedisRestartLoop", |seen| {
        let restarts = seen.history.restarts(1_800.0, seen.now);
        let times = count(restarts);
        (restarts >= 3.0).then(|| format!("The server restarted {times} times in half an hour."))
    }),
    info("RedisRestarted", |seen| {
        let uptime = seen.number("redis_uptime_in_seconds")?;
        let restarts = seen.history.restarts(900.0, seen.now);
        (restarts > 0.0).then(|| format!("The server restarted {}.", age(uptime)))
    }),
    critical("RedisRejectedConnections", |seen| {
        let rejected = seen
            .history
            .increase(Increase::Rejected, FIVE_MINUTES, seen.now)?;
        let connections = counted(rejected, "connection", "connections");
        (rejected > 0.0).then(|| format!("Redis rejected {connections} in the last five minutes."))
    }),
    critical("RedisClientsNearLimit", |seen| clients(seen, 0.95)),
    warning("RedisClientsNearLimit", |seen| clients(seen, 0.80)),
    warning("RedisClientPoolNearLimit", |seen| {
        pools(seen, |used, limit| used > 0.9 * limit && used <= limit)
    }),
    warning("RedisClientPoolLeaking", |seen| {
        pools(seen, |used, limit| used > limit)
    }),
    warning("RedisCommandLatencyHigh", |seen| {
        let mean = command_seconds(seen)?;
        let rate = seen.history.rate(Increase::Calls, FIVE_MINUTES, seen.now)?;
        let mean_text = duration(mean);
        let text = "A command takes";
        (mean > 0.001 && rate > 1.0).then(|| format!("{text} {mean_text} on average."))
    }),
    warning("RedisExporterPingSlow", |seen| {
        let ping = seen.number("redis_exporter_last_scrape_ping_time_seconds")?;
        (ping > 0.05).then(|| format!("A PING from the exporter takes {}.", duration(ping)))
    }),
];

fn clients(seen: &Seen<'_>, share_max: f64) -> Option<String> {
    let limit = max_clients(seen).filter(|limit| *limit > 0.0)?;
    let clients = seen.number("redis_connected_clients")?;
    let (share, limit_text) = (clients / limit, count(limit));
    let (clients, share_text) = (counted(clients, "client is", "clients are"), percent(share));
    (share > share_max).then(|| format!("{clients} {share_text} of the limit of {limit_text}."))
}

/// Returns the first pool whose connections and limit fit.
fn pools(seen: &Seen<'_>, is_wrong: fn(f64, f64) -> bool) -> Option<String> {
    let limits = seen.samples("redis_client_group_pool_max");
    limits.into_iter().find_map(|limit| {
        let group = limit.label("client_group")?;
        let limit = limit.number().filter(|limit| *limit > 0.0)?;
        let mut used = seen.samples("redis_client_group_connections");
        let used = used.find(|used| used.label("client_group") == Some(group))?;
        let used = used.number()?;
        let (used_text, limit_text) = (count(used), count(limit));
        is_wrong(used, limit).then(|| {
            format!(
                "Clients {group} use {used_text} of the {limit_text} connections of their pool."
            )
        })
    })
}
