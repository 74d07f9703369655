//! `storage.elasticsearch` on a real node: the indices that other programs know, parts that change, vanish or do not fit.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use vconductor_core::Class;
use vconductor_core::plugin::{SaveItem, Storage, StorageEntry, inventory};
use vconductor_tests::servers::certificates::Certificates;
use vconductor_tests::servers::opensearch::{OpenSearchServer, opensearch};

use crate::vcons::{item, new_uuid, small, whole};

pub(crate) fn trials() -> Vec<Trial> {
    fn trial<F: Future<Output = ()> + 'static>(name: &str, run: fn() -> F) -> Trial {
        Trial::test(format!("elasticsearch::{name}"), move || {
            tokio::runtime::Runtime::new()?.block_on(run());
            Ok(())
        })
    }
    vec![
        trial("layout_is_that_of_vcon_server", layout_is_that_of_vcon_server),
        trial("parts_that_have_gone_are_removed", parts_that_have_gone_are_removed),
        trial("older_parts_never_replace_newer_ones", older_parts_never_replace_newer_ones),
        trial("bodies_of_another_type_are_written_as_text", bodies_of_another_type),
        trial("a_vcon_without_dialog_is_written_and_a_signed_one_is_remembered", without_dialog_and_signed),
        trial("a_deleted_vcon_can_be_saved_again_with_any_revision", deleted_and_saved_again),
        trial("delete_takes_what_vcon_server_wrote_and_nothing_else", delete_takes_what_vcon_server_wrote),
        trial("template_is_installed_where_it_is_wanted", template_is_installed),
        trial("refusals_of_the_server_are_classed", refusals_are_classed),
        trial("one_refused_item_of_a_bulk_request_fails_alone", one_refused_item_fails_alone),
        trial("certificates_are_checked", certificates_are_checked),
    ]
}

/// A storage with indices of its own on the shared node.
struct Subject {
    storage: Arc<dyn Storage>,
    prefix: String,
    url: String,
}

fn storage(options: Value) -> Arc<dyn Storage> {
    let entry = inventory::iter::<StorageEntry>.into_iter().find(|entry| entry.module == "storage.elasticsearch");
    (entry.expect("storage.elasticsearch").build)("search", options).expect("options")
}

impl Subject {
    fn new(template: bool) -> Self {
        let (url, prefix) = (OpenSearchServer::shared(), format!("q{:08x}_", fastrand::u32(..)));
        let options = json!({"url": url, "index_prefix": prefix, "index_template": template});
        Subject { storage: storage(options), prefix, url }
    }

    async fn save(&self, uuid: &str, revision: u64, more: Value) {
        let vcon = whole(uuid, "2026-09-10T14:00:00Z", more);
        let saved = self.storage.save(&item(uuid, revision, vcon.to_string())).await;
        saved.unwrap_or_else(|error| panic!("{}", error.chain_text()));
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        opensearch(&self.url, method, path, body)
    }

    /// Every part that is there: index without the prefix, id, source.
    fn parts(&self) -> Vec<(String, String, Value)> {
        let names = format!("{}vcon_*,-{}vcon_revisions", self.prefix, self.prefix);
        assert_eq!(self.ask("POST", &format!("/{names}/_refresh"), &Value::Null).0, 200);
        let (status, found) = self.ask("POST", &format!("/{names}/_search"), &json!({"size": 1000}));
        assert_eq!(status, 200, "{found}");
        let text = |hit: &Value, name: &str| hit[name].as_str().expect("text").to_owned();
        let hits = found["hits"]["hits"].as_array().expect("hits").iter();
        let mut parts: Vec<_> = hits
            .map(|hit| (text(hit, "_index").replace(&self.prefix, ""), text(hit, "_id"), hit["_source"].clone()))
            .collect();
        parts.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        parts
    }

    fn places(&self) -> Vec<String> {
        self.parts().into_iter().map(|(index, id, _)| format!("{index}/{id}")).collect()
    }
}

async fn layout_is_that_of_vcon_server() {
    let subject = Subject::new(false);
    let uuid = new_uuid();
    let more = json!({
        "parties": [{"role": "Agent", "name": "A"}, {"tel": "+1"}],
        "dialog": [{"type": "text", "start": "2026-01-02T03:04:05Z", "body": "hi"}],
        "analysis": [{"type": "transcript", "dialog": 0, "encoding": "json", "body": "{\"text\": \"hi\"}"}],
        "attachments": [{"purpose": "tenant", "encoding": "json", "body": "{\"id\": 7}"}, {"type": "Note", "body": "x"}]
    });
    subject.save(&uuid, 1, more).await;
    let shared = |mut part: Value| {
        part["vcon_id"] = json!(uuid);
        part["started_at"] = json!("2026-01-02T03:04:05Z");
        part["tenant_id"] = json!(7);
        part
    };
    let part =
        |index: &str, position: usize, part: Value| (index.to_owned(), format!("{uuid}_{position}"), shared(part));
    let expected = vec![
        part(
            "vcon_analysis_transcript",
            0,
            json!({"type": "transcript", "dialog": 0, "encoding": "json", "body": {"text": "hi"}}),
        ),
        part("vcon_attachments_note", 1, json!({"type": "Note", "body": "x"})),
        part("vcon_attachments_tenant", 0, json!({"purpose": "tenant", "encoding": "json", "body": {"id": 7}})),
        part("vcon_dialog", 0, json!({"type": "text", "start": "2026-01-02T03:04:05Z", "body": "hi"})),
        part("vcon_parties", 1, json!({"tel": "+1"})),
        part("vcon_parties_agent", 0, json!({"role": "Agent", "name": "A"})),
    ];
    assert_eq!(subject.parts(), expected);
    assert!(subject.storage.delete(&uuid).await.expect("deleted"));
    assert_eq!(subject.places(), Vec::<String>::new());
    assert!(!subject.storage.delete(&uuid).await.expect("deleted twice"));
}

async fn parts_that_have_gone_are_removed() {
    let subject = Subject::new(false);
    let uuid = new_uuid();
    let text = |n: usize| json!({"type": "text", "body": n.to_string()});
    let three = json!({"parties": [{"role": "agent"}], "dialog": [text(0), text(1), text(2)]});
    subject.save(&uuid, 1, three).await;
    // A party has another role, and two dialogs are no more.
    subject.save(&uuid, 2, json!({"parties": [{"role": "customer"}], "dialog": [text(7)]})).await;
    assert_eq!(subject.places(), [format!("vcon_dialog/{uuid}_0"), format!("vcon_parties_customer/{uuid}_0")]);
    assert_eq!(subject.parts()[0].2["body"], "7");
    let (_, record) = subject.ask("GET", &format!("/{}vcon_revisions/_doc/{uuid}", subject.prefix), &Value::Null);
    let known =
        json!({format!("{}vcon_dialog", subject.prefix): [0], format!("{}vcon_parties_customer", subject.prefix): [0]});
    assert_eq!(record["_source"]["parts"], known);
}

/// Without the whole document the suite cannot look; here the parts are looked at.
async fn older_parts_never_replace_newer_ones() {
    let subject = Subject::new(false);
    let uuid = new_uuid();
    let revision =
        |n: u64| json!({"parties": [{"role": format!("r{}", n % 3), "n": n}], "dialog": [{"type": "text", "n": n}]});
    let item = |n: u64| item(&uuid, n, whole(&uuid, "2026-09-10T14:00:00Z", revision(n)).to_string());
    let mut writers = tokio::task::JoinSet::new();
    let mut order: Vec<u64> = (1..=20).collect();
    fastrand::shuffle(&mut order);
    for n in order {
        let (storage, item) = (Arc::clone(&subject.storage), item(n));
        writers.spawn(async move { storage.save(&item).await });
    }
    for written in writers.join_all().await {
        written.unwrap_or_else(|error| panic!("{}", error.chain_text()));
    }
    assert_eq!(subject.places(), [format!("vcon_dialog/{uuid}_0"), format!("vcon_parties_r2/{uuid}_0")]);
    assert!(subject.parts().iter().all(|(_, _, part)| part["n"] == 20), "{:?}", subject.parts());
}

async fn bodies_of_another_type() {
    let subject = Subject::new(false);
    let uuids = [new_uuid(), new_uuid(), new_uuid(), new_uuid()];
    let analysis = |body: Value| json!({"analysis": [{"type": "mixed", "dialog": 0, "vendor": "v", "body": body}]});
    subject.save(&uuids[0], 1, analysis(json!({"a": {"b": 1}}))).await;
    subject.save(&uuids[1], 1, analysis(json!({"a": "text where an object was"}))).await;
    subject.save(&uuids[2], 1, analysis(json!("text"))).await;
    // Not the body but another member is of another type.
    let mut odd = analysis(json!("text"));
    odd["analysis"][0]["vendor"] = json!({"name": "v"});
    subject.save(&uuids[3], 1, odd).await;
    let parts = subject.parts();
    let of = |uuid: &str| {
        let found = parts.iter().find(|(index, id, _)| index == "vcon_analysis_mixed" && id.starts_with(uuid));
        found.unwrap_or_else(|| panic!("{uuid} is not there")).2.clone()
    };
    assert_eq!(of(&uuids[0])["body"], json!({"a": {"b": 1}}));
    assert_eq!(of(&uuids[1])["body_text"], json!("{\"a\":\"text where an object was\"}"));
    assert_eq!((&of(&uuids[2])["body_text"], &of(&uuids[2])["vendor"]), (&json!("text"), &json!("v")));
    let whole: Value = serde_json::from_str(of(&uuids[3])["part_text"].as_str().expect("text")).expect("JSON");
    assert_eq!((&whole["vendor"], &whole["body_text"]), (&json!({"name": "v"}), &json!("text")));
}

async fn without_dialog_and_signed() {
    let subject = Subject::new(false);
    let uuid = new_uuid();
    subject.save(&uuid, 1, json!({"dialog": []})).await;
    let (index, _, part) = subject.parts().remove(0);
    assert_eq!((index.as_str(), &part["started_at"], &part["tenant_id"]), ("vcon_parties", &Value::Null, &Value::Null));
    let signed = new_uuid();
    let text = json!({"payload": "e30", "signatures": [{"header": {"uuid": signed}}]}).to_string();
    subject.storage.save(&item(&signed, 1, text)).await.expect("saved");
    assert_eq!(subject.parts().len(), 1);
    assert!(subject.storage.delete(&signed).await.expect("it is remembered"));
}

async fn deleted_and_saved_again() {
    let subject = Subject::new(false);
    let uuid = new_uuid();
    let text = |n: u64| json!({"dialog": [{"type": "text", "n": n}]});
    subject.save(&uuid, 1_700_000_000_000, text(1)).await;
    assert!(subject.storage.delete(&uuid).await.expect("deleted"));
    // What a delete leaves behind has a higher version.
    for n in 2..5 {
        subject.save(&uuid, n, text(n)).await;
        assert!(subject.parts().iter().any(|(_, _, part)| part["n"] == n), "{n}: {:?}", subject.parts());
    }
}

async fn delete_takes_what_vcon_server_wrote() {
    let subject = Subject::new(false);
    // The two share a word, as uuids of one domain do.
    let (uuid, other) = ("018f0000-1234-8abc-9def-0123456789ab", "018f0000-1234-8abc-9def-0123456789ac");
    for id in [uuid, other] {
        let path = format!("/{}vcon_dialog/_doc/{id}_0", subject.prefix);
        assert_eq!(subject.ask("PUT", &path, &json!({"type": "text", "vcon_id": id})).0, 201);
    }
    assert!(subject.storage.delete(uuid).await.expect("deleted"));
    assert_eq!(subject.places(), [format!("vcon_dialog/{other}_0")]);
    // What it wrote before is replaced, whatever version the server counts.
    subject.save(other, 1, json!({"dialog": [{"type": "text", "n": 1}]})).await;
    assert_eq!(subject.parts().iter().filter(|(_, _, part)| part["n"] == 1).count(), 1);
}

async fn template_is_installed() {
    let subject = Subject::new(true);
    let dialog = |start: &str| json!({"dialog": [{"type": "text", "start": start, "body": "x"}]});
    subject.save(&new_uuid(), 1, dialog("2026-01-02T03:04:05Z")).await;
    subject.save(&new_uuid(), 1, dialog("last Tuesday")).await;
    let parts = subject.parts();
    let dialogs: Vec<_> = parts.iter().filter(|(index, ..)| index == "vcon_dialog").collect();
    assert!(dialogs.len() == 2 && dialogs.iter().all(|(_, _, part)| part["body"] == "x"), "{parts:?}");
    let (status, _) = subject.ask("GET", &format!("/_index_template/{}vcon_parts", subject.prefix), &Value::Null);
    assert_eq!(status, 200);
}

/// A server that answers everything with this.
async fn answering(status: u16, retry_after: &'static str, body: Value) -> Arc<dyn Storage> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router =
        Router::new().fallback(move |_body: axum::body::Bytes| {
            let answer = body.to_string();
            let status = StatusCode::from_u16(status).expect("a status");
            async move {
                (status, [(CONTENT_TYPE, "application/json"), (axum::http::header::RETRY_AFTER, retry_after)], answer)
            }
        });
    tokio::spawn(async move { axum::serve(listener, router).await });
    storage(json!({"url": url, "timeout": "5s"}))
}

async fn refusals_are_classed() {
    let refusal = |kind: &str| json!({"error": {"type": kind, "reason": "told to"}, "status": 0});
    for (status, body, class) in [
        (401, refusal("security_exception"), Class::Configuration),
        (403, refusal("security_exception"), Class::Configuration),
        (403, refusal("cluster_block_exception"), Class::Retryable),
        (406, json!({"error": "Content-Type header [application/vnd.x] is not supported"}), Class::Configuration),
        (413, Value::Null, Class::Permanent),
        (429, refusal("circuit_breaking_exception"), Class::Retryable),
        (503, json!("no healthy upstream"), Class::Retryable),
    ] {
        let storage = answering(status, "7", body.clone()).await;
        let error = storage.save(&small(&new_uuid(), 1)).await.expect_err("refused");
        assert_eq!(
            (error.class(), error.wait()),
            (class, Some(Duration::from_secs(7))),
            "{status} {body}: {}",
            error.chain_text()
        );
        assert!(error.help_text().is_some());
    }
}

/// A server whose queue takes the first half of each bulk request only.
async fn one_refused_item_fails_alone() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().fallback(|request: axum::extract::Request| async move {
        let is_bulk = request.uri().path().ends_with("_bulk");
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.expect("a body");
        let actions = String::from_utf8_lossy(&body).lines().filter(|line| line.contains("_index")).count();
        let item = |n: usize| {
            if n < actions / 2 {
                json!({"index": {"status": 201, "_seq_no": n, "_primary_term": 1}})
            } else {
                json!({"index": {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "full"}}})
            }
        };
        let items: Vec<Value> = (0..actions).map(item).collect();
        let answer = if is_bulk { json!({"errors": true, "items": items}) } else { json!({"acknowledged": true}) };
        ([(CONTENT_TYPE, "application/json")], answer.to_string())
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let items: Vec<SaveItem> = (0..8).map(|_| small(&new_uuid(), 1)).collect();
    let results = storage(json!({"url": url})).save_many(&items).await;
    let failed: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    // Half of the records are not written, and half of the parts of the others.
    assert_eq!((results.len(), failed.len()), (8, 6), "{failed:?}");
    assert!(failed.iter().all(|error| error.is_retryable()), "{failed:?}");
}

/// Whether a server with TLS is trusted: not at all, with its authority, and when nobody wants to know.
async fn certificates_are_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = vconductor_tests::servers::https::HttpsServer::start(folder.path());
    let url = server.url("").trim_end_matches('/').to_owned();
    let strange = storage(json!({"url": url})).health().await.expect_err("nobody knows its authority");
    assert!(
        strange.class() == Class::Configuration && strange.chain_text().contains("certificate"),
        "{}",
        strange.chain_text()
    );
    let other = Certificates::new();
    let wrong =
        storage(json!({"url": url, "ca_certs": other.path("ca.pem")})).health().await.expect_err("another authority");
    assert!(wrong.chain_text().contains("certificate"), "{}", wrong.chain_text());
    // Trusted, it is asked, and is no Elasticsearch.
    for options in [json!({"url": url, "ca_certs": server.authority()}), json!({"url": url, "verify": false})] {
        let error = storage(options).health().await.expect_err("it serves files");
        assert!(!error.chain_text().contains("certificate") && !error.is_retryable(), "{}", error.chain_text());
    }
}
