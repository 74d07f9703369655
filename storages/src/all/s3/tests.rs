use serde_json::{Value, json};
use vconductor_core::Class;

use super::*;

fn refused(options: Value) -> Error {
    let options = serde_json::from_value(options).unwrap();
    let Err(error) = S3::new("archive", options) else { panic!("it was accepted") };
    error
}

#[test]
fn what_cannot_work_is_refused_with_the_option_and_without_the_key() {
    let cases = [
        (json!({}), "aws_bucket"),
        (json!({"aws_bucket": "a/b"}), "aws_bucket"),
        (json!({"aws_bucket": "b", "aws_access_key_id": "AKIA"}), "aws_secret_access_key"),
        (json!({"aws_bucket": "b", "aws_secret_access_key": "sesame"}), "aws_access_key_id"),
        (json!({"aws_bucket": "b", "endpoint_url": "minio:9000"}), "endpoint_url"),
        (json!({"aws_bucket": "b", "endpoint_url": "http://u:sesame@minio:9000"}), "endpoint_url"),
        (json!({"aws_bucket": "b", "s3_path": "../up"}), "s3_path"),
        (json!({"aws_bucket": "b", "sse_kms_key_id": "k"}), "sse_kms_key_id"),
        (json!({"aws_bucket": "b", "part_size": "1MB"}), "part_size"),
        (json!({"aws_bucket": "b", "timeout": 0}), "timeout"),
    ];
    for (options, named) in cases {
        let error = refused(options);
        let text = error.chain_text();
        assert!(error.class() == Class::Configuration && error.help_text().is_some(), "{text}");
        assert!(text.contains(named) && !text.contains("sesame"), "{text}");
    }
}

#[test]
fn media_have_the_url_of_their_place() {
    let url = |options: Value| {
        let storage = S3::new("archive", serde_json::from_value(options).unwrap()).unwrap();
        storage.bucket.url("media/sha512-x")
    };
    for (options, expected) in [
        (json!({"aws_bucket": "b", "aws_region": "eu-west-1"}), "https://b.s3.eu-west-1.amazonaws.com/media/sha512-x"),
        (json!({"aws_bucket": "b", "endpoint_url": "http://m:9000/"}), "http://m:9000/b/media/sha512-x"),
        (
            json!({"aws_bucket": "b", "media_url": "https://cdn.example.com/v/"}),
            "https://cdn.example.com/v/media/sha512-x",
        ),
    ] {
        assert_eq!(url(options), expected);
    }
}
