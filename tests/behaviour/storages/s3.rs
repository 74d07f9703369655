//! `storage.s3`: the layout that other programs know, one object per vCon, parts, media, and another server.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::middleware::{Next, from_fn};
use libtest_mimic::Trial;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use serde_json::{Value, json};
use vconductor_core::Class;
use vconductor_core::audio::content_hash;
use vconductor_core::plugin::{ListQuery, Media, Storage, StorageEntry, inventory};
use vconductor_tests::servers::s3::{BUCKET, S3Server, client, content, keys};

use crate::vcons::{created, item, new_uuid, odd, small, whole};

pub(crate) fn trials() -> Vec<Trial> {
    fn trial<F: Future<Output = ()> + 'static>(name: &str, run: fn() -> F) -> Trial {
        Trial::test(format!("s3::{name}"), move || {
            tokio::runtime::Runtime::new()?.block_on(run());
            Ok(())
        })
    }
    vec![
        trial("layout_is_that_of_vcon_server", layout_is_that_of_vcon_server),
        trial("what_vcon_server_wrote_is_ours_too", what_vcon_server_wrote_is_ours_too),
        trial("a_vcon_that_moves_to_another_day_leaves_nothing_behind", moves_leave_nothing),
        trial("after_a_storm_of_writers_of_several_days_all_is_in_order", writers_of_several_days),
        trial("a_move_that_was_cut_off_is_finished_by_the_next_save", cut_off_moves_are_finished),
        trial("a_crash_between_document_and_pointer_is_mended_by_the_retry", documents_without_pointer),
        trial("a_pointer_leads_nowhere_else", pointers_lead_nowhere_else),
        trial("parts_of_a_document_that_lost_are_thrown_away", lost_parts_are_thrown_away),
        trial("media_are_kept_once_and_compared", media_are_kept_once),
        trial("a_list_that_goes_on_costs_what_it_gives", a_list_costs_what_it_gives),
        trial("a_list_that_stands_still_ends_with_an_error", a_list_that_stands_still),
        trial("a_vcon_that_moves_behind_its_page_is_loaded_as_it_is", what_moves_behind_its_page),
        trial("health_leaves_no_trace", health_leaves_no_trace),
        trial("another_server_will_do", another_server_will_do),
        trial("what_the_server_mixed_up_is_written_again", mixed_up_revisions_are_written_again),
        trial("without_conditional_writes_one_writer_is_right", without_conditional_writes),
        trial("a_server_that_ignores_conditions_is_named", ignored_conditions_are_named),
    ]
}

fn storage(options: Value) -> Arc<dyn Storage> {
    let entry = inventory::iter::<StorageEntry>.into_iter().find(|entry| entry.module == "storage.s3");
    (entry.expect("storage.s3").build)("archive", options).expect("options")
}

fn with(mut options: Value, name: &str, value: Value) -> Value {
    options[name] = value;
    options
}

async fn layout_is_that_of_vcon_server() {
    let server = S3Server::start();
    let storage = storage(with(server.options(), "s3_path", json!("archive/calls/")));
    let uuid = new_uuid();
    storage.save(&item(&uuid, 1, odd(&uuid))).await.expect("saved");
    let (document, pointer) =
        (format!("archive/calls/2026/09/10/{uuid}.vcon"), format!("archive/calls/lookup/{uuid}.txt"));
    // The day is the one that is written, 23:30 in -05:00, and not that of UTC.
    assert_eq!(server.keys().await, [document.clone(), pointer.clone()]);
    let other = server.client();
    assert_eq!(content(&other, &document).await.expect("a document"), odd(&uuid).as_bytes());
    assert_eq!(content(&other, &pointer).await.expect("a pointer"), b"2026/09/10");
    let head = other.head_object().bucket(BUCKET).key(&document).send().await.expect("it is there");
    assert_eq!(head.content_type(), Some("application/vcon+json"));
    assert!(storage.delete(&uuid).await.expect("deleted"));
    assert_eq!(server.keys().await, Vec::<String>::new());
}

async fn what_vcon_server_wrote_is_ours_too() {
    let server = S3Server::start();
    let storage = storage(server.options());
    let (uuid, other) = (new_uuid(), server.client());
    let text = odd(&uuid);
    for (key, body) in
        [(format!("2026/09/10/{uuid}.vcon"), text.as_str()), (format!("lookup/{uuid}.txt"), "2026/09/10")]
    {
        other.put_object().bucket(BUCKET).key(key).body(body.as_bytes().to_vec().into()).send().await.expect("put");
    }
    assert_eq!(storage.load(&uuid).await.expect("loads").expect("is there"), text);
    let query = ListQuery { limit: 10, ..ListQuery::default() };
    assert_eq!(storage.list(&query).await.expect("a page").uuids, std::slice::from_ref(&uuid));
    storage.save(&small(&uuid, 1)).await.expect("saved over it");
    assert!(storage.load(&uuid).await.expect("loads").expect("is there").ends_with(b"}"));
    assert_eq!(server.keys().await.len(), 2);
    assert!(storage.delete(&uuid).await.expect("deleted"));
}

async fn moves_leave_nothing() {
    let server = S3Server::start();
    let storage = storage(server.options());
    let uuid = new_uuid();
    for (revision, day) in [(1, "2026-01-02"), (2, "2026-03-04"), (3, "2025-12-31")] {
        storage.save(&created(&uuid, revision, &format!("{day}T12:00:00Z"))).await.expect("saved");
        let expected = [format!("{}/{uuid}.vcon", day.replace('-', "/")), format!("lookup/{uuid}.txt")];
        assert_eq!(server.keys().await, expected);
    }
    // An older one moves nothing.
    storage.save(&created(&uuid, 2, "2026-03-04T12:00:00Z")).await.expect("refused without an error");
    assert_eq!(server.keys().await[0], format!("2025/12/31/{uuid}.vcon"));
}

/// Which of them wins is certain only on a server that looks at conditions of deletes, which few do.
async fn writers_of_several_days() {
    let server = S3Server::start();
    let storages = [storage(server.options()), storage(server.options())];
    let mut listed = Vec::new();
    for _ in 0..6 {
        let uuid = new_uuid();
        let mut revisions: Vec<u64> = (1..=8).collect();
        fastrand::shuffle(&mut revisions);
        let mut writers = tokio::task::JoinSet::new();
        for revision in revisions {
            let storage = Arc::clone(&storages[usize::from(revision % 2 == 0)]);
            let item = created(&uuid, revision, &format!("2026-01-0{}T00:00:00Z", 1 + revision % 3));
            writers.spawn(async move { storage.save(&item).await });
        }
        for written in writers.join_all().await {
            written.unwrap_or_else(|error| panic!("{}", error.chain_text()));
        }
        let last = created(&uuid, 9, "2026-01-02T00:00:00Z");
        storages[0].save(&last).await.unwrap_or_else(|error| panic!("{}", error.chain_text()));
        assert_eq!(storages[1].load(&uuid).await.expect("loads").expect("is there"), last.vcon.to_bytes());
        listed.push(uuid);
    }
    let query = ListQuery { limit: 100, ..ListQuery::default() };
    let mut found = storages[0].list(&query).await.expect("a page").uuids;
    found.sort();
    listed.sort();
    assert_eq!(found, listed, "each is listed once");
}

async fn cut_off_moves_are_finished() {
    let server = S3Server::start();
    let storage = storage(server.options());
    let (uuid, other) = (new_uuid(), server.client());
    storage.save(&created(&uuid, 1, "2026-01-02T12:00:00Z")).await.expect("saved");
    let old = content(&other, &format!("2026/01/02/{uuid}.vcon")).await.expect("a document");
    storage.save(&created(&uuid, 2, "2026-03-04T12:00:00Z")).await.expect("saved");
    // As if it had died before the delete.
    let key = format!("2026/01/02/{uuid}.vcon");
    let put = other.put_object().bucket(BUCKET).key(&key).metadata("vcon-revision", "1").body(old.into());
    put.send().await.expect("put");
    let pointer = other.put_object().bucket(BUCKET).key(format!("lookup/{uuid}.txt"));
    let pointer = pointer.metadata("vcon-day-before", "2026/01/02").body(b"2026/03/04".to_vec().into());
    pointer.send().await.expect("put");
    storage.save(&created(&uuid, 2, "2026-03-04T12:00:00Z")).await.expect("saved again");
    assert_eq!(server.keys().await, [format!("2026/03/04/{uuid}.vcon"), format!("lookup/{uuid}.txt")]);
}

async fn documents_without_pointer() {
    let server = S3Server::start();
    let storage = storage(server.options());
    let (uuid, other) = (new_uuid(), server.client());
    storage.save(&small(&uuid, 3)).await.expect("saved");
    other.delete_object().bucket(BUCKET).key(format!("lookup/{uuid}.txt")).send().await.expect("deleted");
    assert_eq!(storage.load(&uuid).await.expect("no error"), None);
    storage.save(&small(&uuid, 3)).await.expect("saved again");
    assert!(storage.load(&uuid).await.expect("loads").is_some());
}

async fn pointers_lead_nowhere_else() {
    let server = S3Server::start();
    let storage = storage(server.options());
    let (uuid, other) = (new_uuid(), server.client());
    for (key, body) in [(format!("lookup/{uuid}.txt"), "../secret"), (format!("secret/{uuid}.vcon"), "{}")] {
        other.put_object().bucket(BUCKET).key(key).body(body.as_bytes().to_vec().into()).send().await.expect("put");
    }
    let error = storage.load(&uuid).await.expect_err("it is not followed");
    assert!(error.class() == Class::Permanent && error.help_text().is_some(), "{}", error.chain_text());
}

async fn lost_parts_are_thrown_away() {
    let server = S3Server::start();
    let storage = storage(with(server.options(), "part_size", json!("5MB")));
    let (uuid, body) = (new_uuid(), "x".repeat(12 << 20));
    let large = |revision: u64| {
        let more = json!({"subject": format!("revision {revision}"), "body": body});
        item(&uuid, revision, whole(&uuid, "2026-09-10T14:00:00Z", more).to_string())
    };
    let mut writers = tokio::task::JoinSet::new();
    for revision in [2, 5, 3] {
        let (storage, item) = (Arc::clone(&storage), large(revision));
        writers.spawn(async move { storage.save(&item).await });
    }
    for written in writers.join_all().await {
        written.unwrap_or_else(|error| panic!("{}", error.chain_text()));
    }
    let text = storage.load(&uuid).await.expect("loads").expect("is there");
    assert_eq!(text, large(5).vcon.to_bytes());
    let other = server.client();
    let open = other.list_multipart_uploads().bucket(BUCKET).prefix(format!("2026/09/10/{uuid}.vcon"));
    assert!(open.send().await.expect("a list").uploads().is_empty());
}

async fn media_are_kept_once() {
    let server = S3Server::start();
    let storage = storage(with(server.options(), "s3_path", json!("calls")));
    let store = storage.media().expect("it keeps media");
    let content = bytes::Bytes::from(vec![7_u8; 300_000]);
    let hash = content_hash(&content);
    let media = Media { hash: hash.clone(), content: content.clone(), mediatype: Some("audio/x-wav".to_owned()) };
    let url = store.keep(&media).await.expect("kept");
    assert_eq!(url, format!("{}/{BUCKET}/calls/media/{hash}", server.url()));
    let other = server.client();
    let head = || async {
        other.head_object().bucket(BUCKET).key(format!("calls/media/{hash}")).send().await.expect("it is there")
    };
    let first = head().await;
    assert_eq!(first.content_type(), Some("audio/x-wav"));
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(store.keep(&media).await.expect("kept"), url);
    assert_eq!(head().await.last_modified(), first.last_modified(), "it was written again");
    assert_eq!(store.fetch(&hash).await.expect("fetched"), Some(content));
    assert_eq!(store.fetch(&content_hash(b"another")).await.expect("no error"), None);
    for wrong in ["", "sha512-x", "../../2026/01/02/x.vcon", &format!("sha512-{}", "/".repeat(86))] {
        assert_eq!(store.fetch(wrong).await.expect_err("no hash").class(), Class::Permanent, "{wrong}");
    }
    let put = other.put_object().bucket(BUCKET).key(format!("calls/media/{hash}")).body(b"forged".to_vec().into());
    put.send().await.expect("put");
    assert_eq!(store.fetch(&hash).await.expect_err("forged").class(), Class::Permanent);
}

async fn health_leaves_no_trace() {
    let server = S3Server::start();
    storage(server.options()).health().await.expect("healthy");
    assert_eq!(server.keys().await, Vec::<String>::new());
    let error = storage(with(server.options(), "aws_bucket", json!("missing"))).health().await.expect_err("no bucket");
    let text = error.chain_text();
    assert!(
        error.class() == Class::Configuration && text.contains("`missing`") && text.contains("NoSuchBucket"),
        "{text}"
    );
}

/// s3s with a folder behind it, in this process: the same protocol, written by others. Its writes are not atomic, so the
/// cases of concurrent writers are the other server's.
async fn folder_server(folder: &std::path::Path) -> (String, tokio::task::JoinHandle<()>) {
    let (url, task) = serve(folder_router(folder)).await;
    client(&url, "key", "secret-of-s3s").create_bucket().bucket(BUCKET).send().await.expect("a bucket");
    (url, task)
}

fn folder_router(folder: &std::path::Path) -> axum::Router {
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder).expect("a folder"));
    service.set_auth(SimpleAuth::from_single("key", "secret-of-s3s"));
    let service = service.build();
    axum::Router::new().fallback(move |request: axum::extract::Request| {
        let service = service.clone();
        async move {
            let (parts, body) = request.into_parts();
            let request = axum::http::Request::from_parts(parts, s3s::Body::http_body_unsync(body));
            service.call(request).await.expect("s3s answers")
        }
    })
}

async fn serve(router: axum::Router) -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
    (url, task)
}

fn folder_options(url: &str) -> Value {
    json!({"aws_access_key_id": "key", "aws_secret_access_key": "secret-of-s3s", "aws_bucket": BUCKET,
        "endpoint_url": url, "aws_region": "us-east-1"})
}

/// A writer of revision 2 that was shown the tag of revision 3 beside the metadata of revision 1 writes over revision 3,
/// before its writer has the answer.
async fn mixed_up_revisions_are_written_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (inside, _task) = folder_server(folder.path()).await;
    let (uuid, over, late) = (new_uuid(), client(&inside, "key", "secret-of-s3s"), Arc::new(AtomicUsize::new(0)));
    let (key, older) = (format!("2026/09/10/{uuid}.vcon"), small(&uuid, 2).vcon.to_bytes());
    let writes = Arc::clone(&late);
    let mix = from_fn(move |request: axum::extract::Request, next: Next| {
        let is_third = request.headers().get("x-amz-meta-vcon-revision").is_some_and(|revision| revision == "3");
        let (over, key, older, writes) = (over.clone(), key.clone(), older.clone(), Arc::clone(&writes));
        async move {
            let answer = next.run(request).await;
            if is_third && answer.status().is_success() && writes.fetch_add(1, Ordering::Relaxed) == 0 {
                let put = over.put_object().bucket(BUCKET).key(key).metadata("vcon-revision", "2");
                put.body(older.to_vec().into()).send().await.expect("put");
            }
            answer
        }
    });
    let (url, _mixed) = serve(folder_router(folder.path()).layer(mix)).await;
    let storage = storage(folder_options(&url));
    storage.save(&small(&uuid, 1)).await.expect("saved");
    storage.save(&small(&uuid, 3)).await.expect("saved");
    assert_eq!(late.load(Ordering::Relaxed), 2, "it is written once more");
    assert_eq!(storage.load(&uuid).await.expect("loads").expect("is there"), small(&uuid, 3).vcon.to_bytes());
}

/// A day of 60, of which a new instance lists ten from the middle on and loads them.
async fn a_list_costs_what_it_gives() {
    let folder = tempfile::tempdir().expect("a folder");
    let (inside, _task) = folder_server(folder.path()).await;
    let items: Vec<_> = (0..60).map(|_| small(&new_uuid(), 1)).collect();
    assert!(storage(folder_options(&inside)).save_many(&items).await.iter().all(Result::is_ok));
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let count = from_fn(move |request: axum::extract::Request, next: Next| {
        counted.fetch_add(1, Ordering::Relaxed);
        next.run(request)
    });
    let (url, _counting) = serve(folder_router(folder.path()).layer(count)).await;
    let storage = storage(folder_options(&url));
    let cursor = Some(format!("2026/09/10/{}.vcon", items[29].uuid));
    // 2026-01-01T00:00:00Z: the whole day is asked for.
    let query = ListQuery { cursor, limit: 10, since: Some(1_767_225_600_000), until: None };
    let page = storage.list(&query).await.expect("a page");
    assert!(page.uuids.iter().eq(items[30..40].iter().map(|item| &item.uuid)) && page.cursor.is_some());
    assert_eq!(asked.swap(0, Ordering::Relaxed), 3 + 1 + 10, "years, months, days; keys; pointers");
    for uuid in &page.uuids {
        assert!(storage.load(uuid).await.expect("loads").is_some());
    }
    assert_eq!(asked.swap(0, Ordering::Relaxed), 10, "the list has told the days");
    let next = ListQuery { cursor: page.cursor, ..query };
    assert_eq!(storage.list(&next).await.expect("a page").uuids.len(), 10);
    assert_eq!(asked.load(Ordering::Relaxed), 1 + 10, "the days are known");
}

/// A server that does not know `start-after`.
async fn a_list_that_stands_still() {
    let router = axum::Router::new().fallback(|request: axum::extract::Request| async move {
        let query = request.uri().query().unwrap_or_default().replace("%2F", "/");
        if !query.contains("list-type") {
            return "2026/09/10".to_owned();
        }
        let folders = ["2026/09/10/", "2026/09/", "2026/"];
        let folder =
            if query.contains("prefix=2026/09/") { 0 } else { usize::from(!query.contains("prefix=2026/")) + 1 };
        let inside = if query.contains("delimiter") {
            format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", folders[folder])
        } else {
            "<IsTruncated>true</IsTruncated><Contents><Key>2026/09/10/a.vcon</Key></Contents>".to_owned()
        };
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult>{inside}</ListBucketResult>")
    });
    let (url, _task) = serve(router).await;
    let storage = storage(folder_options(&url));
    let query = ListQuery { limit: 1, ..ListQuery::default() };
    let page = storage.list(&query).await.unwrap_or_else(|error| panic!("{}", error.chain_text()));
    assert_eq!((page.uuids, page.cursor.as_deref()), (vec!["a".to_owned()], Some("2026/09/10/a.vcon")));
    let error = storage.list(&ListQuery { cursor: page.cursor, ..query }).await.expect_err("it would not end");
    assert!(error.class() == Class::Permanent && error.help_text().is_some_and(|help| help.contains("start-after")));
}

async fn what_moves_behind_its_page() {
    let server = S3Server::start();
    let (reader, writer) = (storage(server.options()), storage(server.options()));
    let (moved, deleted) = (new_uuid(), new_uuid());
    for uuid in [&moved, &deleted] {
        writer.save(&small(uuid, 1)).await.expect("saved");
    }
    let query = ListQuery { limit: 10, ..ListQuery::default() };
    assert_eq!(reader.list(&query).await.expect("a page").uuids.len(), 2);
    let newer = created(&moved, 2, "2026-01-02T12:00:00Z");
    writer.save(&newer).await.expect("moved");
    assert!(writer.delete(&deleted).await.expect("deleted"));
    assert_eq!(reader.load(&moved).await.expect("loads").expect("is there"), newer.vcon.to_bytes());
    assert_eq!(reader.load(&deleted).await.expect("no error"), None);
    let wrong = ListQuery { cursor: Some("2026-09-10 5".to_owned()), ..query };
    assert!(reader.list(&wrong).await.expect_err("none of ours").help_text().is_some());
}

async fn another_server_will_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let (url, _task) = folder_server(folder.path()).await;
    let options = folder_options(&url);
    let storage = storage(options.clone());
    storage.health().await.unwrap_or_else(|error| panic!("{}", error.chain_text()));
    let uuid = new_uuid();
    storage.save(&item(&uuid, 2, odd(&uuid))).await.expect("saved");
    storage.save(&small(&uuid, 1)).await.expect("refused without an error");
    assert_eq!(storage.load(&uuid).await.expect("loads").expect("is there"), odd(&uuid));
    storage.save(&created(&uuid, 3, "2026-01-02T12:00:00Z")).await.expect("moved");
    let other = client(&url, "key", "secret-of-s3s");
    assert_eq!(keys(&other).await, [format!("2026/01/02/{uuid}.vcon"), format!("lookup/{uuid}.txt")]);
    let query = ListQuery { limit: 10, ..ListQuery::default() };
    assert_eq!(storage.list(&query).await.expect("a page").uuids, std::slice::from_ref(&uuid));
    let intruder = crate::s3::storage(with(options, "aws_secret_access_key", json!("wrong-secret")));
    assert_eq!(intruder.health().await.expect_err("not let in").class(), Class::Configuration);
    assert!(storage.delete(&uuid).await.expect("deleted"));
}

/// What two writers at once may do then is said in the manual; one after the other is as ever.
async fn without_conditional_writes() {
    let server = S3Server::start();
    let storage = storage(with(server.options(), "conditional_writes", json!(false)));
    let uuid = new_uuid();
    for (revision, left) in [(2, "revision 2"), (1, "revision 2"), (3, "revision 3")] {
        storage.save(&created(&uuid, revision, &format!("2026-01-0{revision}T00:00:00Z"))).await.expect("saved");
        let text = storage.load(&uuid).await.expect("loads").expect("is there");
        assert!(String::from_utf8_lossy(&text).contains(left), "{left}");
        assert_eq!(server.keys().await.len(), 2);
    }
    assert!(storage.delete(&uuid).await.expect("deleted"));
}

/// A server that answers every write with 200 and every read with what was never written.
async fn ignored_conditions_are_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let empty = r#"<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"#;
    let router = axum::Router::new().fallback(move |request: axum::extract::Request| async move {
        let is_list = request.uri().query().is_some_and(|query| query.contains("list-type"));
        ([("etag", "\"0\"")], if is_list { empty } else { "" })
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let options = json!({"aws_access_key_id": "key", "aws_secret_access_key": "secret", "aws_bucket": BUCKET,
        "endpoint_url": url, "aws_region": "us-east-1"});
    let error = storage(options.clone()).health().await.expect_err("conditions are ignored");
    let help = error.help_text().unwrap_or_default();
    assert!(error.class() == Class::Configuration && help.contains("conditional_writes"), "{}", error.chain_text());
    storage(with(options, "conditional_writes", json!(false))).health().await.expect("as the operator wants it");
}
