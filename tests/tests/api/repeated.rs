//! `Idempotency-Key`, and many vCons in one call.

use serde_json::Value;

use crate::world::{Call, World, cases, uuid, vcon};

cases![
    a_repeated_post_has_no_effect,
    a_key_means_one_vcon,
    two_callers_may_choose_the_same_key,
    lines_are_taken_in_and_told_one_by_one,
    repeated_lines_have_no_effect,
    lines_come_out_as_they_are,
];

fn post(number: usize, key: &str) -> Call {
    Call::new("POST", "/vcon?ingress_lists=calls").header("Idempotency-Key", key).body(vcon(&uuid(number)))
}

async fn a_repeated_post_has_no_effect(world: World) {
    let server = world.serve().await;
    for repeated in [false, true, true] {
        let answer = server.ask(post(1, "k")).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (201, vcon(&uuid(1)).as_str()));
        assert_eq!(answer.header("idempotent-replayed").is_some(), repeated);
    }
    assert_eq!(server.depth("calls").await, 1);
    // Without a key every post is one of its own.
    server.post("/vcon?ingress_lists=calls", vcon(&uuid(1))).await;
    assert_eq!(server.depth("calls").await, 2);
}

async fn a_key_means_one_vcon(world: World) {
    let server = world.serve().await;
    assert_eq!(server.ask(post(1, "k")).await.status, 201);
    let other = server.ask(post(2, "k")).await;
    assert!(other.status == 422 && other.text.contains("Idempotency-Key"), "{other:?}");
    assert_eq!(server.get(&format!("/vcon/{}", uuid(2))).await.status, 404);
    assert_eq!(server.ask(post(2, &"x".repeat(256))).await.status, 422);
}

async fn two_callers_may_choose_the_same_key(world: World) {
    let partners = r#"{"links":{},"chains":{},"ingress_auth":{"calls":"partner"}}"#;
    let loaded = vconductor_core::config::load_text("c", partners, &vconductor_core::config::ProcessEnvironment);
    let auth = loaded.config.expect("a configuration").ingress_auth;
    let server = world.serve_with(|settings| settings.ingress_auth = auth).await;
    assert_eq!(server.ask(post(1, "k")).await.status, 201);
    let path = "/vcon/external-ingress?ingress_list=calls";
    for _ in 0..2 {
        let call = Call::new("POST", path).key("partner").header("Idempotency-Key", "k").body(vcon(&uuid(2)));
        assert_eq!(server.ask(call).await.status, 204);
    }
    assert_eq!(server.depth("calls").await, 2);
}

fn lines(numbers: impl Iterator<Item = usize>) -> String {
    numbers.map(|number| format!("{}\n", vcon(&uuid(number)))).collect()
}

fn told(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

async fn lines_are_taken_in_and_told_one_by_one(world: World) {
    let server = world.serve().await;
    let body = format!("{}\n\nno vCon\n{}{{\"vcon\":1}}", lines(0..300).trim_end(), lines(300..302));
    let answer = server.post("/vcons/ndjson?ingress_lists=calls", body).await;
    let told = told(&answer.text);
    assert_eq!((answer.status.as_u16(), told.len()), (200, 304));
    let refused: Vec<_> = told.iter().filter(|line| line["status"] == 422).map(|line| line["line"].clone()).collect();
    assert_eq!(refused, [302, 305], "line 301 is empty");
    assert_eq!((&told[0]["status"], &told[0]["uuid"]), (&201.into(), &uuid(0).into()));
    assert_eq!(server.depth("calls").await, 302);
}

async fn repeated_lines_have_no_effect(world: World) {
    let server = world.serve().await;
    let import =
        |body: String| Call::new("POST", "/vcons/ndjson?ingress_lists=calls").header("Idempotency-Key", "k").body(body);
    let first = server.ask(import(lines(0..600))).await;
    assert!(told(&first.text).iter().all(|line| line["status"] == 201));
    let second = server.ask(import(lines(0..600))).await;
    assert!(told(&second.text).iter().all(|line| line["status"] == 200), "{}", second.text);
    assert_eq!(server.depth("calls").await, 600);
}

async fn lines_come_out_as_they_are(world: World) {
    let server = world.serve().await;
    server.post("/vcons/ndjson", lines(0..450)).await;
    let pretty = format!("{{\n\"uuid\": \"{}\",\n\"created_at\": \"2026-01-01\",\n\"n\": 1e3\n}}", uuid(900));
    server.post("/vcon", pretty.clone()).await;
    let answer = server.get("/vcons/ndjson").await;
    let found: Vec<&str> = answer.text.lines().collect();
    assert_eq!(found.len(), 451);
    assert_eq!(found[..450].join("\n"), lines(0..450).trim_end());
    assert_eq!(found[450], pretty.replace('\n', " "));
    let rest = server.get(&format!("/vcons/ndjson?cursor={}", uuid(447))).await;
    assert_eq!(rest.text.lines().count(), 3);
    assert_eq!(server.get(&format!("/vcons/ndjson?cursor={}", uuid(999))).await.status, 410);
}
