//! What a vendor wants to hear when its events are stored.

/// An answer to a delivery that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The status, 2xx.
    pub status: u16,
    /// The media type of the body; empty where there is no body.
    pub mediatype: &'static str,
    /// The body.
    pub body: &'static str,
}

impl Answer {
    /// 200 without a body: what most vendors take for "done".
    pub const EMPTY: Answer = Answer { status: 200, mediatype: "", body: "" };
}
