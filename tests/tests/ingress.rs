//! Ingress adapters from the request to the list: each with its vendor's media and API on the loopback interface.

#[path = "ingress/asterisk.rs"]
mod asterisk;
#[path = "ingress/bandwidth.rs"]
mod bandwidth;
#[path = "ingress/door.rs"]
mod door;
#[path = "ingress/freeswitch.rs"]
mod freeswitch;
#[path = "ingress/generic.rs"]
mod generic;
#[path = "ingress/kills.rs"]
mod kills;
#[path = "ingress/shared.rs"]
mod shared;
#[path = "ingress/signalwire.rs"]
mod signalwire;
#[path = "ingress/spool.rs"]
mod spool;
#[path = "ingress/telnyx.rs"]
mod telnyx;
#[path = "ingress/twilio.rs"]
mod twilio;
