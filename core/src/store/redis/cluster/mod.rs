//! The layout for Redis Cluster: keys and scripts, each of which touches one slot only. The store does not open a cluster
//! yet; this is what it is to be built on, and its tests run on a real node.
//!
//! On one server a claim, its vCon's lease, the document and the lists it goes on to change in one step. In a cluster they
//! lie in different slots, so one step becomes several, in an order that loses nothing wherever it is cut:
//!
//! 1. [`calls::claim`], in the slot of the list. Liveness is there too: `{L}:alive:<process>` is the lease that the
//!    heartbeat renews for each list, instead of one set for all processes.
//! 2. [`calls::lease`], in the slot of the vCon. The lease is the run's, with the claim as its token: a run that is
//!    claimed anew after a crash takes it over, and the former holder's saves are refused (`WATCH` of the lease).
//! 3. Document and ledger, one transaction in the slot of the vCon.
//! 4. [`calls::finish`], in the slot of the list: the run ends, and what is to happen elsewhere (egress, dead letters,
//!    trace contexts, the end of the lease) goes to `{L}:outbox` in the same step. Cut before it, the run is claimed again
//!    and finds everything in its ledger.
//! 5. Any conductor carries the outbox out ([`calls::carry_out`]) and then removes the entry: at least once, and once only in
//!    effect, since each entry leaves a mark beside what it changed.

pub mod calls;
pub mod keys;
mod outbox;

pub use outbox::{Entry, Work};

use crate::error::{Error, Result};

/// Slots of a cluster.
const SLOTS: u16 = 16_384;

/// The slot of a key: CRC16 (XMODEM) of its tag, or of all of it (Redis Cluster specification, "Hash tags").
pub fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 })
    });
    crc % SLOTS
}

/// Refuses a list that cannot have keys in its own slot.
///
/// # Errors
///
/// Configuration: the name has a `}` where a cluster would end the tag around it.
pub fn usable_list(name: &str) -> Result<()> {
    if slot(name) == slot(&keys::List::of(name).outbox()) {
        return Ok(());
    }
    Err(Error::configuration(format!("the list `{name}` cannot be used on a Redis Cluster: its name has a brace in it")).help(
        "name it without `{` and `}`, or with one tag such as `{site}:calls`, which puts all lists of that tag into one slot",
    ))
}

/// Refuses a vCon that cannot have keys in its own slot.
///
/// # Errors
///
/// Configuration: the identifier has braces; a UUID has none.
pub fn usable_vcon(uuid: &str) -> Result<()> {
    let vcon = keys::Vcon::of(uuid);
    if slot(&vcon.document()) == slot(&vcon.writer()) {
        return Ok(());
    }
    Err(Error::configuration(format!(
        "the vCon `{uuid}` cannot be used on a Redis Cluster: its identifier has a brace in it"
    ))
    .help("give it a UUID"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        for (key, expected) in [("123456789", 0x31C3), ("foo", 12_182), ("", 0)] {
            assert_eq!(slot(key), expected % SLOTS, "{key}");
        }
        assert_eq!(slot("{user1000}.following"), slot("user1000"));
        assert_eq!(slot("foo{{bar}}zap"), slot("{bar"));
        assert_eq!(slot("foo{bar}{zap}"), slot("bar"));
        assert_ne!(slot("foo{}{bar}"), slot("bar"), "an empty tag is none");
    }

    #[test]
    fn names_with_a_slot_of_their_own_can_be_used() {
        for name in ["calls", "{site}:calls", "a b", "DLQ:calls", "calls:{eu}", "{", "a{b", "{}calls", "ünï"] {
            let usable = usable_list(name);
            let shares = slot(name) == slot(&keys::List::of(name).wip("p:1"));
            assert_eq!(usable.is_ok(), shares, "{name}");
        }
        for name in ["calls", "{site}:calls", "a b", "DLQ:calls", "calls:{eu}", "ünï"] {
            assert!(usable_list(name).is_ok(), "{name}");
        }
        for name in ["ca}lls", "}", "{}calls", "a{}b{c}"] {
            let error = usable_list(name).expect_err(name);
            assert!(error.message().contains(name) && error.help_text().is_some(), "{}", error.chain_text());
        }
        assert!(usable_vcon("0198c5c2-0000-7000-8000-000000000001").is_ok());
        assert!(usable_vcon("a}b").is_err());
    }
}
