//! The parts that a redaction removes.

use crate::document::{Document, Kind};
use crate::{Error, Result};

/// A part of a vCon.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A party; `{}` stays.
    Party(usize),
    /// A dialog; its type stays.
    Dialog(usize),
    /// The content of a dialog; who took part and when stays.
    DialogContent(usize),
    /// An analysis; type, vendor and dialog stay.
    Analysis(usize),
    /// An attachment; start, party and dialog stay.
    Attachment(usize),
    /// What is at a JSON pointer (RFC 6901). An element of a list becomes empty, so that those behind it keep their
    /// index; with a body or URL go its encoding and hash.
    Pointer(String),
}

/// Members that no redaction takes away: without them it is no vCon, or no version of this one.
const DEMANDED: [&str; 9] =
    ["/uuid", "/created_at", "/redacted", "/amended", "/extensions", "/critical", "/vcon", "/group", "/updated_at"];

impl Target {
    /// The pointer to it.
    pub(super) fn pointer(&self) -> String {
        match self {
            Target::Party(index) => format!("/parties/{index}"),
            Target::Dialog(index) | Target::DialogContent(index) => format!("/dialog/{index}"),
            Target::Analysis(index) => format!("/analysis/{index}"),
            Target::Attachment(index) => format!("/attachments/{index}"),
            Target::Pointer(pointer) => pointer.clone(),
        }
    }

    fn element(list: &str, index: usize) -> Option<Target> {
        Some(match list {
            "parties" => Target::Party(index),
            "dialog" => Target::Dialog(index),
            "analysis" => Target::Analysis(index),
            "attachments" => Target::Attachment(index),
            _ => return None,
        })
    }
}

/// The targets, each once and existing; pointers to elements and whole lists become those.
pub(super) fn resolved(targets: &[Target], document: &Document) -> Result<Vec<Target>> {
    let mut all = Vec::new();
    for target in targets {
        let pointer = target.pointer();
        let Some(found) = document.get(&pointer) else {
            return Err(Error::permanent(format!("nothing is at `{pointer}`"))
                .help("indices count from 0; `vconductor show FILE` lists what is there"));
        };
        let Target::Pointer(pointer) = target else {
            all.push(target.clone());
            continue;
        };
        let tokens: Vec<&str> = pointer.split('/').skip(1).collect();
        match tokens[..] {
            [] => return Err(refused(pointer, "it is the whole vCon")),
            [list] if Target::element(list, 0).is_some() && found.kind() == Kind::Array => {
                all.extend((0..found.len()).filter_map(|index| Target::element(list, index)));
            }
            [list, index] if Target::element(list, 0).is_some() => {
                all.extend(index.parse().ok().and_then(|index| Target::element(list, index)));
            }
            _ if DEMANDED.iter().any(|own| pointer == own || pointer.starts_with(&format!("{own}/"))) => {
                return Err(refused(pointer, "it belongs to the version"));
            }
            [list, _, name] if demanded(list, name) => {
                return Err(refused(pointer, "the draft demands it of every such object"));
            }
            [_, _, "parties" | "recordings", ..] => return Err(refused(pointer, "it holds only indices")),
            _ => all.push(target.clone()),
        }
    }
    all.sort();
    all.dedup();
    Ok(all)
}

fn demanded(list: &str, name: &str) -> bool {
    match list {
        "dialog" => name == "type",
        "analysis" => matches!(name, "type" | "vendor"),
        "attachments" => matches!(name, "start" | "party" | "dialog"),
        _ => false,
    }
}

fn refused(pointer: &str, why: &str) -> Error {
    Error::permanent(format!("`{pointer}` cannot be redacted: {why}"))
        .help("name a party, dialog, analysis, attachment, or something inside of one")
}
