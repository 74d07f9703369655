//! What a signature is around: a vCon, or a further signature around one.

use bytes::Bytes;

use super::encoding::{MOST_INFLATED, decode, gunzip, is_gzip};
use super::fault::{Fault, Reason};
use crate::document::Document;
use crate::vcon::{Form, Vcon};

/// An opened payload.
#[derive(Debug, Clone)]
pub struct Payload {
    vcon: Vcon,
    compressed: bool,
}

impl Payload {
    /// Opens the payload of a signed vCon, without a look at its signatures.
    ///
    /// # Errors
    /// The payload cannot be read, or holds no vCon.
    pub fn of(signed: &Document) -> Result<Payload, Fault> {
        let fault = |reason, what: String| Fault::new(reason, "/payload", what);
        let text = signed.get("/payload").and_then(|view| view.as_str());
        let text = text.ok_or_else(|| fault(Reason::MalformedJws, "`payload` is no string".to_owned()))?;
        let bytes = decode(&text)
            .ok_or_else(|| fault(Reason::MalformedJws, "`payload` is not base64url without padding".to_owned()))?;
        let compressed = is_gzip(&bytes);
        let bytes = gunzip(bytes, MOST_INFLATED)
            .map_err(|what| fault(Reason::Compression, format!("the payload cannot be decompressed: {what}")))?;
        let vcon = Vcon::read(bytes)
            .map_err(|error| fault(Reason::PayloadNotVcon, format!("the payload is no vCon: {}", error.message())))?;
        if vcon.form() == Form::Encrypted {
            let what = "the payload is an encrypted vCon; a vCon is signed first, then encrypted";
            return Err(fault(Reason::PayloadNotVcon, what.to_owned()));
        }
        Ok(Payload { vcon, compressed })
    }

    /// What is inside: an unsigned vCon, or a signed one that was signed again.
    pub fn vcon(&self) -> &Vcon {
        &self.vcon
    }

    /// Whether it was compressed.
    pub fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// The bytes of what is inside, as they were signed (after decompression).
    pub fn to_bytes(&self) -> Bytes {
        self.vcon.to_bytes()
    }

    /// The vCon itself, under all signatures.
    ///
    /// # Errors
    /// A payload on the way cannot be read, or there are more layers than anybody needs.
    pub fn innermost(self) -> Result<Vcon, Fault> {
        let mut vcon = self.vcon;
        for _ in 0..MOST_LAYERS {
            if vcon.form() == Form::Unsigned {
                return Ok(vcon);
            }
            vcon = Payload::of(vcon.document())?.vcon;
        }
        let what = format!("more than {MOST_LAYERS} signatures lie around each other");
        Err(Fault::new(Reason::PayloadNotVcon, "/payload", what))
    }
}

/// How often a signed vCon may be signed again. Every ten years is often.
pub(super) const MOST_LAYERS: usize = 16;
