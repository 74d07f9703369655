//! The vCon: a [`Document`] whose form is known, read tolerantly whatever version wrote it.
//!
//! Reading refuses only what no link could work with. Older member names are read through views and never rewritten:
//! what was posted is stored as it came. What a strict reader would object to is the business of `validate`.

mod body;
mod date;
mod entry;
pub(crate) mod members;
mod normal;
mod parts;
mod rewrap;
#[cfg(test)]
mod tests;
pub mod uuid8;

use std::borrow::Cow;

use base64::Engine as _;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::document::{Document, Edit, Json, Kind, Tag, View, tags};
use crate::{Error, Result};

pub(crate) use body::BASE64_URL;
pub use body::Body;
pub(crate) use body::base64 as base64_bytes;
pub use date::Date;
pub use entry::Entry;
pub use parts::{Analysis, Attachment, Dialog, Party};

/// The arrays of an unsigned vCon.
const ARRAYS: [&str; 4] = ["parties", "dialog", "analysis", "attachments"];

/// In which form a vCon came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// The conversation itself.
    Unsigned,
    /// A JWS in general JSON serialisation. It is never rewritten, also when unsigned members stand beside the payload.
    Signed,
    /// A JWE in general JSON serialisation.
    Encrypted,
}

/// A vCon.
#[derive(Debug, Clone)]
pub struct Vcon {
    document: Document,
    form: Form,
}

impl Vcon {
    /// Reads a vCon of any version and form.
    ///
    /// # Errors
    /// Permanent: what [`Document::parse`] refuses, and what [`from_document`](Self::from_document) refuses.
    pub fn read(bytes: impl Into<Bytes>) -> Result<Vcon> {
        Vcon::from_document(Document::parse(bytes)?)
    }

    /// Takes a document as a vCon.
    ///
    /// # Errors
    /// Permanent: it is not an object, has the members of no form, or has something else than arrays (or null) where the
    /// parties, dialog, analysis and attachments belong. Elements of those that are no objects are accepted, as
    /// vcon-server does, and the views pass over them.
    pub fn from_document(document: Document) -> Result<Vcon> {
        let root = document.root();
        if root.kind() != Kind::Object {
            return Err(Error::permanent(format!("a vCon is a JSON object, this is {}", root.kind().as_str()))
                .help("send one vCon; several go one by one"));
        }
        let form = form(root)?;
        if form == Form::Unsigned {
            for name in ARRAYS {
                match root.get(name).map(|view| view.kind()) {
                    None | Some(Kind::Array | Kind::Null) => {}
                    Some(kind) => {
                        return Err(Error::permanent(format!("`{name}` is {}, not an array", kind.as_str()))
                            .help(format!("write \"{name}\": [...] or leave it out")));
                    }
                }
            }
        }
        Ok(Vcon { document, form })
    }

    /// The form it came in.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The document.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The document without the rest.
    pub fn into_document(self) -> Document {
        self.document
    }

    /// The JSON text, as [`Document::to_bytes`].
    pub fn to_bytes(&self) -> Bytes {
        self.document.to_bytes()
    }

    /// Makes a recorded change. Returns whether anything changed.
    ///
    /// # Errors
    /// Permanent: the vCon is signed or encrypted, the edit fails, or it leaves something that is no unsigned vCon; or a
    /// [`Rewrap`](Edit::Rewrap) gives another vCon than this in another form. The vCon is then as it was.
    pub fn apply(&mut self, edit: &Edit) -> Result<bool> {
        if let Edit::Rewrap(document) = edit {
            return rewrap::rewrap(self, document);
        }
        if self.form != Form::Unsigned {
            return Err(Error::permanent("a signed or encrypted vCon is never rewritten")
                .help("say with `on_signed` what shall happen: skip, fail or wrap"));
        }
        if !may_change_form(edit) {
            return self.document.apply(edit);
        }
        // A clone shares the text, so that trying is cheap.
        let mut edited = self.document.clone();
        let changed = edited.apply(edit)?;
        if changed {
            let edited = Vcon::from_document(edited)?;
            if edited.form != Form::Unsigned {
                return Err(Error::permanent("an edit would make the vCon look signed or encrypted"));
            }
            *self = edited;
        }
        Ok(changed)
    }

    /// The uuid. Of signed and encrypted forms it is what their headers say (RFC 7515 and RFC 7516 allow such a member),
    /// not yet verified; of signed ones without it, what the payload says.
    pub fn uuid(&self) -> Option<Uuid> {
        match self.form {
            Form::Unsigned => uuid_in(self.document.root()),
            Form::Signed => {
                let signature = self.document.get("/signatures/0")?;
                signature
                    .get("header")
                    .and_then(uuid_in)
                    .or_else(|| uuid_in(decoded(signature.get("protected"))?.root()))
                    .or_else(|| uuid_in(decoded(self.document.get("/payload"))?.root()))
            }
            Form::Encrypted => self
                .document
                .get("/unprotected")
                .and_then(uuid_in)
                .or_else(|| uuid_in(decoded(self.document.get("/protected"))?.root())),
        }
    }

    /// The name under which the vCon is stored and queued: its uuid, or, as producers of tests and samples write, any
    /// other short identifier in its place (1 to 128 visible ASCII characters), letter for letter.
    pub fn id(&self) -> Option<String> {
        let identifier =
            |text: &Cow<'_, str>| (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        match self.uuid() {
            Some(uuid) => Some(uuid.to_string()),
            None if self.form == Form::Unsigned => self.text("uuid").filter(identifier).map(Cow::into_owned),
            None => None,
        }
    }

    /// Gives a vCon without `uuid` one. Returns the edit that did it, to be recorded, or `None` when it has one.
    ///
    /// # Errors
    /// Permanent: the uuid that is there is none, or the form keeps us from writing.
    pub fn ensure_uuid(&mut self, generator: &uuid8::Generator) -> Result<Option<Edit>> {
        if self.uuid().is_some() {
            return Ok(None);
        }
        if let Some(wrong) = self.document.get("/uuid").filter(|view| !view.is_null()) {
            let shown: String = wrong.text().chars().take(80).collect();
            return Err(Error::permanent(format!("`uuid` is {shown}, which is no UUID"))
                .help("send a UUID such as 019f15a6-a752-826f-9dd8-dd37220d739c, or leave `uuid` out"));
        }
        let edit = Edit::set("/uuid", Json::string(&generator.next().to_string()));
        self.apply(&edit)?;
        Ok(Some(edit))
    }

    /// When the conversation was recorded in a vCon.
    pub fn created_at(&self) -> Option<Timestamp> {
        Some(self.created()?.timestamp())
    }

    /// Year, month and day of `created_at` in the offset that it is written with.
    pub fn created_at_date_as_written(&self) -> Option<(i16, i8, i8)> {
        Some(self.created()?.written())
    }

    fn created(&self) -> Option<Date> {
        Date::parse(&self.text("created_at")?)
    }

    /// The subject.
    pub fn subject(&self) -> Option<Cow<'_, str>> {
        self.text("subject")
    }

    /// The member `vcon`, which says little: producers keep old values. Decide by shape.
    pub fn version(&self) -> Option<Cow<'_, str>> {
        self.text("vcon")
    }

    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.document.root().get(name)?.as_str()
    }

    /// The top level, read through the newer names of members.
    pub fn entry(&self) -> Entry<'_> {
        Entry::top_level(self.document.root())
    }

    /// The parties that are objects, with their indices.
    pub fn parties(&self) -> impl Iterator<Item = Party<'_>> {
        self.objects("parties").map(|(index, view)| Party::new(index, view))
    }

    /// The dialogs that are objects, with their indices.
    pub fn dialogs(&self) -> impl Iterator<Item = Dialog<'_>> {
        self.objects("dialog").map(|(index, view)| Dialog::new(index, view))
    }

    /// The analyses that are objects, with their indices.
    pub fn analyses(&self) -> impl Iterator<Item = Analysis<'_>> {
        self.objects("analysis").map(|(index, view)| Analysis::new(index, view))
    }

    /// The attachments that are objects, with their indices.
    pub fn attachments(&self) -> impl Iterator<Item = Attachment<'_>> {
        self.objects("attachments").map(|(index, view)| Attachment::new(index, view))
    }

    fn objects(&self, name: &str) -> impl Iterator<Item = (usize, View<'_>)> {
        let elements = self.document.root().get(name).into_iter().flat_map(|view| view.elements());
        elements.enumerate().filter(|(_, view)| view.kind() == Kind::Object)
    }

    /// All tags.
    pub fn tags(&self) -> Vec<Tag> {
        tags(&self.document)
    }

    /// A copy with the newer member names throughout, as vcon-server hands it to its links: the input of `jq_link`.
    pub fn normalised(&self) -> Value {
        normal::normalised(self.document.root())
    }
}

/// Decided by shape (format digest, section 9).
fn form(root: View<'_>) -> Result<Form> {
    let has = |name: &str| root.get(name).is_some();
    let array = |name: &str| root.get(name).is_some_and(|view| view.kind() == Kind::Array);
    if has("payload") && array("signatures") {
        return Ok(Form::Signed);
    }
    // An early draft spelled it `cyphertext`.
    if (has("ciphertext") || has("cyphertext")) && array("recipients") {
        return Ok(Form::Encrypted);
    }
    if has("uuid") || ARRAYS.into_iter().any(has) {
        return Ok(Form::Unsigned);
    }
    Err(Error::permanent(
        "this is no vCon: it has no `uuid`, none of `parties`, `dialog`, `analysis` and `attachments`, and neither \
         `payload` with `signatures` nor `ciphertext` with `recipients`",
    )
    .help("a minimal vCon is {\"uuid\": \"...\", \"created_at\": \"...\", \"parties\": []}"))
}

/// Whether the edit reaches the members of the top level themselves, whose names and kinds make the form.
fn may_change_form(edit: &Edit) -> bool {
    match edit {
        Edit::AddAnalysis(_) | Edit::AddTag { .. } => false,
        Edit::Append { pointer, .. } => !pointer.strip_prefix('/').is_some_and(|name| ARRAYS.contains(&name)),
        Edit::Set { pointer, .. } | Edit::Remove { pointer } => pointer.matches('/').count() < 2,
        Edit::Replace(_) | Edit::Rewrap(_) => true,
    }
}

fn uuid_in(view: View<'_>) -> Option<Uuid> {
    Uuid::parse_str(view.get("uuid")?.as_str()?.trim()).ok()
}

/// The JSON document in a base64url string, as JOSE headers are.
fn decoded(view: Option<View<'_>>) -> Option<Document> {
    let bytes = body::BASE64_URL.decode(view?.as_str()?.as_bytes()).ok()?;
    Document::parse(bytes).ok()
}
