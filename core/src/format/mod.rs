//! From bytes to a vCon, whatever they are wrapped in.
//!
//! What a file holds is told by its bytes, never by its name: gzip by its magic number (`application/vcon+gzip`), a
//! `.vconz` bundle by that of ZIP, the unsigned, signed and encrypted form by the members of the object. Everything is
//! bounded by [`Limits`], so that 16 kB cannot become 16 GB.
//!
//! ```
//! use vconductor_core::format::{self, Content, Limits};
//!
//! let Content::Text(text) = format::open(&br#"{"uuid": "019f15a6-a752-826f-9dd8-dd37220d739c"}"#[..], &Limits::default())?
//! else { unreachable!("no bundle") };
//! assert!(text.inflation.is_none());
//! # Ok::<(), vconductor_core::Error>(())
//! ```

mod bundle;
mod gzip;
mod inline;
mod limits;
mod name;
mod signed;
mod version;

#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::vcon::Vcon;
use crate::{Error, Result};

pub use bundle::{Bundle, BundledFile, BundledVcon, Fault, is_zip};
pub use gzip::{Inflated, Reader as GzipReader, inflate, is_gzip};
pub use limits::Limits;
pub use name::Kind;
pub use signed::{Payload, payload, unverified};
pub use version::Version;

/// What bytes turned out to hold.
#[derive(Debug)]
pub enum Content {
    /// One text, which should be a vCon in JSON.
    Text(Text),
    /// A `.vconz` bundle.
    Bundle(Bundle),
}

/// A text and how it was packed.
#[derive(Debug, Clone)]
pub struct Text {
    /// The text.
    pub bytes: Bytes,
    /// What was noticed when it was inflated, when it came compressed.
    pub inflation: Option<Inflation>,
}

/// What was noticed while a text was inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inflation {
    /// Bytes before.
    pub compressed: usize,
    /// Bytes after; 0 when they are `too_large`.
    pub inflated: usize,
    /// Grew beyond [`Limits::inflated`]; the text was dropped.
    pub too_large: bool,
    /// Grew more than [`Limits::ratio`] times.
    pub suspicious: bool,
    /// Bytes behind the end that are no gzip member and were not looked at.
    pub trailing: usize,
}

impl Inflation {
    /// Why a careful reader refuses this, if it does.
    pub fn fault(&self, limits: &Limits) -> Option<String> {
        let Inflation { compressed, inflated, trailing, .. } = self;
        if self.too_large {
            return Some(format!(
                "{compressed} bytes of gzip inflate to more than the {} that are read",
                limits.inflated
            ));
        }
        if self.suspicious {
            let ratio = limits.ratio;
            return Some(format!("{compressed} bytes of gzip inflate to {inflated}, more than {ratio} times as much"));
        }
        (*trailing > 0).then(|| format!("{trailing} bytes follow the end of the gzip data"))
    }
}

/// Looks into `bytes`: inflates gzip, opens bundles, leaves everything else as it is.
///
/// # Errors
/// Permanent: larger than `limits` allow, broken gzip, a ZIP that cannot be read.
pub fn open(bytes: impl Into<Bytes>, limits: &Limits) -> Result<Content> {
    let bytes = bytes.into();
    if bytes.len() as u64 > limits.bytes {
        return Err(limits.too_large(bytes.len() as u64));
    }
    if is_zip(&bytes) {
        return Bundle::open(bytes, limits).map(Content::Bundle);
    }
    inflated(bytes, limits).map(Content::Text)
}

/// The text in `bytes`, which are gzip or the text itself.
fn inflated(bytes: Bytes, limits: &Limits) -> Result<Text> {
    if !is_gzip(&bytes) {
        return Ok(Text { bytes, inflation: None });
    }
    let Inflated { bytes: text, too_large, suspicious, trailing } = inflate(&bytes, limits)?;
    let inflation = Inflation { compressed: bytes.len(), inflated: text.len(), too_large, suspicious, trailing };
    Ok(Text { bytes: text.into(), inflation: Some(inflation) })
}

/// Reads one vCon of any form, compressed or not.
///
/// # Errors
/// Permanent: what [`open`] and [`Vcon::read`] refuse, gzip that grew suspiciously or has something behind its end, and
/// a bundle that does not hold exactly one vCon.
pub fn read(bytes: impl Into<Bytes>, limits: &Limits) -> Result<Vcon> {
    match open(bytes, limits)? {
        Content::Text(text) => match text.inflation.and_then(|inflation| inflation.fault(limits)) {
            Some(fault) => {
                Err(Error::permanent(fault).help("decompress it by hand if it comes from somebody you trust"))
            }
            None => Vcon::read(text.bytes),
        },
        Content::Bundle(bundle) => {
            let mut vcons = bundle.into_sound_vcons()?;
            match vcons.next() {
                Some(only) if vcons.len() == 0 => {
                    let only = only?;
                    Vcon::read(only.bytes).map_err(|error| error.within(only.name))
                }
                _ => Err(Error::permanent("a bundle of several vCons, or none, where one vCon is wanted")
                    .help("take its `vcons/*.json` out and give one of them")),
            }
        }
    }
}
