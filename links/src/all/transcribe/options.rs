//! The options, in the form of today and in those of vcon-server.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use vconductor_core::config::Period;
use vconductor_core::provider::{Keep, Limits, OneOrMore};
use vconductor_core::secret::Secret;

/// Who transcribes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum VendorName {
    Deepgram,
    #[serde(rename = "openai")]
    OpenAi,
    Azure,
    #[serde(rename = "litellm")]
    LiteLlm,
    Groq,
    HuggingFace,
    Vfun,
    WhisperBuiltin,
}

/// In which form a transcript is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Format {
    #[default]
    Native,
    Wtf,
}

/// What becomes of the channels of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum ChannelUse {
    Auto,
    Separate,
    Mixed,
}

/// How a recording gets to a vendor that can fetch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Delivery {
    #[default]
    Auto,
    Url,
    Bytes,
}

/// Of what the vendor says the times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Timestamps {
    Word,
    Segment,
    None,
}

/// Declares the options that belong to a vendor, once for the link and once for the maps that hold them.
macro_rules! vendor_options {
    ($($(#[$meta:meta])* $field:ident: $type:ty,)*) => {
        /// Transcribes the recordings of a vCon.
        ///
        /// Each dialog that is a recording is fetched, looked at, sent to the vendor, and gets an analysis `transcript` with what
        /// the vendor answered; `core` reads all of those forms. A dialog that has a transcript is left alone, and so is one
        /// that is shorter than `minimum_duration`. What was paid for is in the run's ledger, dialog by dialog and
        /// part by part, and is kept by the recording's content, so that neither a crash nor processing it again costs twice.
        ///
        /// With two parties on two channels each channel is transcribed by itself, and one knows who speaks; else the vendor is
        /// asked to tell the speakers apart where it can. Recordings that are too long for the vendor are cut where
        /// it is silent, and put together again on one time line.
        ///
        /// Without `format: wtf` the bodies are those of vcon-server's links: of Deepgram the first alternative with
        /// `detected_language` (the whole answer where channels are separate), of all others the whole answer. vcon-server's
        /// modules `links.deepgram_link`, `links.openai_transcribe`, `links.groq_whisper`, `links.hugging_face_whisper` and
        /// `links.wtf_transcribe` are accepted with their options. In its form, which is theirs and that of `vendor_options`,
        /// the vendor is asked for no more than vcon-server asks it, and recordings under 60 s (Deepgram), 30 s (Groq, Hugging
        /// Face) or 3 s (OpenAI) are passed over, as there.
        ///
        /// A failure is a failure: the step is tried again, or ends as the chain says. A key that is refused is taken out,
        /// and pauses the link when it was the last one.
        #[derive(Debug, Clone, Deserialize, JsonSchema)]
        pub(super) struct Options {
            /// Who transcribes: `deepgram`, `openai` (also any server with its interface, by `base_url`), `azure`, `litellm`,
            /// `groq`, `hugging_face` or `vfun`. vcon-server's `whisper_builtin` does not exist here: run a server for Whisper
            /// and name it by `vendor: openai` and `base_url`.
            pub(super) vendor: VendorName,
            /// The vendor's options in vcon-server's form. They go over those beside it.
            pub(super) vendor_options: Option<Service>,
            /// The older name of `vendor_options`, which goes before it.
            pub(super) transcribe_options: Option<Service>,
            /// Vendors to ask, in this order, when the one before failed for good, refuses all keys, or failed
            /// `fallback_after` times. Each entry is a map of `vendor` and its options. Once a vendor has answered, no other is asked.
            #[serde(default)]
            pub(super) fallback: Vec<Service>,
            /// How many attempts of the step a vendor gets that fails in a way which may go away by itself (time-outs, 429,
            /// 5xx) before the next in `fallback` is asked. Default: 3.
            #[serde(default = "default_fallback_after")]
            #[schemars(extend("x-result" = false))]
            pub(super) fallback_after: u32,
            /// How the transcript is written. `native`: as the vendor answers. `wtf`: in the World Transcription Format, as
            /// analysis `wtf_transcription`; vfun always answers so.
            #[serde(default)]
            pub(super) format: Format,
            /// What becomes of several channels. `separate`: each is transcribed by itself. `mixed`: all together.
            /// `auto`: separate when two or more parties are on them, else mixed and with speakers told apart. Default: `auto`,
            /// but `mixed` in vcon-server's form.
            pub(super) channels: Option<ChannelUse>,
            /// How Deepgram gets the recording. `url`: it fetches it. `bytes`: it is sent. `auto`: by URL where the vCon has an
            /// https one of a public host. The recording is fetched here all the same to be looked at and to find a kept
            /// result; not with `cache: off` (or a `content_hash`), a known duration and `channels` other than `auto`.
            #[serde(default)]
            pub(super) send: Delivery,
            /// A URL that Deepgram sends the result to, in place of an answer: for recordings that take it long. `{token}` in it
            /// stands for the token that the run waits under; without, the token is put at the end of the path. The run
            /// waits outside, without a place, and goes on when the result comes.
            #[schemars(extend("x-result" = false, "x-template" = true))]
            pub(super) callback: Option<String>,
            /// How long a result may take to come to `callback`. Default: `24h`.
            #[serde(default = "default_callback_timeout")]
            #[schemars(extend("x-result" = false))]
            pub(super) callback_timeout: Period,
            /// How long results are kept, so that the same recording with the same options costs nothing: a time, or `off`.
            /// Default: `30d`.
            #[serde(default)]
            #[schemars(extend("x-result" = false))]
            pub(super) cache: Keep,
            /// How many parts of one long recording are transcribed at the same time. Default: 4.
            #[serde(default = "default_parallel")]
            #[schemars(extend("x-result" = false))]
            pub(super) parallel: usize,
            $($(#[$meta])* pub(super) $field: $type,)*
        }

        /// A vendor with its options.
        #[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
        #[serde(default)]
        pub(super) struct Service {
            /// Who transcribes, in an entry of `fallback`.
            #[serde(skip_serializing)]
            pub(super) vendor: Option<VendorName>,
            $($(#[$meta])* #[serde(skip_serializing_if = "Option::is_none")] pub(super) $field: $type,)*
        }

        impl Options {
            /// The first vendor's options.
            pub(super) fn service(&self) -> Service {
                let beside = Service { vendor: Some(self.vendor), $($field: self.$field.clone(),)* };
                match self.vendor_options.clone().or_else(|| self.transcribe_options.clone()) {
                    Some(over) => Service { vendor: Some(self.vendor), $($field: over.$field.or(beside.$field),)* },
                    None => beside,
                }
            }
        }
    };
}

vendor_options! {
    /// The vendor's key, or a list of keys that share the load. `DEEPGRAM_KEY`, `OPENAI_API_KEY`, `API_KEY` and `api-key` are
    /// vcon-server's names for it. Groq's is read from the environment variable `GROQ_API_KEY` when it is left out.
    #[serde(alias = "DEEPGRAM_KEY", alias = "OPENAI_API_KEY", alias = "openai_api_key", alias = "API_KEY", alias = "api-key",
        skip_serializing)]
    #[schemars(extend("x-alias" = ["DEEPGRAM_KEY", "OPENAI_API_KEY", "openai_api_key", "API_KEY", "api-key"], "x-result" = false))]
    api_key: Option<OneOrMore>,
    /// Where the vendor's interface is, when it is not its public one: a server of one's own, a gateway. Of Hugging Face and vfun
    /// it is the whole URL that is called (`API_URL` and `vfun-server-url` in vcon-server).
    #[serde(alias = "API_URL", alias = "vfun-server-url", alias = "vfun_server_url", skip_serializing)]
    #[schemars(extend("x-alias" = ["API_URL", "vfun-server-url"]))]
    base_url: Option<String>,
    /// The model; of Azure the name of the deployment. Default: `nova-3` (Deepgram), `gpt-4o-transcribe` (OpenAI, Azure, LiteLLM),
    /// `whisper-large-v3-turbo` (Groq). In vcon-server's form Deepgram's model stands in `api`.
    model: Option<String>,
    /// The language that is spoken, for example `en`. Default: the vendor finds out, or takes its own default.
    language: Option<String>,
    /// Names and words that are likely, or the text before, for OpenAI and what is like it.
    prompt: Option<String>,
    /// Further parameters of the vendor's request under the vendor's names, for example `{smart_format: true, keyterm: [Acme]}`.
    api: Option<Map<String, Value>>,
    /// Whether the vendor is asked to tell the speakers apart, where channels are not separate. Default: `true` where the vendor
    /// can (Deepgram, vfun, and OpenAI's diarising models always do), but `false` in vcon-server's form.
    diarize: Option<bool>,
    /// Of what Whisper models say the times: `word`, `segment` or `none`. Default: `word`, but `none` in vcon-server's form.
    timestamps: Option<Timestamps>,
    /// Shorter recordings are passed over; in seconds. Default: 0; in vcon-server's form as there.
    #[serde(serialize_with = "as_written")]
    minimum_duration: Option<f64>,
    /// Transcripts that the vendor is less sure of are not written; from 0 to 1. Default: 0; 0.5 for Deepgram in vcon-server's
    /// form.
    #[serde(serialize_with = "as_written")]
    minimum_confidence: Option<f64>,
    /// The longest part of a recording that OpenAI and what is like it get, in seconds. Default: 480.
    #[serde(serialize_with = "as_written")]
    max_chunk_duration: Option<f64>,
    /// Whether recordings are cut where it is silent. Default: `true`.
    use_silence_chunking: Option<bool>,
    /// What is not louder counts as silence, in decibels relative to full scale. Default: -40.
    #[serde(serialize_with = "as_written")]
    silence_thresh: Option<f64>,
    /// How long it must be silent for a cut, in milliseconds. Default: 2000.
    #[serde(serialize_with = "as_written")]
    silence_len: Option<f64>,
    /// The limit for one call of the vendor. Default: `10m`. `vfun-timeout` is vcon-server's name for it.
    #[serde(alias = "vfun-timeout", alias = "vfun_timeout", skip_serializing)]
    #[schemars(extend("x-alias" = ["vfun-timeout"], "x-result" = false))]
    timeout: Option<Period>,
    /// The limit for fetching a recording, in place of the configuration's `media: timeout`.
    #[serde(rename = "url-timeout", alias = "url_timeout", skip_serializing)]
    #[schemars(extend("x-result" = false))]
    url_timeout: Option<Period>,
    /// What the vendor lets each key do, shared by all conductors on one store.
    #[serde(skip_serializing)]
    #[schemars(extend("x-result" = false))]
    limits: Option<Limits>,
    /// A LiteLLM proxy to go through, with `LITELLM_MASTER_KEY`.
    #[serde(rename = "LITELLM_PROXY_URL", skip_serializing)]
    litellm_proxy_url: Option<String>,
    /// The key of the LiteLLM proxy.
    #[serde(rename = "LITELLM_MASTER_KEY", skip_serializing)]
    litellm_master_key: Option<Secret>,
    /// The endpoint of Azure OpenAI, with `AZURE_OPENAI_API_KEY`.
    #[serde(rename = "AZURE_OPENAI_ENDPOINT", skip_serializing)]
    azure_openai_endpoint: Option<String>,
    /// The key of Azure OpenAI.
    #[serde(rename = "AZURE_OPENAI_API_KEY", skip_serializing)]
    azure_openai_api_key: Option<Secret>,
    /// The version of Azure's interface. Default: `2024-10-21`.
    #[serde(rename = "AZURE_OPENAI_API_VERSION")]
    azure_openai_api_version: Option<String>,
    /// OpenAI's organization, when the key belongs to several.
    #[serde(alias = "organization_key", skip_serializing)]
    #[schemars(extend("x-alias" = ["organization_key"], "x-result" = false))]
    organization: Option<String>,
    /// OpenAI's project.
    #[serde(alias = "project_key", skip_serializing)]
    #[schemars(extend("x-alias" = ["project_key"], "x-result" = false))]
    project: Option<String>,
    /// Accepted and not used, as in vcon-server: a recording is sent with the media type that it has.
    #[serde(rename = "Content-Type")]
    #[schemars(extend("x-result" = false))]
    content_type: Option<String>,
    /// Where vcon-server's usage report is sent after each paid dialog.
    #[serde(skip_serializing)]
    #[schemars(extend("x-result" = false))]
    send_ai_usage_data_to_url: Option<String>,
    /// The token of the usage report.
    #[serde(skip_serializing)]
    #[schemars(extend("x-result" = false))]
    ai_usage_api_token: Option<Secret>,
}

impl Options {
    /// Whether the options are written as vcon-server has them, and mean what they mean there.
    pub(super) fn is_contract_form(&self) -> bool {
        self.vendor_options.is_some() || self.transcribe_options.is_some()
    }
}

/// A whole number without a point, as people write it.
#[expect(clippy::ref_option, reason = "the form that serde asks for")]
fn as_written<S: Serializer>(number: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => to.serialize_i64(*number as i64),
        number => number.serialize(to),
    }
}

fn default_fallback_after() -> u32 {
    3
}

fn default_callback_timeout() -> Period {
    Period(Duration::from_secs(24 * 3600))
}

fn default_parallel() -> usize {
    4
}
