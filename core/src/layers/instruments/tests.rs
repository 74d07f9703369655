//! Every recording function is called against a recorder that notes what arrives, and that is compared with `ALL`.

use std::collections::BTreeSet;
use std::sync::Mutex;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString};

use super::*;

#[derive(Default)]
struct Notes {
    registered: Mutex<Vec<(Kind, Key)>>,
    described: Mutex<BTreeSet<String>>,
}

impl Notes {
    fn note(&self, kind: Kind, key: &Key) {
        self.registered.lock().unwrap().push((kind, key.clone()));
    }

    fn describe(&self, name: &KeyName) {
        self.described.lock().unwrap().insert(name.as_str().to_owned());
    }
}

impl Recorder for Notes {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.note(Kind::Counter, key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.note(Kind::Gauge, key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.note(Kind::Histogram, key);
        Histogram::noop()
    }
}

fn record_everything() {
    let second = Duration::from_secs(1);
    queue_observed("calls", QueueFigures::default());
    dlq_observed("DLQ:calls", 1);
    claimed("calls", 3);
    runs_at_work("support", 2);
    model_called("chat", "openai", "gpt", "429", second);
    telemetry_dropped("spans", "queue_full", 1);
    recovered("calls", 2);
    http_answered("/vcon/{uuid}", "GET", 200, second);
    api_enqueued("calls", "new", 1);
    ingress_delivered("twilio_main", "accepted");
    ingress_event("twilio_main", "made");
    dead_lettered("DLQ:calls", Class::Poison);
    run_finished("support", RunOutcome::Ok, second);
    link_finished("support", "tag", "success", second, 3);
    link_failed("support", "tag", Class::Permanent);
    ledger_hit("support", "transcribe");
    storage_written("s3", second, Some(Class::Retryable));
    webhook_attempted("crm", Some(204));
    follower_pulled("north", None);
    follower_vcons("north", "taken", 2);
    rate_limit_waited("openai", second);
    circuit_changed("openai", true);
    let used = Usage { cost_usd: Some(0.1), input_tokens: 5, output_tokens: 1, audio_seconds: 3.0, ..Usage::default() };
    usage_recorded("support", "analyze", "openai", "gpt", used);
    usage_recorded("support", "analyze", "openai", "gpt-unknown", Usage::default());
    documents_held(4);
    config_lives(2);
    config_reloaded(true);
    build_started("0.1.0", "abc");
}

#[test]
fn every_instrument_is_recorded_with_exactly_its_kind_and_labels() {
    let notes = Notes::default();
    metrics::with_local_recorder(&notes, record_everything);
    let registered = notes.registered.into_inner().unwrap();
    for (kind, key) in &registered {
        let known = ALL.iter().find(|known| known.name == key.name());
        let known = known.unwrap_or_else(|| panic!("`{}` is recorded but not in ALL", key.name()));
        let labels: Vec<_> = key.labels().map(metrics::Label::key).collect();
        assert_eq!((*kind, labels.as_slice()), (known.kind, known.labels), "{}", known.name);
    }
    for known in ALL {
        assert!(registered.iter().any(|(_, key)| key.name() == known.name), "nothing records `{}`", known.name);
    }
}

#[test]
fn names_follow_the_rules() {
    let mut names = BTreeSet::new();
    for Instrument { name, kind, unit, labels, help } in ALL {
        assert!(names.insert(name), "`{name}` twice");
        assert!(name.starts_with("vconductor_"), "{name}");
        assert!(*kind != Kind::Counter || name.ends_with("_total"), "{name}");
        let measured = [(Unit::Seconds, "_seconds"), (Unit::Count, "_tokens")];
        assert!(
            *kind != Kind::Histogram || measured.iter().any(|(of, end)| unit == of && name.ends_with(end)),
            "{name}"
        );
        assert!(help.ends_with('.') && !help.starts_with(' '), "{name}: {help:?}");
        assert!(!labels.iter().any(|label| ["uuid", "url", "run", "error"].contains(label)), "{name}");
    }
}

#[test]
fn describing_names_every_instrument() {
    let notes = Notes::default();
    metrics::with_local_recorder(&notes, describe_all);
    let described = notes.described.into_inner().unwrap();
    assert_eq!(described, ALL.iter().map(|known| known.name.to_owned()).collect());
}

#[test]
fn webhook_answers_are_counted_by_class() {
    let notes = Notes::default();
    metrics::with_local_recorder(&notes, || {
        for status in [Some(200), Some(302), Some(410), Some(529), None] {
            webhook_attempted("crm", status);
        }
    });
    let registered = notes.registered.into_inner().unwrap();
    let classes: Vec<_> = registered.iter().map(|(_, key)| key.labels().nth(1).unwrap().value()).collect();
    assert_eq!(classes, ["2xx", "3xx", "4xx", "5xx", "none"]);
}

#[test]
fn a_convention_says_only_what_its_instrument_knows() {
    let mut names = BTreeSet::new();
    for Convention { name, aliases, .. } in CONVENTIONS {
        assert!(names.insert(name) && !aliases.is_empty(), "{name}");
        for alias in *aliases {
            let of = ALL.iter().find(|known| known.name == alias.of);
            let of = of.unwrap_or_else(|| panic!("{name}: there is no {}", alias.of));
            let ours = alias.labels.iter().map(|(ours, _)| ours).chain(alias.only.iter().map(|(label, _)| label));
            for label in ours.chain(alias.values.iter().map(|(label, _, _)| label)) {
                assert!(of.labels.contains(label), "{name}: {} has no label {label}", alias.of);
            }
        }
    }
}
