//! Real servers for tests: private processes on free ports, each with a data folder of its own, ended on drop.

pub mod certificates;
pub mod https;
pub mod mongo;
pub mod opensearch;
pub mod postgres;
pub mod proxy;
pub mod redis;
pub mod s3;
pub mod sentinel;
pub mod vcon_server;
