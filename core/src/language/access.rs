//! Which provider is called, where, and with which keys: found from options that may be vcon-server's or ours.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Interface;
use super::capability::vendor_of;
use crate::error::{Error, Result};
use crate::http::{Request, Url};
use crate::provider::{Limits, OneOrMore, Provider};
use crate::secret::Secret;

/// A provider of language models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Vendor {
    /// OpenAI.
    #[serde(rename = "openai")]
    OpenAi,
    /// OpenAI's models at Azure; the model is the name of a deployment.
    Azure,
    /// Anthropic.
    Anthropic,
    /// Groq.
    Groq,
    /// A LiteLLM proxy.
    #[serde(rename = "litellm")]
    LiteLlm,
    /// Ollama, by default on this machine.
    Ollama,
    /// Any server that speaks OpenAI's chat completions: vLLM, llama.cpp, LM Studio.
    #[serde(rename = "openai_compatible")]
    Compatible,
}

impl Vendor {
    /// The name in options, prices and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Vendor::OpenAi => "openai",
            Vendor::Azure => "azure",
            Vendor::Anthropic => "anthropic",
            Vendor::Groq => "groq",
            Vendor::LiteLlm => "litellm",
            Vendor::Ollama => "ollama",
            Vendor::Compatible => "openai_compatible",
        }
    }

    /// Where it is, when nothing else is said.
    fn base_url(self) -> Option<&'static str> {
        match self {
            Vendor::OpenAi => Some("https://api.openai.com/v1"),
            Vendor::Anthropic => Some("https://api.anthropic.com/v1"),
            Vendor::Groq => Some("https://api.groq.com/openai/v1"),
            Vendor::Ollama => Some("http://localhost:11434/v1"),
            Vendor::Azure | Vendor::LiteLlm | Vendor::Compatible => None,
        }
    }

    /// Whether it can be called without a key.
    fn works_without_key(self) -> bool {
        matches!(self, Vendor::Ollama | Vendor::Compatible)
    }
}

/// What options say about the provider. Fields are named as the options are; vcon-server's stand in capitals there.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// `provider`, ours.
    pub provider: Option<Vendor>,
    /// `base_url`, ours.
    pub base_url: Option<String>,
    /// `api_key`.
    pub api_key: OneOrMore,
    /// `OPENAI_API_KEY`.
    pub openai_api_key: Secret,
    /// `openai_api_key`.
    pub openai_api_key_lower: Secret,
    /// `LITELLM_PROXY_URL`.
    pub litellm_proxy_url: Option<String>,
    /// `LITELLM_MASTER_KEY`.
    pub litellm_master_key: Secret,
    /// `AZURE_OPENAI_ENDPOINT`.
    pub azure_endpoint: Option<String>,
    /// `AZURE_OPENAI_API_KEY`.
    pub azure_api_key: Secret,
    /// `AZURE_OPENAI_API_VERSION`.
    pub azure_api_version: Option<String>,
    /// `organization` or `organization_key`.
    pub organization: Option<String>,
    /// `project` or `project_key`.
    pub project: Option<String>,
    /// `limits`.
    pub limits: Limits,
}

/// The provider that was found.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) vendor: Vendor,
    /// The vendor as the contract's "vendor label" names it.
    pub(super) label: String,
    /// Whether our own options chose it.
    pub(super) is_own: bool,
    pub(super) provider: Provider,
    base: Url,
    azure_api_version: String,
    organization: Option<String>,
    project: Option<String>,
}

/// The version of Azure's interface that vcon-server asks for.
const AZURE_API_VERSION: &str = "2024-10-21";

fn filled(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

impl Access {
    /// Whether anything says how a provider is reached.
    pub fn is_given(&self) -> bool {
        self.provider.is_some() || filled(self.base_url.as_ref()).is_some() || self.contract().is_some()
    }

    /// The provider by vcon-server's options and order: LiteLLM, Azure, OpenAI (contract 2.0).
    fn contract(&self) -> Option<(Vendor, Option<&str>, OneOrMore)> {
        if let Some(url) = filled(self.litellm_proxy_url.as_ref()).filter(|_| !self.litellm_master_key.is_empty()) {
            return Some((Vendor::LiteLlm, Some(url), OneOrMore::One(self.litellm_master_key.clone())));
        }
        if let Some(url) = filled(self.azure_endpoint.as_ref()).filter(|_| !self.azure_api_key.is_empty()) {
            return Some((Vendor::Azure, Some(url), OneOrMore::One(self.azure_api_key.clone())));
        }
        let keys = self.openai_keys();
        (!keys.clone().into_keys().is_empty()).then_some((Vendor::OpenAi, None, keys))
    }

    /// The first of `OPENAI_API_KEY`, `openai_api_key` and `api_key`.
    fn openai_keys(&self) -> OneOrMore {
        let single = [&self.openai_api_key, &self.openai_api_key_lower].into_iter().find(|key| !key.is_empty());
        single.map_or_else(|| self.api_key.clone(), |key| OneOrMore::One(key.clone()))
    }

    /// The keys for a provider that our own options name: `api_key`, else what vcon-server's options hold for it.
    fn own_keys(&self, vendor: Vendor) -> OneOrMore {
        if !self.api_key.clone().into_keys().is_empty() {
            return self.api_key.clone();
        }
        match vendor {
            Vendor::OpenAi | Vendor::Compatible => self.openai_keys(),
            Vendor::Azure => OneOrMore::One(self.azure_api_key.clone()),
            Vendor::LiteLlm => OneOrMore::One(self.litellm_master_key.clone()),
            Vendor::Anthropic | Vendor::Groq | Vendor::Ollama => OneOrMore::default(),
        }
    }

    /// Finds the provider.
    pub(super) fn endpoint(&self, model: &str) -> Result<Endpoint> {
        let own_url = filled(self.base_url.as_ref());
        let is_own = self.provider.is_some() || own_url.is_some();
        let (vendor, url, keys) = if is_own {
            let vendor = self.provider.unwrap_or(Vendor::Compatible);
            let contract_url = match vendor {
                Vendor::Azure => filled(self.azure_endpoint.as_ref()),
                Vendor::LiteLlm => filled(self.litellm_proxy_url.as_ref()),
                _ => None,
            };
            (vendor, own_url.or(contract_url), self.own_keys(vendor))
        } else {
            self.contract().ok_or_else(no_credentials)?
        };
        if keys.clone().into_keys().is_empty() && !vendor.works_without_key() {
            return Err(Error::configuration(format!("no `api_key` for the provider {}", vendor.as_str()))
                .help("write `api_key: ${env:NAME}` and set that variable"));
        }
        let url = url.or(vendor.base_url()).ok_or_else(|| {
            Error::configuration(format!("no `base_url` for the provider {}", vendor.as_str()))
                .help("write `base_url: https://host/path` as the provider's documentation gives it")
        })?;
        let option = if own_url.is_some() { "base_url" } else { contract_url_option(vendor) };
        let base = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let base = base.filter(Url::has_host).ok_or_else(|| {
            Error::configuration(format!("option `{option}` is not an http or https URL"))
                .help("write it like https://host/path")
        })?;
        // Servers of one's own have limits of their own, also when none of them has a key.
        let name = match own_url {
            Some(_) => {
                let port = base.port().map(|port| format!(":{port}")).unwrap_or_default();
                format!("{} at {}{port}", vendor.as_str(), base.host_str().unwrap_or_default())
            }
            None => vendor.as_str().to_owned(),
        };
        let label = match vendor {
            Vendor::LiteLlm | Vendor::Compatible => vendor_of(model).unwrap_or(vendor.as_str()),
            named => named.as_str(),
        };
        Ok(Endpoint {
            vendor,
            label: label.to_owned(),
            is_own,
            provider: Provider::new(name, keys, self.limits.clone())?,
            base,
            azure_api_version: filled(self.azure_api_version.as_ref()).unwrap_or(AZURE_API_VERSION).to_owned(),
            organization: self.organization.clone(),
            project: self.project.clone(),
        })
    }
}

fn contract_url_option(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Azure => "AZURE_OPENAI_ENDPOINT",
        Vendor::LiteLlm => "LITELLM_PROXY_URL",
        _ => "base_url",
    }
}

fn no_credentials() -> Error {
    Error::configuration("no key for a language model")
        .help("write `api_key: ${env:NAME}`, with `provider:` for another one than OpenAI; or a `base_url` of your own")
}

impl Endpoint {
    /// The interface that is called when the link prefers `wanted`.
    pub(super) fn interface(&self, wanted: Interface) -> Interface {
        match self.vendor {
            Vendor::OpenAi | Vendor::Azure | Vendor::LiteLlm => wanted,
            Vendor::Anthropic | Vendor::Groq | Vendor::Ollama | Vendor::Compatible => Interface::Chat,
        }
    }

    /// Where it is, for keys of kept results.
    pub(super) fn place(&self) -> &str {
        self.base.as_str()
    }

    /// The request of one call without its body.
    pub(super) fn request(&self, interface: Interface, model: &str, key: &Secret) -> Result<Request> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            match (self.vendor, interface) {
                (Vendor::Azure, Interface::Chat) => {
                    path.extend(["openai", "deployments", model, "chat", "completions"]);
                }
                (Vendor::Azure, Interface::Responses) => {
                    path.extend(["openai", "responses"]);
                }
                (Vendor::Anthropic, _) => {
                    path.push("messages");
                }
                (_, Interface::Chat) => {
                    path.extend(["chat", "completions"]);
                }
                (_, Interface::Responses) => {
                    path.push("responses");
                }
            }
        }
        self.sealed(Request::post(self.versioned(url).as_str())?, key)
    }

    /// The request for the list of models, which costs nothing.
    pub(super) fn models(&self, key: &Secret) -> Result<Request> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            match self.vendor {
                Vendor::Azure => path.extend(["openai", "models"]),
                _ => path.push("models"),
            };
        }
        if self.vendor == Vendor::Anthropic {
            url.query_pairs_mut().append_pair("limit", "1000");
        }
        self.sealed(Request::get(self.versioned(url).as_str())?, key)
    }

    fn versioned(&self, mut url: Url) -> Url {
        if self.vendor == Vendor::Azure {
            url.query_pairs_mut().append_pair("api-version", &self.azure_api_version);
        }
        url
    }

    /// A request with the key, in the way that the vendor wants it.
    fn sealed(&self, request: Request, key: &Secret) -> Result<Request> {
        match self.vendor {
            Vendor::Azure => request.secret_header("api-key", key),
            Vendor::Anthropic => request.header("anthropic-version", "2023-06-01")?.secret_header("x-api-key", key),
            Vendor::OpenAi | Vendor::LiteLlm => {
                let mut request = request.bearer(key)?;
                for (name, value) in [("OpenAI-Organization", &self.organization), ("OpenAI-Project", &self.project)] {
                    if let Some(value) = filled(value.as_ref()) {
                        request = request.header(name, value)?;
                    }
                }
                Ok(request)
            }
            _ if key.is_empty() => Ok(request),
            Vendor::Groq | Vendor::Ollama | Vendor::Compatible => request.bearer(key),
        }
    }
}
