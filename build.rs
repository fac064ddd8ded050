//! Sets the commit and date of a release build, which `redis_exporter_build_info` shows.
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
    if env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    // A copy of the sources inside another repository does not belong to its commits.
    if git(&["rev-parse", "--show-prefix"]).is_some() {
        return;
    }
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    set("EXPORTER_COMMIT", &["log", "-1", "--format=%H"]);
    set("EXPORTER_BUILD_DATE", &["log", "-1", "--format=%cI"]);
}

/// Sets a variable for the compiler from git, unless the environment sets it.
fn set(variable: &str, arguments: &[&str]) {
    let is_set = env::var(variable).is_ok_and(|value| !value.is_empty());
    if is_set {
        return;
    }
    if let Some(value) = git(arguments) {
        println!("cargo::rustc-env={variable}={value}");
    }
}

/// Returns the output of git, or `None` without git or a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
