use serde_json::{Value as Json, json};

use super::*;

fn read(text: &str) -> (Option<Json>, Vec<Finding>) {
    let mut findings = Vec::new();
    let node = parse(&Source::new("t.yml", text), &mut findings);
    (node.map(|node| node.to_json()), findings)
}

fn good(text: &str) -> Json {
    let (value, findings) = read(text);
    assert!(findings.is_empty(), "{text:?}: {findings:?}");
    value.unwrap()
}

/// Code and place of the only finding.
fn finding(text: &str) -> (Code, String) {
    let (_, findings) = read(text);
    assert_eq!(findings.len(), 1, "{text:?}: {findings:?}");
    (findings[0].code, findings[0].span.to_string())
}

#[test]
fn empty_files_are_null() {
    for text in ["", "\n", "# only a comment\n", "---\n", "~", "null\n", "\u{feff}"] {
        assert_eq!(good(text), Json::Null, "{text:?}");
    }
}

#[test]
fn merge_keys_work_as_in_pyyaml() {
    let base = "b: &b {x: 1, y: 2}\nc: &c {y: 3, z: 4}\n";
    let cases = [
        ("d: {<<: *b, x: 9}", json!({"x": 9, "y": 2})),
        ("d: {x: 9, <<: *b}", json!({"x": 9, "y": 2})),
        ("d: {<<: [*b, *c]}", json!({"x": 1, "y": 2, "z": 4})),
        ("d: {<<: [*c, *b]}", json!({"x": 1, "y": 3, "z": 4})),
        ("d: {\"<<\": 1}", json!({"<<": 1})),
        ("d: {=: 1}", json!({"=": 1})),
        ("d: {<<: {<<: *b, q: 1}}", json!({"x": 1, "y": 2, "q": 1})),
    ];
    for (text, expected) in cases {
        assert_eq!(good(&format!("{base}{text}\n"))["d"], expected, "{text}");
    }
    assert_eq!(finding("a: {<<: 1}"), (Code::BadMerge, "t.yml:1:5".into()));
    assert_eq!(finding("a: {<<: [{}, 1]}"), (Code::BadMerge, "t.yml:1:5".into()));
}

#[test]
fn the_last_of_two_equal_keys_wins_and_both_are_named() {
    let (value, findings) = read("a: 1\nb: 2\na: 3\n");
    assert_eq!(value.unwrap(), json!({"a": 3, "b": 2}));
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].code, findings[0].is_error()), (Code::DuplicateKey, false));
    assert_eq!(findings[0].span.to_string(), "t.yml:3:1");
    assert_eq!(findings[0].related[0].0.to_string(), "t.yml:1:1");
}

#[test]
fn broken_text_is_reported_where_it_breaks() {
    let cases = [
        ("a: b\n\tc: d\n", Code::Syntax, "t.yml:2:1"),
        ("a:\n  b: 1\n\tc: 2\n", Code::Syntax, "t.yml:3:1"),
        ("a: b: c\n", Code::Syntax, "t.yml:1:5"),
        ("é: @x\n", Code::Syntax, "t.yml:1:4"),
        ("a: *no\n", Code::Syntax, "t.yml:1:4"),
        ("a: &b [*b]\n", Code::Syntax, "t.yml:1:8"),
        ("a: 1\n---\nb: 2\n", Code::SeveralDocuments, "t.yml:2:1"),
        ("a: {{ x }}\n", Code::KeyNotText, "t.yml:1:5"),
        ("a: !foo bar\n", Code::UnknownTag, "t.yml:1:4"),
        ("a: !!python/name:os.system x\n", Code::UnknownTag, "t.yml:1:4"),
        ("a: !!int x\n", Code::UnknownTag, "t.yml:1:4"),
        ("a: !!set {b}\n", Code::UnknownTag, "t.yml:1:4"),
        ("a: =\n", Code::UnknownTag, "t.yml:1:4"),
        ("no: 1\n", Code::KeyNotText, "t.yml:1:1"),
    ];
    for (text, code, place) in cases {
        assert_eq!(finding(text), (code, place.to_owned()), "{text:?}");
    }
}

#[test]
fn bombs_are_refused() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert_eq!(finding(&laughs).0, Code::TooLarge);
    assert_eq!(finding(&"[".repeat(100)).0, Code::TooLarge);
    // Aliases cannot be stacked past the depth limit either.
    let mut deep = format!("a0: &a0 {}x{}\n", "[".repeat(60), "]".repeat(60));
    deep.push_str("b: [[[[[[*a0]]]]]]\n");
    assert_eq!(finding(&deep).0, Code::TooLarge);
    assert_eq!(finding(&"#".repeat(MAX_BYTES + 1)).0, Code::TooLarge);
}

#[test]
fn nodes_know_their_place_their_text_and_how_they_were_written() {
    let text = "é: &a\n  b: 0644\n  c: [x, 'y']\n  d: |\n    block\n  e: 2001-12-14\n";
    let mut findings = Vec::new();
    let root = parse(&Source::new("t.yml", text), &mut findings).unwrap();
    let map = root.get("é").unwrap();
    assert_eq!(map.span.to_string(), "t.yml:2:3");
    let b = map.get("b").unwrap();
    assert_eq!((b.span.to_string(), b.text.as_str(), b.style), ("t.yml:2:6".into(), "0644", Style::Plain));
    assert_eq!(b.to_json(), json!(420));
    let c = map.get("c").unwrap();
    assert_eq!((c.span.to_string(), c.span.text()), ("t.yml:3:6".into(), "[x, 'y']"));
    assert_eq!((c.items()[1].span.text(), c.items()[1].style), ("'y'", Style::Quoted));
    assert_eq!((map.get("d").unwrap().as_str(), map.get("d").unwrap().style), (Some("block\n"), Style::Quoted));
    let e = map.get("e").unwrap();
    assert!(e.timestamp && e.as_str() == Some("2001-12-14"));
}

#[test]
fn an_overlay_replaces_level_by_level() {
    let mut findings = Vec::new();
    let root = parse(
        &Source::new("t.yml", "under: {a: 1, b: {c: 2, d: 3}, e: [1]}\nover: {b: {d: 4}, e: [2], f: ~}\n"),
        &mut findings,
    )
    .unwrap();
    let merged = root.get("under").unwrap().overlaid(root.get("over").unwrap());
    assert_eq!(merged.to_json(), json!({"a": 1, "b": {"c": 2, "d": 4}, "e": [2], "f": null}));
}
#[test]
fn quotes_and_brackets_may_be_indented_as_little_as_pyyaml_allows() {
    let cases = [
        ("tags: [\na,\nb\n]\n", json!({"tags": ["a", "b"]})),
        ("a:\n  b: \"multi\n  line\"\n", json!({"a": {"b": "multi line"}})),
        ("a:\n  b: 'it''s\nmulti\n\nline'\n  c: 1\n", json!({"a": {"b": "it's multi\nline", "c": 1}})),
        ("a: {x: 1,\nb: 2}\n", json!({"a": {"x": 1, "b": 2}})),
        ("a:\n  b: {\n    c: 1\n}\nd: 2\n", json!({"a": {"b": {"c": 1}}, "d": 2})),
    ];
    for (text, expected) in cases {
        assert_eq!(good(text), expected, "{text:?}");
    }
    // Places stay those of the text as it is, and a failed mending leaves the first error.
    assert_eq!(finding("é: {x: 1,\nb: 2, c: !foo 3}\n"), (Code::UnknownTag, "t.yml:2:10".into()));
    assert_eq!(finding("é: \"x\né\"\nb: !foo 3\n"), (Code::UnknownTag, "t.yml:3:4".into()));
    assert_eq!(finding("a: \"x\nb: \"y\"\n"), (Code::Syntax, "t.yml:1:4".into()));
}
