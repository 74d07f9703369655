//! The reader: any bytes are refused or read. What was read is written back byte for byte, survives edits, migration and
//! every check, and is within the bounds of size.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vconductor_core::document::{Document, Edit, Json, tags};
use vconductor_core::format::{self, Limits};
use vconductor_core::transcript;
use vconductor_core::validate::{Mode, Validator};
use vconductor_core::vcon::Vcon;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { bytes: 1 << 20, inflated: 1 << 22, ..Limits::default() };
    // Both go the same way and differ in what they make of it.
    let mode = if bytes.len() % 2 == 0 { Mode::Tolerant } else { Mode::Strict };
    drop(Validator { mode, limits, ..Validator::default() }.check(bytes.to_vec()));
    drop(format::read(bytes.to_vec(), &limits));
    let Ok(document) = Document::parse(bytes.to_vec()) else {
        return;
    };
    let written = document.to_bytes();
    let again = Document::parse(written.clone()).expect("what was written can be read");
    assert_eq!(again.to_bytes(), written);
    assert!(document == again);
    drop(document.warnings());
    drop(transcript::read(&document.root().to_value(), None));
    let Ok(mut vcon) = Vcon::from_document(document) else {
        return;
    };
    drop((vcon.uuid(), tags(vcon.document())));
    if vcon.apply(&Edit::tag("fuzz", "yes")).is_ok() {
        Document::parse(vcon.to_bytes()).expect("an edited vCon can be read");
    }
    let mut grown = again;
    if grown.append("/attachments", Json::from(&serde_json::json!({"purpose": "note"}))).is_ok() {
        Document::parse(grown.to_bytes()).expect("a document that has grown can be read");
    }
});
