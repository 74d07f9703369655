//! Properties of the document, with `serde_json` as the oracle.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn parse(text: &str) -> Document {
    Document::parse(text.to_owned()).unwrap()
}

fn written(document: &Document) -> String {
    String::from_utf8(document.to_bytes().to_vec()).unwrap()
}

/// JSON text as people write it: with white space, escapes and odd numbers.
fn any_json() -> impl Strategy<Value = String> {
    let space = || prop::sample::select(vec!["", "", " ", "\n  ", "\t\r"]);
    let number = prop_oneof![
        "-?(0|[1-9][0-9]{0,4})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
    ];
    let string = prop_oneof![
        any_string(),
        "[ -~äöü€😀]{0,40}".prop_map(|text| Value::from(text).to_string()),
        // Long enough for the scanner's blocks.
        "[ -!#-\\[\\]-~ü]{120,320}".prop_map(|text| Value::from(text).to_string()),
        prop::sample::select(vec!["\"\\u0041\\n\\/\"".to_owned(), "\"\\ud83d\\ude00\"".to_owned()]),
    ];
    let leaf = prop_oneof![Just("null".to_owned()), Just("true".to_owned()), Just("false".to_owned()), number, string];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let element = (space(), inner.clone(), space()).prop_map(|(a, value, b)| format!("{a}{value}{b}"));
        let member = (space(), any_string(), space(), inner, space())
            .prop_map(|(a, name, b, value, c)| format!("{a}{name}{b}:{value}{c}"));
        prop_oneof![
            prop::collection::vec(element, 0..6).prop_map(|elements| format!("[{}]", elements.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

fn any_string() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "dialog", "x/y", "~", "", "0", "quote\"", "ü"])
        .prop_map(|text| Value::from(text).to_string())
}

fn any_value() -> impl Strategy<Value = Value> {
    any_json().prop_map(|text| serde_json::from_str(&text).unwrap())
}

/// Pointers to every value in `value`.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| pointers(value, &pointer::child(at, name), all))
        }
        Value::Array(elements) => {
            elements.iter().enumerate().for_each(|(index, value)| pointers(value, &format!("{at}/{index}"), all));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn what_serde_json_reads_is_read_and_kept(text in any_json()) {
        let oracle: Value = serde_json::from_str(&text).unwrap();
        let mut document = parse(&text);
        prop_assert_eq!(written(&document), text);
        prop_assert_eq!(&document.root().to_value(), &oracle);
        prop_assert!(document.warnings().iter().all(|warning| matches!(warning, Warning::DuplicateName(_))));
        // Opening every container keeps the meaning.
        let mut all = Vec::new();
        pointers(&oracle, "", &mut all);
        for pointer in &all {
            let view = document.get(pointer).unwrap();
            prop_assert_eq!(&view.to_value(), oracle.pointer(pointer).unwrap());
            document.append(&format!("{pointer}/new member"), 1).ok();
            document.remove(&format!("{pointer}/new member")).unwrap();
        }
        prop_assert_eq!(document.len(), document.to_bytes().len());
        let again = Document::parse(document.to_bytes()).unwrap();
        prop_assert_eq!(again.root().to_value(), oracle);
    }

    #[test]
    fn broken_text_is_judged_as_serde_json_judges_it(
        text in any_json(),
        cut in any::<prop::sample::Index>(),
        with in prop::sample::select(vec!["", "\"", "\\", ",", "{", "}", "[", "]", ":", "0", "-", ".", "e", "\u{1}", " ", "nul", "ü", "\\u12", "/"]),
        drop in 0..3_usize,
    ) {
        let characters: Vec<char> = text.chars().collect();
        let at = cut.index(characters.len() + 1);
        let broken: String = characters[..at].iter().copied().chain(with.chars())
            .chain(characters.iter().skip(at + drop).copied()).collect();
        let oracle = serde_json::from_str::<&serde_json::value::RawValue>(&broken);
        let ours = Document::parse(broken.clone());
        prop_assert_eq!(ours.is_ok(), oracle.is_ok(), "{:?}: {:?}, {:?}", broken, ours.err(), oracle.err());
    }

    #[test]
    fn bytes_are_never_read_as_something_else(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let oracle = serde_json::from_slice::<&serde_json::value::RawValue>(&bytes);
        prop_assert_eq!(Document::parse(bytes.clone()).is_ok(), oracle.is_ok());
    }

    #[test]
    fn edits_equal_edits_of_a_value(
        value in any_value(),
        steps in prop::collection::vec((any::<prop::sample::Index>(), any_value(), 0..3_u8), 1..8),
    ) {
        let mut value = value;
        let mut document = Document::from_value(&value).unwrap();
        for (which, new, operation) in steps {
            let mut all = Vec::new();
            pointers(&value, "", &mut all);
            let pointer = which.get(&all);
            match operation {
                0 => {
                    *value.pointer_mut(pointer).unwrap() = new.clone();
                    document.set(pointer, &new).unwrap();
                }
                1 => match value.pointer_mut(pointer).unwrap() {
                    Value::Array(elements) => {
                        elements.push(new.clone());
                        document.append(pointer, &new).unwrap();
                    }
                    Value::Object(members) => {
                        members.insert("b".to_owned(), new.clone());
                        document.set(&pointer::child(pointer, "b"), &new).unwrap();
                    }
                    Value::Null => {
                        *value.pointer_mut(pointer).unwrap() = json!([new]);
                        document.append(pointer, &new).unwrap();
                    }
                    _ => prop_assert!(document.append(pointer, &new).unwrap_err().message().contains(pointer)),
                },
                _ => {
                    let Some((parent, last)) = pointer.rsplit_once('/') else { continue };
                    let last = pointer::unescaped(last).unwrap();
                    match value.pointer_mut(parent).unwrap() {
                        Value::Array(elements) => drop(elements.remove(last.parse().unwrap())),
                        Value::Object(members) => drop(members.shift_remove(&*last)),
                        _ => unreachable!(),
                    }
                    prop_assert!(document.remove(pointer).unwrap());
                }
            }
        }
        let read: Value = serde_json::from_slice(&document.to_bytes()).unwrap();
        // serde_json rounds some doubles when it reads what it has written.
        let value: Value = serde_json::from_str(&value.to_string()).unwrap();
        prop_assert_eq!(&read, &value);
        // Not only equal: the members are in the same order.
        prop_assert_eq!(read.to_string(), value.to_string());
        prop_assert_eq!(document.root().to_value(), value);
        prop_assert_eq!(document.len(), document.to_bytes().len());
    }

    #[test]
    fn a_diff_leads_from_one_document_to_the_other(before in any_json(), after in any_json()) {
        let (before, after) = (parse(&before), parse(&after));
        let edits = diff(&before, &after);
        let mut patched = before;
        for edit in &edits {
            prop_assert!(patched.apply(edit).unwrap(), "{:?} changes nothing", edit);
        }
        prop_assert_eq!(patched.root().to_value(), after.root().to_value());
        prop_assert_eq!(diff(&patched, &after), vec![]);
        let sent: Vec<Edit> = serde_json::from_str(&serde_json::to_string(&edits).unwrap()).unwrap();
        prop_assert_eq!(sent, edits);
    }

    #[test]
    fn conflicts_find_what_does_not_commute(
        value in any_value(),
        a in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8), 1..3),
        b in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8), 1..3),
    ) {
        let document = Document::from_value(&value).unwrap();
        let mut all = Vec::new();
        pointers(&value, "", &mut all);
        let branch = |steps: &[(prop::sample::Index, u8)], mark: &str| {
            let mut document = document.clone();
            let edits = steps.iter().map(|(which, operation)| {
                let pointer = which.get(&all).clone();
                match operation {
                    0 => Edit::set(pointer, json!(mark)),
                    1 => Edit::append(pointer, json!(mark)),
                    _ => Edit::remove(pointer),
                }
            });
            // A branch holds only edits that worked on its own copy.
            edits.filter(|edit| document.apply(edit).unwrap_or(false)).collect::<Vec<_>>()
        };
        let (a, b) = (branch(&a, "a"), branch(&b, "b"));
        if conflicts(&a, &b).is_none() {
            let (mut one, mut other) = (document.clone(), document.clone());
            for edit in a.iter().chain(&b) {
                one.apply(edit).unwrap();
            }
            for edit in b.iter().chain(&a) {
                other.apply(edit).unwrap();
            }
            prop_assert_eq!(in_any_order(one.root().to_value()), in_any_order(other.root().to_value()), "{:?} {:?}", a, b);
        }
    }
}

/// Appends of two branches may end up in either order.
fn in_any_order(mut value: Value) -> Value {
    match &mut value {
        Value::Array(elements) => {
            *elements = std::mem::take(elements).into_iter().map(in_any_order).collect();
            elements.sort_by_key(Value::to_string);
        }
        Value::Object(members) => {
            members.values_mut().for_each(|member| *member = in_any_order(member.take()));
            members.sort_keys();
        }
        _ => {}
    }
    value
}

#[test]
fn deep_nesting_is_refused_without_a_stack_overflow() {
    for open in ["[", "{\"a\":"] {
        let error = Document::parse(open.repeat(20_000)).unwrap_err();
        assert!(error.message().contains("deeper than 127"), "{error}");
    }
    let deepest = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    let mut document = parse(&deepest);
    assert!(serde_json::from_str::<Value>(&deepest).is_ok(), "conversions follow to the limit");
    assert!(Document::parse(format!("[{deepest}]")).is_err());
    assert!(serde_json::from_str::<Value>(&format!("[{deepest}]")).is_err(), "the limit is no lower than needed");
    let inner = "/0".repeat(MAX_DEPTH - 1);
    assert!(document.append(&inner, json!([])).unwrap_err().message().contains("deeper"));
    document.append(&inner, json!(1)).unwrap();
    assert!(document.set(&format!("{inner}/0"), json!({})).is_err());
    assert!(Document::parse(document.to_bytes()).is_ok());
}

#[test]
fn untouched_text_is_shared_and_unchanged() {
    let text = Bytes::from_static(b" {\"b\" : 1e3, \"a\":[1.0, -0, \"\\u0041\\/\"]}\n");
    let mut document = Document::parse(text.clone()).unwrap();
    assert_eq!(document.to_bytes().as_ptr(), text.as_ptr());
    assert!(!document.set("/b", Json::parse("1e3").unwrap()).unwrap(), "the same text changes nothing");
    assert!(!document.remove("/c").unwrap() && !document.is_edited());
    assert_eq!(document.to_bytes().as_ptr(), text.as_ptr());
    document.set("/a/1", 7).unwrap();
    assert!(document.is_edited());
    assert_eq!(written(&document), "{\"b\":1e3,\"a\":[1.0,7,\"\\u0041\\/\"]}");
}

#[test]
fn oddities_are_read_and_reported() {
    let mut document = parse(r#"{"a":{"x":1,"x":2},"s":"\ud800!","n":1e999,"n":-1e999,"n":1e999}"#);
    assert_eq!(document.get("/a/x").unwrap().as_i64(), Some(2));
    assert_eq!(document.get("/s").unwrap().as_str().unwrap(), "\u{fffd}!");
    assert_eq!(document.root().to_value(), json!({"a": {"x": 2}, "s": "\u{fffd}!", "n": f64::MAX}));
    assert_eq!(document.get("/s").unwrap().read::<String>().unwrap(), "\u{fffd}!");
    assert_eq!(
        document.warnings(),
        [
            Warning::DuplicateName("/a/x".to_owned()),
            Warning::LoneSurrogate("/s".to_owned()),
            Warning::DuplicateName("/n".to_owned()),
            Warning::DuplicateName("/n".to_owned()),
        ]
    );
    document.remove("/a/x").unwrap();
    assert_eq!(document.get("/a").unwrap().text(), "{}", "an earlier value does not come back");
    document.set("/t", 1).unwrap();
    assert!(written(&document).contains(r#""s":"\ud800!""#));
    assert_eq!(written(&parse("\u{feff}{}")), "{}");
}

#[test]
fn accessors_of_the_wrong_kind_give_nothing() {
    let document = parse(r#"{"text":"7","number":7.5,"list":[1],"nothing":null}"#);
    let at = |pointer| document.get(pointer).unwrap();
    assert_eq!((at("/text").as_i64(), at("/number").as_str(), at("/list").as_bool()), (None, None, None));
    assert_eq!((at("/number").as_i64(), at("/number").as_f64()), (None, Some(7.5)));
    assert!(at("/nothing").is_null() && at("/nothing").get("x").is_none() && at("/text").index(0).is_none());
    assert_eq!((at("").len(), at("/list").len(), at("/text").len()), (4, 1, 0));
    for missing in ["/x", "/list/1", "/list/00", "/list/-", "text", "/~", "/text/0"] {
        assert!(document.get(missing).is_none(), "{missing}");
    }
    let error = at("/list").read::<Vec<String>>().unwrap_err();
    assert_eq!(error.message(), "an array cannot be read as Vec<alloc::string::String>");
}

#[test]
fn errors_of_edits_name_the_pointer() {
    let mut document = parse(r#"{"list":[1],"text":"x"}"#);
    for pointer in ["/a/b", "/list/1", "/list/x", "/text/x", "no slash"] {
        let error = document.set(pointer, 1).unwrap_err();
        assert!(error.message().contains(&format!("`{pointer}`")), "{error}");
    }
    assert!(document.append("/text", 1).unwrap_err().message().contains("`/text`: a string is there"));
    assert!(document.remove("").is_err());
    assert!(!document.is_edited());
}

#[test]
fn an_analysis_is_replaced_by_its_identity() {
    let mut document = parse(r#"{"analysis":[{"type":"summary","dialog":[0],"vendor":"acme","body":"old"}]}"#);
    let edit = |dialog, body: Value| Edit::AddAnalysis(NewAnalysis::new("summary", "acme").dialog(dialog).body(body));
    assert!(document.apply(&edit(0, json!("new"))).unwrap());
    assert!(document.apply(&edit(1, json!({"a": 1}))).unwrap());
    assert!(!document.apply(&edit(1, json!({"a": 1}))).unwrap(), "nothing changes");
    assert_eq!(
        written(&document),
        concat!(
            r#"{"analysis":[{"type":"summary","dialog":0,"vendor":"acme","body":"new","encoding":"none"},"#,
            r#"{"type":"summary","dialog":1,"vendor":"acme","body":"{\"a\":1}","encoding":"json"}]}"#
        )
    );
}

#[test]
fn edits_are_json_lines() {
    let lines = [
        r#"{"op":"add_tag","name":"topic","value":"refund"}"#,
        r#"{"op":"add_tag","name":"a","value":"b","start":"2026-11-20T10:00:00Z"}"#,
        r#"{"op":"set","pointer":"/x","value":1e3}"#,
        r#"{"op":"set","pointer":"/x","value":null}"#,
        r#"{"op":"append","pointer":"/attachments","value":{"body":1.0}}"#,
        r#"{"op":"remove","pointer":"/x"}"#,
        r#"{"op":"replace","document":{"uuid":"x"}}"#,
        r#"{"op":"add_analysis","analysis":{"type":"summary","dialog":0,"vendor":"acme","body":"t","encoding":"none","x":1.0}}"#,
    ];
    for line in lines {
        let edit: Edit = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&edit).unwrap(), line);
    }
    let edit: Edit =
        serde_json::from_str(r#"{"op":"add_analysis","analysis":{"type":"t","vendor":"v","body":{"a":[1.0]}}}"#)
            .unwrap();
    assert!(serde_json::to_string(&edit).unwrap().contains(r#""body":"{\"a\":[1.0]}","encoding":"json""#));
    for wrong in [
        r#"{"op":"set","pointer":"/x"}"#,
        r#"{"op":"add_tag","name":"x","value":1}"#,
        r#"{"op":"add_analysis","analysis":{"vendor":"v"}}"#,
        r#"{"op":"remove","path":"/x"}"#,
        r#"{"op":"move"}"#,
    ] {
        assert!(serde_json::from_str::<Edit>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn fifty_megabytes_and_ten_thousand_dialogs() {
    let body = "A".repeat(50 << 20);
    let text = Bytes::from(format!(r#"{{"uuid":"x","dialog":[{{"type":"recording","body":"{body}"}}]}}"#));
    let mut document = Document::parse(text.clone()).unwrap();
    document.apply(&Edit::tag("a", "b")).unwrap();
    assert_eq!(document.get("/dialog/0/body").unwrap().as_str().unwrap().len(), body.len());
    assert!(document.to_bytes().len() > text.len());

    let dialogs: Vec<String> = (0..10_000).map(|number| format!(r#"{{"type":"text","n":{number}}}"#)).collect();
    let mut document = parse(&format!(r#"{{"dialog":[{}]}}"#, dialogs.join(",")));
    let dialog = document.get("/dialog").unwrap();
    assert!(dialog.elements().enumerate().all(|(n, view)| view.get("n").unwrap().as_usize() == Some(n)));
    for index in 0..10_000 {
        document.set(&format!("/dialog/{index}/n"), -1).unwrap();
    }
    assert!(document.get("/dialog").unwrap().elements().all(|view| view.get("n").unwrap().as_i64() == Some(-1)));
}
