//! Whether the content is what it claims to be.

use vconductor_core::audio::matches_token;
use vconductor_core::vcon::{Body, Entry, Vcon};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::show) enum Verdict {
    Good,
    Bad,
    Unknown,
}

/// Something that was checked.
#[derive(Debug, Clone)]
pub(in crate::cli::show) struct Check {
    pub(in crate::cli::show) verdict: Verdict,
    pub(in crate::cli::show) text: String,
}

impl Check {
    pub(in crate::cli::show) fn new(verdict: Verdict, text: impl Into<String>) -> Check {
        Check { verdict, text: text.into() }
    }
}

/// The hashes of all content: inline content is compared, external content is counted. Nothing is fetched.
pub(super) fn contents(vcon: &Vcon) -> Vec<Check> {
    let mut checks = Vec::new();
    let (mut good, mut external, mut unhashed) = (0usize, 0usize, 0usize);
    let mut look = |place: String, entry: &Entry<'_>, body: vconductor_core::Result<Body<'_>>| {
        let hashes = entry.content_hashes();
        match (bytes(body), hashes.is_empty()) {
            (Some(bytes), false) => match compare(&bytes, &hashes) {
                Some(true) => good += 1,
                Some(false) => checks.push(Check::new(Verdict::Bad, format!("{place} is not what its hash says"))),
                None => checks.push(Check::new(Verdict::Unknown, format!("{place} has a hash of no known kind"))),
            },
            (None, false) if entry.get("url").is_some() => external += 1,
            (None, true) if entry.get("url").is_some() => unhashed += 1,
            _ => {}
        }
    };
    for dialog in vcon.dialogs() {
        look(format!("the content of dialog {}", dialog.index()), dialog.entry(), dialog.body());
    }
    for analysis in vcon.analyses() {
        look(format!("the content of analysis {}", analysis.index()), analysis.entry(), analysis.body());
    }
    for attachment in vcon.attachments() {
        look(format!("attachment {}", attachment.index()), attachment.entry(), attachment.body());
    }
    if good > 0 {
        checks.push(Check::new(
            Verdict::Good,
            format!("{} the hash that the vCon gives", counted(good, "content has", "contents have")),
        ));
    }
    if external > 0 {
        let text = format!(
            "{} elsewhere with a hash; `vconductor validate --fetch` compares",
            counted(external, "content lies", "contents lie")
        );
        checks.push(Check::new(Verdict::Unknown, text));
    }
    if unhashed > 0 {
        let text = format!(
            "{} elsewhere without a hash: nobody can tell whether it is changed",
            counted(unhashed, "content lies", "contents lie")
        );
        checks.push(Check::new(Verdict::Unknown, text));
    }
    checks
}

fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

fn bytes(body: vconductor_core::Result<Body<'_>>) -> Option<Vec<u8>> {
    match body.ok()? {
        Body::Bytes(bytes) => Some(bytes),
        Body::Text(text) => Some(text.into_owned().into_bytes()),
        // The hash of JSON is of a spelling that is not known.
        Body::Json(_) | Body::None => None,
    }
}

/// `None` when no token is of a kind that is known.
fn compare(bytes: &[u8], tokens: &[String]) -> Option<bool> {
    let mut known = tokens.iter().filter_map(|token| matches_token(bytes, token)).peekable();
    known.peek()?;
    Some(known.all(|matches| matches))
}
