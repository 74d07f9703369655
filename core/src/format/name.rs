//! What names and media types promise. They only say which files are worth a look: bytes decide what a file is.

/// What a file is called to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A vCon, compressed or not: `.vcon`, `.vcon.json`, `.json`, `application/vcon`.
    Vcon,
    /// A compressed vCon: `.gz`, `application/vcon+gzip`.
    Compressed,
    /// A bundle: `.vconz`.
    Bundle,
    /// vCons line by line: `.jsonl`, `.ndjson`.
    Lines,
}

impl Kind {
    /// By the end of a file name, in any case.
    pub fn of_name(name: &str) -> Option<Kind> {
        let (_, ending) = name.rsplit_once('.')?;
        Some(match ending.to_ascii_lowercase().as_str() {
            "vcon" | "json" => Kind::Vcon,
            "gz" => Kind::Compressed,
            "vconz" => Kind::Bundle,
            "jsonl" | "ndjson" => Kind::Lines,
            _ => return None,
        })
    }

    /// By a media type; its parameters do not matter. `application/vcon` is what core-04 registers (section 6),
    /// `application/vcon+json` what libraries still write.
    pub fn of_mediatype(mediatype: &str) -> Option<Kind> {
        let essence = mediatype.split(';').next().unwrap_or_default().trim();
        Some(match essence.to_ascii_lowercase().as_str() {
            "application/vcon" | "application/vcon+json" | "application/json" => Kind::Vcon,
            "application/vcon+gzip" | "application/gzip" | "application/x-gzip" => Kind::Compressed,
            "application/vcon+zip" | "application/zip" => Kind::Bundle,
            "application/jsonl" | "application/x-ndjson" | "application/json-lines" => Kind::Lines,
            _ => return None,
        })
    }
}
