//! The examples of deployment against the program and the rules: their configurations load, their
//! copies are copies. Whether Kubernetes, systemd and Compose take the rest is not checked here.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::fs;

use redis_namespace_exporter::collector;
use redis_namespace_exporter::config::{Arguments, load};

use serde_yaml::Value;

use crate::support::{assert_golden, in_repository};

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

fn yaml(path: &str) -> Value {
    let text = fs::read_to_string(in_repository(path));
    let text = text.unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

const PROMETHEUS_RULE: &str = "deploy/kubernetes/prometheusrule.yaml";

/// What stands before the groups.
const HEAD: &str = "\
# The alerts for the Prometheus operator: alerts/redis.rules.yml, word for word. Change that file, then
# UPDATE_GOLDEN=1 cargo test --test repository deploy
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: redis-namespace-exporter
  # What the Prometheus of kube-prometheus-stack selects by default.
  labels: { release: kube-prometheus-stack }
spec:
";

#[test]
fn the_prometheus_rule_is_a_copy_of_the_rules() {
    let rules = fs::read_to_string(in_repository("alerts/redis.rules.yml")).unwrap();
    let lines = rules.lines().skip_while(|line| *line != "groups:");
    let indented = lines.map(|line| match line {
        "" => "\n".to_owned(),
        line => format!("  {line}\n"),
    });
    assert_golden(
        &in_repository(PROMETHEUS_RULE),
        &format!("{HEAD}{}", indented.collect::<String>()),
    );
    let (rules, copy) = (yaml("alerts/redis.rules.yml"), yaml(PROMETHEUS_RULE));
    let groups = rules.get("groups").unwrap();
    assert!(
        groups
            .as_sequence()
            .is_some_and(|groups| !groups.is_empty())
    );
    assert_eq!(copy.get("spec").unwrap().get("groups").unwrap(), groups);
}

#[test]
fn the_kustomization_names_files_that_exist() {
    let kustomization = yaml("deploy/kubernetes/kustomization.yaml");
    let resources = kustomization.get("resources").unwrap();
    let resources = resources.as_sequence().unwrap();
    assert!(!resources.is_empty());
    for resource in resources {
        let path = format!("deploy/kubernetes/{}", resource.as_str().unwrap());
        assert!(yaml(&path).get("kind").is_some(), "{path}");
    }
}
