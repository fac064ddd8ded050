//! Sets the commit and date of a release build, which `redis_exporter_build_info` and `--version`
//! show, and packs the relocations of a static program.
//!
//! `EXPORTER_COMMIT` and `EXPORTER_BUILD_DATE` take precedence over git, for builds without a
//! repository. The date is that of the commit, so that builds are reproducible. Debug builds have
//! neither, because each commit would recompile the library.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=EXPORTER_COMMIT");
    println!("cargo::rerun-if-env-changed=EXPORTER_BUILD_DATE");
    let version = env!("CARGO_PKG_VERSION");
    pack_relocations();
    if env::var("PROFILE").as_deref() != Ok("release") {
        println!("cargo::rustc-env=EXPORTER_VERSION={version}");
        return;
    }
    // A copy of the sources inside another repository does not belong to its commits.
    let has_repository = git(&["rev-parse", "--show-prefix"]).is_none();
    if has_repository && let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    let of = |variable: &str, format: &str| {
        let given = env::var(variable).ok().filter(|value| !value.is_empty());
        given.or_else(|| git(&["log", "-1", format]).filter(|_| has_repository))
    };
    let commit = of("EXPORTER_COMMIT", "--format=%H");
    let date = of("EXPORTER_BUILD_DATE", "--format=%cI");
    let shown = match (&commit, &date) {
        (Some(commit), Some(date)) => format!("{version} (commit {commit}, {date})"),
        (Some(commit), None) => format!("{version} (commit {commit})"),
        (None, Some(date)) => format!("{version} ({date})"),
        (None, None) => version.to_owned(),
    };
    println!("cargo::rustc-env=EXPORTER_VERSION={shown}");
    for (variable, value) in [("EXPORTER_COMMIT", commit), ("EXPORTER_BUILD_DATE", date)] {
        if let Some(value) = value {
            println!("cargo::rustc-env={variable}={value}");
        }
    }
}

/// Packs the relocations of a static program. They are read at startup and stay resident. A dynamic
/// program would then need glibc 2.36.
fn pack_relocations() {
    let has = |variable: &str, word: &str| {
        env::var(variable).is_ok_and(|words| words.split(',').any(|one| one == word))
    };
    if has("CARGO_CFG_TARGET_FEATURE", "crt-static") && has("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Returns the output of git, or `None` without git or a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
