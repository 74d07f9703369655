//! Followers: what is pulled from other servers arrives, whatever goes wrong on the way.

#[path = "followers/between_vconductors.rs"]
mod between_vconductors;
#[path = "followers/from_vcon_server.rs"]
mod from_vcon_server;
#[path = "followers/place.rs"]
mod place;
