//! The extensions that are known here: what they add to the core.

use std::borrow::Cow;

use super::object::Object;

/// What an extension adds.
#[derive(Debug)]
pub(super) struct Extension {
    /// Its token in `extensions`.
    name: &'static str,
    pub(super) party: &'static [&'static str],
    pub(super) dialog: &'static [&'static str],
    pub(super) analysis: &'static [&'static str],
    /// Types of dialogs.
    pub(super) dialog_types: &'static [&'static str],
    /// Types of analyses.
    pub(super) analysis_types: &'static [&'static str],
}

const NOTHING: Extension =
    Extension { name: "", party: &[], dialog: &[], analysis: &[], dialog_types: &[], analysis_types: &[] };

static KNOWN: [Extension; 6] = [
    // draft-ietf-vcon-cc-extension-02
    Extension {
        name: "CC",
        party: &["role", "contact_list"],
        dialog: &["campaign", "interaction_type", "interaction_id", "skill"],
        ..NOTHING
    },
    // draft-howe-vcon-wtf-extension-02
    Extension {
        name: "wtf_transcription",
        analysis: &["start", "party"],
        analysis_types: &["wtf_transcription"],
        ..NOTHING
    },
    // draft-howe-vcon-lawful-basis: attachments of a purpose of its own
    Extension { name: "lawful_basis", ..NOTHING },
    // draft-howe-vcon-mcp-session-00
    Extension {
        name: "mcp_session",
        party: &["meta"],
        dialog_types: &["mcp_session"],
        analysis_types: &["mcp_session_summary", "mcp_tool_analysis"],
        ..NOTHING
    },
    // draft-howe-vcon-agent-session
    Extension { name: "agent_session", party: &["role", "meta"], analysis_types: &["agent_trace"], ..NOTHING },
    // draft-howe-vcon-sip-signaling
    Extension {
        name: "sip-signaling",
        party: &["sip_contact", "sip_user_agent", "sip_display_name"],
        dialog: &["sip_call_id", "sip_from_tag", "sip_to_tag", "sip_cseq"],
        ..NOTHING
    },
];

/// Whether the extension of that name is known.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|extension| extension.name == name)
}

/// Whether one of the `listed` extensions has `name` among its `part`.
pub(super) fn adds(listed: &[Cow<'_, str>], part: fn(&Extension) -> &'static [&'static str], name: &str) -> bool {
    !listed.is_empty()
        && KNOWN
            .iter()
            .filter(|extension| listed.iter().any(|listed| listed == extension.name))
            .any(|extension| part(extension).contains(&name))
}

/// The strings in the array `name` of the vCon.
pub(super) fn listed<'a>(top: &Object<'a>, name: &str) -> Vec<Cow<'a, str>> {
    top.get(name).into_iter().flat_map(|list| list.elements()).filter_map(|one| one.as_str()).collect()
}
