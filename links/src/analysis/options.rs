//! The options that every link with a language model has.

/// Declares an options struct with the link's own fields and those of the model. The struct has the methods `access`,
/// `settings`, `gate`; own fields say their default in an attribute of serde, or are required.
///
/// A macro, and no struct of its own that is flattened into the link's: an option that nobody knows would then not be
/// told from one of the other half.
macro_rules! model_options {
    (
        $(#[$meta:meta])*
        struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
        struct $name {
            $($(#[$field_meta])* $field: $type,)*
            /// Whose model it is. `azure` calls the deployment that `model` names; `openai_compatible` any server that speaks
            /// OpenAI's chat completions (vLLM, llama.cpp). Without it the first of `LITELLM_PROXY_URL`,
            /// `AZURE_OPENAI_ENDPOINT` and an OpenAI key that is set decides, as in vcon-server; with only a `base_url`
            /// it is `openai_compatible`.
            #[serde(default)]
            provider: Option<vconductor_core::language::Vendor>,
            /// Where the provider is, when not at its usual place: what its documentation puts before `/chat/completions` or
            /// `/messages`, for example `http://localhost:8000/v1`.
            #[serde(default)]
            base_url: Option<String>,
            /// The provider's key, or several that share the load.
            #[serde(default)]
            #[schemars(extend("x-result" = false))]
            api_key: vconductor_core::provider::OneOrMore,
            /// The key of OpenAI, as vcon-server calls it. It goes before `api_key`.
            #[serde(default, rename = "OPENAI_API_KEY")]
            openai_api_key_upper: vconductor_core::secret::Secret,
            /// The same.
            #[serde(default)]
            openai_api_key: vconductor_core::secret::Secret,
            /// The URL of a LiteLLM proxy; with `LITELLM_MASTER_KEY`.
            #[serde(default, rename = "LITELLM_PROXY_URL")]
            litellm_proxy_url: Option<String>,
            /// The key of a LiteLLM proxy.
            #[serde(default, rename = "LITELLM_MASTER_KEY")]
            litellm_master_key: vconductor_core::secret::Secret,
            /// The URL of an Azure resource; with `AZURE_OPENAI_API_KEY`.
            #[serde(default, rename = "AZURE_OPENAI_ENDPOINT")]
            azure_openai_endpoint: Option<String>,
            /// The key of an Azure resource.
            #[serde(default, rename = "AZURE_OPENAI_API_KEY")]
            azure_openai_api_key: vconductor_core::secret::Secret,
            /// The version of Azure's interface. Default: 2024-10-21.
            #[serde(default, rename = "AZURE_OPENAI_API_VERSION")]
            azure_openai_api_version: Option<String>,
            /// The organization at OpenAI that pays.
            #[serde(default, alias = "organization_key")]
            #[schemars(extend("x-result" = false, "x-alias" = ["organization_key"]))]
            organization: Option<String>,
            /// The project at OpenAI that pays.
            #[serde(default, alias = "project_key")]
            #[schemars(extend("x-result" = false, "x-alias" = ["project_key"]))]
            project: Option<String>,
            /// Works only on vCons that hold something: `{section: attachments, type: tags, includes: "team:sales"}`.
            #[serde(default)]
            only_if: Option<crate::analysis::OnlyIf>,
            /// The part of the vCons that is worked on, from 0 to 1, chosen by uuid and link so that every attempt decides
            /// alike. vcon-server takes 0 for all, and so do its files here.
            #[serde(default)]
            sampling_rate: crate::analysis::SamplingRate,
            /// The most tokens that go into one call. A longer text is cut between turns, each piece is worked on alone, and
            /// the answers are merged. Default: what the model takes as far as that is known, at most 100000.
            #[serde(default)]
            max_input_tokens: Option<u32>,
            /// The most tokens of an answer. Default: the provider's; 4096 for Anthropic, which wants to be told.
            #[serde(default)]
            max_output_tokens: Option<u32>,
            /// How long an answer is kept for the same task on the same text, so that processing a vCon again costs
            /// nothing: `30d` (default), `off`. It is deleted with the vCon.
            #[serde(default)]
            #[schemars(extend("x-result" = false))]
            cache: vconductor_core::provider::Keep,
            /// What the provider lets each key do; all conductors on one store share it.
            #[serde(default)]
            #[schemars(extend("x-result" = false))]
            limits: vconductor_core::provider::Limits,
            /// The limit for one call. Default: 120 seconds.
            #[serde(default)]
            #[schemars(extend("x-result" = false))]
            timeout: Option<vconductor_core::config::Period>,
        }

        impl $name {
            fn access(&self) -> vconductor_core::language::Access {
                vconductor_core::language::Access {
                    provider: self.provider,
                    base_url: self.base_url.clone(),
                    api_key: self.api_key.clone(),
                    openai_api_key: self.openai_api_key_upper.clone(),
                    openai_api_key_lower: self.openai_api_key.clone(),
                    litellm_proxy_url: self.litellm_proxy_url.clone(),
                    litellm_master_key: self.litellm_master_key.clone(),
                    azure_endpoint: self.azure_openai_endpoint.clone(),
                    azure_api_key: self.azure_openai_api_key.clone(),
                    azure_api_version: self.azure_openai_api_version.clone(),
                    organization: self.organization.clone(),
                    project: self.project.clone(),
                    limits: self.limits.clone(),
                }
            }

            fn settings(&self) -> vconductor_core::language::Settings {
                let default = vconductor_core::language::Settings::default();
                vconductor_core::language::Settings {
                    timeout: self.timeout.map_or(default.timeout, |limit| limit.0),
                    max_input_tokens: self.max_input_tokens,
                    max_output_tokens: self.max_output_tokens,
                    keep: self.cache,
                    ..default
                }
            }

            fn gate(&self) -> vconductor_core::Result<crate::analysis::Gate> {
                crate::analysis::Gate::new(self.only_if.clone(), self.sampling_rate)
            }
        }
    };
}

pub(crate) use model_options;
