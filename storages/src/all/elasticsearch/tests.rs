use serde_json::{Value, json};
use vconductor_core::Class;

use super::*;

fn refused(options: Value) -> Error {
    let options = serde_json::from_value(options).unwrap();
    let Err(error) = Elasticsearch::new("search", options) else { panic!("it was accepted") };
    error
}

#[test]
fn what_cannot_work_is_refused_with_the_option_and_without_the_password() {
    let url = "https://search.example.com";
    let cases = [
        (json!({}), "`url`"),
        (json!({"url": url, "cloud_id": "x:y"}), "`cloud_id`"),
        (json!({"cloud_id": "no id"}), "`cloud_id`"),
        (json!({"url": "search:9200"}), "`url`"),
        (json!({"url": "https://u:sesame@search"}), "`url`"),
        (json!({"url": url, "api_key": "sesame\nsesame"}), "`api_key`"),
        (json!({"url": url, "password": "sesame"}), "`password`"),
        (json!({"url": url, "index_prefix": "Prod_"}), "`index_prefix`"),
        (json!({"url": url, "index_prefix": "a,b"}), "`index_prefix`"),
        (json!({"url": url, "timeout": 0}), "`timeout`"),
    ];
    for (options, named) in cases {
        let error = refused(options);
        let text = error.chain_text();
        assert!(error.class() == Class::Configuration && error.help_text().is_some(), "{text}");
        assert!(text.contains(named) && !text.contains("sesame"), "{text}");
    }
}

#[test]
fn what_can_be_read_back_is_declared() {
    let storage = |documents: bool| {
        let options = json!({"url": "http://localhost:9200", "documents": documents});
        Elasticsearch::new("search", serde_json::from_value(options).unwrap()).unwrap()
    };
    assert!(!storage(false).capabilities().read && storage(true).capabilities().lossless);
}

#[tokio::test]
async fn certificates_that_are_not_there_are_no_reason_to_do_without() {
    let options = json!({"url": "https://localhost:1", "ca_certs": "/no/such/file.pem"});
    let storage = Elasticsearch::new("search", serde_json::from_value(options).unwrap()).unwrap();
    let error = storage.health().await.unwrap_err();
    assert!(error.class() == Class::Configuration && error.chain_text().contains("ca_certs"), "{}", error.chain_text());
}
