//! How much callers may make the server do.

use std::time::Duration;

/// The bounds of calls and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one body, as it comes and after inflation.
    pub body: usize,
    /// Bytes of all bodies that are in memory at once. What does not fit waits, and is refused with 503 after a while.
    pub bodies: usize,
    /// Connections at once; more wait in the system's queue.
    pub connections: usize,
    /// How long the head of a call may take to arrive; also how long a connection may be idle.
    pub head: Duration,
    /// How long a body may make no progress, or an answer.
    pub progress: Duration,
    /// How long a call may take until its answer begins.
    pub call: Duration,
    /// Calls per second of one key; `None`: as many as it likes.
    pub calls_per_second: Option<u32>,
    /// Calls with a wrong key that one address may make at once, and one more per second; more are refused with 429.
    pub wrong_keys: u32,
}

impl Limits {
    /// Bytes of the head of a call.
    pub(super) const HEAD_BYTES: usize = 64 << 10;
    /// How long bodies wait for room.
    pub(super) const ROOM: Duration = Duration::from_secs(10);
    /// Bodies up to this size need no room. Bytes.
    pub(super) const SMALL: usize = 64 << 10;
    /// How long a TLS handshake may take.
    pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body: 64 << 20,
            bodies: 256 << 20,
            connections: 16_384,
            head: Duration::from_secs(30),
            progress: Duration::from_secs(30),
            call: Duration::from_secs(300),
            calls_per_second: None,
            wrong_keys: 20,
        }
    }
}
