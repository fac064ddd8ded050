//! Pure modules have no clock, no I/O, and no state that outlives a call.
//!
//! A module is pure if its description states it: `Pure.` at the start of a sentence, or ``Pure but
//! `name`.`` The claim includes the folder of the module.

use std::collections::{BTreeMap, BTreeSet};

use crate::program::{program, without_tests};
use crate::source_paths::{Path, Source, named, sources};

/// Names of clocks, files, sockets, tasks, and mutable state. A time that the caller passes is
/// allowed.
const IMPURE: &[&str] = &[
    "::now(",
    ".elapsed(",
    "std::env",
    "std::fs",
    "fs::",
    "std::net::T",
    "std::net::U",
    "std::process",
    "std::thread",
    "tokio",
    "fastrand",
    "tracing::",
    "Mutex",
    "RwLock",
    "RefCell",
    "Cell<",
    "Atomic",
    "OnceLock",
    "ArcSwap",
    "static mut",
    "thread_local",
];

/// Modules that must be pure because the program relies on it. None of them may lose its claim.
const PURE: &[&str] = &[
    "catalogue",
    "collector",
    "encode",
    "failure",
    "glob",
    "info",
    "keyspace",
    "label",
    "metric",
    "number",
    "outcome",
    "pattern",
    "poll::plan",
    "poll::schedule",
    "poll::scrapers",
    "query",
    "reply",
];

/// Pure modules with an impure module that each may name: it only takes values from there. They are
/// the rows of metrics, and algorithms that draw random numbers when rustls uses them.
const ALLOWED_CALLEES: [[&str; 2]; 2] =
    [["catalogue", "telemetry"], ["tls::provider", "tls::p521"]];

/// A module that claims to be pure, except for these modules in its folder.
struct Claim {
    module: Path,
    except: Vec<String>,
}

fn claim(source: &Source) -> Option<Claim> {
    let lines = source.text.lines();
    let lines = lines.map_while(|line| line.strip_prefix("//!"));
    let description: String = lines.collect();
    let mut starts = description.match_indices("Pure");
    starts.find_map(|(at, word)| {
        let rest = description.get(at + word.len()..)?;
        let end = rest.find(['.', ':', ';', ','])?;
        let (middle, _) = rest.split_at(end);
        let except = match middle.strip_prefix(" but ") {
            Some(names) => names.split('`').skip(1).step_by(2).map(str::to_owned),
            None if middle.is_empty() => "".split('`').skip(1).step_by(2).map(str::to_owned),
            None => return None,
        };
        Some(Claim {
            module: source.module.clone(),
            except: except.collect(),
        })
    })
}

/// Returns the modules that claim to be pure, such as `poll::plan`.
pub fn pure_modules() -> BTreeSet<String> {
    let sources = sources();
    let claims = sources.iter().filter_map(claim);
    claims.map(|claim| claim.module.join("::")).collect()
}

impl Claim {
    fn covers(&self, module: &[String]) -> bool {
        match module.strip_prefix(self.module.as_slice()) {
            Some([]) => true,
            Some([first, ..]) => !self.except.contains(first),
            None => false,
        }
    }
}

/// Returns the names of impure things in a text, outside of tests and comments.
fn impure(text: &str) -> Vec<&'static str> {
    let text = without_tests(text);
    let code = text
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    let text: String = code.flat_map(|line| [line, "\n"]).collect();
    // A level is a value.
    let text = text.replace("tracing::Level", "");
    let words = IMPURE.iter().copied();
    words.filter(|word| text.contains(word)).collect()
}

#[test]
fn pure_modules_use_nothing_impure() {
    let program = program();
    let claims: Vec<_> = program.iter().filter_map(claim).collect();
    for Source { file, module, text } in &program {
        if claims.iter().any(|claim| claim.covers(module)) {
            assert_eq!(impure(text), Vec::<&str>::new(), "{file}");
        }
    }
}

/// Returns the functions and modules outside of all claims that pure modules name, each after the
/// module that names it. Types and constants of other modules are values, which are allowed.
fn impure_callees(program: &[Source]) -> Vec<[String; 2]> {
    let claims: Vec<_> = program.iter().filter_map(claim).collect();
    let is_pure = |module: &[String]| claims.iter().any(|claim| claim.covers(module));
    let modules: BTreeSet<&[String]> = program.iter().map(|one| &*one.module).collect();
    let mut exports = BTreeMap::new();
    let mut uses = Vec::new();
    for Source { module, text, .. } in program {
        let inner = modules.iter().filter_map(|inner| match inner.split_last() {
            Some((name, parent)) if parent == module => Some(name),
            _ => None,
        });
        let text = inner.fold(text.clone(), |text, name| {
            text.replace(&format!("use {name}::"), &format!("use self::{name}::"))
        });
        let named = named(module, &text);
        exports.extend(named.exports);
        if is_pure(module) {
            uses.push((module, named.paths));
        }
    }
    let mut impure = Vec::new();
    for (module, paths) in uses {
        for mut path in paths {
            // The visibility of an item names a parent.
            if module.starts_with(&path) {
                continue;
            }
            while let Some(through) = exports.get(&path) {
                path.clone_from(through);
            }
            let ends = (1..=path.len()).rev();
            let mut owners = ends.filter_map(|end| path.get(..end));
            let owner = owners.find(|owner| modules.contains(owner));
            let last = path.last().map_or("", |last| last);
            if last.starts_with(char::is_lowercase) && owner.is_some_and(|owner| !is_pure(owner)) {
                impure.push([module.join("::"), path.join("::")]);
            }
        }
    }
    impure
}

#[test]
fn pure_modules_call_only_pure_ones() {
    assert_eq!(impure_callees(&program()), ALLOWED_CALLEES);
}

#[test]
fn impure_callees_are_seen_through_re_exports() {
    let source = |module: &str, text: &str| Source {
        file: String::new(),
        module: module.split("::").map(str::to_owned).collect(),
        text: text.to_owned(),
    };
    let program = [
        source(
            "a",
            "//! Adds. Pure.\nuse crate::b::{Value, read, add};\nuse super::b;",
        ),
        source("b", "pub use c::{Value, read};\npub use crate::d::add;"),
        source("b::c", "//! Reads."),
        source("d", "//! Pure."),
    ];
    assert_eq!(impure_callees(&program), [["a", "b"], ["a", "b::c::read"]]);
}

#[test]
fn modules_that_others_rely_on_claim_to_be_pure() {
    let pure = pure_modules();
    for module in PURE {
        assert!(pure.contains(*module), "{module} does not claim to be pure");
    }
}

#[test]
fn a_claim_names_its_exceptions() {
    let source = |text: &str| Source {
        file: String::new(),
        module: vec!["a".to_owned()],
        text: text.to_owned(),
    };
    let covers = |text: &str, module: &str| {
        let module: Path = module.split("::").map(str::to_owned).collect();
        claim(&source(text)).is_some_and(|claim| claim.covers(&module))
    };
    assert!(covers("//! Adds. Pure.\n", "a"));
    assert!(covers("//! Adds. Pure: no\n//! clock.\n", "a::b"));
    assert!(covers(
        "//! Adds.\n//!\n//! Pure but `b` and `c`.\n",
        "a::d"
    ));
    assert!(!covers("//! Pure but `b` and `c`.\n", "a::c::d"));
    assert!(!covers("//! Pure.\n", "b"));
    assert!(!covers("//! Purely by chance. Impure.\n", "a"));
    assert!(!covers("//! Adds.\n\n/// Pure.\n", "a"));
}

#[test]
fn impure_names_are_found() {
    assert_eq!(impure("let a = Instant::now();"), ["::now("]);
    assert_eq!(impure("// Instant::now()\nfn f(at: Instant) {}"), [""; 0]);
    assert_eq!(impure("#[cfg(test)]\nmod tests {\nfs::read();"), [""; 0]);
}
