//! Callbacks in the shape that Twilio gave them and that others (SignalWire, Telnyx's TeXML) send as well.

mod read;
mod signature;

pub(super) use read::{Reading, call};
pub(super) use signature::{Json, verify};
