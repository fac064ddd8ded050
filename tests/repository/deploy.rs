//! Checks the deployment examples: their configurations load, and their copies are up to date.
//!
//! Whether Kubernetes, systemd and Compose accept the rest is not checked here.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::fs;

use redis_namespace_exporter::collector;
use redis_namespace_exporter::config::{Arguments, load};

use serde::Deserialize;
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

#[test]
fn compose_watches_a_server_of_its_own_or_another() {
    let compose = yaml("deploy/compose.yaml");
    let services = compose.get("services").unwrap().as_mapping().unwrap();
    let needs = |service: &str| -> Vec<String> {
        let service = services.get(service).unwrap();
        match service.get("depends_on") {
            None => Vec::new(),
            Some(Value::Sequence(names)) => names
                .iter()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
            Some(names) => names
                .as_mapping()
                .unwrap()
                .keys()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
        }
    };
    let mut started = vec!["grafana".to_owned()];
    let mut next = 0;
    while let Some(service) = started.get(next).cloned() {
        started.extend(needs(&service));
        next += 1;
    }
    for service in ["prometheus", "alertmanager", "exporter"] {
        assert!(started.iter().any(|name| name == service), "{started:?}");
    }
    // With REDIS_URL, `up grafana` must not start them.
    for service in ["redis", "workload"] {
        assert!(!started.iter().any(|name| name == service), "{started:?}");
        assert!(services.contains_key(service));
    }
    let arguments = Arguments {
        config: Some(in_repository("deploy/exporter.yaml")),
        ..Arguments::default()
    };
    for (url, expected) in [
        (None, "redis://redis:6379"),
        (Some("rediss://cache.test:7000"), "rediss://cache.test:7000"),
    ] {
        let variable = |name: &str| url.filter(|_| name == "REDIS_URL").map(str::to_owned);
        let config = load(&arguments, &variable, &collector::names()).unwrap();
        let address = config.targets.first().unwrap().endpoint.address.to_string();
        assert_eq!(address, expected);
    }
}

fn yaml(path: &str) -> Value {
    let text = fs::read_to_string(in_repository(path));
    let text = text.unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

const PROMETHEUS_RULE: &str = "deploy/kubernetes/prometheusrule.yaml";

/// The lines before the groups.
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
fn kustomization_names_existing_files() {
    let kustomization = yaml("deploy/kubernetes/kustomization.yaml");
    let resources = kustomization.get("resources").unwrap();
    let resources = resources.as_sequence().unwrap();
    assert!(!resources.is_empty());
    for resource in resources {
        let path = format!("deploy/kubernetes/{}", resource.as_str().unwrap());
        assert!(yaml(&path).get("kind").is_some(), "{path}");
    }
}

/// Apart from what makes it share the targets, the `StatefulSet` is the Deployment.
#[test]
fn the_pods_of_the_stateful_set_share_all_targets() {
    let [alone, shared] = ["deployment", "statefulset"].map(|name| {
        let manifest = yaml(&format!("deploy/kubernetes/{name}.yaml"));
        manifest.get("spec").unwrap().clone()
    });
    let replicas = shared.get("replicas").and_then(Value::as_u64).unwrap();
    let template = |spec: &Value| serde_yaml::to_string(spec.get("template").unwrap()).unwrap();
    let (alone, shared) = (template(&alone), template(&shared));
    let share = ["- --shard".to_owned(), format!("- ordinal/{replicas}")];
    let (own, common): (Vec<&str>, Vec<&str>) = shared
        .lines()
        .partition(|line| share.iter().any(|word| line.trim() == word));
    assert_eq!(own.len(), share.len(), "{shared}");
    assert_eq!(common, alone.lines().collect::<Vec<_>>());
    assert!(replicas > 1);
}

/// Returns the documents of a YAML file.
fn documents(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(in_repository(path));
    let text = text.unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| {
            Value::deserialize(document).unwrap_or_else(|error| panic!("{path}: {error}"))
        })
        .collect()
}

/// Returns the text of the endpoints of a monitor.
fn endpoints(path: &str, kind: &str) -> String {
    let monitor = documents(path)
        .into_iter()
        .find(|document| document.get("kind").and_then(Value::as_str) == Some(kind))
        .unwrap_or_else(|| panic!("{path} has no {kind}"));
    let spec = monitor.get("spec");
    let endpoints = ["endpoints", "podMetricsEndpoints"]
        .iter()
        .find_map(|key| spec.and_then(|spec| spec.get(key)))
        .unwrap_or_else(|| panic!("{path} scrapes nothing"));
    serde_yaml::to_string(endpoints).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn new_exporter_pod_keeps_server_series() {
    for (path, kind, instance) in [
        (
            "deploy/kubernetes/servicemonitor.yaml",
            "ServiceMonitor",
            "- targetLabel: instance\n    replacement: redis-namespace-exporter\n",
        ),
        (
            "deploy/kubernetes/podmonitor.yaml",
            "PodMonitor",
            "- sourceLabels:\n    - __meta_kubernetes_pod_name\n    targetLabel: instance\n",
        ),
    ] {
        let endpoints = endpoints(path, kind);
        assert!(
            endpoints.contains("  relabelings:\n"),
            "{path}: {endpoints}"
        );
        assert!(endpoints.contains(instance), "{path}: {endpoints}");
    }
}

#[test]
fn probed_targets_are_scraped_once() {
    let itself = endpoints("deploy/kubernetes/probe.yaml", "ServiceMonitor");
    let drop = "- sourceLabels:\n    - target\n    regex: .+\n    action: drop\n";
    assert!(itself.contains(drop), "{itself}");
    let page = fs::read_to_string(in_repository("docs/guides/prometheus.md")).unwrap();
    let probed = page
        .split("```yaml")
        .filter_map(|block| block.split("```").next())
        .find(|block| block.contains("metrics_path: /probe"));
    let jobs: Value = serde_yaml::from_str(probed.unwrap()).unwrap();
    let jobs = serde_yaml::to_string(&jobs).unwrap();
    let drop = "- source_labels:\n    - target\n    regex: .+\n    action: drop\n";
    assert!(jobs.contains(drop), "{jobs}");
}

#[test]
fn changelog_has_a_section_for_the_version() {
    let changelog = fs::read_to_string(in_repository("CHANGELOG.md")).unwrap();
    let heading = format!("## [{}] - ", env!("CARGO_PKG_VERSION"));
    let sections: Vec<&str> = changelog
        .lines()
        .filter(|line| line.starts_with("## "))
        .collect();
    let of_version = sections.iter().position(|line| line.starts_with(&heading));
    // At most the changes of the next version are above it.
    assert!(of_version.is_some_and(|at| at <= 1), "{sections:?}");
}
