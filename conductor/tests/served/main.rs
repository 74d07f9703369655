//! The shipped binary as a server.

mod followed;
#[path = "../place/mod.rs"]
mod place;
mod reloaded;
mod server;
mod serving;
