//! Real and hostile vCons through the shipped commands: what came in goes out, and bad input costs nobody else anything.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use jsonschema::Validator;
use serde_json::{Value, json};

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conductor_under_test"));
    command.env_remove("REDIS_URL").env_remove("CONSERVER_CONFIG_FILE").stdin(Stdio::null());
    command
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/vcon")
}

/// Files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

struct Room {
    folder: tempfile::TempDir,
}

impl Room {
    fn new() -> Room {
        Room { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn store(&self) -> String {
        format!("embedded:{}", self.path().join("store").display())
    }

    fn ingest(&self, paths: &[PathBuf]) -> Output {
        binary().args(["ingest", "--list", "in", "--store", &self.store()]).args(paths).output().expect("ingest runs")
    }

    /// Runs a chain with these steps until idle; the files are below `files`.
    fn run(&self, links: &str, steps: &str) -> Output {
        let config = self.path().join("chain.yml");
        let files = self.path().join("files");
        let text = format!(
            "links:\n{links}\nstorages:\n  files: {{module: storage.file, options: {{path: \"{}\", organize_by_date: false, max_file_size: 1000000000, fsync: false}}}}\n\
             chains:\n  c: {{ingress_lists: [in], concurrency: 8, links: {steps}, storages: [files]}}\n",
            files.display()
        );
        fs::write(&config, text).expect("a configuration");
        binary().arg("run").arg(&config).args(["--until-idle", "--store", &self.store()]).output().expect("run runs")
    }

    fn stored(&self, uuid: &str) -> Option<Vec<u8>> {
        fs::read(self.path().join(format!("files/{uuid}.json"))).ok()
    }
}

/// Valid unsigned vCons that carry a uuid, one file per uuid.
fn unsigned() -> Vec<(PathBuf, String, Vec<u8>)> {
    let mut uuids = BTreeSet::new();
    files(&fixtures().join("valid"))
        .into_iter()
        .filter_map(|path| {
            let bytes = fs::read(&path).expect("a fixture");
            let value: Value = serde_json::from_slice(&bytes).ok()?;
            let uuid = value.get("uuid")?.as_str()?;
            let uuid = uuid::Uuid::parse_str(uuid).map_or(uuid.to_owned(), |uuid| uuid.to_string());
            let is_signed = value.get("payload").is_some() || value.get("ciphertext").is_some();
            (!is_signed && uuids.insert(uuid.clone())).then_some((path, uuid, bytes))
        })
        .collect()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn untouched_vcons_come_out_byte_for_byte() {
    let (room, vcons) = (Room::new(), unsigned());
    assert!(vcons.len() > 60, "only {} fixtures", vcons.len());
    let paths: Vec<_> = vcons.iter().map(|(path, ..)| path.clone()).collect();
    let taken = room.ingest(&paths);
    assert!(taken.status.success(), "{}", text(&taken));
    let ran = room.run("", "[]");
    assert!(ran.status.success(), "{}", text(&ran));
    for (path, uuid, bytes) in vcons {
        assert!(room.stored(&uuid).as_ref() == Some(&bytes), "{} did not come out as it went in", path.display());
    }
}

#[test]
fn tagged_vcons_differ_by_their_tags_alone_and_by_no_new_schema_error() {
    let (room, vcons) = (Room::new(), unsigned());
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/schemas/vcon-core-04.schema.json");
    let schema: Value = serde_json::from_slice(&fs::read(schema).expect("the schema")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let paths: Vec<_> = vcons.iter().map(|(path, ..)| path.clone()).collect();
    room.ingest(&paths);
    let ran = room.run("  t: {module: links.tag, options: {tags: [checked]}}", "[t]");
    assert!(ran.status.success(), "{}", text(&ran));
    for (path, uuid, bytes) in vcons {
        let before: Value = serde_json::from_slice(&bytes).expect("JSON");
        let after: Value = serde_json::from_slice(&room.stored(&uuid).expect("stored")).expect("JSON");
        assert!(after.to_string().contains("checked"), "{}", path.display());
        assert_eq!(without_tags(before.clone()), without_tags(after.clone()), "{}", path.display());
        let new: Vec<_> = errors(&validator, &after).difference(&errors(&validator, &before)).cloned().collect();
        // Where the vCon has no party or dialog, the tags attachment leaves the index out (checks 77 and 78).
        let has = |name: &str| before.get(name).and_then(Value::as_array).is_some_and(|all| !all.is_empty());
        if has("parties") && has("dialog") {
            assert_eq!(new, Vec::<String>::new(), "{}", path.display());
        }
    }
}

fn errors(validator: &Validator, value: &Value) -> BTreeSet<String> {
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The vCon without its tags attachments; without an empty list that only they made.
fn without_tags(mut vcon: Value) -> Value {
    let is_tags = |one: &Value| one["purpose"] == "tags" || one["type"] == "tags";
    if let Some(attachments) = vcon.get_mut("attachments").and_then(Value::as_array_mut) {
        attachments.retain(|one| !is_tags(one));
        if attachments.is_empty() {
            vcon.as_object_mut().expect("an object").remove("attachments");
        }
    }
    if vcon.get("attachments") == Some(&Value::Null) {
        vcon.as_object_mut().expect("an object").remove("attachments");
    }
    vcon
}

#[test]
fn broken_input_is_named_and_the_rest_goes_on() {
    let room = Room::new();
    let good = unsigned().swap_remove(0);
    let mut paths = files(&fixtures().join("invalid/syntax"));
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json" || ending == "vcon"));
    paths.push(good.0);
    let taken = room.ingest(&paths);
    let told = text(&taken);
    assert_eq!(taken.status.code(), Some(1), "{told}");
    for name in
        ["truncated.json", "trailing_garbage.json", "empty_file.json", "deep_nesting.json", "ietf_simple-vcon.vcon"]
    {
        let line =
            told.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name} is not named in:\n{told}"));
        assert!(line.len() < 600, "too long for a terminal: {line}");
    }
    assert!(!told.contains("utf8_bom.json:"), "a byte order mark is tolerated:\n{told}");
    assert!(room.run("", "[]").status.success());
    assert_eq!(room.stored(&good.1), Some(good.2));
}

const EVERY_PURE_LINK: &str = "  tag: {module: links.tag, options: {tags: [x]}}\n  route: {module: links.tag_router, options: {tag_routes: {x: y}}}\n  \
    jq: {module: links.jq_link, options: {filter: '.uuid != null'}}\n  sample: {module: links.sampler, options: {value: 100}}\n  \
    keep: {module: links.expire_vcon, options: {seconds: 60}}\n  diet: {module: links.diet, options: {remove_analysis: true, remove_system_prompts: true, remove_attachment_types: [text/plain]}}\n";

#[test]
fn hostile_shapes_neither_crash_nor_disturb_the_others() {
    let room = Room::new();
    let wild = room.path().join("wild");
    fs::create_dir(&wild).expect("a folder");
    let mut number = 0;
    let mut write = |members: &str| {
        number += 1;
        let text = format!(
            "{{\"uuid\":\"00000000-0000-8000-8000-{number:012}\",\"created_at\":\"2026-01-02T03:04:05Z\"{members}}}"
        );
        fs::write(wild.join(format!("{number}.json")), text).expect("a file");
    };
    let odd = [
        "null",
        "true",
        "-0",
        "1e999",
        "\"\"",
        "\"\\ud800\"",
        "[]",
        "{}",
        "[null]",
        "[[[]]]",
        "{\"a\":{}}",
        "[{\"body\":[1]}]",
        "123456789012345678901234567890",
    ];
    for member in [
        "parties",
        "dialog",
        "analysis",
        "attachments",
        "created_at",
        "subject",
        "vcon",
        "group",
        "redacted",
        "extensions",
    ] {
        for value in odd {
            write(&format!(",\"{member}\":{value}"));
        }
    }
    for inner in ["type", "body", "encoding", "parties", "start", "duration", "purpose", "dialog", "mediatype"] {
        for value in odd {
            write(&format!(
                ",\"dialog\":[{{\"{inner}\":{value}}}],\"attachments\":[{{\"purpose\":\"tags\",\"{inner}\":{value}}}],\"analysis\":[{{\"{inner}\":{value}}}]"
            ));
        }
    }
    write(&format!(",\"deep\":{}{}", "[".repeat(10_000), "]".repeat(10_000)));
    write(",\"twice\":1,\"twice\":2,\"\\u0000\":\"\\ud800\"");
    let dialogs: Vec<Value> =
        (0..10_000).map(|_| json!({"type": "text", "parties": [0], "body": "hi", "encoding": "none"})).collect();
    write(&format!(",\"parties\":[{{}}],\"dialog\":{}", json!(dialogs)));
    let taken = room.ingest(&[wild]);
    assert!(matches!(taken.status.code(), Some(0 | 1)), "{}", text(&taken));
    let told = text(&taken);
    assert!(told.contains("taken in") && !told.contains("panicked"), "{told}");
    let ran = room.run(EVERY_PURE_LINK, "[tag, route, jq, sample, keep, diet]");
    let told = text(&ran);
    assert!(matches!(ran.status.code(), Some(0 | 1)) && !told.contains("panicked"), "{told}");
    let stored = fs::read_dir(room.path().join("files")).expect("files").count();
    assert!(stored > 150, "only {stored} came through");
}

#[test]
fn a_fifty_megabyte_vcon_is_worked_on_in_bounded_memory() {
    let room = Room::new();
    let uuid = "00000000-0000-8000-8000-000000000050";
    let body = "QUJD".repeat((50 << 20) / 4);
    let large = room.path().join("large.json");
    let text = format!(
        "{{\"uuid\":\"{uuid}\",\"created_at\":\"2026-01-02T03:04:05Z\",\"parties\":[{{}}],\"dialog\":[{{\"type\":\"recording\",\"body\":\"{body}\",\"encoding\":\"base64url\"}}]}}"
    );
    fs::write(&large, &text).expect("a file");
    let taken = room.ingest(&[large]);
    assert!(taken.status.success(), "{}", self::text(&taken));
    room.run("", "[]");
    let config = room.path().join("chain.yml");
    let with_tag = fs::read_to_string(&config)
        .expect("text")
        .replace("links:\n\n", "links:\n  t: {module: links.tag, options: {tags: [x]}}\n")
        .replace("links: []", "links: [t]");
    fs::write(&config, with_tag).expect("a configuration");
    room.ingest(&[room.path().join("large.json")]);
    let mut child = binary()
        .arg("run")
        .arg(&config)
        .args(["--until-idle", "--store", &room.store()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("run runs");
    let mut peak = 0;
    while child.try_wait().expect("a status").is_none() {
        peak = peak.max(high_water(child.id()));
        std::thread::sleep(Duration::from_millis(5));
    }
    let stored = room.stored(uuid).expect("stored");
    assert!(stored.len() > 50 << 20 && stored.windows(3).rev().take(400).any(|part| part == b"x:x"));
    assert!(peak > 0 && peak < 30 + 5 * 50, "{peak} MiB for one vCon of 50 MiB");
}

/// Peak resident memory of a process in MiB.
fn high_water(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) / 1024
}
