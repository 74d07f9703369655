//! What two vConductors say to each other.
//!
//! `POST <base>/vconductor/follow/claim` with a [`ClaimAsk`] answers with a handout: for each vCon a line with a [`Head`]
//! as JSON, then the document byte for byte, then a line break. The vCons are claimed, not taken: within the hold time
//! `POST <base>/vconductor/follow/confirm` with [`Runs`] ends them for good and answers with [`Confirmed`]; what is not
//! confirmed goes back to the head of its list. No path of vcon-server starts like these.

use bytes::{Buf as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use vconductor_core::error::{Error, Result};
use vconductor_core::run::RunId;

/// The path of the claim.
pub const CLAIM: &str = "/vconductor/follow/claim";
/// The path of the confirmation.
pub const CONFIRM: &str = "/vconductor/follow/confirm";
/// The media type of a handout.
pub(super) const HANDOUT: &str = "application/vnd.vconductor.handout";

/// What a follower wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClaimAsk {
    /// Who asks. What it still has out and has not confirmed goes back first: it has forgotten it, or never got it.
    pub(super) follower: String,
    /// The egress list.
    pub(super) list: String,
    /// At most so many vCons.
    pub(super) limit: usize,
    /// How long they are held for us.
    pub(super) hold_seconds: u64,
}

/// What stands before a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) run: RunId,
    pub(super) uuid: String,
    pub(super) bytes: usize,
}

/// Runs to confirm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Runs {
    pub(super) runs: Vec<RunId>,
}

/// What became of a confirmation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Confirmed {
    /// Ended for good.
    pub(super) confirmed: Vec<RunId>,
    /// Not held for anybody (any more): they may be handed out again.
    pub(super) unknown: Vec<RunId>,
}

/// A vCon that was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Handed {
    pub(super) run: RunId,
    pub(super) uuid: String,
    pub(super) document: Bytes,
}

/// Writes a vCon into a handout.
pub(super) fn write(body: &mut BytesMut, run: RunId, uuid: &str, document: &[u8]) -> Result<()> {
    let head = Head { run, uuid: uuid.to_owned(), bytes: document.len() };
    let head = serde_json::to_vec(&head)
        .map_err(|error| Error::permanent("a head cannot be written as JSON").caused_by(error))?;
    body.extend_from_slice(&head);
    body.extend_from_slice(b"\n");
    body.extend_from_slice(document);
    body.extend_from_slice(b"\n");
    Ok(())
}

/// Reads a handout.
pub(super) fn read(mut body: Bytes) -> Result<Vec<Handed>> {
    let cut = || {
        Error::retryable("the handout of the other server is cut off or no handout")
            .help("check that the URL is the API itself and not a proxy; it is tried again, nothing is lost")
    };
    let mut handed = Vec::new();
    while !body.is_empty() {
        let end = body.iter().position(|byte| *byte == b'\n').ok_or_else(cut)?;
        let head: Head = serde_json::from_slice(&body.split_to(end)).map_err(|_| cut())?;
        body.advance(1);
        if body.len() <= head.bytes || body[head.bytes] != b'\n' {
            return Err(cut());
        }
        let document = body.split_to(head.bytes);
        body.advance(1);
        handed.push(Handed { run: head.run, uuid: head.uuid, document });
    }
    Ok(handed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handout_keeps_every_byte_and_tells_when_it_is_cut_off() {
        let documents: [&[u8]; 3] = [b"\n{ \"a\":1e3 }\r\n", b"", b"{}"];
        let mut body = BytesMut::new();
        for document in documents {
            write(&mut body, RunId::new(), "u", document).unwrap();
        }
        let body = body.freeze();
        let found = read(body.clone()).unwrap();
        assert_eq!(found.iter().map(|handed| &handed.document[..]).collect::<Vec<_>>(), documents);
        let ends: Vec<usize> = (1..body.len()).filter(|end| read(body.slice(..*end)).is_ok()).collect();
        assert_eq!(ends.len(), 2, "only between two vCons it may end: {ends:?}");
        assert!(read(Bytes::from_static(b"<html>\n</html>")).is_err());
    }
}
