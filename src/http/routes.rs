//! Maps requests to responses.
//!
//! Only four things wait: a reload, a password hash that is not remembered, a page in a format that was
//! not requested before, and the first request for a requested target.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HOST, USER_AGENT};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::access::Admission;
use super::parameters::QueryString;
use super::reload::is_cross_origin;
use super::response::{self, HttpResponse};
use super::{ReloadRequest, ReloadResult, Services, live, negotiation, on_request, sd, target};
use crate::clock;
use crate::config::{Route, is_authority};
use crate::encode::Page;
use crate::publish::{Board, Served};
use crate::quantity::whole_counted;
use crate::telemetry::Counter;
use crate::threads::Lane;
use crate::view;

pub(super) const SCRAPES: Counter<0> = Counter::named("redis_exporter_scrapes_total");
pub(super) const SCRAPE_REQUEST_ERRORS: Counter<0> =
    Counter::named("redis_target_scrape_request_errors_total");
pub(super) const UNAUTHORIZED: Counter<0> =
    Counter::named("redis_exporter_unauthorized_requests_total");

/// Writes pages that were not expected to be read now.
static FIRST_PAGES: Lane = Lane::new("first pages", 2);

/// Longest wait for a reload. It is shorter than the request timeout, which runs until the response
/// begins.
const RELOAD_TIME: Duration = Duration::from_secs(8);

const MISSING_TARGET: &str = "The parameter `target` is missing. Name a configured target or its \
    address, as in /probe?target=127.0.0.1:6379; the page at / lists all of them.";
pub(super) const UNKNOWN_TARGET: &str = "This target is not configured, and only configured targets \
    are polled, and those that `scrape.allow` lists. Add it under `targets:` in the configuration file and reload (SIGHUP, or POST to \
    /-/reload); the page at / lists the targets there are.";
const NO_RELOAD: &str = "Reloads over HTTP are switched off (`web.reload: false`). SIGHUP reloads.";
const CROSS_ORIGIN: &str = "A page of another site may not request a reload.";
const TOO_MANY_RELOADS: &str = "Too many reload requests. Wait a few seconds.";
const UNKNOWN_PATH: &str = "There is nothing here. The page at / lists all paths.";
const NO_ENTRANCE: &str = "Name and password are missing or wrong (basic authentication). They \
    are those of `web.basic_auth` in the configuration file.";
const TOO_MANY_PASSWORDS: &str = "Too many passwords are being checked.";
const NO_HOST: &str = "The request has no header Host, so the list cannot contain the address of the \
    exporter. Set `web.external_address`.";
const NO_NODES: &str = "No node of a cluster is known. Start the exporter with --is-cluster, or set \
    `discover: { kind: cluster }`; if it is set, the log contains the reason.";
pub(super) const NO_PAGE: &str =
    "There is no page yet. If this lasts, the log contains the reason.";
const NOT_POLLED: &str =
    "This target has not been polled yet. Its first poll ends within one interval.";

/// Handles one request. Its body is never read.
pub(super) async fn respond<B>(services: Arc<Services>, request: Request<B>) -> HttpResponse {
    let path = request.uri().path();
    let route = Route::at(path, &services.paths);
    if !route.is_some_and(Route::is_open)
        && let Some(access) = services.gate.access()
        && let Some(rejection) = rejection(access.admit(client(&request), request.headers()).await)
    {
        services.telemetry.count(UNAUTHORIZED, []);
        return rejection;
    }
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match route {
        None => response::text(StatusCode::NOT_FOUND, UNKNOWN_PATH),
        Some(Route::Reload) if request.method() == Method::POST => {
            reload(&services, client(&request), request.headers()).await
        }
        Some(Route::Reload) => response::method_not_allowed("POST"),
        Some(route) if is_read => {
            let scraper = scraper(&request);
            let (uri, headers) = (request.uri(), request.headers());
            read(&services, route, uri, headers, scraper).await
        }
        Some(_) => response::method_not_allowed("GET, HEAD"),
    }
}

/// Returns the address of the client. All requests without an address count as one client.
fn client<B>(request: &Request<B>) -> IpAddr {
    let client = request.extensions().get::<SocketAddr>();
    client.map_or(Ipv4Addr::UNSPECIFIED.into(), SocketAddr::ip)
}

/// Returns an ID of the scraper, which has its own pace: a hash of address and program.
fn scraper<B>(request: &Request<B>) -> u64 {
    let mut hasher = DefaultHasher::new();
    client(request).hash(&mut hasher);
    request.headers().get(USER_AGENT).hash(&mut hasher);
    hasher.finish()
}

fn rejection(admission: Admission) -> Option<HttpResponse> {
    match admission {
        Admission::Granted => None,
        Admission::Refused => Some(response::unauthorized(NO_ENTRANCE)),
        Admission::Busy => Some(response::not_yet(TOO_MANY_PASSWORDS)),
    }
}

async fn read(
    services: &Services,
    route: Route,
    uri: &Uri,
    headers: &HeaderMap,
    scraper: u64,
) -> HttpResponse {
    let query = QueryString::new(uri.query());
    match route {
        Route::Metrics => metrics(services, headers, scraper).await,
        Route::Target => probe(services, &query, headers, scraper).await,
        Route::Discovery => discovery(services, headers).await,
        Route::ClusterNodes => match sd::cluster_nodes(&services.board.slots()) {
            Some(nodes) => list(nodes, headers).await,
            None => response::not_yet(NO_NODES),
        },
        Route::Health => healthy(&services.board),
        Route::Ready => ready(services),
        Route::Reload => response::method_not_allowed("POST"),
        Route::Index
        | Route::Targets
        | Route::TargetView
        | Route::TargetData
        | Route::Runbook
        | Route::Asset => live::read(services, route, uri.path(), &query, headers).await,
    }
}

/// Returns the list of targets, for the address at which Prometheus reached the exporter.
async fn discovery(services: &Services, headers: &HeaderMap) -> HttpResponse {
    let configured = services.gate.external_address();
    let given = || headers.get(HOST).and_then(|host| host.to_str().ok());
    let address = configured.or_else(|| given().map(str::to_owned));
    match address.filter(|address| is_authority(address)) {
        None => response::text(StatusCode::BAD_REQUEST, NO_HOST),
        Some(address) => {
            let slots = services.board.slots();
            let is_encrypted = services.gate.acceptor().is_some();
            list(sd::document(&slots, &address, is_encrypted), headers).await
        }
    }
}

/// Returns a list in JSON, compressed if the client accepts that.
async fn list(list: String, headers: &HeaderMap) -> HttpResponse {
    let accepts_gzip = negotiation::accepts_gzip(headers);
    match live::document(move || list, accepts_gzip).await {
        Some(document) => response::json(document),
        None => response::not_yet(live::NO_THREAD),
    }
}

async fn metrics(services: &Services, headers: &HeaderMap, scraper: u64) -> HttpResponse {
    services.telemetry.count(SCRAPES, []);
    let form = negotiation::form(headers);
    match written(services.board.page(form, scraper)).await {
        Some(page) => response::page(page, form, &services.readers),
        None => response::not_yet(NO_PAGE),
    }
}

/// Returns a page. If it has to be written first, that does not delay other requests.
pub(super) async fn written(page: Option<Served>) -> Option<Page> {
    match page? {
        Served::Written(page) => Some(page),
        Served::Unwritten(page) => FIRST_PAGES.run(move || page.write()).await.ok(),
    }
}

async fn probe(
    services: &Services,
    query: &QueryString<'_>,
    headers: &HeaderMap,
    scraper: u64,
) -> HttpResponse {
    let response = match query.switch("debug") {
        // It is not a scrape, and must not influence whether or when the target is polled.
        Ok(true) => return debug(services, query),
        Ok(false) => target_page(services, query, headers, scraper).await,
        Err(malformed) => response::malformed(&malformed),
    };
    if response.status() == StatusCode::OK {
        services.telemetry.count(SCRAPES, []);
    } else {
        services.telemetry.count(SCRAPE_REQUEST_ERRORS, []);
    }
    response
}

/// Returns the record of the last poll of a target.
fn debug(services: &Services, query: &QueryString<'_>) -> HttpResponse {
    let Some(wanted) = query.text("target") else {
        return response::text(StatusCode::BAD_REQUEST, MISSING_TARGET);
    };
    match target::find_any(&services.board, wanted) {
        Some(slot) => {
            let record = live::with_seen(&slot, clock::now(), view::debug);
            response::text(StatusCode::OK, record)
        }
        None => response::text(StatusCode::NOT_FOUND, UNKNOWN_TARGET),
    }
}

async fn target_page(
    services: &Services,
    query: &QueryString<'_>,
    headers: &HeaderMap,
    scraper: u64,
) -> HttpResponse {
    // The request is never repeated in the response: it may contain a password.
    let Some(wanted) = query.text("target") else {
        return response::text(StatusCode::BAD_REQUEST, MISSING_TARGET);
    };
    let Some(slot) = target::find(&services.board, wanted) else {
        return on_request::page(services, wanted, headers, scraper).await;
    };
    let form = negotiation::form(headers);
    match written(slot.page(form, scraper)).await {
        Some(page) => response::page(page, form, &services.readers),
        None => response::not_yet(NOT_POLLED),
    }
}

/// Reports whether targets are polled and pages are written, regardless of the results of polls.
pub(super) fn healthy(board: &Board) -> HttpResponse {
    match board.health(Instant::now()) {
        Ok(()) => response::text(StatusCode::OK, "ok"),
        Err(problem) => response::not_yet(format!("not healthy: {problem}")),
    }
}

fn ready(services: &Services) -> HttpResponse {
    if let Err(problem) = services.board.health(Instant::now()) {
        return response::not_yet(format!("not ready: {problem}"));
    }
    if services.board.is_ready() {
        return response::text(StatusCode::OK, "ready");
    }
    let unread = services.board.unread_sources();
    if unread > 0 {
        return response::not_yet(format!(
            "not ready: {} not read yet",
            whole_counted(
                unread as u64,
                "source of targets was",
                "sources of targets were"
            )
        ));
    }
    let slots = services.board.slots();
    let waiting = slots.iter().filter(|slot| slot.latest().is_none()).count();
    let total = slots.len();
    if waiting == 0 {
        return response::not_yet("not ready: the page of all targets is being written");
    }
    response::not_yet(format!(
        "not ready: {waiting} of {} not polled yet",
        whole_counted(total as u64, "target was", "targets were")
    ))
}

async fn reload(services: &Services, client: IpAddr, headers: &HeaderMap) -> HttpResponse {
    if services.gate.rejects_reload() {
        return response::text(StatusCode::FORBIDDEN, NO_RELOAD);
    }
    if is_cross_origin(headers) {
        return response::text(StatusCode::FORBIDDEN, CROSS_ORIGIN);
    }
    if !services
        .reload_rate
        .allows(client, Instant::now().into_std())
    {
        return response::too_many(TOO_MANY_RELOADS);
    }
    match timeout(RELOAD_TIME, request_reload(&services.reload)).await {
        Ok(Some(ReloadResult::Applied(summary))) => response::text(StatusCode::OK, summary),
        // Prometheus responds with the same status to an invalid configuration.
        Ok(Some(ReloadResult::Rejected(problems))) => {
            response::text(StatusCode::INTERNAL_SERVER_ERROR, problems)
        }
        Ok(None) => response::not_yet(
            "No reload now: the exporter is stopping, or the log contains the reason.",
        ),
        Err(_) => response::not_yet("The reload takes too long. The log will contain the result."),
    }
}

/// Requests a reload. Returns `None` if nobody accepts the request or responds to it.
async fn request_reload(sender: &mpsc::Sender<ReloadRequest>) -> Option<ReloadResult> {
    let (reply, result) = oneshot::channel();
    sender.send(reply).await.ok()?;
    result.await.ok()
}
