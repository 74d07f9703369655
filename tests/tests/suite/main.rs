//! Everything together: engines, conductors in processes of their own, stores and storages that are away, vendors, the
//! command line. One program, since linking a program for each subject takes longer than the tests of most.
//!
//! `cargo test -p vconductor-tests --test suite [-- <subject>::<part of a name>]`.

mod benchmark;
mod budget;
mod conductors;
mod contact_center;
mod crash;
mod engine;
mod engine_edges;
mod engine_faults;
mod engine_on_redis;
mod followers;
mod format;
mod forms;
mod holds;
mod hooks;
mod ingress;
mod jose_interop;
mod read_through;
mod replays;
mod revived;
mod storage_outage;
mod telemetry;
mod transcription;
mod validate;
mod validate_fetch;
mod versions;
