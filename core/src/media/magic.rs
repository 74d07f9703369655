//! Formats that are known by their first bytes, and passed on as they are.

/// Matroska and WebM (RFC 9559: an EBML header).
pub(super) fn is_matroska(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x1a\x45\xdf\xa3")
}

/// Whether an Ogg file carries pictures besides its sound.
pub(super) fn has_theora(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(4096)];
    head.windows(7).any(|window| window == b"\x80theora")
}

/// The media type of sound and video that nothing more is known of.
pub(super) fn mediatype(bytes: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, magic: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    Some(match bytes {
        _ if at(0, b"RIFF") && at(8, b"AVI ") => "video/x-msvideo",
        _ if at(0, b"FORM") && (at(8, b"AIFF") || at(8, b"AIFC")) => "audio/aiff",
        _ if at(0, b"OggS") && has_theora(bytes) => "video/ogg",
        _ if at(0, b"#!AMR-WB\n") => "audio/AMR-WB",
        _ if at(0, b"#!AMR\n") => "audio/AMR",
        _ if at(0, b".snd\0\0\0") => "audio/basic",
        _ if at(0, b"caff\0\x01") => "audio/x-caf",
        _ if at(0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11") => "video/x-ms-asf",
        _ if at(0, b"FLV\x01") => "video/x-flv",
        _ if at(0, b"\0\0\x01\xba") => "video/mpeg",
        // Packets of 188 bytes, each with its mark.
        _ if (0..4).all(|packet| at(packet * 188, b"\x47")) => "video/mp2t",
        _ if is_adts(bytes) => "audio/aac",
        _ => return None,
    })
}

/// Two AAC frames that follow each other (ISO 13818-7, 6.2): a mark alone is twelve bits, which turn up anywhere.
fn is_adts(bytes: &[u8]) -> bool {
    let length = |frame: &[u8]| {
        let &[0xff, second, _, fourth, fifth, sixth, ..] = frame else { return None };
        (second & 0xf6 == 0xf0)
            .then(|| usize::from(fourth & 3) << 11 | usize::from(fifth) << 3 | usize::from(sixth) >> 5)
            .filter(|length| *length > 7)
    };
    length(bytes).is_some_and(|first| bytes.get(first..).and_then(length).is_some())
}
