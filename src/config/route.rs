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
    ("/api/v1/targets", Route::Targets),
    ("/api/v1/targets/", Route::TargetData),
    ("/targets/", Route::TargetView),
    ("/runbooks/", Route::Runbook),
    ("/-/healthy", Route::Health),
    ("/health", Route::Health),
    ("/-/ready", Route::Ready),
    ("/-/reload", Route::Reload),
    ("/assets/", Route::Asset),
    ("/sd", Route::Discovery),
    ("/discover-cluster-nodes", Route::ClusterNodes),
    ("/probe", Route::Target),
    ("/scrape", Route::Target),
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

    /// Returns the paths that the page of all targets lists, with what follows them and their
    /// meaning.
    #[must_use]
    pub fn listed(paths: &Paths) -> Vec<(String, &'static str)> {
        let mut listed: Vec<(String, &'static str)> = Vec::new();
        for (path, route) in ROUTES {
            let is_there = paths.has_scrape || !route.needs_scrape();
            let Some((rest, meaning)) = route.texts().filter(|_| is_there) else {
                continue;
            };
            match listed.last_mut().filter(|last| last.1 == meaning) {
                Some((paths, _)) => paths.extend([", ", path, rest]),
                None => listed.push((format!("{path}{rest}"), meaning)),
            }
        }
        listed
    }

    /// Returns what follows the path, and the meaning, for the page of all targets.
    #[rustfmt::skip] // One route, one line.
    const fn texts(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::Index | Self::Metrics => return None,
            Self::Targets => ("", "this page as JSON"),
            Self::TargetData => ("NAME", "the page of a target as JSON"),
            Self::TargetView => ("NAME", "the page of a target"),
            Self::Runbook => ("ALERT", "the runbook of an alert"),
            Self::Health => ("", "whether the exporter is working"),
            Self::Ready => ("", "whether every target has been polled"),
            Self::Reload => ("", "POST reloads the configuration"),
            Self::Asset => ("", "files of these pages"),
            Self::Discovery => ("", "all targets, for http_sd_configs of Prometheus"),
            Self::ClusterNodes => ("", "the addresses of all cluster nodes, for http_sd_configs"),
            Self::Target => ("?target=NAME", "metrics of one target; debug=1 shows its last poll"),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_listed() {
        let paths = |has_scrape| Paths {
            telemetry: "/metrics".to_owned(),
            has_scrape,
        };
        let listed = Route::listed(&paths(true));
        let all: Vec<_> = listed.iter().map(|(paths, _)| paths.as_str()).collect();
        let all = all.join(", ");
        for (path, route) in ROUTES {
            let is_itself = route == Route::Index;
            assert!(is_itself || all.contains(path), "{path} is not listed");
        }
        assert!(all.contains("/-/healthy, /health, "), "{all}");
        assert!(
            all.ends_with("/probe?target=NAME, /scrape?target=NAME"),
            "{all}"
        );
        let fewer = Route::listed(&paths(false));
        assert_eq!(fewer[..], listed[..listed.len() - 3]);
    }
}
