use std::sync::Arc;

use serde_json::{Value, json};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Class, Error};

use super::*;

fn storage(options: Value) -> Result<Sqlite, Error> {
    Sqlite::new("database", serde_json::from_value(options).unwrap())
}

fn item(text: &str, revision: u64) -> SaveItem {
    let vcon = Vcon::read(text.to_owned()).unwrap();
    let uuid = vcon.uuid().unwrap().to_string();
    SaveItem { uuid, revision, vcon: Arc::new(vcon), effect_id: "e".to_owned() }
}

#[tokio::test]
async fn the_columns_are_those_of_postgres_and_the_text_is_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vcons.sqlite");
    let storage = storage(json!({"path": path, "table": "calls"})).unwrap();
    assert!(!path.exists(), "nothing is opened before the first use");
    let text = r#"{ "uuid":"018f0000-0000-8000-8000-000000000001","vcon":"0.0.1", "created_at":"2026-09-10T23:30:00-05:00","subject":"Grün","x":1e3 }"#;
    storage.save(&item(text, 3)).await.unwrap();
    storage.save(&item(&text.replace("Grün", "old"), 2)).await.unwrap();

    let connection = rusqlite::Connection::open(&path).unwrap();
    let row: (String, String, String, String, String, i64, String) = connection
        .query_row(
            "SELECT id, uuid, vcon, created_at, vcon_json, revision, vcon_json ->> '$.subject' FROM calls",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?)),
        )
        .unwrap();
    let uuid = "018f0000-0000-8000-8000-000000000001".to_owned();
    let expected = (
        uuid.clone(),
        uuid,
        "0.0.1".to_owned(),
        "2026-09-11 04:30:00.000".to_owned(),
        text.to_owned(),
        3,
        "Grün".to_owned(),
    );
    assert_eq!(row, expected);
}

#[tokio::test]
async fn a_place_that_cannot_be_is_a_configuration_error_with_help() {
    let folder = tempfile::tempdir().unwrap();
    let text_file = folder.path().join("notes.txt");
    std::fs::write(&text_file, "these are notes and no database, long enough to have a header of sixteen bytes")
        .unwrap();
    for path in [folder.path().join("missing/vcons.sqlite"), text_file] {
        let error = storage(json!({"path": path})).unwrap().health().await.unwrap_err();
        assert_eq!(error.class(), Class::Configuration, "{}", error.chain_text());
        assert!(error.help_text().is_some());
    }
}

#[test]
fn tables_have_plain_names() {
    for table in ["", "1st", "a b", "v\"; DROP TABLE x; --", "sqlite_x"] {
        let Err(error) = storage(json!({"table": table})) else { panic!("{table} was accepted") };
        assert!(error.message().contains("`table`"), "{error}");
    }
}

#[tokio::test]
async fn a_database_that_another_program_holds_is_retried() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vcons.sqlite");
    let storage = storage(json!({"path": path})).unwrap();
    storage.health().await.unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let one = item(r#"{"uuid":"018f0000-0000-8000-8000-000000000001"}"#, 1);
    let error = storage.save(&one).await.unwrap_err();
    assert!(error.is_retryable() && error.help_text().is_some(), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    storage.save(&one).await.unwrap();
}
