//! Between two vConductors: claimed there, stored and enqueued here, confirmed there. Nothing is lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use vconductor::follow::source::{Source, router};
use vconductor_core::http::{HttpClient, Request as Call};
use vconductor_core::store::TenantScope;
use vconductor_tests::stage::{Stage, uuid, vcon};

use super::place::{Place, was_killed};

const KEY: &str = "key-of-the-south";

/// A vConductor that is followed.
struct Followed {
    stage: Stage,
    source: Arc<Source>,
    url: String,
    task: tokio::task::JoinHandle<()>,
}

async fn authenticated(request: Request, next: Next) -> Response {
    match request.headers().get("x-conserver-api-token").map(|key| key.as_bytes() == KEY.as_bytes()) {
        Some(true) => next.run(request).await,
        _ => StatusCode::FORBIDDEN.into_response(),
    }
}

impl Followed {
    async fn start(stage: Stage) -> Self {
        let source = Source::open(Arc::clone(&stage.store)).await.expect("a source");
        let api = Router::new().nest("/api", router(Arc::clone(&source))).layer(from_fn(authenticated));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/api", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move { axum::serve(listener, api).await.expect("it serves") });
        Followed { stage, source, url, task }
    }

    async fn fill(&self, numbers: std::ops::Range<u32>) -> BTreeMap<String, usize> {
        let vcons = numbers.clone().map(|number| ("done".to_owned(), uuid(number), vcon(&uuid(number))));
        self.stage.give_many(vcons.collect()).await;
        numbers.map(|number| (uuid(number), 1)).collect()
    }

    async fn ask(&self, path: &str, body: &Value) -> (StatusCode, String) {
        let client = HttpClient::builder().build().expect("a client");
        let call = Call::post(&format!("{}{path}", self.url)).expect("a URL").trusted();
        let call = call.header("x-conserver-api-token", KEY).expect("a header").json(body).expect("JSON");
        let answer = client.exchange(&call).await.expect("an answer");
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    }

    async fn stop(self) -> Stage {
        self.source.close().await;
        self.task.abort();
        self.stage
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_moves_once_and_nothing_stays_behind() {
    let (followed, place) = (Followed::start(Stage::new()).await, Place::embedded());
    let expected = followed.fill(0..50).await;
    let output = place.run(&followed.url, KEY, None).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(place.out().await, expected);
    let stored =
        place.stage.store.get(&TenantScope::Everything, &uuid(3)).await.expect("an answer").expect("a document");
    assert_eq!(stored.document, vcon(&uuid(3)));
    assert!(followed.stage.store.lists().await.expect("lists").is_empty(), "all is confirmed");
    followed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_follower_loses_nothing_and_repeats_nothing() {
    killed_at(&["follow_delivered", "follow_confirmed"], &[1, 3], Place::embedded()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_follower_on_redis_loses_nothing_and_repeats_nothing() {
    killed_at(&["follow_delivered"], &[3], Place::redis().await).await;
}

async fn killed_at(points: &[&str], counts: &[u32], place: Place) {
    let followed = Followed::start(Stage::new()).await;
    let mut expected = BTreeMap::new();
    let mut next = 0;
    for point in points {
        for count in counts {
            expected.append(&mut followed.fill(next..next + 30).await);
            next += 30;
            let output = place.run(&followed.url, KEY, Some(&format!("{point}:{count}"))).await;
            assert!(was_killed(&output), "{point}:{count}: {}", String::from_utf8_lossy(&output.stderr));
            assert!(place.run(&followed.url, KEY, None).await.status.success());
        }
    }
    assert_eq!(place.out().await, expected, "all of them, each once, and no others");
    followed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_one_that_ends_takes_back_what_is_out() {
    let followed = Followed::start(Stage::new()).await;
    followed.fill(0..5).await;
    let ask = json!({"follower": "f", "list": "done", "limit": 3, "hold_seconds": 100});
    let (status, handout) = followed.ask("/vconductor/follow/claim", &ask).await;
    assert_eq!((status, handout.matches("\"run\"").count()), (StatusCode::OK, 3));
    assert_eq!(followed.stage.pending("done").await.claimed, 3);
    let stage = followed.stop().await;
    let pending = stage.pending("done").await;
    assert_eq!((pending.waiting, pending.claimed), (5, 0));
    assert_eq!(stage.take("done").await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_confirmed_in_time_goes_to_the_next_one_and_confirming_twice_is_fine() {
    let followed = Followed::start(Stage::new()).await;
    followed.fill(0..2).await;
    let ask =
        |follower: &str, hold: u64| json!({"follower": follower, "list": "done", "limit": 10, "hold_seconds": hold});
    let (_, first) = followed.ask("/vconductor/follow/claim", &ask("a", 1)).await;
    let (_, none) = followed.ask("/vconductor/follow/claim", &ask("b", 100)).await;
    assert_eq!(none, "", "it is out");
    tokio::time::sleep(Duration::from_millis(2200)).await;
    let (_, second) = followed.ask("/vconductor/follow/claim", &ask("b", 100)).await;
    assert_eq!(second, first, "the same runs in the same order");
    let runs: Vec<Value> =
        second.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()?.get("run").cloned()).collect();
    for _ in 0..2 {
        let (status, answer) = followed.ask("/vconductor/follow/confirm", &json!({"runs": runs})).await;
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!((status, answer["confirmed"].as_array().map(Vec::len)), (StatusCode::OK, Some(2)), "{answer}");
    }
    let unknown = uuid::Uuid::new_v4();
    let (_, answer) = followed.ask("/vconductor/follow/confirm", &json!({"runs": [unknown]})).await;
    assert!(answer.contains(&format!("\"unknown\":[\"{unknown}\"]")), "{answer}");
    followed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_without_a_document_becomes_a_dead_letter_there() {
    let followed = Followed::start(Stage::new()).await;
    let missing = vconductor_core::store::NewVcon {
        uuid: uuid(1),
        document: None,
        lists: vec!["done".to_owned()],
        keep: None,
        context: None,
        tenant: None,
    };
    followed.stage.store.ingest(vec![missing]).await.expect("ingested");
    let ask = json!({"follower": "f", "list": "done", "limit": 3, "hold_seconds": 100});
    let started = std::time::Instant::now();
    while followed.stage.dead("DLQ:done").await.is_empty() {
        assert!(started.elapsed() < Duration::from_secs(30), "it never dies");
        assert_eq!(followed.ask("/vconductor/follow/claim", &ask).await, (StatusCode::OK, String::new()));
        followed.stage.store.pump().await.expect("a pump");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(followed.stage.dead("DLQ:done").await[0].failure.message.contains("vcon_missing"));
    followed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_gets_nothing() {
    let (followed, place) = (Followed::start(Stage::new()).await, Place::embedded());
    followed.fill(0..3).await;
    place.run(&followed.url, "wrong", None).await;
    assert_eq!(followed.stage.pending("done").await.waiting, 3);
    followed.stop().await;
}
