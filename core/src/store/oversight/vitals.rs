//! How a store itself is: what a server says of itself, what a file and its disk are like.

use std::path::PathBuf;

use serde::Serialize;

use crate::clock::Millis;

/// How a store itself is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Vitals {
    /// A Redis or Valkey server.
    Redis(Box<RedisVitals>),
    /// A file on this machine.
    Embedded(EmbeddedVitals),
}

/// What a server says of itself; `None` where it does not say, or not to this user.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RedisVitals {
    /// `Redis` or `Valkey` with its version.
    pub server: String,
    /// Seconds since its start.
    pub up_seconds: Option<u64>,
    /// How long an answer took, in microseconds.
    pub answer_us: u64,
    /// By how many milliseconds its clock is ahead of this machine's; what the network may make of it counts as none.
    pub clock_ahead_ms: Millis,
    /// `master` or `slave`.
    pub role: Option<String>,
    /// Replicas that follow it.
    pub replicas: Option<u64>,
    /// Whether it still loads its data.
    pub loading: bool,
    /// Memory in use, in bytes.
    pub memory: Option<u64>,
    /// `maxmemory` in bytes; 0: none.
    pub memory_limit: Option<u64>,
    /// Memory of its machine, in bytes.
    pub machine_memory: Option<u64>,
    /// `maxmemory-policy`.
    pub eviction: Option<String>,
    /// Keys that it has evicted since its start.
    pub evicted: Option<u64>,
    /// Whether it writes an append-only file.
    pub file: Option<bool>,
    /// `appendfsync`.
    pub file_sync: Option<String>,
    /// What it could not write lately: `aof` or `rdb`.
    pub write_failed: Vec<String>,
    /// Whether it refuses changes while it cannot write a snapshot.
    pub stops_on_failed_snapshot: Option<bool>,
    /// Clients that are connected.
    pub clients: Option<u64>,
    /// At most so many may be.
    pub clients_limit: Option<u64>,
}

/// What the file of an embedded store, and its disk, are like.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EmbeddedVitals {
    /// The directory.
    pub directory: PathBuf,
    /// Size of the file, in bytes.
    pub file_bytes: u64,
    /// Size of its log that is not written back yet, in bytes.
    pub log_bytes: u64,
    /// Space left on the disk for this user, in bytes.
    pub free_bytes: u64,
    /// Size of the disk, in bytes.
    pub disk_bytes: u64,
    /// The permission bits of the directory and the file.
    pub directory_mode: u32,
    /// See `directory_mode`.
    pub file_mode: u32,
    /// The file system, where it is one of the network.
    pub network: Option<&'static str>,
    /// What a quick check of the file found; empty: nothing. `None`: it was not finished in time.
    pub damage: Option<Vec<String>>,
}
