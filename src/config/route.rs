//! The paths of the HTTP server. `http` decides what they return.

use super::Paths;

/// The resource at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The page at `/`.
    Index,
    /// The page of one target for people. The name follows.
    TargetView,
    /// All targets in JSON.
    Targets,
    /// One target in JSON. The name follows.
    TargetData,
    /// A runbook. The name of an alert follows.
    Runbook,
    /// The style, the script and the icon of the pages. The name of the file follows.
    Asset,
    /// The page of all targets.
    Metrics,
    /// The page of one target.
    Target,
    /// The targets, for Prometheus.
    Discovery,
    /// The nodes of clusters, for Prometheus, like in `redis_exporter`.
    ClusterNodes,
    /// Whether the exporter is working.
    Health,
    /// Whether every target has been polled.
    Ready,
    /// A request to reload the configuration.
    Reload,
}

/// All paths except that of the page of all targets, which is configurable.
///
/// A path that ends in a slash, except `/`, is the start of paths.
pub const ROUTES: [(&str, Route); 14] = [
    ("/", Route::Index),
    ("/targets/", Route::TargetView),
    ("/api/v1/targets", Route::Targets),
    ("/api/v1/targets/", Route::TargetData),
    ("/runbooks/", Route::Runbook),
    ("/assets/", Route::Asset),
    ("/probe", Route::Target),
    ("/scrape", Route::Target),
    ("/sd", Route::Discovery),
    ("/discover-cluster-nodes", Route::ClusterNodes),
    ("/health", Route::Health),
    ("/-/healthy", Route::Health),
    ("/-/ready", Route::Ready),
    ("/-/reload", Route::Reload),
];

impl Route {
    /// Returns the resource at a path.
    #[must_use]
    pub fn at(path: &str, paths: &Paths) -> Option<Self> {
        if path == paths.telemetry {
            return Some(Self::Metrics);
        }
        Self::fixed(path).filter(|route| paths.has_scrape || !route.needs_scrape())
    }

    /// Returns the resource at a fixed path.
    #[must_use]
    pub fn fixed(path: &str) -> Option<Self> {
        let is_start = |at: &str| at.len() > 1 && at.ends_with('/') && path.starts_with(at);
        let exact = ROUTES.iter().find(|(at, _)| *at == path);
        let found = exact.or_else(|| ROUTES.iter().find(|(at, _)| is_start(at)));
        found.map(|(_, route)| *route)
    }

    /// Returns the rest of a path after its start, such as the name of a target, as it was sent.
    #[must_use]
    pub fn rest(self, path: &str) -> &str {
        let mut starts = ROUTES.iter().filter(|(_, route)| *route == self);
        let rest = starts.find_map(|(at, _)| path.strip_prefix(at));
        rest.unwrap_or_default()
    }

    /// Returns whether it depends on the pages of single targets.
    const fn needs_scrape(self) -> bool {
        matches!(self, Self::Target | Self::Discovery | Self::ClusterNodes)
    }

    /// Returns whether it needs no password. Such responses contain no data.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Health | Self::Ready)
    }
}
