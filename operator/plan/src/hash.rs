//! Hashes that stay the same from one release and one machine to the next.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// Sixteen hex digits over the JSON of `value`, whose maps must be ordered.
pub(crate) fn of_json(value: &impl Serialize) -> String {
    // A type of ours with string keys always serialises; an empty text would still be the same each time.
    hex(&serde_json::to_vec(value).unwrap_or_default(), 8)
}

/// `2 * bytes` hex digits over `data`.
pub(crate) fn hex(data: &[u8], bytes: usize) -> String {
    let digest = Sha256::digest(data);
    hex::encode(digest.get(..bytes).unwrap_or(&digest))
}

/// A fast hash for ranking: FNV-1a with a finaliser that spreads what differs in the last bytes only.
pub(crate) fn rank(parts: &[&str]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
