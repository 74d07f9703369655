//! Followers: what is pulled from other servers arrives, whatever goes wrong on the way.

mod between_vconductors;
mod from_vcon_server;
mod place;
