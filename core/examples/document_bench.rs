//! What one edit costs: read a vCon, append an attachment, write it.
//!
//! `cargo run --release -p vconductor-core --example document_bench`
//!
//! Prints nanoseconds per edit, the median of several rounds, for [`Document`] and for `serde_json::Value`, whose rounds
//! alternate. The tag row also looks for an existing tag and stamps the time, as the link `tag` does.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use vconductor_core::document::{Document, Edit, Json};

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(120);

/// One way to make the edit, with its name.
type Way<'a> = (&'static str, Box<dyn Fn() -> usize + 'a>);

fn main() {
    println!("{:<10} {:>9} {:>20} {:>14}", "vCon", "bytes", "way", "ns per edit");
    for (name, vcon) in [("4.7 KB", vcon(3_000)), ("1 MB", vcon(1_048_576))] {
        let attachment = json!({"purpose": "note", "start": "2026-11-20T10:00:00Z", "party": 0, "dialog": 0,
            "mediatype": "text/plain", "encoding": "none", "body": "checked"});
        let text = Json::from(&attachment);
        let tag = Edit::tag("topic", "refund");
        let ways: Vec<Way<'_>> = vec![
            (
                "Document",
                Box::new(|| with_document(&vcon, |document| document.append("/attachments", text.clone()).is_ok())),
            ),
            ("Document, tag", Box::new(|| with_document(&vcon, |document| document.apply(&tag).is_ok()))),
            ("Document, read only", Box::new(|| with_document(&vcon, |_| true))),
            ("serde_json::Value", Box::new(|| with_value(&vcon, &attachment))),
        ];
        let mut rounds = vec![Vec::new(); ways.len()];
        for _ in 0..ROUNDS {
            for ((_, way), times) in ways.iter().zip(&mut rounds) {
                times.push(time(way));
            }
        }
        for ((way, _), mut times) in ways.iter().zip(rounds) {
            times.sort_by(f64::total_cmp);
            println!("{name:<10} {:>9} {way:>20} {:>14.0}", vcon.len(), times[times.len() / 2]);
        }
    }
}

fn with_document(vcon: &Bytes, edit: impl Fn(&mut Document) -> bool) -> usize {
    let mut document = Document::parse(black_box(vcon).clone()).expect("the vCon is valid");
    assert!(edit(&mut document));
    document.to_bytes().len()
}

fn with_value(vcon: &Bytes, attachment: &Value) -> usize {
    let mut value: Value = serde_json::from_slice(black_box(vcon)).expect("the vCon is valid");
    value["attachments"].as_array_mut().expect("attachments is a list").push(attachment.clone());
    serde_json::to_vec(&value).expect("a value can be written").len()
}

/// Nanoseconds per call in one round.
fn time(way: &dyn Fn() -> usize) -> f64 {
    let start = Instant::now();
    let mut calls = 0_u32;
    while start.elapsed() < ROUND {
        for _ in 0..8 {
            black_box(way());
        }
        calls += 8;
    }
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}

/// A call as vcon-server's users post it, with a recording of `body` characters.
fn vcon(body: usize) -> Bytes {
    let words: Vec<_> = (0..12)
        .map(|n| json!({"word": "hello", "start": f64::from(n) * 0.4, "end": f64::from(n) * 0.4 + 0.3, "confidence": 0.98}))
        .collect();
    let vcon = json!({
        "vcon": "0.4.0",
        "uuid": "019f15a6-a752-826f-9dd8-dd37220d739c",
        "created_at": "2026-11-20T10:00:00.000+00:00",
        "subject": "Call about an invoice",
        "parties": [
            {"tel": "+12025550101", "name": "Alice", "role": "customer", "validation": "none"},
            {"tel": "+12025550102", "mailto": "bob@example.com", "name": "Bob", "role": "agent"}
        ],
        "dialog": [{"type": "recording", "start": "2026-11-20T10:00:00Z", "duration": 61.5, "parties": [0, 1],
            "originator": 0, "mediatype": "audio/x-wav", "encoding": "base64url", "body": "QUJD".repeat(body / 4)}],
        "analysis": [{"type": "transcript", "dialog": 0, "vendor": "deepgram", "encoding": "json",
            "body": {"transcript": "Hello, this is Bob.", "confidence": 0.97, "words": words}}],
        "attachments": [{"purpose": "ingress_info", "start": "2026-11-20T10:01:00Z", "party": 0, "dialog": 0,
            "mediatype": "application/json", "encoding": "json", "body": "{\"source\":\"pbx\"}"}]
    });
    vcon.to_string().into()
}
