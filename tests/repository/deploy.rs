//! The examples of deployment against the program: their configurations load. Whether Kubernetes,
//! systemd and Compose take the rest is not checked here.

use redis_namespace_exporter::collector;
use redis_namespace_exporter::config::{Arguments, load};

use crate::support::in_repository;

#[test]
fn the_configurations_of_the_examples_load() {
    for (path, targets) in [
        ("deploy/exporter.yaml", 1),
        ("deploy/kubernetes/config.yaml", 2),
    ] {
        let arguments = Arguments {
            config: Some(in_repository(path)),
            ..Arguments::default()
        };
        let config = load(&arguments, &|_| None, &collector::names());
        let config = config.unwrap_or_else(|problems| panic!("{path}: {problems:#?}"));
        assert_eq!(config.targets.len(), targets, "{path}");
    }
}
