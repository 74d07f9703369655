//! Keys that are had from a provider: when he is asked, and what happens while he does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;

/// A provider with one key at a time; `None`: he is down.
#[derive(Clone, Default)]
struct Provider {
    key: Arc<std::sync::Mutex<Option<Value>>>,
    asked: Arc<AtomicUsize>,
}

impl Provider {
    async fn start(&self) -> String {
        let provider = self.clone();
        let answer = move || {
            provider.asked.fetch_add(1, Ordering::Relaxed);
            let key = provider.key.lock().unwrap().clone();
            async move {
                match key {
                    Some(key) => Json(json!({"keys": [key]})).into_response(),
                    None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                }
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/jwks.json", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/jwks.json")
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// From now on he has another key; answers with what signs by it.
    fn rotate(&self, id: &str) -> impl Fn() -> String + use<> {
        let pair = Ed25519KeyPair::generate().unwrap();
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        *self.key.lock().unwrap() = Some(json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": public}));
        let header = json!({"alg": "EdDSA", "kid": id}).to_string();
        move || {
            let claims = json!({"sub": "ann", "scope": "read", "exp": Timestamp::now().as_second() + 60}).to_string();
            let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(claims));
            let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()).as_ref());
            format!("{signed}.{signature}")
        }
    }
}

async fn tokens(url: String) -> Tokens {
    let source = JwtSource::Url(url, HttpClient::builder().build().unwrap());
    Tokens::new(Jwt { source, issuer: None, audience: None }).await.unwrap()
}

/// As if so much time had passed since the provider was asked.
async fn later(tokens: &Tokens, by: Duration) {
    let mut known = tokens.known.lock().await;
    known.asked = Some(Instant::now().checked_sub(by).unwrap());
}

async fn opens(tokens: &Tokens, token: &str) -> bool {
    tokens.caller(token.as_bytes()).await.is_some()
}

#[tokio::test]
async fn a_new_key_of_the_provider_is_found_and_strangers_do_not_make_him_busy() {
    let provider = Provider::default();
    let first = provider.rotate("k1");
    let tokens = tokens(provider.start().await).await;
    assert!(opens(&tokens, &first()).await);
    let other = Provider::default().rotate("k1");
    assert!(!opens(&tokens, &other()).await, "the same name, another key");
    let second = provider.rotate("k2");
    for _ in 0..50 {
        assert!(!opens(&tokens, &second()).await);
    }
    assert_eq!(provider.asked(), 1, "a key that nobody knows is looked for every half minute at most");
    later(&tokens, AGAIN + Duration::from_secs(1)).await;
    assert!(opens(&tokens, &second()).await);
    assert!(!opens(&tokens, &first()).await, "the old key is not his any more");
    assert_eq!(provider.asked(), 2);
}

#[tokio::test]
async fn while_the_provider_is_away_his_last_keys_hold_and_without_any_nobody_gets_in() {
    let provider = Provider::default();
    let tokens = tokens(provider.start().await).await;
    let first = provider.rotate("k1");
    assert!(!opens(&tokens, &first()).await, "he did not answer at the start");
    later(&tokens, AGAIN + Duration::from_secs(1)).await;
    assert!(opens(&tokens, &first()).await);
    *provider.key.lock().unwrap() = None;
    later(&tokens, FRESH + Duration::from_secs(1)).await;
    assert!(opens(&tokens, &first()).await);
    assert!(provider.asked() >= 3, "{}", provider.asked());
}
