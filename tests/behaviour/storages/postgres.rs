//! `storage.postgres` on a real server: the table that other programs know, what JSONB refuses, rights, TLS, time limits.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use vconductor_core::plugin::{ListQuery, SaveItem, Storage, StorageEntry, inventory};
use vconductor_core::{Class, Error};
use vconductor_tests::servers::certificates::Certificates;
use vconductor_tests::servers::postgres::PostgresServer;

use crate::vcons::{created, item, new_uuid, small, whole};

pub(crate) fn trials() -> Vec<Trial> {
    fn trial<F: Future<Output = ()> + 'static>(name: &str, run: fn() -> F) -> Trial {
        Trial::test(format!("postgres::{name}"), move || {
            tokio::runtime::Runtime::new()?.block_on(run());
            Ok(())
        })
    }
    vec![
        trial("layout_is_that_of_vcon_server", layout_is_that_of_vcon_server),
        trial("a_table_of_vcon_server_is_used_as_it_is", a_table_of_vcon_server_is_used),
        trial("what_jsonb_refuses_is_kept_beside_it", what_jsonb_refuses_is_kept),
        trial("one_refused_document_of_a_batch_fails_alone", one_refused_document_fails_alone),
        trial("many_that_start_at_once_make_one_table", many_start_at_once),
        trial("refusals_of_the_server_are_classed", refusals_are_classed),
        trial("whoever_only_reads_needs_no_more_rights", reading_needs_no_more_rights),
        trial("a_stuck_statement_ends_in_time_and_harms_nobody", a_stuck_statement_ends),
        trial("connections_that_were_ended_are_replaced", ended_connections_are_replaced),
        trial("certificates_are_checked_as_sslmode_says", certificates_are_checked),
    ]
}

fn storage(options: Value) -> Arc<dyn Storage> {
    let entry = inventory::iter::<StorageEntry>.into_iter().find(|entry| entry.module == "storage.postgres");
    (entry.expect("storage.postgres").build)("database", options).expect("options")
}

fn of(server: &PostgresServer) -> Arc<dyn Storage> {
    storage(json!({"url": server.url()}))
}

async fn save(storage: &dyn Storage, item: &SaveItem) {
    storage.save(item).await.unwrap_or_else(|error| panic!("{}", error.chain_text()));
}

async fn list(storage: &dyn Storage) -> Vec<String> {
    storage.list(&ListQuery { limit: 1000, ..ListQuery::default() }).await.expect("a page").uuids
}

async fn subject(storage: &dyn Storage, uuid: &str) -> Value {
    let document = storage.load(uuid).await.expect("loads").expect("is there");
    serde_json::from_slice::<Value>(&document).expect("JSON")["subject"].clone()
}

fn expect_class(result: Result<(), Error>, class: Class, what: &str) -> Error {
    let error = result.expect_err(what);
    assert!(error.class() == class && error.help_text().is_some(), "{what}: {error:?}");
    error
}

/// What vcon-server's mapper sends before it saves.
const FOREIGN_TABLE: &str = r#"CREATE TABLE IF NOT EXISTS "vcons" ("id" UUID NOT NULL PRIMARY KEY, "vcon" TEXT NOT NULL,
    "uuid" UUID NOT NULL, "created_at" TIMESTAMP NOT NULL, "updated_at" TIMESTAMP, "subject" TEXT, "vcon_json" JSONB);
    CREATE INDEX IF NOT EXISTS "dynamicvcons_vcon_json" ON "vcons" USING GIN ("vcon_json")"#;

async fn layout_is_that_of_vcon_server() {
    let server = PostgresServer::start();
    let storage = of(&server);
    let uuid = new_uuid();
    let vcon = whole(&uuid, "2026-09-10T23:30:00.250-05:00", json!({"subject": "a \"subject\""}));
    save(&*storage, &item(&uuid, 5, vcon.to_string())).await;
    let columns = server.psql(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute \
         WHERE attrelid = 'vcons'::regclass AND attnum > 0 ORDER BY attnum",
    );
    let time = "timestamp without time zone";
    let expected = format!(
        "id|uuid|t\nvcon|text|t\nuuid|uuid|t\ncreated_at|{time}|t\nupdated_at|{time}|f\nsubject|text|f\nvcon_json|jsonb|f\n\
         revision|bigint|f\noriginal|text|f"
    );
    assert_eq!(columns, expected);
    let row = server.psql(
        "SELECT id, uuid, vcon, created_at, subject, revision, original IS NULL, \
         abs(extract(epoch from updated_at - now() AT TIME ZONE 'UTC')) < 60 FROM vcons",
    );
    assert_eq!(row, format!("{uuid}|{uuid}|0.4.0|2026-09-11 04:30:00.25|a \"subject\"|5|t|t"));
    let held: Value = serde_json::from_str(&server.psql("SELECT vcon_json FROM vcons")).expect("JSON");
    assert_eq!(held, vcon);
    // A second table in the same schema has its indexes too.
    save(&*self::storage(json!({"url": server.url(), "table_name": "Other \"vcons\""})), &small(&uuid, 1)).await;
    let indexes = server.psql("SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2");
    assert_eq!(indexes.matches("USING gin (vcon_json)").count(), 2, "{indexes}");
    assert_eq!(indexes.matches("USING btree (created_at, id)").count(), 2, "{indexes}");
}

async fn a_table_of_vcon_server_is_used() {
    let server = PostgresServer::start();
    let storage = of(&server);
    let (old, new) = (new_uuid(), new_uuid());
    server.psql(FOREIGN_TABLE);
    let foreign = |uuid: &str, subject: &str| {
        server.psql(&format!(
            "INSERT INTO vcons VALUES ('{uuid}', '0.0.1', '{uuid}', '2026-01-02T03:04:05.678901', now(), NULL, \
             '{{\"subject\": \"{subject}\"}}') ON CONFLICT (id) DO UPDATE SET vcon_json = excluded.vcon_json"
        ))
    };
    foreign(&old, "theirs");
    assert_eq!(subject(&*storage, &old).await, "theirs");
    assert_eq!(list(&*storage).await, std::slice::from_ref(&old));
    let columns = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'vcons'::regclass AND attnum > 0";
    assert_eq!(server.psql(columns), "7", "reading changes nothing");
    save(&*storage, &created(&new, 3, "2026-03-01T00:00:00Z")).await;
    save(&*storage, &small(&old, 1)).await;
    assert_eq!(subject(&*storage, &old).await, "revision 1", "a row without a revision is the oldest");
    assert_eq!(list(&*storage).await, [new.clone(), old.clone()]);
    // It goes on writing there, knowing nothing of revisions.
    foreign(&new, "theirs again");
    assert_eq!(subject(&*storage, &new).await, "theirs again");
    save(&*storage, &small(&new, 2)).await;
    assert_eq!(subject(&*storage, &new).await, "theirs again", "revision 3 was here");
    save(&*storage, &small(&new, 4)).await;
    assert_eq!(subject(&*storage, &new).await, "revision 4");
    let indexes = server.psql("SELECT count(*) FROM pg_indexes WHERE tablename = 'vcons'");
    assert_eq!(indexes, "2", "its primary key and its own index, and none of ours");
    assert!(storage.delete(&old).await.expect("deleted"));
}

async fn what_jsonb_refuses_is_kept() {
    let server = PostgresServer::start();
    let storage = of(&server);
    let uuid = new_uuid();
    let text = format!(
        r#"{{ "uuid":"{uuid}","vcon":"\u0000","created_at":"2026-09-10T14:00:00Z","subject":"a\u0000b", "parties":[],"x\u0000":["\ud83d","\ud83d\ude00"] }}"#
    );
    save(&*storage, &item(&uuid, 1, text.clone())).await;
    assert_eq!(storage.load(&uuid).await.expect("loads").expect("is there"), text, "as it came");
    let found =
        server.psql("SELECT vcon, subject, vcon_json ->> 'subject', vcon_json -> (E'x\u{fffd}') ->> 0 FROM vcons");
    assert_eq!(found, "\u{fffd}|a\u{fffd}b|a\u{fffd}b|\u{fffd}", "and it can be looked for");
    // Another program that does not know our column.
    server.psql("UPDATE vcons SET vcon_json = '{\"subject\": \"theirs\"}'");
    assert_eq!(subject(&*storage, &uuid).await, "theirs");
    save(&*storage, &small(&uuid, 2)).await;
    assert_eq!(server.psql("SELECT original IS NULL FROM vcons"), "t");
}

async fn one_refused_document_fails_alone() {
    let server = PostgresServer::start();
    let storage = of(&server);
    let mut items: Vec<SaveItem> = (0..40).map(|_| small(&new_uuid(), 1)).collect();
    for bad in [7, 23] {
        let uuid = new_uuid();
        let text =
            whole(&uuid, "2026-09-10T14:00:00Z", json!({"n": 0})).to_string().replace("\"n\":0", "\"n\":1e200000");
        items[bad] = item(&uuid, 1, text);
    }
    for (position, result) in storage.save_many(&items).await.into_iter().enumerate() {
        if [7, 23].contains(&position) {
            let error = expect_class(result, Class::Permanent, "a number beyond JSONB");
            assert!(error.chain_text().contains(&items[position].uuid), "{}", error.chain_text());
        } else {
            result.unwrap_or_else(|error| panic!("{position}: {}", error.chain_text()));
        }
    }
    assert_eq!(list(&*storage).await.len(), 38);
}

async fn many_start_at_once() {
    let server = PostgresServer::start();
    server.psql("CREATE SCHEMA other");
    server.psql(&FOREIGN_TABLE.replace("\"vcons\"", "other.vcons"));
    for schema in ["public", "other"] {
        let url = format!("{}?options=-csearch_path%3D{schema}", server.url());
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let storage = storage(json!({"url": url}));
            writers.spawn(async move { storage.save(&small(&new_uuid(), 1)).await });
        }
        for written in writers.join_all().await {
            written.unwrap_or_else(|error| panic!("{schema}: {}", error.chain_text()));
        }
        assert_eq!(server.psql(&format!("SELECT count(*), min(revision) FROM {schema}.vcons")), "8|1");
    }
}

async fn refusals_are_classed() {
    let server = PostgresServer::with(&["fsync=off", "max_connections=6", "superuser_reserved_connections=1"]);
    let url = server.url();
    let wrong = storage(json!({"url": url.replace("of-the-tests", "wrong-secret")}));
    let error = expect_class(wrong.save(&small(&new_uuid(), 1)).await, Class::Configuration, "wrong password");
    assert!(
        !format!("{error:?}").contains("wrong-secret") && !error.chain_text().contains("wrong-secret"),
        "{error:?}"
    );
    let missing = storage(json!({"url": url.replace("/postgres", "/nowhere").replace("//nowhere", "//postgres")}));
    let error = expect_class(missing.health().await, Class::Configuration, "missing database");
    assert!(error.help_text().is_some_and(|help| help.contains("`database`")), "{error:?}");

    server.psql("CREATE ROLE narrow LOGIN PASSWORD 'narrow'");
    let narrow = storage(json!({"url": url.replace("vcons:of-the-tests", "narrow:narrow")}));
    let error = expect_class(narrow.save(&small(&new_uuid(), 1)).await, Class::Configuration, "may not make the table");
    assert!(error.help_text().is_some_and(|help| help.contains("CREATE")), "{error:?}");
    save(&*of(&server), &small(&new_uuid(), 1)).await;
    expect_class(narrow.save(&small(&new_uuid(), 1)).await, Class::Configuration, "may not write");
    expect_class(narrow.load(&new_uuid()).await.map(drop), Class::Configuration, "may not read");

    server.psql("CREATE TABLE strange (id TEXT, vcon_json JSONB)");
    let strange = storage(json!({"url": url, "table_name": "strange"}));
    let error = expect_class(strange.save(&small(&new_uuid(), 1)).await, Class::Configuration, "another table");
    assert!(error.message().contains("`id` is text"), "{error:?}");

    server.psql("ALTER DATABASE postgres SET default_transaction_read_only = on");
    expect_class(of(&server).save(&small(&new_uuid(), 1)).await, Class::Retryable, "a standby");
    server.psql("BEGIN READ WRITE; ALTER DATABASE postgres RESET default_transaction_read_only; COMMIT");

    // Five for ordinary users; they come free again by themselves.
    let crowd = storage(json!({"url": url.replace("vcons:of-the-tests", "narrow:narrow"), "connections": 20}));
    server.psql("GRANT ALL ON vcons TO narrow");
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let crowd = Arc::clone(&crowd);
        writers.spawn(async move { crowd.save(&small(&new_uuid(), 1)).await });
    }
    let refused: Vec<Error> = writers.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!(!refused.is_empty(), "nobody was refused");
    for error in refused {
        expect_class(Err(error), Class::Retryable, "too many connections");
    }
    save(&*crowd, &small(&new_uuid(), 1)).await;
}

async fn reading_needs_no_more_rights() {
    let server = PostgresServer::start();
    let uuid = new_uuid();
    save(&*of(&server), &small(&uuid, 1)).await;
    server.psql("CREATE ROLE reader LOGIN PASSWORD 'reader'; GRANT SELECT ON vcons TO reader");
    let reader = storage(json!({"url": server.url().replace("vcons:of-the-tests", "reader:reader")}));
    assert_eq!(subject(&*reader, &uuid).await, "revision 1");
    assert_eq!(list(&*reader).await, std::slice::from_ref(&uuid));
    expect_class(reader.delete(&uuid).await.map(drop), Class::Configuration, "it may not delete");
    expect_class(reader.health().await, Class::Configuration, "health promises that saving works");
    // A table that does not exist is an empty place, not made by looking.
    let empty = storage(json!({"url": server.url(), "table_name": "none"}));
    assert_eq!(empty.load(&uuid).await.expect("no error"), None);
    assert!(!empty.delete(&uuid).await.expect("no error") && list(&*empty).await.is_empty());
    assert_eq!(server.psql("SELECT to_regclass('none') IS NULL"), "t");
}

async fn a_stuck_statement_ends() {
    let server = PostgresServer::start();
    let (uuid, free) = (new_uuid(), new_uuid());
    let storage = storage(json!({"url": server.url(), "timeout": "1s", "connections": 2}));
    save(&*storage, &small(&uuid, 1)).await;
    let (other, connection) =
        tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.expect("another program");
    let connection = tokio::spawn(connection);
    other.batch_execute("BEGIN; UPDATE vcons SET subject = 'held'").await.expect("a lock on the row");
    for _ in 0..3 {
        let started = Instant::now();
        expect_class(storage.save(&small(&uuid, 2)).await, Class::Retryable, "the row is locked");
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
        save(&*storage, &small(&free, 1)).await;
    }
    // A run that was given up leaves no connection behind that waits for an answer of its own.
    for _ in 0..4 {
        let given_up = tokio::time::timeout(Duration::from_millis(50), storage.load(&uuid)).await;
        drop(tokio::time::timeout(Duration::from_millis(50), storage.save(&small(&uuid, 2))).await);
        drop(given_up);
    }
    save(&*storage, &small(&free, 2)).await;
    other.batch_execute("ROLLBACK").await.expect("it lets go");
    save(&*storage, &small(&uuid, 3)).await;
    connection.abort();
}

/// Saves as the engine does: again, while the storage says that it helps. The pool has several connections, and each may
/// be found out to be dead by a save of its own.
async fn saved_at_last(storage: &dyn Storage, revision: u64) {
    let item = small(&new_uuid(), revision);
    for _ in 0..20 {
        match storage.save(&item).await {
            Ok(()) => return,
            Err(error) => drop(expect_class(Err(error), Class::Retryable, "a connection was ended")),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no connection is made again");
}

async fn ended_connections_are_replaced() {
    let mut server = PostgresServer::start();
    let storage = of(&server);
    save(&*storage, &small(&new_uuid(), 1)).await;
    for round in 0..5 {
        server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vconductor'");
        match storage.save(&small(&new_uuid(), 1)).await {
            Ok(()) => {}
            Err(error) => drop(expect_class(Err(error), Class::Retryable, "an operator ended the connection")),
        }
        saved_at_last(&*storage, round).await;
    }
    server.stop();
    expect_class(storage.save(&small(&new_uuid(), 1)).await, Class::Retryable, "the server is down");
    server.up();
    saved_at_last(&*storage, 1).await;
    server.psql("DROP TABLE vcons");
    expect_class(storage.save(&small(&new_uuid(), 1)).await, Class::Configuration, "somebody dropped the table");
    save(&*storage, &small(&new_uuid(), 1)).await;
    assert_eq!(server.psql("SELECT count(*) FROM vcons"), "1");
}

async fn certificates_are_checked() {
    let certificates = Certificates::new();
    let server = PostgresServer::with_tls(&certificates);
    let with = |more: Value| {
        let mut options = json!({"url": server.url()});
        if let (Value::Object(options), Value::Object(more)) = (&mut options, more) {
            options.extend(more);
        }
        storage(options)
    };
    let encrypted =
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'vconductor'";
    for (options, ssl) in [
        (json!({"sslmode": "verify-full", "ca_certs": certificates.path("ca.pem")}), "t"),
        (json!({"ca_certs": certificates.path("ca.pem")}), "t"),
        (json!({"sslmode": "require"}), "t"),
        (json!({}), "t"),
        (json!({"sslmode": "disable"}), "f"),
    ] {
        let storage = with(options.clone());
        save(&*storage, &small(&new_uuid(), 1)).await;
        assert_eq!(server.psql(encrypted), ssl, "{options}");
    }
    let other = with(json!({"sslmode": "verify-full", "ca_certs": certificates.path("other.pem")}));
    let error = expect_class(other.health().await, Class::Configuration, "an authority that did not sign it");
    assert!(error.help_text().is_some_and(|help| help.contains("`ca_certs`")), "{error:?}");
    let system = with(json!({"sslmode": "verify-full"}));
    expect_class(system.health().await, Class::Configuration, "an authority that the system does not know");
    let missing = with(json!({"ca_certs": "/nowhere/ca.pem"}));
    expect_class(missing.health().await, Class::Configuration, "no such file");
    let plain = PostgresServer::start();
    let required = storage(json!({"url": format!("{}?sslmode=require", plain.url())}));
    let error = expect_class(required.health().await, Class::Configuration, "a server without TLS");
    assert!(error.message().contains("TLS"), "{error:?}");
    of(&plain).health().await.expect("`prefer` does without");
}
