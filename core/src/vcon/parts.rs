//! Typed views of parties, dialogs, analyses and attachments.
//!
//! Each holds its [`Entry`] for what has no accessor here. A member of the wrong type is as absent.

use std::borrow::Cow;

use super::body::{self, Body, indices};
use super::{Date, Entry};
use crate::Result;
use crate::document::View;

/// A view of one kind of object: its index among its siblings and its members.
macro_rules! part {
    ($(#[$meta:meta])* $name:ident from $entry:ident { $($(#[$doc:meta])* $text:ident: $member:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $name<'a> {
            index: usize,
            entry: Entry<'a>,
        }

        impl<'a> $name<'a> {
            pub(super) fn new(index: usize, view: View<'a>) -> Self {
                $name { index, entry: Entry::$entry(view) }
            }

            /// Its place in the vCon's array.
            pub fn index(&self) -> usize {
                self.index
            }

            /// All members.
            pub fn entry(&self) -> &Entry<'a> {
                &self.entry
            }

            $(
                $(#[$doc])*
                pub fn $text(&self) -> Option<Cow<'a, str>> {
                    self.entry.text($member)
                }
            )*
        }
    };
}

part! {
    /// Someone who took part.
    Party from party {
        /// The telephone number, mostly with `tel:` or `+`.
        tel: "tel",
        /// The mail address, also when it is written as `email`.
        mailto: "mailto",
        /// The name.
        name: "name",
        /// The role, such as `agent` or `customer`.
        role: "role",
    }
}

part! {
    /// A part of the conversation.
    Dialog from content {
        /// `recording`, `text`, `transfer`, `incomplete` ...
        kind: "type",
        /// The media type of the content.
        mediatype: "mediatype",
        /// The file name of the content.
        filename: "filename",
        /// Where external content lies. Untrusted.
        url: "url",
        /// Why an incomplete dialog did not come about.
        disposition: "disposition",
    }
}

part! {
    /// What somebody made of the conversation.
    Analysis from content {
        /// `transcript`, `summary`, `sentiment` ...
        kind: "type",
        /// Who made it.
        vendor: "vendor",
        /// With which product.
        product: "product",
        /// The format of the body.
        schema: "schema",
        /// The media type of the body.
        mediatype: "mediatype",
        /// Where an external body lies. Untrusted.
        url: "url",
    }
}

part! {
    /// Something that belongs to the conversation.
    Attachment from attachment {
        /// What it is for; in older vCons its `type`.
        purpose: "purpose",
        /// The media type of the content.
        mediatype: "mediatype",
        /// The file name of the content.
        filename: "filename",
        /// Where external content lies. Untrusted.
        url: "url",
    }
}

impl<'a> Dialog<'a> {
    /// When it began.
    pub fn start(&self) -> Option<Date> {
        self.entry.date("start")
    }

    /// How long it took, in seconds; not negative.
    pub fn duration(&self) -> Option<f64> {
        self.entry.get("duration")?.as_f64().filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
    }

    /// The indices of everyone who took part, in the order of their first mention.
    pub fn parties(&self) -> Vec<usize> {
        let mut seen = std::collections::HashSet::new();
        self.entry.indices("parties").into_iter().filter(|party| seen.insert(*party)).collect()
    }

    /// The parties per channel of a recording; an unused channel is empty. A list of plain indices may as well mean that
    /// all share one channel.
    pub fn channels(&self) -> Vec<Vec<usize>> {
        let Some(parties) = self.entry.get("parties") else { return Vec::new() };
        let channel = |view| {
            let mut all = Vec::new();
            indices(view, &mut all);
            all
        };
        match parties.as_usize() {
            Some(only) => vec![vec![only]],
            None => parties.elements().map(channel).collect(),
        }
    }

    /// Who began it: the originator, else the first party.
    pub fn originator(&self) -> Option<usize> {
        self.entry.index("originator").or_else(|| self.parties().first().copied())
    }

    /// Whether it is recorded sound or video; producers also write `audio` and `video`.
    pub fn is_recording(&self) -> bool {
        matches!(self.kind().as_deref(), Some("recording" | "audio" | "video"))
    }

    /// The decoded content.
    ///
    /// # Errors
    /// Permanent, when it should be base64 and is not.
    pub fn body(&self) -> Result<Body<'a>> {
        self.entry.body()
    }
}

impl<'a> Analysis<'a> {
    /// The dialogs it was made from.
    pub fn dialogs(&self) -> Vec<usize> {
        self.entry.indices("dialog")
    }

    /// The decoded content; before 0.0.1 it was called `transcript`.
    ///
    /// # Errors
    /// Permanent, when it should be base64 and is not.
    pub fn body(&self) -> Result<Body<'a>> {
        let name = if self.entry.get("body").is_some() { "body" } else { "transcript" };
        body::read(&self.entry, name)
    }
}

impl<'a> Attachment<'a> {
    /// When it was added or made.
    pub fn start(&self) -> Option<Date> {
        self.entry.date("start")
    }

    /// Who brought it.
    pub fn party(&self) -> Option<usize> {
        self.entry.index("party")
    }

    /// To which dialog it belongs.
    pub fn dialog(&self) -> Option<usize> {
        self.entry.index("dialog")
    }

    /// Whether it holds tags.
    pub fn is_tags(&self) -> bool {
        let is_tags = |name| self.entry.text(name).is_some_and(|text| text == "tags");
        is_tags("purpose") || is_tags("type")
    }

    /// The decoded content.
    ///
    /// # Errors
    /// Permanent, when it should be base64 and is not.
    pub fn body(&self) -> Result<Body<'a>> {
        self.entry.body()
    }
}
