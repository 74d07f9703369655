//! The checks of a vCon against draft-ietf-vcon-vcon-core-04.
//!
//! [`CHECKS`] lists them all. A [`Validator`] makes them; a [`Report`] holds what was found, with a JSON pointer and a
//! sentence each. In the strict mode every broken MUST is an error; in the tolerant mode only what is unreadable, unsafe
//! or unidentifiable.
//!
//! One file per group of checks; `unsigned` says in which order.

mod analysis;
mod attachment;
mod channels;
mod content;
mod dialog;
mod extension;
mod fetch;
mod finding;
mod head;
mod jwe;
mod jws;
mod lineage;
mod members;
mod object;
mod party;
mod place;
mod recording_set;
mod report;
mod session;
mod syntax;
mod table;
mod transfer;
mod unsigned;

#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use finding::{Finding, Findings, Level, Mode, Severity};
pub use report::{Form, Report};
pub use table::{CHECKS, Check};

use crate::document::{Document, Kind, View};
use crate::format::{self, Bundle, Content, Inflation, Limits, Version};
use object::Object;
use place::Place;

/// What only keys can tell of a vCon: whether its signatures are right, and what is encrypted in it.
pub trait Seals: Send + Sync {
    /// Verifies a signed vCon and adds what is wrong: checks 95 and 96. Returns what a reader should know of the
    /// signatures that are right, a line each. What is `resigned` lies in another signature, which was put around it
    /// before the certificates of this one expired : they say nothing against it.
    fn verify(&self, jws: View<'_>, resigned: bool, found: &mut Findings) -> Vec<String>;

    /// Decrypts an encrypted vCon, or adds why not: check 101. `None`, without a finding, when no key is for it.
    fn decrypt(&self, jwe: View<'_>, found: &mut Findings) -> Option<Bytes>;
}

/// How many seals lie around a text.
#[derive(Debug, Clone, Copy, Default)]
struct Depth {
    seals: usize,
    /// Whether the nearest one is a signature.
    signed: bool,
}

/// Makes the checks.
#[derive(Default)]
pub struct Validator<'a> {
    /// How much is let pass.
    pub mode: Mode,
    /// The bounds of reading.
    pub limits: Limits,
    /// Extensions that may be critical, beside those that are known here.
    pub supported: Vec<String>,
    /// The keys, when there are any.
    pub seals: Option<&'a dyn Seals>,
}

impl std::fmt::Debug for Validator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Validator").field("mode", &self.mode).field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Validator<'_> {
    /// Checks what a file holds: one report, or for a bundle one on the bundle and one per vCon in it, with the name of
    /// the entry.
    pub fn check(&self, bytes: impl Into<Bytes>) -> Vec<(Option<String>, Report)> {
        let bytes = bytes.into();
        let is_bundle = format::is_zip(&bytes);
        match format::open(bytes, &self.limits) {
            Ok(Content::Text(text)) => vec![(None, self.text(&text))],
            Ok(Content::Bundle(bundle)) => self.bundle(bundle),
            Err(error) => {
                let (form, check) = if is_bundle { (Form::Bundle, 107) } else { (Form::Unparsable, 3) };
                let mut report = Report::new(form, self.mode);
                report.found.refused(check, &Place::ROOT, error.chain_text());
                vec![(None, report)]
            }
        }
    }

    fn bundle(&self, bundle: Bundle) -> Vec<(Option<String>, Report)> {
        let mut report = Report::new(Form::Bundle, self.mode);
        for fault in &bundle.faults {
            report.found.push(Finding {
                check: 107,
                severity: Severity::Refused,
                pointer: fault.entry.clone(),
                message: fault.to_string(),
            });
        }
        let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let (vcons, files) = (count(bundle.vcons.len(), "vCon"), count(bundle.files.len(), "media file"));
        report.notes.push(format!("a bundle of {vcons} and {files}"));
        let vcons = bundle.vcons.into_iter().map(|vcon| {
            let text = format::Text { bytes: vcon.bytes, inflation: None };
            (Some(vcon.name), self.text(&text))
        });
        std::iter::once((None, report)).chain(vcons).collect()
    }

    /// Checks one text.
    fn text(&self, text: &format::Text) -> Report {
        let mut report = if text.inflation.is_some_and(|inflation| inflation.too_large) {
            Report::new(Form::Unparsable, self.mode)
        } else {
            self.source(&text.bytes, Depth::default())
        };
        self.inflation(text.inflation, &mut report);
        report
    }

    /// Check 105.
    fn inflation(&self, inflation: Option<Inflation>, report: &mut Report) {
        if let Some(fault) = inflation.and_then(|inflation| inflation.fault(&self.limits)) {
            report.found.refused(105, &Place::ROOT, fault);
        }
    }

    /// Checks a JSON text.
    fn source(&self, source: &Bytes, depth: Depth) -> Report {
        let mut report = Report::new(Form::Unparsable, self.mode);
        let document = match Document::parse(source.clone()) {
            Ok(document) => document,
            Err(error) => {
                report.found.refused(3, &Place::ROOT, error.chain_text());
                return report;
            }
        };
        syntax::check(source, &document, &mut report.found);
        // Which of two members of one name counts is anybody's guess: a strict reader stops before it takes the wrong one.
        if self.mode == Mode::Strict && !report.found.is_empty() {
            return report;
        }
        self.document(document, depth, &mut report);
        report
    }

    fn document(&self, document: Document, depth: Depth, report: &mut Report) {
        let root = document.root();
        if root.kind() != Kind::Object {
            report.form = Form::NotVcon;
            report.found.refused(1, &Place::ROOT, format!("the document is {}, not an object", root.kind().as_str()));
            return;
        }
        report.form = Form::of(root);
        let is_mixed = mixes_forms(root, report.form, &mut report.found);
        match report.form {
            Form::Signed => self.signed(root, is_mixed, depth, report),
            Form::Encrypted => self.encrypted(root, depth, report),
            _ => {
                report.version = Some(Version::of(root));
                unsigned::check(self, root, &mut report.found);
            }
        }
        report.document = Some(document);
    }

    fn signed(&self, root: View<'_>, is_mixed: bool, depth: Depth, report: &mut Report) {
        // What is of two forms is refused; how well its headers would follow the draft is no matter then.
        let uuids = if is_mixed { Vec::new() } else { jws::check(root, &mut report.found) };
        match self.seals {
            Some(seals) => report.notes.extend(seals.verify(root, depth.signed, &mut report.found)),
            None => report.notes.push("signed; the signature was not verified (--trust)".to_owned()),
        }
        let place = Place::ROOT.name("payload");
        let payload = match format::payload(root, &self.limits) {
            Ok(payload) => payload,
            Err(error) => {
                report.found.refused(98, &place, error.chain_text());
                return;
            }
        };
        self.inflation(payload.inflation, report);
        let inside = self.inside(&payload.document.to_bytes(), Depth { signed: true, ..depth }, report);
        if !matches!(inside.form, Form::Unsigned | Form::Signed) {
            report.found.refused(98, &place, format!("the payload is {}", inside.form.described()));
        }
        if !is_mixed {
            jws::compare_uuids(&uuids, inside.innermost_uuid().as_deref(), &mut report.found);
        }
        report.payload = Some(Box::new(inside));
    }

    fn encrypted(&self, root: View<'_>, depth: Depth, report: &mut Report) {
        let uuid = jwe::check(root, &mut report.found);
        let before = report.found.len();
        let Some(plaintext) = self.seals.and_then(|seals| seals.decrypt(root, &mut report.found)) else {
            if report.found.len() == before {
                report.notes.push("encrypted; not decryptable without its private key (--key)".to_owned());
            }
            return;
        };
        let content = format::open(plaintext, &self.limits);
        let inside = match content {
            Ok(Content::Text(text)) => {
                self.inflation(text.inflation, report);
                self.inside(&text.bytes, Depth { signed: false, ..depth }, report)
            }
            _ => Report::new(Form::Unparsable, self.mode),
        };
        if inside.form != Form::Signed {
            let message = format!("what is encrypted is {}, not a signed vCon", inside.form.described());
            report.found.refused(102, &Place::ROOT.name("ciphertext"), message);
        }
        if let (Some(named), Some(inner)) = (uuid, inside.innermost_uuid())
            && !named.eq_ignore_ascii_case(&inner)
        {
            let named: String = named.chars().take(60).collect();
            let message = format!("the header says the vCon is {named}, but it is {inner}");
            report.found.refused(103, &Place::ROOT.name("unprotected").name("uuid"), message);
        }
        report.payload = Some(Box::new(inside));
    }

    /// Checks what is inside of a seal.
    fn inside(&self, source: &Bytes, depth: Depth, report: &mut Report) -> Report {
        if depth.seals >= self.limits.nesting {
            let message = format!("more than {} vCons are sealed in each other", self.limits.nesting);
            report.found.refused(98, &Place::ROOT.name("payload"), message);
            return Report::new(Form::Unparsable, self.mode);
        }
        self.source(source, Depth { seals: depth.seals + 1, ..depth })
    }
}

/// Check 2: whether there are members of another form than `form`.
fn mixes_forms(root: View<'_>, form: Form, found: &mut Findings) -> bool {
    let Some(top) = Object::of(root) else { return false };
    let strangers: Vec<&str> = match form {
        Form::Signed | Form::Encrypted => members::core_of_vcon().filter(|name| top.has(name)).collect(),
        _ => ["payload", "signatures", "ciphertext", "cyphertext"].into_iter().filter(|name| top.has(name)).collect(),
    };
    if !strangers.is_empty() {
        let message = format!("`{}` do not belong into a vCon that is {}", strangers.join("`, `"), form.described());
        found.refused(2, &Place::ROOT, message);
    }
    !strangers.is_empty()
}
