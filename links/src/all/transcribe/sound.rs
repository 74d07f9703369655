//! What is known of a dialog's recording, and getting hold of it.

use std::net::IpAddr;

use serde_json::Value;
use tokio::sync::OnceCell;
use vconductor_core::Result;
use vconductor_core::http::Url;
use vconductor_core::plugin::LinkContext;
use vconductor_core::recording::{Recording, channel_parties};
use vconductor_core::vcon::Dialog;

use super::options::ChannelUse;
use super::vendor::{Accepts, Account, Named, Plan};

/// A dialog's recording, fetched when it is first needed.
pub(super) struct Source<'a> {
    pub(super) dialog: &'a Dialog<'a>,
    context: &'a LinkContext<'a>,
    recording: OnceCell<Recording>,
}

impl<'a> Source<'a> {
    pub(super) fn new(dialog: &'a Dialog<'a>, context: &'a LinkContext<'a>) -> Self {
        Source { dialog, context, recording: OnceCell::new() }
    }

    /// Whether the vCon says where the recording is.
    pub(super) fn exists(&self) -> bool {
        let has_body =
            self.dialog.entry().get("body").and_then(|body| body.as_str()).is_some_and(|body| !body.is_empty());
        has_body || self.dialog.url().is_some_and(|url| !url.is_empty())
    }

    /// The URL, where a vendor on the internet can fetch it.
    pub(super) fn public_url(&self) -> Option<String> {
        let url = self.dialog.url()?;
        is_public(&url).then(|| url.into_owned())
    }

    /// The recording.
    ///
    /// # Errors
    /// Those of [`Recording::fetch`].
    pub(super) async fn recording(&self, account: &Account) -> Result<&Recording> {
        let fetch = async {
            match account.url_timeout {
                None => Recording::fetch(self.dialog, self.context).await,
                Some(timeout) => {
                    let mut policy = self.context.services.recordings.policy().clone();
                    policy.timeout = timeout;
                    Recording::fetch_under(self.dialog, self.context, &policy).await
                }
            }
        };
        self.recording.get_or_try_init(|| Box::pin(fetch)).await
    }

    fn fetched(&self) -> Option<&Recording> {
        self.recording.get()
    }

    /// Seconds: what the vCon says, else what the recording is.
    pub(super) fn seconds(&self) -> Option<f64> {
        self.dialog.duration().or_else(|| self.measured())
    }

    /// Seconds of the recording itself.
    pub(super) fn measured(&self) -> Option<f64> {
        Some(self.fetched()?.info()?.duration.as_secs_f64())
    }

    /// Its channels; 1 where nobody looked.
    pub(super) fn channels(&self) -> u16 {
        self.fetched().and_then(Recording::info).map_or(1, |info| info.channels)
    }

    /// What tells its content from any other.
    pub(super) fn content(&self) -> Option<String> {
        match self.fetched() {
            Some(recording) => Some(recording.hash().to_owned()),
            None => self.dialog.entry().content_hashes().into_iter().next(),
        }
    }

    pub(super) fn named(&self) -> Named {
        Named { filename: self.dialog.filename().map(std::borrow::Cow::into_owned), dialog: self.dialog.index() }
    }

    /// What the vendor is asked for beside the text.
    pub(super) fn plan(&self, channels: ChannelUse, accepts: &Accepts, contract: bool, diarize: Option<bool>) -> Plan {
        let several = self.channels() > 1 && !accepts.whole;
        let separate = several
            && match channels {
                ChannelUse::Separate => true,
                ChannelUse::Mixed => false,
                ChannelUse::Auto => self.voices() > 1,
            };
        let diarize = !separate && accepts.speakers && diarize.unwrap_or(!contract);
        Plan { separate, diarize }
    }

    /// Parties that have a channel to themselves, or that the vCon names without saying where they are.
    fn voices(&self) -> usize {
        let by_channel = channel_parties(self.dialog, self.channels());
        let mut own: Vec<usize> =
            by_channel.into_iter().filter_map(|parties| <[usize; 1]>::try_from(parties).ok()).flatten().collect();
        own.sort_unstable();
        own.dedup();
        if own.is_empty() { self.dialog.parties().len() } else { own.len() }
    }

    /// Whether vcon-server's Deepgram link writes the length of this recording into the dialog (contract, 2.7).
    pub(super) fn lacks_duration(&self) -> bool {
        let is_unknown = self.dialog.entry().get("duration").is_none_or(|duration| duration.to_value() == Value::Null);
        is_unknown && self.dialog.url().is_some_and(|url| url.ends_with(".wav"))
    }
}

/// Whether the URL's host can be meant for the internet; names are not looked up.
fn is_public(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    if !matches!(url.scheme(), "http" | "https") {
        return false;
    }
    let Some(host) = url.host_str() else { return false };
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(IpAddr::V4(address)) => {
            !(address.is_private() || address.is_loopback() || address.is_link_local() || address.is_unspecified())
        }
        Ok(IpAddr::V6(address)) => {
            !(address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local())
        }
        Err(_) => {
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            host.contains('.') && ![".local", ".localhost", ".internal", ".lan"].iter().any(|end| host.ends_with(end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_public;

    #[test]
    fn only_what_a_vendor_can_reach_goes_by_url() {
        for url in ["https://media.example.com/a.wav?sig=x", "http://8.8.8.8/a.wav"] {
            assert!(is_public(url), "{url}");
        }
        for url in [
            "",
            "a.wav",
            "file:///a.wav",
            "https://localhost/a.wav",
            "https://pbx/a.wav",
            "http://10.0.0.1/a.wav",
            "http://127.0.0.1:8080/a.wav",
            "http://[::1]/a.wav",
            "https://pbx.internal/a.wav",
            "http://[fe80::1]/a.wav",
        ] {
            assert!(!is_public(url), "{url}");
        }
    }
}
