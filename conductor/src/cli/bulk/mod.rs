//! What commands share that work through many vCons, at a rate, and may be stopped and go on.

pub(crate) mod ahead;
pub(crate) mod cursor;
pub(crate) mod different;
pub(crate) mod rate;
pub(crate) mod reasons;
pub(crate) mod select;
pub(crate) mod source;
