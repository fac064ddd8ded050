//! The state of the exporter itself, as far as it concerns all targets. Pure.

/// The state of the exporter.
#[derive(Clone, Debug, PartialEq)]
pub struct ExporterState {
    /// Whether the last load of the configuration succeeded.
    pub is_config_loaded: bool,
    /// Time of the last successful load of the configuration, in seconds since the epoch.
    pub config_loaded_at: Option<f64>,
    /// Names of the sources of targets whose last read failed.
    pub failed_sources: Vec<String>,
    /// Tasks that panicked, with the time since the last panic in seconds.
    pub panics: Vec<(String, f64)>,
}

impl Default for ExporterState {
    /// Returns the state without problems.
    fn default() -> Self {
        Self {
            is_config_loaded: true,
            config_loaded_at: None,
            failed_sources: Vec::new(),
            panics: Vec::new(),
        }
    }
}
