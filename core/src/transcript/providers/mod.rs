//! The shapes of the providers. Each reader answers `None` to what is not its own.

pub(super) mod amazon;
pub(super) mod assemblyai;
pub(super) mod deepgram;
pub(super) mod huggingface;
pub(super) mod nvidia;
pub(super) mod rev;
pub(super) mod speechmatics;
pub(super) mod turn_list;
pub(super) mod twilio;
pub(super) mod whisper;
