//! Derives from the recordings which servers have which metrics, and how many series.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use redis_namespace_exporter::catalogue;
use redis_namespace_exporter::encode::spellings;

use crate::golden;
use crate::support;

/// Modes that name a page. All other pages are of standalone servers.
const MODES: &[&str] = &["cluster", "replica", "sentinel"];
const STANDALONE: &str = "standalone";

/// Kinds of servers, in the order of the pages.
const FLAVORS: &[(&str, &str)] = &[("redis", "Redis"), ("valkey", "Valkey"), ("keydb", "KeyDB")];

/// A recorded server: its kind, and its major and minor version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Server {
    flavor: String,
    version: (u32, u32),
}

/// Facts about the recordings for the metric pages.
pub struct Recorded {
    /// The recorded servers, in words.
    pub servers: String,
    /// The servers that have each family, by the name of the family.
    pub seen_on: BTreeMap<&'static str, String>,
    /// The number of series of each server, as a table.
    pub series: String,
}

/// Reads the recordings.
pub fn recorded() -> Recorded {
    let pages: Vec<_> = golden::pages()
        .iter()
        .map(|(path, page)| {
            let (server, mode) = place(path);
            (server, mode, names(page))
        })
        .collect();
    let mut shown: BTreeMap<&str, Vec<(&Server, &str)>> = BTreeMap::new();
    let mut all: BTreeMap<&str, BTreeSet<&Server>> = BTreeMap::new();
    for (server, mode, names) in &pages {
        all.entry(mode).or_default().insert(server);
        for name in names {
            shown.entry(name).or_default().push((server, mode));
        }
    }
    let mut seen_on = BTreeMap::new();
    for family in catalogue::families() {
        let places = spellings(family, true).filter_map(|spelling| shown.get(spelling.name));
        let places: Vec<_> = places.flatten().copied().collect();
        if !places.is_empty() {
            seen_on.insert(family.name, described(&places, &all));
        }
    }
    let servers = all.values().flatten().copied().collect();
    Recorded {
        servers: listed(&servers),
        seen_on,
        series: series(),
    }
}

/// Returns the server and the mode of a page.
fn place(path: &Path) -> (Server, &'static str) {
    let mode = path.file_stem().expect("a page has a name");
    let mode = MODES.iter().find(|name| mode == **name);
    let server = path.parent().expect("a page is in a folder");
    (server_of(server), mode.copied().unwrap_or(STANDALONE))
}

fn server_of(folder: &Path) -> Server {
    let name = folder.file_name().expect("a folder has a name");
    let name = name.to_str().expect("its name is UTF-8");
    let (flavor, version) = name.split_once('-').expect("it names a version");
    let mut parts = version
        .split('.')
        .map(|part| part.parse().expect("a number"));
    let mut part = || parts.next().expect("a version has two parts");
    Server {
        flavor: flavor.to_owned(),
        version: (part(), part()),
    }
}

/// Returns the names of the families on a page.
fn names(page: &str) -> BTreeSet<String> {
    page.lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .map(ToOwned::to_owned)
        .collect()
}

/// Describes the servers and modes that have a family.
fn described(places: &[(&Server, &str)], all: &BTreeMap<&str, BTreeSet<&Server>>) -> String {
    let modes: BTreeSet<&str> = places.iter().map(|(_, mode)| *mode).collect();
    let servers: BTreeSet<&Server> = places.iter().map(|(server, _)| *server).collect();
    let possible = modes.iter().filter_map(|mode| all.get(mode)).flatten();
    let possible: BTreeSet<&Server> = possible.copied().collect();
    let mut described = if servers == possible {
        "all".to_owned()
    } else {
        by_flavor(&servers, &possible)
    };
    if !modes.contains(STANDALONE) {
        let modes: Vec<_> = modes.into_iter().collect();
        let _ = write!(described, " ({})", modes.join(", "));
    }
    described
}

/// Returns text such as `Redis ≥ 7.0, Valkey, KeyDB`.
fn by_flavor(servers: &BTreeSet<&Server>, possible: &BTreeSet<&Server>) -> String {
    let versions = |of: &BTreeSet<&Server>, flavor: &str| {
        let same = of.iter().filter(|server| server.flavor == flavor);
        same.map(|server| server.version).collect::<Vec<_>>()
    };
    let described = FLAVORS.iter().filter_map(|(flavor, name)| {
        let range = range(&versions(servers, flavor), &versions(possible, flavor))?;
        Some(format!("{name} {range}").trim_end().to_owned())
    });
    described.collect::<Vec<_>>().join(", ")
}

/// Returns some of the possible versions as text: empty for all of them, `None` for none. Both
/// lists are sorted.
fn range(some: &[(u32, u32)], possible: &[(u32, u32)]) -> Option<String> {
    let (first, last) = (some.first()?, some.last()?);
    let text = |(major, minor): &(u32, u32)| format!("{major}.{minor}");
    Some(if some == possible {
        String::new()
    } else if some.len() > 1 && possible.ends_with(some) {
        format!("≥ {}", text(first))
    } else if some.len() > 1 && possible.starts_with(some) {
        format!("≤ {}", text(last))
    } else {
        some.iter().map(text).collect::<Vec<_>>().join(" and ")
    })
}

/// Returns text such as `Redis 5.0, 6.2; Valkey 7.2`.
fn listed(servers: &BTreeSet<&Server>) -> String {
    let of = |(flavor, name): &(&str, &str)| {
        let same = servers.iter().filter(|server| server.flavor == *flavor);
        let versions = same.map(|server| {
            let (major, minor) = server.version;
            format!("{major}.{minor}")
        });
        format!("{name} {}", versions.collect::<Vec<_>>().join(", "))
    };
    FLAVORS.iter().map(of).collect::<Vec<_>>().join("; ")
}

/// Number of series of a standalone server with default settings.
struct Count {
    server: Server,
    commands: usize,
    all: usize,
    /// Series whose names `redis_exporter` does not have.
    own: usize,
    /// Series that `redis_exporter` has too, with only the buckets that the server reports.
    theirs: usize,
}

fn counts() -> Vec<Count> {
    let names = names_of_redis_exporter();
    let is_theirs = |line: &&&str| {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let mut parts = ["_bucket", "_sum", "_count"].iter();
        names.contains(name)
            || parts.any(|part| {
                name.strip_suffix(part)
                    .is_some_and(|name| names.contains(name))
            })
            || name.starts_with("redis_cluster_")
    };
    let count = |folder: &PathBuf| {
        let page = golden::default_page(folder);
        let lines: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
        let starting = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
        let of_both = lines.iter().filter(is_theirs).count();
        Count {
            server: server_of(folder),
            commands: starting("redis_commands_total{"),
            all: lines.len(),
            own: lines.len() - of_both,
            theirs: of_both - starting("redis_commands_latencies_usec_bucket{") + buckets(folder),
        }
    };
    golden::servers().iter().map(count).collect()
}

/// Returns the number of latency buckets that a server reports, plus one for each command.
fn buckets(folder: &Path) -> usize {
    let reply = golden::recording(folder, "latency-histogram");
    let commands = reply.iter().flat_map(|reply| reply.items().chunks(2));
    let listed = commands.filter_map(|command| {
        let [_, body] = command else { return None };
        let fields = body.items().chunks(2);
        let mut listed = fields.filter_map(|field| match field {
            [name, buckets] if name.text()? == "histogram_usec" => Some(buckets.items().len() / 2),
            _ => None,
        });
        Some(listed.next()? + 1)
    });
    listed.sum()
}

fn series() -> String {
    let mut table = String::from(
        "| server | commands | series | own | redis_exporter |\n| --- | --- | --- | --- | --- |\n",
    );
    for count in counts() {
        let Server { flavor, version } = count.server;
        let (major, minor) = version;
        let Count {
            commands,
            all,
            own,
            theirs,
            ..
        } = count;
        let _ = writeln!(
            table,
            "| {flavor} {major}.{minor} | {commands} | {all} | {own} | {theirs} |"
        );
    }
    table
}

/// Returns the names of the metrics that `redis_exporter` exports by default.
fn names_of_redis_exporter() -> BTreeSet<String> {
    let table = support::in_repository("tests/golden/redis_exporter-metrics.tsv");
    let table = fs::read_to_string(table).expect("the table is there");
    let names = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split('\t').next());
    names.map(ToOwned::to_owned).collect()
}

#[test]
fn default_series_exceed_redis_exporter_by_a_quarter_at_most() {
    for count in counts() {
        let Count {
            server,
            all,
            theirs,
            ..
        } = count;
        assert!(4 * all <= 5 * theirs, "{server:?}: {all} against {theirs}");
    }
}

#[test]
fn recorded_versions_are_written_as_ranges() {
    let possible = [(5, 0), (6, 2), (7, 0), (8, 0)];
    let described = |some: &[(u32, u32)]| range(some, &possible);
    assert_eq!(described(&possible).as_deref(), Some(""));
    assert_eq!(described(&[(7, 0), (8, 0)]).as_deref(), Some("≥ 7.0"));
    assert_eq!(described(&[(5, 0), (6, 2)]).as_deref(), Some("≤ 6.2"));
    assert_eq!(described(&[(8, 0)]).as_deref(), Some("8.0"));
    assert_eq!(described(&[(5, 0), (7, 0)]).as_deref(), Some("5.0 and 7.0"));
    assert_eq!(described(&[]), None);
}
