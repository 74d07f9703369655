//! Ingress: conversations that telephony vendors and other systems send, as requests to us.
//!
//! What differs between vendors is an [`Ingress`](crate::plugin::Ingress): it proves where a [`Delivery`] comes from
//! ([`proof`]), reads it into [`Event`]s, and gets through a [`Fetcher`] what the request only points to. Everything else
//! is the same for all and lies in the conductor (`ingress`): storing, deduplicating, correlating, retrying, building the vCon.

mod answer;
mod delivery;
mod event;
mod fetcher;
mod local;
pub mod proof;
mod refused;
mod spelling;

pub use answer::Answer;
pub use delivery::{Delivery, Fields};
pub use event::{Call, Channels, Conversation, Direction, Disposition, Event, File, Media, Message, Phase, Recording};
pub use fetcher::Fetcher;
pub use refused::Refused;
pub use spelling::{party_called, seconds, time};
