//! Shares targets among several processes by rendezvous hashing. Pure.
//!
//! Each process computes the weight of each process for a target, and the highest wins. If a process
//! is added, only the targets that it takes over move.

use ring::digest::{SHA256, digest};

use crate::config::Shard;

/// Returns whether a target belongs to a process.
pub(super) fn has(shard: Shard, target: &str) -> bool {
    let highest = (0..shard.count).max_by_key(|index| weight(target, *index));
    highest == Some(shard.index)
}

/// Returns the first 16 bytes of the SHA-256 hash of `target`, a zero byte, and the number of the
/// process in decimal, counted from 0. The format must never change: targets would move.
fn weight(target: &str, index: u32) -> [u8; 16] {
    let mut text = target.as_bytes().to_vec();
    text.push(0);
    text.extend(index.to_string().bytes());
    let mut weight = [0; 16];
    for (byte, hashed) in weight.iter_mut().zip(digest(&SHA256, &text).as_ref()) {
        *byte = *hashed;
    }
    weight
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(target: &str, count: u32) -> u32 {
        let owners: Vec<_> = (0..count)
            .filter(|&index| has(Shard { index, count }, target))
            .collect();
        assert_eq!(owners.len(), 1, "{target}");
        owners[0]
    }

    fn targets() -> Vec<String> {
        let address = |at: u32| format!("s/10.0.{}.{}:6379", at / 256, at % 256);
        (0..2_000).map(address).collect()
    }

    #[test]
    fn targets_are_balanced() {
        for count in [1, 2, 3, 10] {
            let mut sizes = vec![0; count as usize];
            for target in targets() {
                sizes[owner(&target, count) as usize] += 1;
            }
            let mean = 2_000 / count;
            // Four standard deviations.
            let most = 4 * (2_000 / count).isqrt();
            for size in &sizes {
                assert!(u32::abs_diff(*size, mean) <= most, "{sizes:?}");
            }
        }
    }

    #[test]
    fn only_targets_of_the_new_process_move() {
        let moved = targets()
            .into_iter()
            .filter(|target| owner(target, 3) != owner(target, 4));
        let moved: Vec<_> = moved.map(|target| owner(&target, 4)).collect();
        assert!(moved.iter().all(|owner| *owner == 3));
        assert!((400..600).contains(&moved.len()), "{}", moved.len());
    }

    #[test]
    fn assignment_never_changes() {
        let owners: Vec<_> = (0..12).map(|at| owner(&format!("s/h{at}:1"), 3)).collect();
        assert_eq!(owners, EXPECTED);
    }

    const EXPECTED: [u32; 12] = [1, 1, 1, 1, 0, 0, 1, 2, 0, 2, 0, 2];
}
