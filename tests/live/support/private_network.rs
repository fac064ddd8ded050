//! Runs a test in a network of its own, with addresses that this machine does not have.

use std::env;
use std::process::Command;

/// The variable that is set in that network.
const INSIDE: &str = "LIVE_PRIVATE_NETWORK";

/// Adds the addresses, which are separated by spaces, and runs a program.
const SET_UP: &str = "PATH=\"$PATH:/usr/sbin:/sbin\"; command -v ip >/dev/null || \
    { echo 'ip is missing: run scripts/install-tools ip' >&2; exit 1; }; ip link set lo up && \
    for address in $0; do ip address add \"$address\" dev lo || exit; done && exec \"$@\"";

/// Runs the test with this full name again, in a process whose network has only these addresses and
/// loopback. There it calls `body`. Without the permission for that, which root has, the test is left
/// out.
pub fn within(test: &str, addresses: &[&str], body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let is_permitted = Command::new("unshare").args(["--net", "true"]).status();
    if !is_permitted.is_ok_and(|status| status.success()) {
        eprintln!("left out: a network of its own needs root");
        return;
    }
    let run = Command::new("unshare")
        .args(["--net", "/bin/sh", "-c", SET_UP])
        .arg(addresses.join(" "))
        .arg(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let [stdout, stderr] = [run.stdout, run.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(
        run.status.success() && stdout.contains("test result: ok. 1 passed"),
        "{stdout}{stderr}"
    );
}
