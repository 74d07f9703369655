//! The members that core-04 defines, where more than one part of the library goes by them.

/// Members of a party (4.2).
pub(crate) const PARTY: [&str; 13] = [
    "tel",
    "sip",
    "stir",
    "mailto",
    "name",
    "did",
    "validation",
    "gmlpos",
    "civicaddress",
    "uuid",
    "type",
    "org",
    "dept",
];

/// Members of a dialog that are not its content: who, when, how (4.3).
pub(crate) const DIALOG: [&str; 16] = [
    "type",
    "start",
    "duration",
    "parties",
    "originator",
    "recordings",
    "recording_set",
    "disposition",
    "session_id",
    "party_history",
    "transferee",
    "transferor",
    "transfer_target",
    "original",
    "consultation",
    "target_dialog",
];

/// Members of everything that has content (2.3, 2.4).
pub(crate) const CONTENT: [&str; 6] = ["mediatype", "filename", "body", "encoding", "url", "content_hash"];
