//! Finds the addresses of exporters on this machine in `/proc` of Linux.
//!
//! The health check of a container does not know the flags of the container. It finds the process
//! of the same program and its listening ports. Containers that share processes and network still
//! have separate file systems, which distinguishes their exporters.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Returns the address for the health check.
///
/// It is the configured address if a process of this program listens on its port, or if none is
/// found. Otherwise it is the address of the process with the lowest ID. Processes of other
/// containers or services count only if our own has no exporter.
#[must_use]
pub fn address(configured: SocketAddr) -> SocketAddr {
    chosen(configured, &listening(Path::new("/proc")))
}

fn chosen(configured: SocketAddr, running: &[SocketAddr]) -> SocketAddr {
    let is_configured = |address: &SocketAddr| address.port() == configured.port();
    match running.first() {
        Some(first) if !running.iter().any(is_configured) => *first,
        _ => configured,
    }
}

/// Returns the addresses on which other processes of this program listen, by process ID.
fn listening(proc: &Path) -> Vec<SocketAddr> {
    let program = |process: &Path| {
        let program = fs::metadata(process.join("exe")).ok()?;
        Some((program.dev(), program.ino()))
    };
    let Some(own) = program(&proc.join("self")) else {
        return Vec::new();
    };
    let names = fs::read_dir(proc).into_iter().flatten().flatten();
    let numbers = names.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut processes: Vec<u32> = numbers.filter(|id| *id != std::process::id()).collect();
    processes.sort_unstable();
    let paths = processes.iter().map(|id| proc.join(id.to_string()));
    let same = paths.filter(|process| program(process) == Some(own));
    let isolation = |process: &Path| {
        let files = fs::read_link(process.join("ns/mnt")).ok();
        (files, fs::read_to_string(process.join("cgroup")).ok())
    };
    let own = isolation(&proc.join("self"));
    let all = same.map(|process| (isolation(&process), of_process(&process)));
    nearest(&own, all.collect())
}

/// The mount namespace and control group of a process, which distinguish containers and services.
type Isolation = (Option<PathBuf>, Option<String>);

/// Returns the addresses of processes in the same container and service, else in the same
/// container, else all.
fn nearest(own: &Isolation, all: Vec<(Isolation, Vec<SocketAddr>)>) -> Vec<SocketAddr> {
    let all: Vec<_> = all
        .into_iter()
        .filter(|(_, listen)| !listen.is_empty())
        .collect();
    let nearness = |other: &Isolation| match own.0.is_some() && own.0 == other.0 {
        true if own.1 == other.1 => 2,
        true => 1,
        false => 0,
    };
    let nearest = all.iter().map(|(other, _)| nearness(other)).max();
    let same = all
        .iter()
        .filter(|(other, _)| Some(nearness(other)) == nearest);
    same.flat_map(|(_, listen)| listen.clone()).collect()
}

/// Returns the addresses on which one process listens.
fn of_process(process: &Path) -> Vec<SocketAddr> {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten();
    let sockets: Vec<u64> = files
        .flatten()
        .filter_map(|file| socket(fs::read_link(file.path()).ok()?.to_str()?))
        .collect();
    let tables = ["net/tcp", "net/tcp6"].map(|table| fs::read_to_string(process.join(table)));
    let listeners = tables.iter().flatten().flat_map(|table| table.lines());
    let listeners = listeners.filter_map(listener);
    let own = listeners.filter(|(_, socket)| sockets.contains(socket));
    own.map(|(address, _)| address).collect()
}

/// Parses the inode: `socket:[1234]` → 1234.
fn socket(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

/// Parses a line of `/proc/net/tcp`. Returns the address and inode of a listening socket.
fn listener(line: &str) -> Option<(SocketAddr, u64)> {
    const LISTENS: &str = "0A";
    let mut fields = line.split_ascii_whitespace();
    let (local, state) = (fields.nth(1)?, fields.nth(1)?);
    let socket = fields.nth(5)?.parse().ok()?;
    if state != LISTENS {
        return None;
    }
    let (ip, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(ip_address(ip)?, port), socket))
}

/// Parses hexadecimal words in the byte order of the machine.
fn ip_address(words: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for word in words.as_bytes().chunks(8) {
        if word.len() != 8 {
            return None;
        }
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    if let Ok(ip) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(ip).into());
    }
    let ip = <[u8; 16]>::try_from(bytes.as_slice()).ok()?;
    Some(Ipv6Addr::from(ip).into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_listeners_of_a_process_are_found() {
        let process = Path::new("/proc/self");
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(local) else {
                // Not every machine has IPv6.
                continue;
            };
            let address = listener.local_addr().unwrap();
            assert!(of_process(process).contains(&address), "{address}");
            drop(listener);
            assert!(!of_process(process).contains(&address), "{address}");
        }
    }

    #[test]
    fn running_exporter_replaces_an_unused_address() {
        let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let (configured, other) = (address("[::]:9121"), address("127.0.0.1:9200"));
        assert_eq!(chosen(configured, &[]), configured);
        assert_eq!(chosen(configured, &[other]), other);
        let running = [other, address("0.0.0.0:9121")];
        assert_eq!(chosen(configured, &running), configured);
    }

    #[test]
    fn exporter_in_the_same_container_is_preferred() {
        let of = |files: &str, group: &str| -> Isolation {
            (Some(files.into()), Some(group.to_owned()))
        };
        let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let (first, second) = (address("[::]:9121"), address("127.0.0.1:9200"));
        let all = vec![
            (of("mnt:[1]", "0::/a"), vec![first]),
            (of("mnt:[2]", "0::/b"), vec![second]),
            (of("mnt:[2]", "0::/c"), Vec::new()),
        ];
        for (own, expected) in [
            (of("mnt:[2]", "0::/b"), vec![second]),
            (of("mnt:[2]", "0::/d"), vec![second]),
            (of("mnt:[2]", "0::/c"), vec![second]),
            (of("mnt:[1]", "0::/a"), vec![first]),
            (of("mnt:[3]", "0::/a"), vec![first, second]),
            ((None, None), vec![first, second]),
        ] {
            assert_eq!(nearest(&own, all.clone()), expected, "{own:?}");
        }
        // The default address is that of the other container.
        let running = nearest(&of("mnt:[2]", "0::/b"), all);
        assert_eq!(chosen(first, &running), second);
    }

    #[test]
    fn lines_without_a_listener_are_skipped() {
        for line in [
            "",
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
            "   0: 0100007F:2329 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  0 0 12345 1",
            "   0: 0100007F 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 12345 1",
            "   0: 01:2329 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 12345 1",
        ] {
            assert_eq!(listener(line), None, "{line}");
        }
    }
}
