//! UUIDs of version 8, as vCon libraries make them.
//!
//! 48 bits of milliseconds, 12 bits of a counter, and 62 bits that are the same for all vCons of one domain. The draft
//! takes the high 62 bits of the domain's SHA-1; all libraries take the first 64 and write the variant over the top
//! two. We do as the libraries do, so that a domain keeps one tail.

use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use sha1::{Digest, Sha1};
use sha2::Sha256;
use uuid::Uuid;

/// Low bits of the counter within a millisecond.
const COUNTER_BITS: u32 = 12;

/// The newest position of this process, in milliseconds and counter: all generators share it, so that two of one domain
/// never meet.
static NEWEST: Mutex<u64> = Mutex::new(0);

/// Makes UUIDs for one domain.
#[derive(Debug, Clone)]
pub struct Generator {
    tail: u64,
}

impl Generator {
    /// A generator for a fully qualified domain name.
    pub fn new(domain: &str) -> Self {
        let digest = Sha1::digest(domain.as_bytes());
        let tail = digest.iter().take(8).fold(0, |tail, &byte| tail << 8 | u64::from(byte));
        Generator { tail }
    }

    /// A new UUID; each one is greater than those before it in this process, also when the clock goes back.
    pub fn next(&self) -> Uuid {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        // The guarded number is valid whatever a thread that panicked had done.
        let mut newest = NEWEST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *newest = (now << COUNTER_BITS).max(*newest + 1);
        let position = *newest;
        drop(newest);
        self.at(position >> COUNTER_BITS, position & ((1 << COUNTER_BITS) - 1))
    }

    fn at(&self, milliseconds: u64, counter: u64) -> Uuid {
        let high = u128::from(milliseconds << 16 | counter);
        // The builder writes version and variant over the bits in their places.
        uuid::Builder::from_custom_bytes((high << 64 | u128::from(self.tail)).to_be_bytes()).into_uuid()
    }
}

/// The UUID of a document that is always made the same of the same: the milliseconds in front as ever, and behind them 74
/// bits of the content's hash in place of counter and domain.
pub fn derived(milliseconds: u64, content: &[u8]) -> Uuid {
    let digest = Sha256::digest(content);
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&milliseconds.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&digest[..10]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_derived_depends_on_the_content_alone() {
        let uuid = derived(0x019f_15a6_a752, b"hello");
        assert_eq!(uuid, derived(0x019f_15a6_a752, b"hello"));
        assert!(uuid.to_string().starts_with("019f15a6-a752-8"), "{uuid}");
        assert_eq!((uuid.get_version_num(), uuid.get_variant()), (8, uuid::Variant::RFC4122));
        assert_ne!(uuid, derived(0x019f_15a6_a752, b"hallo"));
    }

    #[test]
    fn the_tail_is_that_of_the_libraries() {
        for (domain, tail) in [("strolid.com", "9dd8-dd37220d739c"), ("example.com", "8caa-f24ab1a0c334")] {
            let uuid = Generator::new(domain).next();
            assert!(uuid.to_string().ends_with(tail), "{uuid}");
            assert_eq!(uuid.get_version_num(), 8);
        }
        let uuid = Generator::new("strolid.com").at(0x019f_15a6_a752, 0x26f);
        assert_eq!(uuid.to_string(), "019f15a6-a752-826f-9dd8-dd37220d739c");
    }

    #[test]
    fn uuids_grow_and_never_repeat() {
        let generator = Generator::new("example.com");
        let made: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..5_000).map(|_| generator.next()).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let distinct: std::collections::HashSet<_> = made.iter().collect();
        assert_eq!(distinct.len(), 20_000);
        assert!(made[..5_000].is_sorted());
    }
}
