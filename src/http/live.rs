//! Serves the live page and the same as JSON. `view` decides what they contain.
//!
//! Nothing is prepared before a request. A page of thousands of targets takes some milliseconds, so
//! it is written on a separate thread.

use std::sync::Arc;

use hyper::StatusCode;
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use super::Services;
use super::response::{self, HttpResponse};
use super::target;
use crate::clock;
use crate::config::Route;
use crate::publish::Slot;
use crate::threads::Lane;
use crate::view::{self, Card, Filter, Overview, Seen, TargetDetail};

/// Writes live pages.
static LIVE: Lane = Lane::new("live pages", 1);

const UNKNOWN_TARGET: &str = "There is no target with this name. The page at / lists all targets.";
const UNKNOWN_RUNBOOK: &str = "There is no runbook with this name.";
const UNKNOWN_FILE: &str = "There is no file with this name.";
const NO_THREAD: &str = "The page could not be written. Try again.";

/// Responds to a request for a page, its data, or one of its files.
pub(super) async fn read(
    services: &Services,
    route: Route,
    path: &str,
    query: Option<&str>,
) -> HttpResponse {
    match route {
        Route::Index => overview(services, query, false).await,
        Route::Targets => overview(services, query, true).await,
        Route::TargetView => detail(services, name_in(route, path), false).await,
        Route::TargetData => detail(services, name_in(route, path), true).await,
        Route::Runbook => match view::runbook_page(route.rest(path)) {
            Some(page) => response::html(page),
            None => response::text(StatusCode::NOT_FOUND, UNKNOWN_RUNBOOK),
        },
        _ => match view::asset(route.rest(path)) {
            Some(asset) => response::asset(asset.content_type, asset.content),
            None => response::text(StatusCode::NOT_FOUND, UNKNOWN_FILE),
        },
    }
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

async fn overview(services: &Services, query: Option<&str>, is_data: bool) -> HttpResponse {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let pairs: Vec<_> = pairs.collect();
    let filter = Filter::new(pairs.iter().map(|(name, value)| (&**name, &**value)));
    let (slots, paths) = (services.board.slots(), services.paths.clone());
    let write = move || {
        let now = clock::now();
        let cards = slots.iter().map(|slot| with_seen(slot, now, Card::of));
        let model = Overview::new(cards.collect(), &filter, now);
        if is_data {
            view::json(&model)
        } else {
            view::overview_page(&model, &paths.telemetry, &Route::listed(&paths))
        }
    };
    written(write, is_data).await
}

async fn detail(services: &Services, name: String, is_data: bool) -> HttpResponse {
    let Some(slot) = target::find_any(&services.board, &name) else {
        return response::text(StatusCode::NOT_FOUND, UNKNOWN_TARGET);
    };
    let has_scrape = services.paths.has_scrape;
    let write = move || {
        let slot: Arc<Slot> = slot;
        let model = with_seen(&slot, clock::now(), TargetDetail::of);
        if is_data {
            view::json(&model)
        } else {
            view::detail_page(&model, has_scrape)
        }
    };
    written(write, is_data).await
}

/// Writes a document on the separate thread.
async fn written(write: impl FnOnce() -> String + Send + 'static, is_data: bool) -> HttpResponse {
    match LIVE.run(write).await {
        Ok(document) if is_data => response::live_json(document),
        Ok(document) => response::html(document),
        Err(_) => response::not_yet(NO_THREAD),
    }
}
