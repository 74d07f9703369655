//! `links.post_analysis_to_slack`: tells people in Slack about a conversation that needs them (contract 2.21).

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use vconductor_core::config::Period;
use vconductor_core::document::Edit;
use vconductor_core::http::{HttpClient, Request, Response, Url};
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome, Probe};
use vconductor_core::provider::{Call, Limits, OneOrMore, Provider};
use vconductor_core::secret::Secret;
use vconductor_core::vcon::{Analysis, Body, Vcon};
use vconductor_core::{Class, Error, Result, register_link};

/// The mark on an analysis that was posted.
const POSTED: &str = "was_posted_to_slack";

/// The longest text of a section block in characters (Slack, Block Kit reference, "Section block").
const LONGEST_TEXT: usize = 3000;

fn slack_url() -> String {
    "https://slack.com/api".to_owned()
}

fn team_attachment() -> String {
    "strolid_dealer".to_owned()
}

fn house_team() -> String {
    "strolid".to_owned()
}

/// Posts to Slack where an analysis says that somebody should look.
///
/// For each analysis of the type in `only_if` whose body contains the text, the summary of the same dialog is posted to the
/// default channel, and before that to the channel `team-<team>-alerts` of the team that an attachment names. What was
/// posted is marked by `was_posted_to_slack` and not posted again; in one run no message is posted twice, also after a
/// crash or a retry.
///
/// When a team's channel does not take the message, the default channel is told so, and the run fails after that. An answer
/// `ok: false` of Slack is a failure; 429 waits as long as Slack says.
#[derive(Deserialize, JsonSchema)]
struct Options {
    /// The bot's token, with the right `chat:write`.
    token: Secret,
    /// The channel that gets every message.
    default_channel_name: String,
    /// Where a person sees the conversation: `{vcon_id}` stands for its uuid; without it `?_vcon_id="<uuid>"` is added.
    /// Without a URL the message has no button.
    #[serde(default)]
    #[schemars(extend("x-result" = false, "x-template" = true))]
    url: String,
    /// Which analyses are posted.
    #[serde(default)]
    only_if: OnlyIf,
    /// Posts further messages of the same vCon into the thread of the first one in the channel.
    #[serde(default)]
    thread: bool,
    /// The `purpose` or `type` of the attachment that names the team: the first word of `team.name` in its body; `name` is
    /// shown beside it.
    #[serde(default = "team_attachment")]
    team_attachment: String,
    /// The team that has no channel of its own: the default channel is its channel.
    #[serde(default = "house_team")]
    house_team: String,
    /// Where Slack's Web API is.
    #[serde(default = "slack_url")]
    #[schemars(extend("x-result" = false))]
    base_url: String,
    /// What Slack lets the token do; all conductors on one store share it. Slack itself takes about one message per
    /// second and channel.
    #[serde(default)]
    #[schemars(extend("x-result" = false))]
    limits: Limits,
    /// The limit for one call. Default: 30 seconds.
    #[serde(default)]
    #[schemars(extend("x-result" = false))]
    timeout: Option<Period>,
    /// Accepted, as vcon-server's files hold it; it is not used there either.
    #[serde(default)]
    #[schemars(extend("x-result" = false))]
    #[expect(dead_code, reason = "known, and without effect")]
    channel_name: Option<Value>,
    /// Accepted, as vcon-server's files hold it; it is not used there either.
    #[serde(default)]
    #[schemars(extend("x-result" = false))]
    #[expect(dead_code, reason = "known, and without effect")]
    analysis_to_post: Option<Value>,
}

/// Which analyses are posted.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default)]
struct OnlyIf {
    /// The `type` of the analysis.
    analysis_type: String,
    /// The text that its body contains.
    includes: String,
}

impl Default for OnlyIf {
    fn default() -> Self {
        OnlyIf { analysis_type: "customer_frustration".to_owned(), includes: "NEEDS REVIEW".to_owned() }
    }
}

struct PostAnalysisToSlack {
    provider: Provider,
    endpoint: Url,
    default_channel: String,
    url: String,
    only_if: OnlyIf,
    thread: bool,
    team_attachment: String,
    house_team: String,
    timeout: Duration,
}

register_link!(PostAnalysisToSlack);

impl LinkPlugin for PostAnalysisToSlack {
    const MODULE: &'static str = "links.post_analysis_to_slack";
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = true;
    const EXAMPLE: &'static str = "\
alert:
  module: links.post_analysis_to_slack
  options:
    token: ${env:SLACK_TOKEN}
    default_channel_name: call-alerts
    url: https://conversations.example.com/{vcon_id}
    only_if: {analysis_type: customer_frustration, includes: NEEDS REVIEW}
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        let endpoint = format!("{}/chat.postMessage", options.base_url.trim_end_matches('/'));
        let endpoint = Url::parse(&endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let endpoint = endpoint.ok_or_else(|| {
            Error::configuration("option `base_url` is not an http or https URL").help("leave it out for Slack itself")
        })?;
        if options.default_channel_name.trim().is_empty() {
            return Err(Error::configuration("option `default_channel_name` is empty").help("write a channel's name"));
        }
        let provider = Provider::new("slack", OneOrMore::One(options.token), options.limits)?;
        if !provider.has_key() {
            return Err(Error::configuration("option `token` is empty")
                .help("write `token: ${env:SLACK_TOKEN}` and set that variable to the bot's token"));
        }
        Ok(PostAnalysisToSlack {
            provider,
            endpoint,
            default_channel: options.default_channel_name,
            url: options.url,
            only_if: options.only_if,
            thread: options.thread,
            team_attachment: options.team_attachment,
            house_team: options.house_team.to_lowercase(),
            timeout: options.timeout.map_or(Duration::from_secs(30), |limit| limit.0),
        })
    }
}

/// A team's channel, and what is shown beside the message there.
struct Team {
    channel: String,
    dealer: Option<String>,
}

/// One message.
struct Message<'a> {
    /// Its name in the ledger.
    part: String,
    channel: &'a str,
    text: &'a str,
    blocks: Value,
    thread: Option<String>,
}

#[async_trait]
impl Link for PostAnalysisToSlack {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        // What went wrong for good; what may go away by itself ends the step at once.
        let mut failures: Vec<Error> = Vec::new();
        // The first message of this vCon in each channel.
        let mut threads: Vec<(String, String)> = Vec::new();
        for analysis in vcon.analyses().filter(|analysis| self.is_meant(analysis)) {
            let before = failures.len();
            self.post_all(vcon, &analysis, context, &mut threads, &mut failures).await?;
            if failures.len() == before {
                context.edit(Edit::set(format!("/analysis/{}/{POSTED}", analysis.index()), Value::Bool(true)));
            }
        }
        failures.into_iter().next().map_or(Ok(Outcome::Continue), Err)
    }

    fn facts(&self) -> Facts {
        Facts { reads: vec![self.only_if.analysis_type.clone()], ..Facts::default() }
    }

    /// Slack says who a token is, and posts nothing.
    async fn probe(&self, http: &HttpClient) -> Vec<Probe> {
        let url = self.endpoint.as_str().replace("/chat.postMessage", "/auth.test");
        let ask = |token: &Secret| Request::post(&url)?.bearer(token)?.timeout(self.timeout).json(&json!({}));
        self.provider.probe(http, ask, whose_token).await
    }
}

impl PostAnalysisToSlack {
    fn is_meant(&self, analysis: &Analysis<'_>) -> bool {
        let entry = analysis.entry();
        analysis.kind().is_some_and(|kind| kind == self.only_if.analysis_type)
            && entry.get(POSTED).and_then(|mark| mark.as_bool()) != Some(true)
            && entry
                .get("body")
                .is_some_and(|body| body.as_str().unwrap_or_else(|| body.text()).contains(&self.only_if.includes))
    }

    /// Posts an analysis to all channels that it is for. What Slack refuses for good is collected; the error that is
    /// returned brings the step back, and only what was not posted is then tried again.
    async fn post_all(
        &self,
        vcon: &Vcon,
        analysis: &Analysis<'_>,
        context: &LinkContext<'_>,
        threads: &mut Vec<(String, String)>,
        failures: &mut Vec<Error>,
    ) -> Result<()> {
        let index = analysis.index();
        let summary = summary(vcon, &analysis.dialogs()).unwrap_or_else(|| "(There is no summary.)".to_owned());
        if let Some(team) = self.team(vcon) {
            let text = match &team.dealer {
                Some(dealer) => format!("{summary} #{dealer}"),
                None => summary.clone(),
            };
            let blocks = self.blocks(&text, &context.step.uuid);
            let part = format!("analysis {index} to the team");
            let message = Message { part, channel: &team.channel, text: &text, blocks, thread: None };
            if let Err(error) = self.post_once(context, message, threads).await? {
                let text = format!("Could not post to #{}: {}", team.channel, error.message());
                let part = format!("analysis {index}, notice of the team's channel");
                let blocks = json!([section(&escaped(&text))]);
                let notice = Message { part, channel: &self.default_channel, text: &text, blocks, thread: None };
                failures.push(error);
                failures.extend(self.post_once(context, notice, threads).await?.err());
            }
        }
        let blocks = self.blocks(&summary, &context.step.uuid);
        let part = format!("analysis {index} to the default channel");
        let message = Message { part, channel: &self.default_channel, text: &summary, blocks, thread: None };
        failures.extend(self.post_once(context, message, threads).await?.err());
        Ok(())
    }

    /// Posts a message unless the ledger says that it was posted. The inner error is final; the outer one is retryable:
    /// of Slack, or because it was posted and that could not be written down.
    async fn post_once(
        &self,
        context: &LinkContext<'_>,
        mut message: Message<'_>,
        threads: &mut Vec<(String, String)>,
    ) -> Result<Result<()>> {
        if context.cancel.is_cancelled() {
            return Err(Error::retryable("stopped before everything was posted"));
        }
        let first = threads.iter().find(|(channel, _)| channel == message.channel);
        message.thread = first.filter(|_| self.thread).map(|(_, thread)| thread.clone());
        match context.once::<String, _>(&message.part, Box::pin(self.post(context, &message))).await {
            Ok(timestamp) => {
                if first.is_none() && !timestamp.is_empty() {
                    threads.push((message.channel.to_owned(), timestamp));
                }
                Ok(Ok(()))
            }
            Err(error) if error.is_retryable() => Err(error),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Calls `chat.postMessage` (Slack Web API) and returns the message's timestamp, which is its id in the channel.
    async fn post(&self, context: &LinkContext<'_>, message: &Message<'_>) -> Result<String> {
        let mut body = json!({"channel": message.channel, "text": message.text, "blocks": message.blocks});
        if let Some(thread) = &message.thread {
            body["thread_ts"] = thread.as_str().into();
        }
        let body = body.to_string();
        let build = |token: &Secret| {
            let request = Request::post(self.endpoint.as_str())?.bearer(token)?.timeout(self.timeout);
            request.body("application/json; charset=utf-8", body.clone())
        };
        let answer = Box::pin(self.provider.call(context, Call::default(), build)).await?;
        let answer: Posted = answer.json()?;
        if answer.ok {
            return Ok(answer.ts.unwrap_or_default());
        }
        let is_default = message.channel == self.default_channel;
        Err(refused(&answer.error.unwrap_or_default(), message.channel, is_default))
    }

    /// The team that the attachment names, unless it is that of the house.
    fn team(&self, vcon: &Vcon) -> Option<Team> {
        let body = vcon.attachments().find_map(|attachment| {
            let entry = attachment.entry();
            let is_meant = |name| entry.text(name).is_some_and(|text| text == self.team_attachment);
            match attachment.body() {
                Ok(Body::Json(body)) if is_meant("purpose") || is_meant("type") => Some(body),
                // vcon-server decodes the text of the body whatever its encoding.
                Ok(Body::Text(text)) if is_meant("purpose") || is_meant("type") => serde_json::from_str(&text).ok(),
                _ => None,
            }
        })?;
        let team = body["team"]["name"].as_str()?.split_whitespace().next()?.to_lowercase();
        // Whoever made the vCon must not choose another channel than a team's.
        let is_name =
            team.len() <= 60 && team.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !is_name || team == self.house_team {
            return None;
        }
        let dealer = body["name"].as_str().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
        Some(Team { channel: format!("team-{team}-alerts"), dealer })
    }

    fn blocks(&self, text: &str, uuid: &str) -> Value {
        let mut last = section("What is to be done?");
        if !self.url.is_empty() {
            let url = if self.url.contains("{vcon_id}") {
                self.url.replace("{vcon_id}", uuid)
            } else {
                format!("{}?_vcon_id=\"{uuid}\"", self.url)
            };
            last["accessory"] = json!({
                "type": "button",
                "text": {"type": "plain_text", "text": "Details"},
                "url": url,
                "action_id": "button-action",
            });
        }
        json!([section("*This conversation needs attention.*"), section(&escaped(text)), last])
    }
}

#[derive(Deserialize)]
struct Posted {
    ok: bool,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    ts: Option<String>,
}

/// What Slack's error words mean (Slack, chat.postMessage, "Errors").
fn refused(word: &str, channel: &str, is_default: bool) -> Error {
    let (class, help) = match word {
        "internal_error"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "ratelimited"
        | "rate_limited"
        | "team_added_to_org" => (Class::Retryable, "it is tried again"),
        "invalid_auth"
        | "not_authed"
        | "account_inactive"
        | "token_revoked"
        | "token_expired"
        | "missing_scope"
        | "no_permission"
        | "not_allowed_token_type"
        | "access_denied"
        | "org_login_required"
        | "ekm_access_denied" => (Class::Configuration, "check `token` and its rights: it needs `chat:write`"),
        "channel_not_found" | "not_in_channel" | "is_archived" | "restricted_action" => {
            let class = if is_default { Class::Configuration } else { Class::Permanent };
            (class, "make the channel and invite the bot into it")
        }
        _ => (Class::Permanent, "Slack's documentation of chat.postMessage lists its errors"),
    };
    let word: String = word.chars().take(80).collect();
    Error::new(class, format!("Slack did not take the message for #{channel}: {word}")).help(help)
}

/// What `auth.test` says of a token; it says no in a 200.
fn whose_token(answer: &Response) -> Result<String> {
    let body: Value = answer.json()?;
    if body["ok"] == true {
        return Ok(format!("accepts the token of {}", body["user"].as_str().unwrap_or("a bot")));
    }
    let word: String = body["error"].as_str().unwrap_or("it says not why").chars().take(80).collect();
    Err(Error::configuration(format!("`token`: Slack refuses it: {word}"))
        .help("take the bot's token (xoxb-...) from the app's page `OAuth & Permissions`"))
}

fn section(text: &str) -> Value {
    let shown = if text.chars().count() > LONGEST_TEXT {
        text.chars().take(LONGEST_TEXT - 1).chain(['…']).collect()
    } else {
        text.to_owned()
    };
    json!({"type": "section", "text": {"type": "mrkdwn", "text": shown}})
}

/// A summary cannot make links, or call everybody with `<!channel>` (Slack, "Escaping text").
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The body of the summary of the same dialog.
fn summary(vcon: &Vcon, dialogs: &[usize]) -> Option<String> {
    let summaries = || vcon.analyses().filter(|analysis| analysis.kind().is_some_and(|kind| kind == "summary"));
    let same = summaries().find(|summary| summary.dialogs() == dialogs);
    let found =
        same.or_else(|| summaries().find(|summary| summary.dialogs().iter().any(|one| dialogs.contains(one))))?;
    let text = match found.body().ok()? {
        Body::Text(text) => text.into_owned(),
        Body::Json(value) => value.to_string(),
        Body::None | Body::Bytes(_) => return None,
    };
    (!text.trim().is_empty()).then_some(text)
}
