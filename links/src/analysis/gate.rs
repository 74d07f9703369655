//! Whether a link works on a vCon at all: `only_if` and `sampling_rate` (contract 2.0).

use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use vconductor_core::config::Mode;
use vconductor_core::document::{Document, Kind, View};
use vconductor_core::plugin::LinkContext;
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result};

/// A condition on what the vCon holds already.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OnlyIf {
    /// Where to look.
    section: Section,
    /// The `type` of an analysis; the `purpose` or `type` of an attachment.
    #[serde(rename = "type", alias = "purpose")]
    #[schemars(extend("x-alias" = ["purpose"]))]
    id: String,
    /// With `tags`: a whole tag such as `team:sales`. Otherwise: a text that stands in the body.
    includes: String,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Section {
    Attachments,
    Analysis,
}

impl OnlyIf {
    fn holds(&self, vcon: &Vcon) -> bool {
        match self.section {
            Section::Attachments => vcon.attachments().any(|attachment| {
                let entry = attachment.entry();
                let is_meant = |name| entry.text(name).is_some_and(|text| text == self.id);
                (is_meant("purpose") || is_meant("type")) && entry.get("body").is_some_and(|body| self.is_in(body))
            }),
            Section::Analysis => vcon.analyses().any(|analysis| {
                let is_meant = analysis.kind().is_some_and(|kind| kind == self.id);
                is_meant && analysis.entry().get("body").is_some_and(|body| self.is_in(body))
            }),
        }
    }

    fn is_in(&self, body: View<'_>) -> bool {
        if self.id != "tags" {
            return body.as_str().unwrap_or_else(|| body.text()).contains(&self.includes);
        }
        let inner = body.as_str().and_then(|text| Document::parse(text.into_owned()).ok());
        let list = inner.as_ref().map_or(body, Document::root);
        match list.kind() {
            Kind::Object => list
                .members()
                .any(|(name, value)| value.as_str().is_some_and(|value| format!("{name}:{value}") == self.includes)),
            _ => list.elements().any(|element| element.as_str().is_some_and(|tag| tag == self.includes)),
        }
    }
}

/// `sampling_rate`: which part of the vCons the link works on.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(crate) struct SamplingRate(f64);

impl Default for SamplingRate {
    fn default() -> Self {
        SamplingRate(1.0)
    }
}

/// Decides whether a link works on a vCon.
#[derive(Debug)]
pub(crate) struct Gate {
    only_if: Option<OnlyIf>,
    rate: f64,
}

impl Gate {
    pub(crate) fn new(only_if: Option<OnlyIf>, SamplingRate(rate): SamplingRate) -> Result<Self> {
        if !(0.0..=1.0).contains(&rate) {
            return Err(Error::configuration(format!("option `sampling_rate`: {rate} is no part of all vCons"))
                .help("write a number from 0 (none) to 1 (all)"));
        }
        Ok(Gate { only_if, rate })
    }

    /// vcon-server takes a rate of 0 for none set.
    pub(crate) fn for_mode(mut self, mode: &Mode) -> Self {
        if !mode.is_native() && self.rate == 0.0 {
            self.rate = 1.0;
        }
        self
    }

    /// Whether there are vCons that it does not let through.
    pub(crate) fn is_partial(&self) -> bool {
        self.only_if.is_some() || self.rate < 1.0
    }

    /// Whether the link works on this vCon; the trace says why not. The draw is made of the vCon's uuid and the link's
    /// name, so that every attempt and every run decides alike.
    pub(crate) fn is_open(&self, vcon: &Vcon, context: &LinkContext<'_>) -> bool {
        if self.only_if.as_ref().is_some_and(|condition| !condition.holds(vcon)) {
            context.note("`only_if` does not hold: nothing was done");
            return false;
        }
        if draw(&context.step.uuid, &context.step.key.link) >= self.rate {
            context.note("sampled out: nothing was done");
            return false;
        }
        true
    }
}

/// A number from 0 up to, not including, 1.
fn draw(uuid: &str, link: &str) -> f64 {
    let hash = Sha256::digest(format!("{uuid} {link}"));
    // 53 bits are what a double holds exactly.
    let bits = hash.iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte)) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn holds(condition: Value, vcon: &Value) -> bool {
        let condition: OnlyIf = serde_json::from_value(condition).unwrap();
        condition.holds(&Vcon::read(vcon.to_string()).unwrap())
    }

    /// The cases of contract 2.0, with bodies in every form that is in use.
    #[test]
    fn conditions_are_those_of_vcon_server() {
        let vcon = |attachments: Value, analysis: Value| json!({"uuid": "u", "attachments": attachments, "analysis": analysis});
        let tags = json!({"section": "attachments", "type": "tags", "includes": "team:sales"});
        for (attachment, expected) in [
            (json!({"type": "tags", "body": "[\"team:sales\"]", "encoding": "json"}), true),
            (json!({"purpose": "tags", "body": ["a:b", "team:sales"]}), true),
            (json!({"purpose": "tags", "body": {"team": "sales"}}), true),
            (json!({"purpose": "tags", "type": "x", "body": ["team:sales"]}), true),
            (json!({"purpose": "x", "type": "tags", "body": ["team:sales"]}), true),
            (json!({"purpose": "tags", "body": ["team:sales north"]}), false),
            (json!({"purpose": "tags", "body": "team:sales"}), false),
            (json!({"purpose": "tags"}), false),
            (json!({"purpose": "notes", "body": ["team:sales"]}), false),
            (json!(5), false),
        ] {
            assert_eq!(holds(tags.clone(), &vcon(json!([attachment]), json!([]))), expected, "{attachment}");
        }
        let note = json!({"section": "attachments", "purpose": "note", "includes": "urgent"});
        assert!(holds(note.clone(), &vcon(json!([{"purpose": "note", "body": "an urgent call"}]), json!([]))));
        assert!(!holds(note, &vcon(json!([{"purpose": "note", "body": "a call"}]), json!([]))));
        let summary = json!({"section": "analysis", "type": "summary", "includes": "refund"});
        for (body, expected) in [(json!("a refund"), true), (json!({"topic": "refund"}), true), (json!(null), false)] {
            let analysis = json!([{"type": "summary", "body": body}]);
            assert_eq!(holds(summary.clone(), &vcon(json!([]), analysis)), expected, "{body}");
        }
        assert!(!holds(summary, &vcon(json!([]), json!([{"type": "transcript", "body": "a refund"}]))));
    }

    #[test]
    fn the_rate_is_the_part_that_passes() {
        let passing = (0..4000).filter(|number| draw(&format!("uuid-{number}"), "analyze") < 0.3).count();
        // Five standard deviations.
        assert!((passing as f64 - 1200.0).abs() < 145.0, "{passing}");
        assert_ne!(draw("u", "a"), draw("u", "b"), "links draw apart");
        for rate in [-0.1, 1.1, f64::NAN] {
            assert!(Gate::new(None, SamplingRate(rate)).is_err(), "{rate}");
        }
        let none = Gate::new(None, SamplingRate(0.0)).unwrap();
        assert_eq!(none.for_mode(&Mode::Compatible).rate, 1.0, "vcon-server takes 0 for 1");
    }
}
