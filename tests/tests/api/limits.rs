//! Strangers get no more than their share: sizes, inflation, heads, slowness, speed.

use std::io::Write as _;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vconductor_tests::servers::certificates::Certificates;

use crate::world::{Call, World, cases, uuid, vcon};

cases![
    a_body_that_is_too_large_is_refused,
    a_body_may_be_gzip_but_no_bomb,
    a_head_that_is_too_large_is_refused,
    slow_heads_and_bodies_are_cut_off_and_others_are_served,
    an_answer_that_nobody_reads_is_cut_off,
    answers_that_wait_for_their_readers_take_no_more_than_their_room,
    one_key_may_be_slowed_down,
    many_large_bodies_at_once_are_all_stored,
    it_speaks_tls,
    figures_are_told_with_few_labels,
];

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).expect("it is written");
    encoder.finish().expect("it ends")
}

fn padded(number: usize, bytes: usize) -> String {
    vcon(&uuid(number)).replace("\"n\":1e3", &format!("\"n\":\"{}\"", "x".repeat(bytes)))
}

async fn a_body_that_is_too_large_is_refused(world: World) {
    let server = world.serve_with(|settings| settings.limits.body = 100_000).await;
    assert_eq!(server.post("/vcon", padded(1, 99_000)).await.status, 201);
    assert_eq!(server.post("/vcon", padded(2, 100_000)).await.status, 413);
    // Without a declared length.
    let parts = futures_util::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![b' '; 10_000])));
    let request =
        server.client.post(format!("{}/vcon", server.base)).header("x-conserver-api-token", crate::world::TOKEN);
    let answer = request.body(reqwest::Body::wrap_stream(parts)).send().await.expect("an answer");
    assert_eq!(answer.status(), 413);
    assert_eq!(server.post("/vcons/ndjson", vec![b' '; 300_000]).await.status, 413, "a line is too long");
}

async fn a_body_may_be_gzip_but_no_bomb(world: World) {
    let server = world.serve_with(|settings| settings.limits.body = 1 << 20).await;
    let post = |body: Vec<u8>| Call::new("POST", "/vcon").header("content-encoding", "gzip").body(body);
    let answer = server.ask(post(gzip(vcon(&uuid(1)).as_bytes()))).await;
    assert_eq!((answer.status.as_u16(), answer.text), (201, vcon(&uuid(1))));
    // Known by its first bytes, too.
    assert_eq!(server.post("/vcon", gzip(vcon(&uuid(2)).as_bytes())).await.status, 201);
    assert_eq!(server.ask(post(gzip(&vec![b' '; 64 << 20]))).await.status, 413);
    assert_eq!(server.ask(post(b"no gzip".to_vec())).await.status, 400);
    let brotli = Call::new("POST", "/vcon").header("content-encoding", "br").body("x");
    assert_eq!(server.ask(brotli).await.status, 415);
}

async fn a_head_that_is_too_large_is_refused(world: World) {
    let server = world.serve().await;
    let answer = server.ask(Call::new("GET", "/health").header("x-padding", &"x".repeat(200_000))).await;
    assert_eq!(answer.status, 431);
    let answer =
        server.ask((0..200).fold(Call::new("GET", "/health"), |call, n| call.header(&format!("x-{n}"), "x"))).await;
    assert_eq!(answer.status, 431);
}

async fn slow_heads_and_bodies_are_cut_off_and_others_are_served(world: World) {
    let server = world
        .serve_with(|settings| {
            settings.limits.head = Duration::from_secs(2);
            settings.limits.progress = Duration::from_secs(2);
        })
        .await;
    let address = server.api.address();
    let mut slow = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let begun = match number % 3 {
            0 => "GET /health HTTP/1.1\r\nhost: x\r\nx-a: ".to_owned(),
            1 => String::new(),
            _ => format!(
                "POST /vcon HTTP/1.1\r\nhost: x\r\nx-conserver-api-token: {}\r\ncontent-length: 1000\r\n\r\n{{",
                crate::world::TOKEN
            ),
        };
        stream.write_all(begun.as_bytes()).await.expect("it is sent");
        slow.push(stream);
    }
    let started = Instant::now();
    assert_eq!(server.get("/health").await.status, 200);
    assert!(started.elapsed() < Duration::from_millis(1500), "others are served meanwhile");
    for mut stream in slow {
        let mut text = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut text)).await;
        assert!(ended.is_ok(), "a slow connection stays");
        let text = String::from_utf8_lossy(&text);
        assert!(text.is_empty() || text.contains(" 408 "), "{text}");
    }
}

async fn an_answer_that_nobody_reads_is_cut_off(world: World) {
    const SIZE: usize = 30 << 20;
    let server = world.serve_with(|settings| settings.limits.progress = Duration::from_millis(700)).await;
    assert_eq!(server.post("/vcon", padded(1, SIZE)).await.status, 201);
    let mut stream = TcpStream::connect(server.api.address()).await.expect("a connection");
    let key = crate::world::TOKEN;
    let call = format!("GET /vcon/{} HTTP/1.1\r\nhost: x\r\nx-conserver-api-token: {key}\r\n\r\n", uuid(1));
    stream.write_all(call.as_bytes()).await.expect("it is sent");
    tokio::time::sleep(Duration::from_secs(4)).await;
    // What lies in the buffers of the connection still comes; then it ends, or breaks.
    let (mut read, mut buffer) = (0, vec![0; 1 << 16]);
    while let Ok(more @ 1..) = stream.read(&mut buffer).await {
        read += more;
    }
    assert!(read < SIZE, "all of it was kept for somebody who did not read");
    assert_eq!(server.get(&format!("/vcon/{}", uuid(1))).await.text.len(), padded(1, SIZE).len(), "others get it");
}

async fn answers_that_wait_for_their_readers_take_no_more_than_their_room(world: World) {
    // Two of them fit.
    let server = world
        .serve_with(|settings| {
            settings.limits.body = 25 << 20;
            settings.limits.bodies = 1;
        })
        .await;
    assert_eq!(server.post("/vcon", padded(1, 24 << 20)).await.status, 201);
    assert_eq!(server.post("/vcon", vcon(&uuid(2))).await.status, 201);
    let call =
        format!("GET /vcon/{} HTTP/1.1\r\nhost: x\r\nx-conserver-api-token: {}\r\n\r\n", uuid(1), crate::world::TOKEN);
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.api.address()).await.expect("a connection");
        stream.write_all(call.as_bytes()).await.expect("it is sent");
        stream.read_exact(&mut [0; 16]).await.expect("the answer has begun");
        slow.push(stream);
    }
    let third = server.get(&format!("/vcon/{}", uuid(1))).await;
    assert!(third.status == 503 && third.header("retry-after").is_some(), "{}", third.status);
    assert_eq!(server.get(&format!("/vcon/{}", uuid(2))).await.status, 200, "small ones are not held up");
    drop(slow);
    assert_eq!(server.get(&format!("/vcon/{}", uuid(1))).await.status, 200, "the room is given back");
}

async fn one_key_may_be_slowed_down(world: World) {
    let server = world.serve_with(|settings| settings.limits.calls_per_second = Some(5)).await;
    let mut refused = 0;
    for _ in 0..12 {
        let answer = server.get("/vcon").await;
        refused += usize::from(answer.status == 429);
        assert_eq!(answer.status == 429, answer.header("retry-after").is_some());
    }
    assert!((5..=7).contains(&refused), "{refused} were refused");
    assert_eq!(server.get("/health").await.status, 200, "what wants no key is not counted");
}

async fn many_large_bodies_at_once_are_all_stored(world: World) {
    // Two of them fit at once; the others wait.
    let server = world
        .serve_with(|settings| {
            settings.limits.body = 4 << 20;
            settings.limits.bodies = 1;
        })
        .await;
    let posts = (0..24).map(|number| server.post("/vcon", padded(number, 3 << 20)));
    let answers = futures_util::future::join_all(posts).await;
    let stored = answers.iter().filter(|answer| answer.status == 201).count();
    let waited = answers.iter().filter(|answer| answer.status == 503 && answer.header("retry-after").is_some()).count();
    assert_eq!(stored + waited, 24, "{answers:?}");
    assert!(stored >= 2, "only {stored}");
    assert_eq!(server.post("/vcon", vcon(&uuid(99))).await.status, 201, "small ones are not held up");
}

async fn it_speaks_tls(world: World) {
    let certificates = Certificates::new();
    let file = |name: &str| certificates.path(name).into();
    let files = vconductor::api::TlsFiles { certificate: file("server.pem"), key: file("server.key") };
    let server = world.serve_with(|settings| settings.tls = Some(files)).await;
    assert!(server.base.starts_with("https://"));
    let answer = server.post("/vcon", vcon(&uuid(1))).await;
    assert_eq!(answer.status, 201);
    assert!(answer.header("strict-transport-security").is_some());
    let plain = server.client.get(format!("http://{}/health", server.api.address())).send().await;
    assert!(plain.is_err(), "without TLS there is no answer");
    let wrong = vconductor::api::TlsFiles { certificate: file("server.pem"), key: file("client.key") };
    let settings = vconductor::api::Settings { tls: Some(wrong), ..World::settings() };
    let refused =
        vconductor::api::Api::start(settings, world.store.clone()).await.err().expect("they do not belong together");
    assert!(refused.help_text().is_some(), "{refused}");
}

async fn figures_are_told_with_few_labels(world: World) {
    let server = world.serve_with(|settings| settings.lists = ["calls".to_owned()].into()).await;
    for number in 0..30 {
        server.post("/vcon?ingress_lists=calls", vcon(&uuid(number))).await;
        server.post(&format!("/vcon?ingress_lists=made-up-{number}"), vcon(&uuid(number))).await;
        server.get(&format!("/vcon/{}", uuid(number))).await;
        server.get(&format!("/nothing/{number}")).await;
    }
    let answer = server.get("/metrics").await;
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    let has = |part: &str| assert!(answer.text.contains(part), "{part} is missing: {}", answer.text);
    has("# TYPE vconductor_http_requests_total counter");
    has("route=\"/vcon/{uuid}\"");
    has("vconductor_http_request_duration_seconds_bucket");
    has("vconductor_queue_length{list=\"calls\"}");
    has("vconductor_api_vcons_enqueued_total{list=\"calls\",source=\"new\"}");
    has("vconductor_api_vcons_enqueued_total{list=\"other\",source=\"new\"}");
    has("vconductor_build_info{");
    assert!(!answer.text.contains(&uuid(3)) && !answer.text.contains("/nothing"), "{}", answer.text);
    let paths = vconductor::api::openapi()["paths"].as_object().expect("paths").clone();
    let routes = answer.text.lines().filter_map(|line| line.split_once("route=\"")?.1.split_once('"'));
    let made_up: Vec<&str> = routes.map(|(route, _)| route).filter(|route| !paths.contains_key(*route)).collect();
    assert_eq!(made_up, Vec::<&str>::new(), "labels that are no routes");
    assert_eq!(server.ask(Call::new("GET", "/metrics").without_key()).await.status, 403);
}
