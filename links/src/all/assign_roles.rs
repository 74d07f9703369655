//! `links.assign_roles`: who is the agent and who the customer.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Value, json};
use vconductor_core::config::Mode;
use vconductor_core::document::Edit;
use vconductor_core::http::HttpClient;
use vconductor_core::language::{Answer, Form, LanguageModel, Task};
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome, Probe};
use vconductor_core::transcript::{self, Turn};
use vconductor_core::vcon::{Party, Vcon};
use vconductor_core::{Error, Result, register_link, wildcard};

use crate::analysis::{Gate, TRANSCRIPTS, analysis_of, model_options};

/// Who writes the analysis when no model was asked.
const VENDOR: &str = "vconductor";

const SYSTEM: &str = "You find out who is who in conversations between a company and its customers.";

const AGENT: &str = "agent";
const CUSTOMER: &str = "customer";
const UNKNOWN: &str = "unknown";

fn analysis_type() -> String {
    "roles".to_owned()
}

fn model() -> String {
    "gpt-4.1-mini".to_owned()
}

model_options! {
    /// Finds out which party is the agent and which the customer, by rules and where those do not tell by a language model.
    ///
    /// A role that a party has already is never changed. `agents` and `customers` are patterns for the telephone number, mail
    /// address or name of a party; where only one of the two lists is given and somebody fits it, everybody else has the
    /// other role. Who is left is shown to the model with the transcripts, which chooses `agent`, `customer` or `unknown` for each; it can
    /// also give a role to a speaker whom nobody could match to a party. The parties' `role` is set, and all that was found
    /// is written as an analysis. Without patterns and without a provider there is nothing to find roles by.
    struct Options {
        /// Who is an agent: `*@example.com`, `+1800*`, `Ann Smith`. `*` stands for any characters; case does not matter.
        #[serde(default)]
        agents: Vec<String>,
        /// Who is a customer.
        #[serde(default)]
        customers: Vec<String>,
        /// The `type` of the analysis that is written; a vCon that has one is passed over.
        #[serde(default = "analysis_type")]
        analysis_type: String,
        /// The model.
        #[serde(default = "model")]
        model: String,
    }
}

struct AssignRoles {
    gate: Gate,
    agents: Vec<String>,
    customers: Vec<String>,
    analysis_type: String,
    model: Option<LanguageModel>,
}

register_link!(AssignRoles);

impl LinkPlugin for AssignRoles {
    const MODULE: &'static str = "links.assign_roles";
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = true;
    const PAID: bool = true;
    const EXAMPLE: &'static str = "\
who_is_who:
  module: links.assign_roles
  options:
    agents: [\"*@support.example.com\", \"+1800*\"]
    model: gpt-4.1-mini
    api_key: ${env:OPENAI_API_KEY}
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        let access = options.access();
        let has_rules = !options.agents.is_empty() || !options.customers.is_empty();
        if !has_rules && !access.is_given() {
            return Err(Error::configuration("neither `agents` nor `customers` nor a language model")
                .help("write patterns such as `agents: [\"*@example.com\"]`, or `api_key: ${env:NAME}` for a model"));
        }
        let model = access.is_given().then(|| LanguageModel::new(&options.model, &access, options.settings()));
        Ok(AssignRoles {
            gate: options.gate()?,
            model: model.transpose()?,
            agents: options.agents.iter().map(|pattern| pattern.to_lowercase()).collect(),
            customers: options.customers.iter().map(|pattern| pattern.to_lowercase()).collect(),
            analysis_type: options.analysis_type,
        })
    }

    fn for_mode(self, mode: &Mode) -> Self {
        AssignRoles { gate: self.gate.for_mode(mode), ..self }
    }
}

/// Somebody whose role is wanted, under the name that the model sees.
type Participants = BTreeMap<String, Place>;

#[derive(Debug, Clone, PartialEq)]
enum Place {
    Party(usize),
    /// A speaker, or a channel, of a transcript whom nobody could match to a party.
    Speaker(String),
}

#[async_trait]
impl Link for AssignRoles {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        let is_done = vcon.analyses().any(|analysis| analysis.kind().is_some_and(|kind| kind == self.analysis_type));
        if is_done || !self.gate.is_open(vcon, context) {
            return Ok(Outcome::Continue);
        }
        let parties: Vec<Party<'_>> = vcon.parties().collect();
        let by_rules = self.by_rules(&parties);
        let mut found: Vec<Value> = Vec::new();
        for (party, role) in parties.iter().zip(&by_rules) {
            if let Some(role) = role {
                set(context, party, role);
                found.push(json!({"party": party.index(), "role": role, "by": "rules"}));
            }
        }
        let undecided = parties.iter().zip(&by_rules).filter(|(party, role)| role.is_none() && !has_role(party));
        let undecided: Vec<&Party<'_>> = undecided.map(|(party, _)| party).collect();
        let mut vendor = VENDOR;
        if let Some(model) = self.model.as_ref().filter(|_| !undecided.is_empty())
            && let Some((text, participants)) = conversation(vcon, &undecided)
        {
            let task = task(&participants)?;
            let work = model.answer(context, "roles", &task, &text);
            let answer: Answer = context.once("roles", Box::pin(work)).await?;
            vendor = model.vendor();
            for (place, role) in chosen(&answer, &participants) {
                let mut entry = json!({"role": role, "by": "model"});
                match place {
                    Place::Party(index) => {
                        if let Some(party) = undecided.iter().find(|party| party.index() == *index) {
                            set(context, party, role);
                        }
                        entry["party"] = (*index).into();
                    }
                    Place::Speaker(name) => entry["speaker"] = name.as_str().into(),
                }
                found.push(entry);
            }
        }
        if found.is_empty() {
            context.note("nobody's role was found");
            return Ok(Outcome::Continue);
        }
        let dialogs: Vec<usize> = vcon.dialogs().map(|dialog| dialog.index()).collect();
        let analysis = analysis_of(&dialogs, &self.analysis_type, vendor).body(json!({"participants": found}));
        context.edit(Edit::AddAnalysis(analysis));
        Ok(Outcome::Continue)
    }

    fn facts(&self) -> Facts {
        // Rules need no words.
        let reads: &[&str] = if self.agents.is_empty() && self.customers.is_empty() { &TRANSCRIPTS } else { &[] };
        Facts { partial: self.gate.is_partial(), ..Facts::analysis(reads.iter().copied(), &self.analysis_type) }
    }

    async fn probe(&self, http: &HttpClient) -> Vec<Probe> {
        match &self.model {
            Some(model) => model.probe(http).await,
            None => Vec::new(),
        }
    }
}

impl AssignRoles {
    /// A role for each party that the rules give one, in the parties' order.
    fn by_rules(&self, parties: &[Party<'_>]) -> Vec<Option<&'static str>> {
        let fits = |party: &Party<'_>, patterns: &[String]| {
            let texts = [party.tel(), party.mailto(), party.name()];
            texts.into_iter().flatten().any(|text| {
                let text = text.trim().to_lowercase();
                let bare = text.strip_prefix("tel:").or_else(|| text.strip_prefix("mailto:")).unwrap_or(&text);
                patterns.iter().any(|pattern| wildcard::matches(pattern, bare))
            })
        };
        let mut roles: Vec<Option<&'static str>> = parties
            .iter()
            .map(|party| match (fits(party, &self.agents), fits(party, &self.customers)) {
                (true, false) => Some(AGENT),
                (false, true) => Some(CUSTOMER),
                // Both lists claim it: they decide nothing.
                _ => None,
            })
            .collect();
        let rest = match (self.agents.is_empty(), self.customers.is_empty()) {
            (false, true) => Some(CUSTOMER),
            (true, false) => Some(AGENT),
            _ => None,
        };
        if rest.is_some() && roles.iter().any(Option::is_some) {
            roles.iter_mut().for_each(|role| *role = role.or(rest));
        }
        for (party, role) in parties.iter().zip(&mut roles) {
            if has_role(party) {
                *role = None;
            }
        }
        roles
    }
}

fn has_role(party: &Party<'_>) -> bool {
    party.role().is_some_and(|role| !role.trim().is_empty())
}

fn set(context: &LinkContext<'_>, party: &Party<'_>, role: &str) {
    context.edit(Edit::set(format!("/parties/{}/role", party.index()), Value::from(role)));
}

/// What the model sees, and whom it may give roles to; `None` without any transcript.
fn conversation(vcon: &Vcon, undecided: &[&Party<'_>]) -> Option<(String, Participants)> {
    let mut participants = Participants::new();
    let mut text = String::new();
    for party in undecided {
        let name = format!("party {}", party.index());
        let known = [("name", party.name()), ("tel", party.tel()), ("mail", party.mailto())];
        let known: Vec<String> =
            known.into_iter().filter_map(|(what, text)| Some(format!("{what} {}", one_line(&text?)))).collect();
        text.push_str(&format!(
            "{name}: {}\n",
            if known.is_empty() { "nothing is known".into() } else { known.join(", ") }
        ));
        participants.insert(name, Place::Party(party.index()));
    }
    let found = transcript::find(vcon);
    let said = found.iter().any(|found| !found.transcript.text.trim().is_empty());
    for found in &found {
        text.push('\n');
        if found.transcript.turns.is_empty() {
            text.push_str(&found.transcript.text);
        }
        for turn in &found.transcript.turns {
            let name = match (turn.party, speaker(&found.transcript, turn)) {
                (Some(party), _) => format!("party {party}"),
                (None, Some(speaker)) => {
                    participants.insert(speaker.clone(), Place::Speaker(speaker.clone()));
                    speaker
                }
                (None, None) => "somebody".to_owned(),
            };
            text.push_str(&format!("{name}: {}\n", one_line(&turn.text)));
        }
    }
    said.then_some((text, participants))
}

fn speaker(transcript: &transcript::Transcript, turn: &Turn) -> Option<String> {
    let name = match (&turn.speaker, turn.channel) {
        (Some(speaker), _) => transcript.label(speaker),
        (None, Some(channel)) => format!("Channel {channel}"),
        (None, None) => return None,
    };
    Some(one_line(&name).chars().take(60).collect())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The names and the roles are all that an answer may hold, so that nobody can talk anything else into the vCon.
fn task(participants: &Participants) -> Result<Task> {
    let names: Vec<&String> = participants.keys().collect();
    let schema = json!({
        "type": "object",
        "properties": {"roles": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "participant": {"type": "string", "enum": names},
                    "role": {"type": "string", "enum": [AGENT, CUSTOMER, UNKNOWN]},
                },
                "required": ["participant", "role"],
                "additionalProperties": false,
            },
        }},
        "required": ["roles"],
        "additionalProperties": false,
    });
    Ok(Task {
        system: SYSTEM.to_owned(),
        prompt: "Who in this conversation is an agent, that is, speaks for the company, and who is a customer? Choose \
            `unknown` where the conversation does not tell. Answer with a JSON object whose member `roles` lists each \
            participant with a role."
            .to_owned(),
        form: Form::schema("roles", schema)?,
        temperature: Some(0.0),
        material: "conversation",
        keep_unreadable: false,
    })
}

/// The roles that an answer gives, one for each participant; the first counts.
fn chosen<'a>(answer: &'a Answer, participants: &'a Participants) -> Vec<(&'a Place, &'a str)> {
    let mut chosen: Vec<(&Place, &str)> = Vec::new();
    let roles = answer.value.as_ref().and_then(|value| value["roles"].as_array());
    for entry in roles.into_iter().flatten() {
        let place = entry["participant"].as_str().and_then(|name| participants.get(name));
        let role = entry["role"].as_str().filter(|role| *role != UNKNOWN);
        if let (Some(place), Some(role)) = (place, role)
            && !chosen.iter().any(|(known, _)| *known == place)
        {
            chosen.push((place, role));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link_stage::LinkStage;

    async fn roles(options: Value, parties: Value) -> Value {
        let vcon = Vcon::read(json!({"uuid": "u", "parties": parties}).to_string()).unwrap();
        let link = AssignRoles::new("roles", serde_json::from_value(options).unwrap()).unwrap();
        let ran = LinkStage::new("u").run(&link, &vcon).await;
        assert_eq!(ran.result.as_ref().unwrap(), &Outcome::Continue);
        let applied = ran.applied(&vcon).unwrap();
        applied.parties().map(|party| party.role().map(std::borrow::Cow::into_owned)).collect()
    }

    #[tokio::test]
    async fn rules_decide_by_number_address_and_name() {
        let ann = json!({"mailto": "mailto:Ann@Support.example.com"});
        let toll_free = json!({"tel": "tel:+18005550100"});
        let bob = json!({"name": "Bob Jones", "tel": "+15550100"});
        let chief = json!({"name": "Cy", "role": "supervisor", "mailto": "cy@support.example.com"});
        let agents = json!({"agents": ["*@support.example.com", "+1800*"]});
        for (options, parties, expected) in [
            (&agents, json!([ann, bob]), json!(["agent", "customer"])),
            (&agents, json!([bob, toll_free]), json!(["customer", "agent"])),
            (&agents, json!([bob, bob]), json!([null, null])),
            (&agents, json!([ann, chief]), json!(["agent", "supervisor"])),
            (&json!({"customers": ["bob *"]}), json!([bob, ann]), json!(["customer", "agent"])),
            (
                &json!({"agents": ["ann@*"], "customers": ["bob*"]}),
                json!([ann, bob, toll_free]),
                json!(["agent", "customer", null]),
            ),
            (&json!({"agents": ["*"], "customers": ["*"]}), json!([ann]), json!([null])),
        ] {
            assert_eq!(roles(options.clone(), parties.clone()).await, expected, "{options} {parties}");
        }
    }

    #[test]
    fn without_rules_and_model_there_is_nothing_to_do() {
        let error = AssignRoles::new("roles", serde_json::from_value(json!({})).unwrap()).err().unwrap();
        assert!(error.help_text().unwrap().contains("agents"));
    }
}
