//! Serves the live page and the same as JSON. `view` decides what they contain.
//!
//! Nothing is prepared before a request. A page of thousands of targets takes some milliseconds, so
//! it is written on a separate thread.

use std::sync::Arc;

use bytes::Bytes;
use hyper::{HeaderMap, StatusCode};
use percent_encoding::percent_decode_str;

use super::Services;
use super::negotiation;
use super::parameters::{MalformedParameter, QueryString};
use super::response::{self, Document, HttpResponse};
use super::target;
use crate::clock;
use crate::config::Route;
use crate::publish::Slot;
use crate::telemetry::{Gauge, PanickedTask, Telemetry};
use crate::threads::Lane;
use crate::view::{self, Card, ExporterState, Filter, Overview, Seen, TargetDetail};

const RELOADED: Gauge<0> = Gauge::named("redis_exporter_config_last_reload_successful");
const RELOADED_AT: Gauge<0> =
    Gauge::named("redis_exporter_config_last_reload_success_timestamp_seconds");
const DISCOVERED: Gauge<1> = Gauge::named("redis_exporter_discovery_success");

/// Writes live pages.
static LIVE: Lane = Lane::new("live pages", 1);

const UNKNOWN_TARGET: &str = "There is no target with this name. The page at / lists all targets.";
const UNKNOWN_RUNBOOK: &str = "There is no runbook with this name.";
const UNKNOWN_FILE: &str = "There is no file with this name.";
pub(super) const NO_THREAD: &str = "The page could not be written. Try again.";

/// Responds to a request for a page, its data, or one of its files.
pub(super) async fn read(
    services: &Services,
    route: Route,
    path: &str,
    query: &QueryString<'_>,
    headers: &HeaderMap,
) -> HttpResponse {
    let accepts_gzip = negotiation::accepts_gzip(headers);
    let wanted = |is_data| WantedPage {
        is_data,
        accepts_gzip,
    };
    match route {
        Route::Index => overview(services, query, wanted(false)).await,
        Route::Targets => overview(services, query, wanted(true)).await,
        Route::TargetView => detail(services, name_in(route, path), wanted(false)).await,
        Route::TargetData => detail(services, name_in(route, path), wanted(true)).await,
        Route::Runbook => match view::runbook_page(route.rest(path)) {
            Some(page) => written(|| page, wanted(false)).await,
            None => response::text(StatusCode::NOT_FOUND, UNKNOWN_RUNBOOK),
        },
        _ => match view::asset(route.rest(path)) {
            Some(asset) => match document(move || asset.content, accepts_gzip).await {
                Some(content) => response::asset(asset.content_type, content),
                None => response::not_yet(NO_THREAD),
            },
            None => response::text(StatusCode::NOT_FOUND, UNKNOWN_FILE),
        },
    }
}

/// The form in which a client wants a page.
#[derive(Clone, Copy, Debug)]
struct WantedPage {
    /// As JSON, not as HTML.
    is_data: bool,
    accepts_gzip: bool,
}

/// Returns the name of a target in a path.
fn name_in(route: Route, path: &str) -> String {
    let name = percent_decode_str(route.rest(path));
    name.decode_utf8_lossy().into_owned()
}

/// Describes a target with what is known now.
pub(super) fn with_seen<T>(slot: &Slot, now: f64, describe: impl FnOnce(&Seen<'_>) -> T) -> T {
    let (poll, namespaces, history) = (slot.latest(), slot.namespaces(), slot.history());
    describe(&Seen {
        name: &slot.name,
        address: &slot.address,
        poll: poll.as_deref(),
        namespaces: namespaces.as_deref(),
        history: &history,
        now,
    })
}

/// Returns what the exporter knows about itself.
fn state(telemetry: &Telemetry) -> ExporterState {
    let failed = |number: f64| number == 0.0;
    let loads = telemetry.numbers(RELOADED);
    let sources = telemetry.numbers(DISCOVERED).into_iter();
    let sources = sources.filter(|(_, success)| failed(*success));
    let panics = telemetry.panics().into_iter().map(|(task, age)| {
        let task = match task {
            PanickedTask::OfTarget(target) => format!("target {target}"),
            PanickedTask::Service(name) => name.to_owned(),
        };
        (task, age.as_secs_f64())
    });
    let loaded_at = telemetry.numbers(RELOADED_AT).into_iter();
    ExporterState {
        config_loaded_at: loaded_at.map(|(_, at)| at).find(|at| *at > 0.0),
        is_config_loaded: !loads.iter().any(|(_, success)| failed(*success)),
        failed_sources: sources.flat_map(|(labels, _)| labels).collect(),
        panics: panics.collect(),
    }
}

/// Reads which targets are requested.
///
/// # Errors
///
/// A parameter is malformed.
pub(crate) fn filter(query: &QueryString<'_>) -> Result<Filter, MalformedParameter> {
    let every = Filter::default();
    let offset = query.number("offset", 0..=u32::MAX)?;
    let limit = query.number("limit", 1..=view::LIMIT_MAX)?;
    Ok(Filter {
        query: query.text("q").unwrap_or_default().trim().to_owned(),
        offset: offset.unwrap_or(every.offset),
        limit: limit.unwrap_or(every.limit),
    })
}

async fn overview(
    services: &Services,
    query: &QueryString<'_>,
    wanted: WantedPage,
) -> HttpResponse {
    let filter = match filter(query) {
        Ok(filter) => filter,
        Err(malformed) => return response::malformed(&malformed),
    };
    let (slots, paths) = (services.board.slots(), services.paths.clone());
    let state = state(&services.telemetry);
    let write = move || {
        let now = clock::now();
        let is_few = slots.len() <= view::FEW_TARGETS;
        let describe = if is_few { Card::of_few } else { Card::of };
        let cards = slots.iter().map(|slot| with_seen(slot, now, describe));
        let model = Overview::new(cards.collect(), &filter, &state, now);
        if wanted.is_data {
            view::json(&model)
        } else {
            view::overview_page(&model, &paths.telemetry, &Route::listed(&paths))
        }
    };
    written(write, wanted).await
}

async fn detail(services: &Services, name: String, wanted: WantedPage) -> HttpResponse {
    let Some(slot) = target::find_any(&services.board, &name) else {
        return response::text(StatusCode::NOT_FOUND, UNKNOWN_TARGET);
    };
    let has_scrape = services.paths.has_scrape;
    let write = move || {
        let slot: Arc<Slot> = slot;
        let model = with_seen(&slot, clock::now(), TargetDetail::of);
        if wanted.is_data {
            view::json(&model)
        } else {
            view::detail_page(&model, has_scrape)
        }
    };
    written(write, wanted).await
}

/// Writes a page on the separate thread.
async fn written(
    write: impl FnOnce() -> String + Send + 'static,
    wanted: WantedPage,
) -> HttpResponse {
    match document(write, wanted.accepts_gzip).await {
        Some(document) if wanted.is_data => response::live_json(document),
        Some(document) => response::html(document),
        None => response::not_yet(NO_THREAD),
    }
}

/// Writes and compresses a document on the separate thread.
pub(super) async fn document<Text: Into<Bytes>>(
    write: impl FnOnce() -> Text + Send + 'static,
    accepts_gzip: bool,
) -> Option<Document> {
    let write = move || Document::new(write(), accepts_gzip);
    LIVE.run(write).await.ok()
}
