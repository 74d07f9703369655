//! The names under which others know our metrics: vcon-server's, and those of OpenTelemetry's semantic conventions.
//!
//! They are sent over OTLP beside our own names and are made of the same recordings, so that the two cannot differ and cost
//! nothing where nothing is sent.

use super::{
    API_ENQUEUED, DLQ, DLQ_LENGTH, Kind, LINK_DURATION, MODEL_DURATION, MODEL_TOKENS, QUEUE_CLAIMED, QUEUE_LENGTH,
    RUN_DURATION, RUNS, RUNS_INFLIGHT, SECONDS, STORAGE_WRITE_DURATION, TOKENS_OF_A_CALL,
};

/// A metric by another's name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Convention {
    /// The name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its unit as UCUM writes it.
    pub unit: &'static str,
    /// Bounds of the buckets of a distribution.
    pub bounds: &'static [f64],
    /// What it says, in one sentence.
    pub help: &'static str,
    /// What it is made of.
    pub aliases: &'static [Alias],
}

/// One metric of ours that counts for a convention. Of a distribution that counts for a counter, each value counts as one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alias {
    /// Our metric.
    pub of: &'static str,
    /// Our labels and what they are called there; others are left out.
    pub labels: &'static [(&'static str, &'static str)],
    /// Attributes that always have the same value; `{system}` is the kind of the store.
    pub fixed: &'static [(&'static str, &'static str)],
    /// Only what has one of these values of a label counts.
    pub only: Option<(&'static str, &'static [&'static str])>,
    /// Values that are called something else there: label, ours, theirs.
    pub values: &'static [(&'static str, &'static str, &'static str)],
    /// By how much values are multiplied.
    pub scale: f64,
}

const OF: Alias = Alias { of: "", labels: &[], fixed: &[], only: None, values: &[], scale: 1.0 };

/// Bounds of the convention for the time that messages take.
const MESSAGING_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Bounds of the convention for the time that calls to models take.
const MODEL_SECONDS: &[f64] = &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Bounds in milliseconds.
const MILLISECONDS: &[f64] =
    &[0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0];

/// What providers are called in the convention, where that is not our name.
const PROVIDERS: &[(&str, &str, &str)] = &[("provider", "azure", "azure.ai.openai")];

/// All of them: vcon-server's names, then those of the conventions.
pub const CONVENTIONS: &[Convention] = &[
    Convention {
        name: "conserver.main_loop.count_vcons_received",
        kind: Kind::Counter,
        unit: "1",
        bounds: &[],
        help: "Runs claimed.",
        aliases: &[Alias { of: QUEUE_CLAIMED, labels: &[("list", "ingress_list")], ..OF }],
    },
    Convention {
        name: "conserver.main_loop.count_vcons_processed",
        kind: Kind::Counter,
        unit: "1",
        bounds: &[],
        help: "Runs that are done; failed ones do not count.",
        aliases: &[Alias {
            of: RUNS,
            labels: &[("chain", "chain.name")],
            only: Some(("outcome", &["ok", "skipped"])),
            ..OF
        }],
    },
    Convention {
        name: "conserver.main_loop.vcon_processing_time",
        kind: Kind::Histogram,
        unit: "s",
        bounds: SECONDS,
        help: "Time from claim to the end of a run.",
        aliases: &[Alias { of: RUN_DURATION, labels: &[("chain", "chain.name")], ..OF }],
    },
    Convention {
        name: "conserver.vcons.inflight",
        kind: Kind::Gauge,
        unit: "1",
        bounds: &[],
        help: "Runs that are worked on.",
        aliases: &[Alias { of: RUNS_INFLIGHT, labels: &[("chain", "chain.name")], ..OF }],
    },
    Convention {
        name: "conserver.link.count",
        kind: Kind::Counter,
        unit: "1",
        bounds: &[],
        help: "Executions of links, by outcome: success, halt or error.",
        aliases: &[Alias { of: LINK_DURATION, labels: &[("link", "link_name"), ("outcome", "outcome")], ..OF }],
    },
    Convention {
        name: "conserver.link.execution_time",
        kind: Kind::Histogram,
        unit: "s",
        bounds: SECONDS,
        help: "Time of executions that did not fail.",
        aliases: &[Alias {
            of: LINK_DURATION,
            labels: &[("link", "link.name"), ("chain", "chain.name")],
            only: Some(("outcome", &["success", "halt"])),
            ..OF
        }],
    },
    Convention {
        name: "conserver.storage.count",
        kind: Kind::Counter,
        unit: "1",
        bounds: &[],
        help: "Writes of storages, by outcome: success or error.",
        aliases: &[Alias {
            of: STORAGE_WRITE_DURATION,
            labels: &[("storage", "backend"), ("outcome", "outcome")],
            values: &[("outcome", "ok", "success")],
            ..OF
        }],
    },
    Convention {
        name: "conserver.storage.duration_ms",
        kind: Kind::Histogram,
        unit: "ms",
        bounds: MILLISECONDS,
        help: "Time of writes of storages.",
        aliases: &[Alias {
            of: STORAGE_WRITE_DURATION,
            labels: &[("storage", "backend"), ("outcome", "outcome")],
            values: &[("outcome", "ok", "success")],
            scale: 1000.0,
            ..OF
        }],
    },
    Convention {
        name: "conserver.dlq.count",
        kind: Kind::Counter,
        unit: "1",
        bounds: &[],
        help: "Runs that ended in a dead letter list.",
        aliases: &[Alias { of: DLQ, labels: &[("list", "queue_name")], ..OF }],
    },
    Convention {
        name: "conserver.ingress_list.length",
        kind: Kind::Gauge,
        unit: "1",
        bounds: &[],
        help: "Uuids that wait in a list, of kind ingress or dlq.",
        aliases: &[
            Alias { of: QUEUE_LENGTH, labels: &[("list", "ingress_list")], fixed: &[("kind", "ingress")], ..OF },
            Alias { of: DLQ_LENGTH, labels: &[("list", "ingress_list")], fixed: &[("kind", "dlq")], ..OF },
        ],
    },
    Convention {
        name: "conserver.api.count_vcons_enqueued",
        kind: Kind::Counter,
        unit: "1",
        bounds: &[],
        help: "vCons that the HTTP API put on a list, by source.",
        aliases: &[Alias { of: API_ENQUEUED, labels: &[("list", "ingress_list"), ("source", "source")], ..OF }],
    },
    Convention {
        name: "messaging.client.consumed.messages",
        kind: Kind::Counter,
        unit: "{message}",
        bounds: &[],
        help: "Runs claimed.",
        aliases: &[Alias {
            of: QUEUE_CLAIMED,
            labels: &[("list", "messaging.destination.name")],
            fixed: &[("messaging.system", "{system}"), ("messaging.operation.name", "claim")],
            ..OF
        }],
    },
    Convention {
        name: "messaging.client.sent.messages",
        kind: Kind::Counter,
        unit: "{message}",
        bounds: &[],
        help: "vCons that the HTTP API put on a list.",
        aliases: &[Alias {
            of: API_ENQUEUED,
            labels: &[("list", "messaging.destination.name")],
            fixed: &[("messaging.system", "{system}"), ("messaging.operation.name", "enqueue")],
            ..OF
        }],
    },
    Convention {
        name: "messaging.process.duration",
        kind: Kind::Histogram,
        unit: "s",
        bounds: MESSAGING_SECONDS,
        help: "Time from claim to the end of a run; the group is the chain.",
        aliases: &[Alias {
            of: RUN_DURATION,
            labels: &[("chain", "messaging.consumer.group.name")],
            fixed: &[("messaging.system", "{system}"), ("messaging.operation.name", "process")],
            ..OF
        }],
    },
    Convention {
        name: "gen_ai.client.token.usage",
        kind: Kind::Histogram,
        unit: "{token}",
        bounds: TOKENS_OF_A_CALL,
        help: "Tokens of one call to a model.",
        aliases: &[Alias {
            of: MODEL_TOKENS,
            labels: &[
                ("operation", "gen_ai.operation.name"),
                ("provider", "gen_ai.provider.name"),
                ("model", "gen_ai.request.model"),
                ("type", "gen_ai.token.type"),
            ],
            values: PROVIDERS,
            ..OF
        }],
    },
    Convention {
        name: "gen_ai.client.operation.duration",
        kind: Kind::Histogram,
        unit: "s",
        bounds: MODEL_SECONDS,
        help: "Time one call to a model took.",
        aliases: &[Alias {
            of: MODEL_DURATION,
            labels: &[
                ("operation", "gen_ai.operation.name"),
                ("provider", "gen_ai.provider.name"),
                ("model", "gen_ai.request.model"),
                ("error_type", "error.type"),
            ],
            values: PROVIDERS,
            ..OF
        }],
    },
];
