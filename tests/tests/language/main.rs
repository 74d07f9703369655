//! Links with a language model, against strict servers of the providers.

mod contract;
mod faults;
mod fence;
mod long;
mod providers;
mod secrets;
mod slack;

use std::sync::Arc;

use serde_json::{Value, json};
use vconductor_core::plugin::{Link, Registry};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result};
use vconductor_tests::link_stage::{LinkStage, Ran};
use vconductor_tests::vendors::openai_language::OpenAiLanguage;
use vconductor_tests::vendors::said::Speech;
use vconductor_tests::vendors::{Fault, Vendor};

/// The key that the servers let in.
const KEY: &str = "sk-planted-language-key";

const UUID: &str = "018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10";

/// OpenAI with what it says.
async fn openai() -> (Vendor, Speech) {
    let speech = Speech::new();
    (Vendor::start(OpenAiLanguage::new(&[KEY], &speech)).await, speech)
}

/// Options that reach a server as OpenAI, and more of them.
fn at(vendor: &Vendor, more: Value) -> Value {
    let mut options = json!({"provider": "openai", "base_url": format!("{}/v1", vendor.url), "api_key": KEY});
    if let (Value::Object(options), Value::Object(more)) = (&mut options, more) {
        options.extend(more);
    }
    options
}

fn link(module: &str, options: Value) -> Result<Arc<dyn Link>> {
    let registry = Registry::collect().expect("a registry");
    let entry = registry.links.get(module).unwrap_or_else(|| panic!("{module} is registered"));
    (entry.build)("the_link", options)
}

/// A call with the transcript of vcon-server's deepgram link.
fn call() -> Value {
    let transcript = json!({"transcript": "hello I want a refund", "confidence": 0.9,
        "paragraphs": {"transcript": "\nSpeaker 0: hello\n\nSpeaker 1: I want a refund"}});
    vcon(json!([{"type": "transcript", "dialog": 0, "vendor": "deepgram", "encoding": "json",
        "body": transcript.to_string()}]))
}

/// A vCon with one recording and these analyses.
fn vcon(analysis: Value) -> Value {
    let mut vcon = json!({
        "vcon": "0.4.0", "uuid": UUID, "created_at": "2026-01-01T00:00:00Z",
        "parties": [{"tel": "+15550100", "name": "Ann"}, {"tel": "+15550101"}],
        "dialog": [{"type": "recording", "start": "2026-01-01T00:00:00Z", "parties": [0, 1], "duration": 61.0,
            "mediatype": "audio/wav", "body": "UklGRg", "encoding": "base64url"}],
        "attachments": [],
    });
    vcon["analysis"] = analysis;
    vcon
}

fn read(vcon: &Value) -> Vcon {
    Vcon::read(vcon.to_string()).expect("a vCon")
}

async fn run(stage: &LinkStage, link: &Arc<dyn Link>, vcon: &Value) -> Ran {
    stage.run(link.as_ref(), &read(vcon)).await
}

/// Runs a link that must work on a fresh stage; the vCon after it.
async fn done(link: &Arc<dyn Link>, vcon: &Value) -> Value {
    let ran = run(&LinkStage::new(UUID), link, vcon).await;
    if let Err(error) = &ran.result {
        panic!("{}", error.chain_text());
    }
    let applied = ran.applied(&read(vcon)).expect("edits that can be made");
    serde_json::from_slice(&applied.to_bytes()).expect("JSON")
}

async fn failed(link: &Arc<dyn Link>, vcon: &Value) -> Error {
    run(&LinkStage::new(UUID), link, vcon).await.result.expect_err("a failure")
}

/// The analyses of a type, their JSON bodies decoded.
fn analyses(vcon: &Value, kind: &str) -> Vec<Value> {
    let all = vcon["analysis"].as_array().expect("analyses").iter().filter(|analysis| analysis["type"] == kind);
    all.cloned()
        .map(|mut analysis| {
            if analysis["encoding"] == "json" {
                let text = analysis["body"].as_str().expect("JSON is written as text, as vcon-server writes it");
                analysis["body"] = serde_json::from_str(text).expect("JSON");
            }
            analysis
        })
        .collect()
}

/// The tags as vcon-server reads them.
fn tags(vcon: &Value) -> Vec<String> {
    read(vcon).tags().into_iter().map(|tag| format!("{}:{}", tag.name, tag.value.unwrap_or_default())).collect()
}
