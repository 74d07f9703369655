//! What holds for a migration whatever the vCon is like: samples with parts exchanged and unknown members everywhere.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::samples;
use super::*;
use crate::compare::compare;
use crate::document::diff;
use crate::validate::{Level, Mode, Validator};

/// Unsigned samples that are small enough to be read often.
static SMALL: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let all = samples("valid").into_iter().chain(samples("invalid")).map(|(_, vcon)| vcon);
    let small = all.filter(|vcon| vcon.form() == Form::Unsigned && vcon.to_bytes().len() < 8_000);
    small.map(|vcon| vcon.document().root().to_value()).collect()
});

/// How many strict errors of each check there are.
fn strict_errors(vcon: &Vcon) -> BTreeMap<u16, usize> {
    let validator = Validator { mode: Mode::Strict, ..Validator::default() };
    let report = validator.check(vcon.to_bytes()).swap_remove(0).1;
    let mut errors = BTreeMap::new();
    // 12 is no fault of the document: it names an extension that this reader does not know.
    for finding in report.of_level(Level::Error).filter(|finding| finding.check != 12) {
        *errors.entry(finding.check).or_default() += 1;
    }
    errors
}

/// A value that may stand anywhere by mistake, or a member of an older revision.
fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(vec![
            json!(null),
            json!(true),
            json!(-1),
            json!(0),
            json!(1e300),
            json!(""),
            json!("x"),
            json!([]),
            json!({}),
            json!([[0, 1], null]),
            json!("2026-09-10T14:00:00"),
            json!("{\"a\":1}"),
            json!("none"),
            json!("text/plain"),
            json!({"body": "a", "mimetype": "text/plain"}),
            json!({"uuid": "u"}),
            json!([0]),
            json!("incomplete"),
        ]),
        "[ -~ä]{0,8}".prop_map(Value::from),
    ]
}

/// Names of all revisions: what a migration looks at.
const NAMES: [&str; 24] = [
    "mimetype",
    "mediatype",
    "alg",
    "signature",
    "content_hash",
    "url",
    "body",
    "encoding",
    "type",
    "purpose",
    "start",
    "created_at",
    "appended",
    "amended",
    "group",
    "redacted",
    "must_support",
    "transfer-target",
    "schema_version",
    "meta",
    "session_id",
    "parties",
    "disposition",
    "transcript",
];

/// Puts a value under a name into the object that is met as number `countdown`; whether it was met.
fn put(value: &mut Value, countdown: &mut usize, name: &str, with: &Value) {
    match value {
        Value::Object(members) => {
            if *countdown == 0 {
                members.insert(name.to_owned(), with.clone());
            }
            *countdown = countdown.wrapping_sub(1);
            members.values_mut().for_each(|value| put(value, countdown, name, with));
        }
        Value::Array(elements) => elements.iter_mut().for_each(|value| put(value, countdown, name, with)),
        _ => {}
    }
}

/// Puts a marked member that nobody knows into every object of the four lists and the top level; how many.
fn mark(value: &mut Value) -> usize {
    let mut count = 0;
    let mut one = |object: &mut Value| {
        if let Value::Object(members) = object {
            members.insert(
                "x_kept".to_owned(),
                json!({"marker": format!("M{count}M"), "n": 1.5, "e": [], "o": {}, "z": null}),
            );
            count += 1;
        }
    };
    for list in ["parties", "dialog", "analysis", "attachments"] {
        value.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().for_each(&mut one);
    }
    one(value);
    count
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn migration_makes_nothing_worse_loses_no_unknown_member_and_is_done_once(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((0..30_usize, prop::sample::select(NAMES.to_vec()), odd()), 0..6),
    ) {
        let mut value = which.get(&SMALL).clone();
        for (mut countdown, name, with) in changes {
            put(&mut value, &mut countdown, name, &with);
        }
        let marks = mark(&mut value);
        let Ok(old) = Vcon::read(value.to_string()) else { return Ok(()) };
        prop_assume!(old.form() == Form::Unsigned);

        let (before, errors) = (old.to_bytes(), strict_errors(&old));
        let core = write(&old, Target::Core04, &Options::default()).unwrap();
        prop_assert_eq!(old.to_bytes(), before, "what is migrated is a copy");
        // A null that becomes absent breaks another rule than before; there are no more of them.
        let after = strict_errors(&core.vcon);
        let count = |errors: &BTreeMap<u16, usize>| errors.values().sum::<usize>();
        let text = core.vcon.document().root().text();
        prop_assert!(count(&after) <= count(&errors), "{after:?}, before {errors:?}\n{value}\n{text}");
        let again = write(&core.vcon, Target::Core04, &Options::default()).unwrap();
        prop_assert!(again.changes.is_empty(), "{:?}\n{}", again.changes, value);
        // The edits are the whole story.
        let mut replayed = old.clone();
        for edit in core.changes.iter().flat_map(|change| &change.edits) {
            replayed.apply(edit).unwrap();
        }
        prop_assert_eq!(replayed.to_bytes(), core.vcon.to_bytes());

        for target in [Target::V0_0_1, Target::StringBodies] {
            let there = write(&core.vcon, target, &Options::default()).unwrap().vcon;
            let back = write(&there, Target::Core04, &Options::default()).unwrap().vcon;
            for vcon in [&core.vcon, &there, &back] {
                let text = vcon.document().root().text().into_owned();
                for mark in 0..marks {
                    prop_assert!(text.contains(&format!("\"M{mark}M\"")), "{target:?} lost mark {mark}: {text}");
                }
                let read = Vcon::read(vcon.to_bytes());
                prop_assert!(read.is_ok_and(|read| read.to_bytes() == vcon.to_bytes()));
            }
        }
        // Compared with itself nothing differs, and the edits of a difference lead to the other.
        prop_assert!(compare(old.document(), old.document()).is_empty());
        let mut led = old.clone();
        for edit in diff(old.document(), core.vcon.document()) {
            led.apply(&edit).unwrap();
        }
        prop_assert!(compare(led.document(), core.vcon.document()).is_empty());
    }
}

#[test]
fn no_sample_has_more_strict_errors_after_its_migration() {
    for (path, old) in samples("valid").into_iter().chain(samples("invalid")) {
        if old.form() != Form::Unsigned {
            continue;
        }
        let before = strict_errors(&old);
        let after = strict_errors(&write(&old, Target::Core04, &Options::default()).unwrap().vcon);
        for (check, count) in &after {
            let had = before.get(check).copied().unwrap_or(0);
            assert!(*count <= had, "{}: check {check} has {count} errors, {had} before", path.display());
        }
    }
}
