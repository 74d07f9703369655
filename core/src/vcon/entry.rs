//! An object of a vCon, read through the newer names of its members.

use std::borrow::Cow;

use super::Body;
use super::body::{self, indices};
use super::date::Date;
use crate::Result;
use crate::document::View;

/// Which names an object has had: (newer, older). The older one counts only where the newer one is absent, also when
/// the newer one is null (vcon-server contract, 8.1).
pub(super) type Renames = &'static [(&'static str, &'static str)];

pub(super) const TOP_LEVEL: Renames = &[("amended", "appended"), ("critical", "must_support")];
pub(super) const CONTENT: Renames =
    &[("schema", "schema_version"), ("mediatype", "mimetype"), ("critical", "must_support")];
pub(super) const ATTACHMENT: Renames =
    &[("schema", "schema_version"), ("mediatype", "mimetype"), ("critical", "must_support"), ("purpose", "type")];
/// `email` is what people write for `mailto`.
const PARTY: Renames = &[("mailto", "email")];

/// The members of an object, found once, so that asking for ten of them is one pass over the text.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    members: Vec<(Cow<'a, str>, View<'a>)>,
    renames: Renames,
}

impl<'a> Entry<'a> {
    fn new(view: View<'a>, renames: Renames) -> Self {
        Entry { members: view.members().collect(), renames }
    }

    pub(super) fn top_level(view: View<'a>) -> Self {
        Entry::new(view, TOP_LEVEL)
    }

    pub(super) fn content(view: View<'a>) -> Self {
        Entry::new(view, CONTENT)
    }

    pub(super) fn attachment(view: View<'a>) -> Self {
        Entry::new(view, ATTACHMENT)
    }

    pub(super) fn party(view: View<'a>) -> Self {
        Entry::new(view, PARTY)
    }

    /// The member of that name, or of its older name.
    pub fn get(&self, name: &str) -> Option<View<'a>> {
        let find = |name: &str| self.members.iter().rfind(|(found, _)| found == name).map(|(_, view)| *view);
        find(name).or_else(|| {
            let (_, older) = self.renames.iter().find(|(newer, _)| *newer == name)?;
            find(older)
        })
    }

    /// The member, when it is a string.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)?.as_str()
    }

    /// The member, when it is an index.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.get(name)?.as_usize()
    }

    /// All indices in the member: one, a list, or lists in a list, in their order.
    pub fn indices(&self, name: &str) -> Vec<usize> {
        let mut all = Vec::new();
        if let Some(view) = self.get(name) {
            indices(view, &mut all);
        }
        all
    }

    /// The member, when it is a date that can be read.
    pub fn date(&self, name: &str) -> Option<Date> {
        Date::parse(&self.text(name)?)
    }

    /// The decoded content.
    ///
    /// # Errors
    /// Permanent, when it should be base64 and is not.
    pub fn body(&self) -> Result<Body<'a>> {
        body::read(self, "body")
    }

    /// The hashes of external content as tokens such as `sha512-...`; also made from `alg` and `signature`, which came
    /// before 0.0.2.
    pub fn content_hashes(&self) -> Vec<String> {
        if let Some(hash) = self.get("content_hash") {
            let listed = hash.elements().filter_map(|element| element.as_str());
            return hash.as_str().into_iter().chain(listed).map(Cow::into_owned).collect();
        }
        let (Some(algorithm), Some(digest)) = (self.text("alg"), self.text("signature")) else { return Vec::new() };
        vec![format!("{}-{digest}", algorithm.to_ascii_lowercase().replace('-', ""))]
    }
}
