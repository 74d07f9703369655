use serde_json::{Value, json};
use vconductor_core::Class;

use super::*;

fn refused(options: Value) -> Error {
    let options = serde_json::from_value(options).unwrap();
    let Err(error) = Postgres::new("database", options) else { panic!("it was accepted") };
    error
}

#[test]
fn what_cannot_work_is_refused_with_the_option_and_without_the_password() {
    let cases = [
        (json!({"table_name": ""}), "`table_name`"),
        (json!({"table_name": "x".repeat(64)}), "`table_name`"),
        (json!({"timeout": 0}), "`timeout`"),
        (json!({"connections": 0}), "`connections`"),
        (json!({"url": "mysql://u:sesame@host/db"}), "`url`"),
        (json!({"url": "postgres://u:sesame@host:port/db"}), "`url`"),
        (json!({"url": "postgres://u:sesame@host"}), "no database"),
        (json!({"url": "postgres://host/db"}), "no user"),
        (json!({"url": "postgres://u:sesame@host/db?sslmode=verify-ca"}), "`verify-ca`"),
        (json!({"url": "postgres://u:sesame@host/db", "port": 5433}), "`port`"),
        (json!({"url": "postgres://u:sesame@host/db?sslmode=prefer", "sslmode": "require"}), "`sslmode`"),
        (json!({"sslmode": "require", "ca_certs": "/ca.pem"}), "`ca_certs`"),
    ];
    for (options, named) in cases {
        let error = refused(options);
        let text = error.chain_text();
        assert!(error.class() == Class::Configuration && error.help_text().is_some(), "{text}");
        assert!(text.contains(named) && !text.contains("sesame"), "{text}");
    }
}

#[test]
fn a_url_and_the_options_of_vcon_server_name_the_same_server() {
    let target = |options: Value| serde_json::from_value::<Options>(options).unwrap().target().unwrap();
    let parts = target(json!({"host": "db", "port": 5433, "user": "u", "password": "p%", "database": "d"}));
    let url = target(json!({"url": "postgres://u:p%25@db:5433/d"}));
    assert_eq!(parts.config, url.config);
    assert_eq!(url.place, "postgres://db:5433/d");
    assert_eq!(url.sslmode, options::SslMode::Prefer);
    let full = target(json!({"url": "postgres://u@db/d?sslmode=verify-full&sslrootcert=/ca.pem&connect_timeout=3"}));
    assert_eq!(full.sslmode, options::SslMode::VerifyFull);
    assert_eq!(full.ca_certs.as_deref(), Some(std::path::Path::new("/ca.pem")));
    assert_eq!(target(json!({})).place, "postgres://localhost:5432/vcon_db", "what vcon-server takes without options");
}

#[test]
fn a_foreign_cursor_is_refused() {
    for cursor in ["", "|", "now()|00000000-0000-8000-8000-000000000000", "2026-01-01 00:00:00.000000|x"] {
        assert!(read_cursor(cursor).is_err(), "{cursor}");
    }
    assert!(read_cursor("2026-01-01 00:00:00.000000|00000000-0000-8000-8000-000000000000").is_ok());
}

#[test]
fn times_are_written_as_the_server_reads_them() {
    assert_eq!(column_time(1_757_512_800_250), "2025-09-10 14:00:00.250");
    assert_eq!(column_time(i64::MIN), "0001-01-01 00:00:00.000");
    assert!(column_time(i64::MAX).starts_with("9999-12-"));
}
