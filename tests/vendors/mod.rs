//! Paid services on the loopback interface, for tests.
//!
//! Each is written from its vendor's documentation; the page is named beside what is checked and answered. They are
//! stricter than the vendors: a path, a header, a field or a member that the page does not name is refused, in the
//! vendor's own form of an error, so that a request which passes here is one that the vendor understands.
//!
//! ```ignore
//! # async fn example() {
//! use vconductor_tests::vendors::{Fault, Vendor, deepgram::Deepgram};
//!
//! let vendor = Vendor::start(Deepgram::new(&["key"])).await;
//! vendor.will(Fault::Status(503)); // its next good call fails
//! // ... let a link call `vendor.url` ...
//! assert_eq!((vendor.paid(), vendor.calls().len()), (1, 2));
//! # }
//! ```
//!
//! A new vendor implements [`Api`] in a file of its own.

mod call;
mod script;

pub mod anthropic;
pub mod deepgram;
pub mod groq_audio;
pub mod hugging_face;
pub mod media_host;
pub mod openai_audio;
pub mod openai_language;
pub mod said;
pub mod slack;
pub mod telnyx;
pub mod text_generation;
pub mod twilio;
pub mod vfun;

pub use call::{Call, Field, Form, only_members};
pub use script::{Answer, Api, Fault, Refusal, Vendor};
