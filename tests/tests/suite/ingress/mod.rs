//! Ingress adapters from the request to the list: each with its vendor's media and API on the loopback interface.

mod asterisk;
mod bandwidth;
mod door;
mod freeswitch;
mod generic;
mod kills;
mod shared;
mod signalwire;
mod spool;
mod telnyx;
mod twilio;
