//! Why a delivery is not accepted.

/// A delivery that is not accepted. The sender is told no more than which of the two it is; the reason is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing proves that it comes from the vendor, and just now.
    #[error("not verified: {why}")]
    Unproved {
        /// What is wrong or missing, without any of it.
        why: String,
        /// What `WWW-Authenticate` asks for, where the proof is a user and a password.
        challenge: Option<&'static str>,
    },
    /// It is proved, and not what the vendor's documentation says it should be.
    #[error("cannot be read: {why}")]
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
}

impl Refused {
    /// It is not proved.
    pub fn unproved(why: impl Into<String>) -> Self {
        Refused::Unproved { why: why.into(), challenge: None }
    }

    /// It cannot be read.
    pub fn unreadable(why: impl Into<String>) -> Self {
        Refused::Unreadable { why: why.into() }
    }
}
