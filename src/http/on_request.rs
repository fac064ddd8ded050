//! Pages of requested targets. The first request for one waits for its first poll.

use std::pin::pin;
use std::time::Duration;

use hyper::{HeaderMap, StatusCode};
use tokio::time::{Instant, timeout_at};

use super::response::{self, HttpResponse};
use super::routes::{UNKNOWN_TARGET, written};
use super::{Services, negotiation, target};
use crate::clock;
use crate::encode::{Form, Page, PageWriter, SharedLabels};
use crate::failure::Reason;
use crate::outcome::{self, PollTiming};
use crate::publish::{Board, Slot};
use crate::requested::Admitted;
use crate::telemetry::Counter;

const REFUSED: Counter<1> = Counter::named("redis_exporter_refused_scrape_requests_total");

/// The header in which Prometheus sends its scrape timeout, in seconds.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// Time for the response to reach Prometheus.
const MARGIN: Duration = Duration::from_millis(500);

/// Longest wait for a first poll. It is shorter than the request timeout, which runs until the
/// response begins.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

const TOO_MANY_TARGETS: &str = "There are as many targets as allowed (`scrape.max_targets` and \
    `max_targets`), so this one is not polled.";

/// Returns the page of a server that the configuration allows requests to name.
pub(super) async fn page(
    services: &Services,
    wanted: &str,
    headers: &HeaderMap,
    scraper: u64,
) -> HttpResponse {
    let board = &services.board;
    let Some(address) = target::address(wanted) else {
        return forbidden(services);
    };
    match services.requested.ask(&address, || configured(board)) {
        Admitted::Forbidden => return forbidden(services),
        Admitted::Full => return full(services),
        Admitted::Yes => {}
    }
    let (started, form) = (Instant::now(), negotiation::form(headers));
    let deadline = started + wait(headers);
    let mut waiting = None;
    loop {
        let mut renewed = pin!(board.renewed());
        // Before the check, so that no page is missed.
        renewed.as_mut().enable();
        let slot = board.requested(&address.to_string());
        if let Some(page) = slot.as_ref().and_then(|slot| slot.page(form, scraper)) {
            return match written(Some(page)).await {
                Some(page) => response::page(page, form, &services.readers),
                None => response::not_yet(super::routes::NO_PAGE),
            };
        }
        waiting.get_or_insert_with(|| services.requested.hold(&address));
        if timeout_at(deadline, renewed).await.is_err() {
            let others = configured(board);
            if slot.is_none() && services.requested.is_crowded_out(&address, others) {
                return full(services);
            }
            let page = down(services, slot.as_deref(), form, started.elapsed());
            return response::page(page, form, &services.readers);
        }
    }
}

fn forbidden(services: &Services) -> HttpResponse {
    services.telemetry.count(REFUSED, ["not_allowed"]);
    response::text(StatusCode::NOT_FOUND, UNKNOWN_TARGET)
}

fn full(services: &Services) -> HttpResponse {
    services.telemetry.count(REFUSED, ["over_limit"]);
    response::not_yet(TOO_MANY_TARGETS)
}

/// Returns the number of targets that no request has named.
fn configured(board: &Board) -> usize {
    let slots = board.slots();
    slots.iter().filter(|slot| !slot.is_requested()).count()
}

/// Returns the page of a target whose first poll takes longer than the scrape may.
fn down(services: &Services, slot: Option<&Slot>, form: Form, waited: Duration) -> Page {
    let times = PollTiming {
        duration: waited,
        ended_at: clock::now(),
        interval: slot.and_then(Slot::poll_interval).unwrap_or_default(),
    };
    let snapshot = outcome::failed(Reason::Timeout, None, times);
    let mut page = PageWriter::new(form);
    page.add(
        &[(SharedLabels::default(), &snapshot)],
        &services.names.load(),
    );
    page.finish()
}

/// Returns how long a request may wait for a page.
fn wait(headers: &HeaderMap) -> Duration {
    let timeout = headers.get(SCRAPE_TIMEOUT);
    let timeout = timeout.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let timeout = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    timeout.map_or(LONGEST_WAIT, |timeout: Duration| {
        let early = timeout.saturating_sub(MARGIN).max(timeout / 2);
        early.min(LONGEST_WAIT)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_waits_less_than_the_scrape_timeout() {
        for (value, expected) in [
            ("10", 8000),
            ("5", 4500),
            ("1.5", 1000),
            ("0.4", 200),
            ("0", 0),
            ("-1", 8000),
            ("x", 8000),
            ("NaN", 8000),
            ("1e300", 8000),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(SCRAPE_TIMEOUT, value.parse().unwrap());
            assert_eq!(wait(&headers), Duration::from_millis(expected), "{value}");
        }
        assert_eq!(wait(&HeaderMap::new()), LONGEST_WAIT);
    }
}
