//! Whether a target can be reached, and its connections and latencies. Pure.

use super::super::card::{FIVE_MINUTES, command_seconds, max_clients};
use super::super::facts::Seen;
use super::{Condition, NONE, Thresholds, critical, info, limits, warning};
use crate::history::Increase;
use crate::quantity::{age, count, counted, duration, percent};

pub(super) const CONDITIONS: &[Condition] = &[
    critical("RedisDown", NONE, |seen, _| {
        let poll = seen.poll?;
        let reason = poll.failure?;
        // A remedy of its own refers to the details.
        let own = poll.trace.failure.as_ref();
        let own = own.and_then(|own| Some((own.detail.as_str(), own.remedy.as_deref()?)));
        let (cause, remedy) = own.unwrap_or((reason.meaning(), reason.remedy()));
        Some(format!(
            "The last poll failed: {cause}. {}.",
            sentence(remedy)
        ))
    }),
    // If polls fail while it loads, that is the cause that `RedisDown` names.
    warning("RedisLoadingTooLong", NONE, |seen, _| {
        let is = |family| super::is(seen, family, 1.0);
        let is_loading = is("redis_loading_dump_file") || is("redis_async_loading");
        is_loading.then(|| "The server is loading its data.".to_owned())
    }),
    critical(
        "RedisRestartLoop",
        limits([1_800.0, 3.0]),
        |seen, [window, most, ..]| {
            let restarts = seen.history.restarts(window, seen.now);
            let times = count(restarts);
            (restarts >= most)
                .then(|| format!("The server restarted {times} times in half an hour."))
        },
    ),
    info("RedisRestarted", limits([900.0]), |seen, [window, ..]| {
        let uptime = seen.number("redis_uptime_in_seconds")?;
        let restarts = seen.history.restarts(window, seen.now);
        (restarts > 0.0).then(|| format!("The server restarted {}.", age(uptime)))
    }),
    critical(
        "RedisRejectedConnections",
        limits([300.0]),
        |seen, [window, ..]| {
            let rejected = seen
                .history
                .increase(Increase::Rejected, window, seen.now)?;
            let connections = counted(rejected, "connection", "connections");
            (rejected > 0.0)
                .then(|| format!("Redis rejected {connections} in the last five minutes."))
        },
    ),
    critical("RedisClientsNearLimit", limits([0.95]), clients),
    warning("RedisClientsNearLimit", limits([0.80]), clients),
    warning(
        "RedisClientPoolNearLimit",
        limits([0.90]),
        |seen, [share, ..]| pools(seen, |used, limit| used > share * limit && used <= limit),
    ),
    warning("RedisClientPoolLeaking", NONE, |seen, _| {
        pools(seen, |used, limit| used > limit)
    }),
    warning(
        "RedisCommandLatencyHigh",
        limits([0.001, 1.0]),
        |seen, [longest, least, ..]| {
            let mean = command_seconds(seen)?;
            let rate = seen.history.rate(Increase::Calls, FIVE_MINUTES, seen.now)?;
            let mean_text = duration(mean);
            let text = "A command takes";
            (mean > longest && rate > least).then(|| format!("{text} {mean_text} on average."))
        },
    ),
    warning(
        "RedisExporterPingSlow",
        limits([0.05]),
        |seen, [longest, ..]| {
            let ping = seen.number("redis_exporter_last_scrape_ping_time_seconds")?;
            (ping > longest).then(|| format!("A PING from the exporter takes {}.", duration(ping)))
        },
    ),
];

/// Returns a text with a capital letter at the start.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn clients(seen: &Seen<'_>, [share_max, ..]: Thresholds) -> Option<String> {
    let limit = max_clients(seen).filter(|limit| *limit > 0.0)?;
    let clients = seen.number("redis_connected_clients")?;
    let (share, limit_text) = (clients / limit, count(limit));
    let (clients, share_text) = (counted(clients, "client is", "clients are"), percent(share));
    (share > share_max).then(|| format!("{clients} {share_text} of the limit of {limit_text}."))
}

/// Returns the first pool whose connections and limit fit.
fn pools(seen: &Seen<'_>, is_wrong: impl Fn(f64, f64) -> bool) -> Option<String> {
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
