//! What links have in common that make another version of a vCon: its identity, its reference to the version before, and
//! where it goes.

use std::borrow::Cow;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::jose::Payload;
use vconductor_core::plugin::{LinkContext, Outcome};
use vconductor_core::prior::Prior;
use vconductor_core::vcon::{Form, Vcon, uuid8};
use vconductor_core::{Error, Result};

/// What the uuid of the vCon stands for in a URL.
const UUID: &str = "{uuid}";

/// Which version the chain goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GoOnWith {
    /// The one that came; it is not changed.
    Original,
    /// The new one: links, storages and egress from here on see that.
    New,
}

/// How a new version is made and where it goes.
#[derive(Debug, Clone)]
pub(crate) struct NewVersion {
    pub(crate) lists: Vec<String>,
    pub(crate) go_on_with: GoOnWith,
    pub(crate) open_signed: bool,
    url: Option<String>,
    uuids: uuid8::Generator,
}

impl NewVersion {
    /// Checks what the options say.
    pub(crate) fn new(
        lists: Vec<String>,
        go_on_with: GoOnWith,
        open_signed: bool,
        url: Option<String>,
        domain: Option<&str>,
    ) -> Result<NewVersion> {
        if let Some(url) = &url {
            if !url.starts_with("https://") {
                return Err(Error::configuration(format!("`url` is `{url}`, which is not https"))
                    .help("another version is referred to by an https URL (core-04, 2.4.1)"));
            }
            // What stands in the host would be somebody else's host.
            let path = url[8..].split_once('/').map_or("", |(_, path)| path);
            if !path.contains(UUID) || url.matches(UUID).count() != 1 {
                return Err(Error::configuration(format!(
                    "`url` is `{url}`, which does not name the vCon in its path"
                ))
                .help("write it like https://archive.example.com/vcons/{uuid}.json"));
            }
        }
        let domain = domain.filter(|domain| !domain.is_empty()).unwrap_or("vconductor.invalid");
        // A name of its own for every process: within a millisecond only twelve bits tell vCons of one domain apart.
        let uuids = uuid8::Generator::new(&format!("{:016x}.{domain}", fastrand::u64(..)));
        Ok(NewVersion { lists, go_on_with, open_signed, url, uuids })
    }

    /// The vCon whose content the new version takes: a signed one is opened where the options allow it.
    pub(crate) fn content<'v>(&self, vcon: &'v Vcon) -> Result<Cow<'v, Vcon>> {
        match vcon.form() {
            Form::Unsigned => Ok(Cow::Borrowed(vcon)),
            Form::Signed if self.open_signed => Ok(Cow::Owned(Payload::of(vcon.document())?.innermost()?)),
            Form::Signed => Err(Error::permanent("the vCon is signed, and nobody said that it may be opened")
                .help("put `links.verify` before this link and set `open_signed: true`")),
            Form::Encrypted => {
                Err(Error::permanent("the vCon is encrypted").help("put `links.decrypt` and `links.verify` before"))
            }
        }
    }

    /// The reference to `vcon`, whose content is `content`; with the hash of its bytes where a URL leads to it.
    pub(crate) fn prior(&self, vcon: &Vcon, content: &Vcon) -> Result<Prior> {
        let prior = Prior::of(content)?;
        match (&self.url, content.uuid()) {
            (Some(url), Some(uuid)) => prior.at(&url.replace(UUID, &uuid.to_string()), &vcon.to_bytes()),
            _ => Ok(prior),
        }
    }

    /// The new version's uuid and its time of creation: the same in every execution of the step.
    pub(crate) async fn identity(&self, context: &LinkContext<'_>) -> Result<(String, Timestamp)> {
        let new = async {
            let now = Timestamp::from_millisecond(context.clock.now())
                .map_err(|error| Error::permanent("the clock is out of range").caused_by(error))?;
            Ok((self.uuids.next().to_string(), now))
        };
        context.once("version", new).await
    }

    /// Hands the new version over.
    pub(crate) fn publish(&self, version: &Vcon, uuid: String, context: &LinkContext<'_>) -> Result<Outcome> {
        context.make(version, &self.lists)?;
        context.note(format!("made vCon {uuid}"));
        Ok(match self.go_on_with {
            GoOnWith::Original => Outcome::Continue,
            GoOnWith::New => Outcome::Switch(uuid),
        })
    }
}
