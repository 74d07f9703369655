//! Gzip (RFC 1952) from strangers: bounded, and clear about what follows its end.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

use super::Limits;
use crate::{Error, Result};

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Whether `bytes` start like gzip data.
pub fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// A whole text after inflation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inflated {
    /// The text.
    pub bytes: Vec<u8>,
    /// It would have grown beyond [`Limits::inflated`]; the text is empty then.
    pub too_large: bool,
    /// It grew more than [`Limits::ratio`] times.
    pub suspicious: bool,
    /// How many bytes follow the last member and are no member. Zeros, with which tapes and block devices pad, are none.
    pub trailing: usize,
}

/// Inflates `bytes`, which may be several members one after another.
///
/// # Errors
/// Permanent: broken or cut off.
pub fn inflate(bytes: &[u8], limits: &Limits) -> Result<Inflated> {
    let mut reader = Reader { refuses_rest: false, ..Reader::new(bytes) };
    let mut text = Vec::with_capacity(bytes.len().saturating_mul(4).min(limits.inflated as usize));
    let read = (&mut reader).take(limits.inflated.saturating_add(1)).read_to_end(&mut text);
    if text.len() as u64 > limits.inflated {
        return Ok(Inflated { bytes: Vec::new(), too_large: true, suspicious: true, trailing: 0 });
    }
    read.map_err(|error| {
        Error::permanent(format!("the gzip data is broken behind {} bytes of text: {error}", text.len()))
            .help("it was cut off or changed on its way; send it again")
    })?;
    let grown = text.len() as u64;
    Ok(Inflated {
        too_large: false,
        suspicious: grown > Limits::SMALL && grown > limits.ratio.saturating_mul(bytes.len() as u64),
        trailing: reader.rest.map_or(0, <[u8]>::len),
        bytes: text,
    })
}

/// Inflates a stream, member after member. Something behind the last member that is none is an error when it is met.
#[derive(Debug)]
pub struct Reader<R: BufRead> {
    member: Option<GzDecoder<R>>,
    /// What is left of the source, once something was found that is no member.
    rest: Option<R>,
    refuses_rest: bool,
}

impl<R: BufRead> Reader<R> {
    /// Starts at the first member of `source`.
    pub fn new(source: R) -> Self {
        Reader { member: Some(GzDecoder::new(source)), rest: None, refuses_rest: true }
    }

    /// Goes to the next member, if there is one.
    fn next_member(&mut self) -> io::Result<()> {
        let Some(mut source) = self.member.take().map(GzDecoder::into_inner) else { return Ok(()) };
        loop {
            let ahead = source.fill_buf()?;
            let zeros = ahead.iter().take_while(|byte| **byte == 0).count();
            match ahead.first() {
                None => {}
                Some(0) => {
                    source.consume(zeros);
                    continue;
                }
                Some(byte) if *byte == MAGIC[0] => self.member = Some(GzDecoder::new(source)),
                Some(_) if self.refuses_rest => {
                    let message = "something that is no gzip follows the end of the gzip data";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
                Some(_) => self.rest = Some(source),
            }
            return Ok(());
        }
    }
}

impl<R: BufRead> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            match member.read(buffer)? {
                0 => self.next_member()?,
                count => return Ok(count),
            }
        }
        Ok(0)
    }
}
