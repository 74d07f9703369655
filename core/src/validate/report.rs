//! What is known of a document after its checks.

use crate::document::{Document, Kind, View};
use crate::format::Version;

use super::finding::{Finding, Findings, Level, Mode};
use super::place::Place;
use super::unsigned::ARRAYS;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// The conversation itself.
    Unsigned,
    /// A JWS.
    Signed,
    /// A JWE.
    Encrypted,
    /// A `.vconz` bundle.
    Bundle,
    /// JSON, but no vCon of any form.
    NotVcon,
    /// No well-formed text.
    Unparsable,
}

impl Form {
    /// As it stands in the output.
    pub fn as_str(self) -> &'static str {
        match self {
            Form::Unsigned => "unsigned",
            Form::Signed => "signed",
            Form::Encrypted => "encrypted",
            Form::Bundle => "bundle",
            Form::NotVcon => "not-vcon",
            Form::Unparsable => "unparsable",
        }
    }

    pub(super) fn described(self) -> &'static str {
        match self {
            Form::Unsigned => "an unsigned vCon",
            Form::Signed => "a signed vCon",
            Form::Encrypted => "an encrypted vCon",
            Form::Bundle => "a bundle",
            Form::NotVcon => "no vCon",
            Form::Unparsable => "no well-formed JSON",
        }
    }

    /// By the members of an object. Where one member of a sealed form is missing, it is still that form, so that what is
    /// told is the missing member.
    pub(super) fn of(root: View<'_>) -> Form {
        let has = |name: &str| root.get(name).is_some();
        let is_bare = has("uuid") || ARRAYS.into_iter().any(has);
        let (payload, signatures) = (has("payload"), has("signatures"));
        let ciphertext = has("ciphertext") || has("cyphertext");
        if (payload && signatures) || (!is_bare && !ciphertext && (payload || signatures)) {
            return Form::Signed;
        }
        if ciphertext && (has("recipients") || !is_bare) {
            return Form::Encrypted;
        }
        if is_bare { Form::Unsigned } else { Form::NotVcon }
    }
}

/// What was found about one document.
#[derive(Debug, Clone)]
pub struct Report {
    /// What it is.
    pub form: Form,
    /// By which rules it was judged.
    pub mode: Mode,
    /// By which revision its members were written; of unsigned vCons.
    pub version: Option<Version>,
    /// What was found.
    pub found: Findings,
    /// What is worth knowing and no finding.
    pub notes: Vec<String>,
    /// What is inside of the signature, or of the encryption when there was a key.
    pub payload: Option<Box<Report>>,
    /// The document, when it could be read.
    pub document: Option<Document>,
}

impl Report {
    pub(super) fn new(form: Form, mode: Mode) -> Self {
        Report {
            form,
            mode,
            version: None,
            found: Findings::default(),
            notes: Vec::new(),
            payload: None,
            document: None,
        }
    }

    /// The report on something that could not even be read; `why` says so.
    pub fn unreadable(mode: Mode, why: &str) -> Self {
        let mut report = Report::new(Form::Unparsable, mode);
        report.found.refused(3, &Place::ROOT, why);
        report
    }

    /// The findings of a level, without those of the payload.
    pub fn of_level(&self, level: Level) -> impl Iterator<Item = &Finding> {
        self.found.iter().filter(move |finding| finding.level(self.mode) == level)
    }

    /// Whether it fails: it or what is inside has an error.
    pub fn fails(&self) -> bool {
        self.of_level(Level::Error).next().is_some() || self.payload.as_ref().is_some_and(|inside| inside.fails())
    }

    /// The `uuid` of the unsigned vCon, however deep it lies.
    pub fn innermost_uuid(&self) -> Option<String> {
        match &self.payload {
            Some(inside) => inside.innermost_uuid(),
            None => {
                let uuid = self.document.as_ref().filter(|_| self.form == Form::Unsigned)?.root().get("uuid")?;
                (uuid.kind() == Kind::String).then(|| uuid.as_str().unwrap_or_default().into_owned())
            }
        }
    }
}
