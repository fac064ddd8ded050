//! The paths that the HTTP server knows. What they return is decided in `http`.

use super::Paths;

/// What is served at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The page for people.
    Index,
    /// The page of all targets.
    Metrics,
    /// The page of one target.
    Target,
    /// Whether the exporter works.
    Health,
    /// Whether each target was polled.
    Ready,
    /// A request to reload the configuration.
    Reload,
}

/// All paths except that of the page of all targets, which is configured.
pub const ROUTES: [(&str, Route); 7] = [
    ("/", Route::Index),
    ("/probe", Route::Target),
    ("/scrape", Route::Target),
    ("/health", Route::Health),
    ("/-/healthy", Route::Health),
    ("/-/ready", Route::Ready),
    ("/-/reload", Route::Reload),
];

impl Route {
    /// Returns what is served at a path.
    #[must_use]
    pub fn at(path: &str, paths: &Paths) -> Option<Self> {
        if path == paths.telemetry {
            return Some(Self::Metrics);
        }
        Self::fixed(path).filter(|route| *route != Self::Target || paths.has_scrape)
    }

    /// Returns what is served at a path that is not configured.
    #[must_use]
    pub fn fixed(path: &str) -> Option<Self> {
        let mut routes = ROUTES.iter();
        routes.find(|(at, _)| *at == path).map(|(_, route)| *route)
    }

    /// Returns whether it needs no password. Such responses contain no data.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Health | Self::Ready)
    }
}
