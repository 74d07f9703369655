use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use vconductor_core::vcon::Vcon;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TEXT: &str = r#"{ "uuid":"018f0000-0000-8000-8000-000000000001", "vcon":"0.0.1", "appended":null, "n":1e3 }"#;

/// A receiver that answers every call with `status` and passes on what it got: head and body.
async fn receiver(status: &'static str) -> (String, mpsc::UnboundedReceiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/vcons", listener.local_addr().unwrap());
    let (calls, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = String::new();
            let mut buffer = vec![0; 65536];
            loop {
                let count = stream.read(&mut buffer).await.unwrap_or(0);
                text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let head = head.to_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
                if count == 0 || body.len() >= length.parse().unwrap() {
                    calls.send((head, body.to_owned())).unwrap();
                    break;
                }
            }
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, received)
}

fn storage(options: Value) -> Result<Webhook> {
    Webhook::new("hook", serde_json::from_value(options).unwrap())
}

fn item() -> SaveItem {
    let vcon = Arc::new(Vcon::read(TEXT).unwrap());
    SaveItem {
        uuid: "018f0000-0000-8000-8000-000000000001".to_owned(),
        revision: 1,
        vcon,
        effect_id: "effect7".to_owned(),
    }
}

#[tokio::test]
async fn the_document_arrives_as_it_is_with_id_headers_and_signature() {
    let (url, mut received) = receiver("204 No Content").await;
    let options = json!({"webhook-urls": [url], "headers": {"Authorization": "Bearer abc"}, "secret": SECRET});
    storage(options).unwrap().save(&item()).await.unwrap();
    let (head, body) = received.recv().await.unwrap();
    assert_eq!(body, TEXT, "not relabelled");
    for line in [
        "post /vcons ",
        "idempotency-key: effect7",
        "webhook-id: effect7",
        "authorization: bearer abc",
        "application/json",
    ] {
        assert!(head.contains(line), "{line}: {head}");
    }
    assert!(head.contains("webhook-signature: v1,") && head.contains("webhook-timestamp: "), "{head}");
}

#[tokio::test]
async fn every_receiver_is_called_and_all_must_accept() {
    let (broken, mut first) = receiver("503 Service Unavailable").await;
    let (gone, mut second) = receiver("404 Not Found").await;
    let (fine, mut third) = receiver("200 OK").await;
    let error = storage(json!({"webhook_urls": [gone, broken, fine]})).unwrap().save(&item()).await.unwrap_err();
    assert!(error.is_retryable() && error.message().contains("503"), "{error}");
    for received in [&mut first, &mut second, &mut third] {
        assert!(received.recv().await.is_some());
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let error = storage(json!({"webhook-urls": [url], "timeout": 0.2})).unwrap().save(&item()).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[tokio::test]
async fn health_tells_whether_receivers_can_be_reached() {
    let (url, mut received) = receiver("405 Method Not Allowed").await;
    storage(json!({"webhook-urls": [url]})).unwrap().health().await.unwrap();
    assert!(received.recv().await.unwrap().0.starts_with("head "), "no vCon is sent");
    let error = storage(json!({"webhook-urls": ["http://127.0.0.1:9/"]})).unwrap().health().await.unwrap_err();
    assert!(error.help_text().is_some());
}

#[test]
fn options_are_checked_without_showing_secrets() {
    for (options, expected) in [
        (json!({"webhook-urls": []}), "`webhook-urls` is empty"),
        (json!({"webhook-urls": ["ftp://user:geheim@x/"]}), "number 1"),
        (json!({"webhook-urls": ["https://x/"], "timeout": 0}), "`timeout`"),
        (json!({"webhook-urls": ["https://x/"], "secret": "geheim"}), "`secret`"),
        (json!({"webhook-urls": ["https://x/"], "headers": {"X": "geheim\n"}}), "`headers`"),
    ] {
        let Err(error) = storage(options.clone()) else { panic!("{options} was accepted") };
        let text = error.chain_text();
        assert!(text.contains(expected) && !text.contains("geheim"), "{text}");
    }
}
