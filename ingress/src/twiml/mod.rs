//! Callbacks in the shape that Twilio gave them and that others (SignalWire, Telnyx's TeXML) send as well.

mod read;
mod signature;

pub(crate) use read::{Reading, call};
pub(crate) use signature::{Json, verify};
