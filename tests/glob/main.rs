//! Compares our globs with the matching of a real server, on random patterns. Needs `redis-server`.

mod server;

use std::collections::BTreeSet;

use redis_namespace_exporter::glob::Glob;

use server::Server;

/// Letters of patterns and keys. There are few of them, so that matches are frequent.
const LETTERS: &[u8] = b"aabbc";
const SPECIAL: &[u8] = b"**??[]^-\\:";
/// Above 0x7f, the order of `char` depends on the architecture of the server.
const HIGH: &[u8] = if cfg!(target_arch = "x86_64") {
    b"\x80\xc3\xa9\xff\0\n"
} else {
    b"\0\n"
};

const PATTERNS: usize = 5_000;
const KEYS: usize = 400;

fn random_bytes(random: &mut fastrand::Rng, longest: usize, special: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.usize(0..=longest) {
        let source = match random.u8(0..100) {
            roll if roll < special => SPECIAL,
            roll if roll < 94 => LETTERS,
            _ => HIGH,
        };
        bytes.extend(random.choice(source));
    }
    bytes
}

/// Returns a random pattern, or one of whole pieces, which matches more often.
fn random_pattern(random: &mut fastrand::Rng) -> Vec<u8> {
    if random.bool() {
        return random_bytes(random, 12, 60);
    }
    let mut pattern = Vec::new();
    for _ in 0..random.usize(1..6) {
        match random.u8(0..6) {
            0 => pattern.push(b'*'),
            1 => pattern.push(b'?'),
            2 => {
                pattern.push(b'[');
                if random.bool() {
                    pattern.push(b'^');
                }
                pattern.extend(random_bytes(random, 4, 30));
                pattern.push(b']');
            }
            3 => pattern.extend([b'\\', random.u8(b'['..=b'c')]),
            _ => pattern.extend(random_bytes(random, 3, 0)),
        }
    }
    pattern
}

#[test]
fn globs_match_the_same_keys_as_the_server() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut keys: BTreeSet<Vec<u8>> = BTreeSet::from([Vec::new()]);
    while keys.len() < KEYS {
        keys.insert(random_bytes(&mut random, 6, 35));
    }
    let server = Server::start();
    server.set(&keys);
    let mut patterns: Vec<Vec<u8>> = [
        "", "*", "**", "?", "[", "[^", "[]", "[^]", "[]a]", "[a", "[a-", "[a-]", "[c-a]", "\\",
        "a\\", "[\\", "[\\]", "[\\]]", "[^\\a]*", "***a***", "a*b*c*", "[a-c-b]",
    ]
    .map(|pattern| pattern.as_bytes().to_vec())
    .to_vec();
    patterns.extend((patterns.len()..PATTERNS).map(|_| random_pattern(&mut random)));

    let mut matches = 0;
    for some in patterns.chunks(100) {
        for (pattern, theirs) in some.iter().zip(server.matching(some)) {
            let glob = Glob::new(pattern);
            let ours = keys.iter().filter(|key| glob.matches(key)).cloned();
            let ours: BTreeSet<Vec<u8>> = ours.collect();
            let differing = ours.symmetric_difference(&theirs).next();
            if let Some(key) = differing {
                panic!(
                    "seed {seed}: the pattern {} on the key {}: the server returns {}",
                    pattern.escape_ascii(),
                    key.escape_ascii(),
                    theirs.contains(key)
                );
            }
            matches += theirs.len();
        }
    }
    // A test without matches would prove little.
    assert!(matches > PATTERNS, "only {matches} matches");
}
