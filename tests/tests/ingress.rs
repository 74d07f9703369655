//! Ingress adapters from the request to the list: each with its vendor's media and API on the loopback interface.

#[path = "ingress/door.rs"]
mod door;
#[path = "ingress/generic.rs"]
mod generic;
#[path = "ingress/kills.rs"]
mod kills;
#[path = "ingress/shared.rs"]
mod shared;
#[path = "ingress/twilio.rs"]
mod twilio;
