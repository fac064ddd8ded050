//! The paths of the HTTP server. `http` decides what they return.

use super::Paths;

/// The resource at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The page at `/`.
    Index,
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
pub const ROUTES: [(&str, Route); 9] = [
    ("/", Route::Index),
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
        let mut routes = ROUTES.iter();
        routes.find(|(at, _)| *at == path).map(|(_, route)| *route)
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
