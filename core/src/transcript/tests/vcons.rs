//! Transcripts inside of vCons.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::{Place, find};
use crate::vcon::Vcon;

fn vcon(value: &Value) -> Vcon {
    Vcon::read(value.to_string()).unwrap()
}

#[test]
fn bodies_are_read_natively_and_as_text_from_analyses_and_attachments() {
    let wtf = super::fixture("wtf/wtf_sample.json");
    let vcon = vcon(&json!({"uuid": "x", "parties": [], "analysis": [
        {"type": "transcript", "dialog": 0, "vendor": "openai", "encoding": "json", "body": "{\"text\": \"Hi.\"}"},
        {"type": "wtf_transcription", "dialog": [1], "vendor": "vfun", "encoding": "json", "body": wtf},
        {"type": "summary", "dialog": 0, "vendor": "openai", "encoding": "none", "body": "They talked."},
        {"type": "transcript", "dialog": 0, "vendor": "x", "encoding": "base64url", "body": "!!"}],
        "attachments": [{"purpose": "wtf_transcription", "dialog": 3, "encoding": "json", "body": wtf.to_string()}]}));
    let found = find(&vcon);
    let places: Vec<_> = found.iter().map(|found| (found.place, found.dialogs.clone())).collect();
    assert_eq!(places, [(Place::Analysis(0), vec![0]), (Place::Analysis(1), vec![1]), (Place::Attachment(0), vec![3])]);
    assert_eq!(found[0].transcript.origin.provider.as_deref(), Some("openai"));
    assert_eq!(found[1].transcript, found[2].transcript);
}

#[test]
fn turns_find_their_parties_by_name_role_and_channel() {
    let sentence =
        |channel: usize, text: &str| json!({"media_channel": channel, "transcript": text, "start_time": "1"});
    let vcon = vcon(&json!({"uuid": "x",
        "parties": [{"name": "Sarah Johnson", "role": "customer"}, {"name": "Agent Mike Rivera", "role": "agent"}],
        "dialog": [{"type": "recording", "parties": [1, 0]}, {"type": "recording", "parties": [[0, 1]]}],
        "analysis": [
            {"type": "transcript", "dialog": 0, "body": "Agent Mike Rivera: Hi\n\nSarah: Hello\n\nSarah: Bye"},
            {"type": "transcript", "dialog": 0, "body": [{"speaker": "Customer", "message": "a"}, {"speaker": "Bot", "message": "b"}]},
            {"type": "transcript", "dialog": 0, "body": [sentence(1, "a"), sentence(2, "b")]},
            {"type": "transcript", "dialog": 1, "body": [sentence(1, "a"), sentence(2, "b")]},
            {"type": "transcript", "dialog": 0, "body": [{"parties": 7, "text": "nobody"}, {"parties": 1, "text": "b"}]}]}));
    let parties: Vec<Vec<Option<usize>>> =
        find(&vcon).iter().map(|found| found.transcript.turns.iter().map(|turn| turn.party).collect()).collect();
    assert_eq!(
        parties,
        [
            vec![Some(1), Some(0), Some(0)],
            vec![Some(0), None],
            vec![Some(1), Some(0)],
            vec![None, None],
            vec![None, Some(1)],
        ]
    );
}

/// All transcripts of the vCons that people have published are read: not one body with text is lost.
#[test]
fn every_transcript_of_the_fixtures_is_read() {
    let root = format!("{}/../tests/fixtures/vcon/valid", env!("CARGO_MANIFEST_DIR"));
    let (mut read, mut unread) = (0, Vec::new());
    for path in files(Path::new(&root)) {
        let Ok(vcon) = Vcon::read(std::fs::read(&path).unwrap()) else { continue };
        let found = find(&vcon);
        for analysis in vcon.analyses() {
            let kind = analysis.kind().unwrap_or_default();
            if !(kind.contains("transcript") || kind == "diarized") {
                continue;
            }
            match found.iter().find(|found| found.place == Place::Analysis(analysis.index())) {
                Some(found) if !found.transcript.turns.is_empty() => read += 1,
                _ => unread.push(format!("{} {}", path.file_name().unwrap().display(), analysis.index())),
            }
        }
    }
    // Empty objects, and captions without a cue.
    assert_eq!(unread, ["ab_call_ext_rec_0.0.1.vcon 0", "ab_call_ext_rec_0.0.1.vcon 1", "analysis_kinds.json 0"]);
    assert!(read > 30, "{read}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}
