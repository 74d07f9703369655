//! Stopping: who comes is told to go elsewhere, who is here is served.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vconductor_core::store::TenantScope;

use crate::world::{TOKEN, World, cases, uuid, vcon};

cases![a_draining_server_serves_and_says_so, a_call_under_way_is_answered_before_the_end, a_store_that_is_away_is_told];

async fn a_draining_server_serves_and_says_so(world: World) {
    let server = world.serve().await;
    server.api.drain().start();
    let ready = server.get("/ready").await;
    assert_eq!((ready.status.as_u16(), ready.json()["reason"].as_str()), (503, Some("draining")));
    assert_eq!(server.get("/health").await.status, 200);
    assert_eq!(server.post("/vcon", vcon(&uuid(1))).await.status, 201);
}

async fn a_call_under_way_is_answered_before_the_end(world: World) {
    let server = world.serve().await;
    let address = server.api.address();
    let mut idle = TcpStream::connect(address).await.expect("a connection");
    let mut busy = TcpStream::connect(address).await.expect("a connection");
    let body = vcon(&uuid(1));
    let head = format!(
        "POST /vcon HTTP/1.1\r\nhost: x\r\nx-conserver-api-token: {TOKEN}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    busy.write_all(head.as_bytes()).await.expect("it is sent");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let started = Instant::now();
    let stopping = tokio::spawn(server.api.stop());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody new is let in");
    let mut left = Vec::new();
    assert_eq!(idle.read_to_end(&mut left).await.unwrap_or(0), 0, "an idle connection is closed");
    busy.write_all(body.as_bytes()).await.expect("it is sent");
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201 ") && answer.to_lowercase().contains("connection: close"), "{answer}");
    stopping.await.expect("it ends");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(world.store.get(&TenantScope::Everything, &uuid(1)).await.expect("an answer").is_some());
}

async fn a_store_that_is_away_is_told(mut world: World) {
    let Some(mut redis) = world.redis.take() else { return };
    let server = world.serve().await;
    redis.kill();
    assert_eq!(server.get("/ready").await.status, 503);
    assert_eq!(server.get("/health").await.status, 200);
    let refused = server.post("/vcon", vcon(&uuid(1))).await;
    assert!(refused.status == 503 && refused.header("retry-after").is_some(), "{refused:?}");
    assert_eq!(refused.json()["detail"], "Failed to store vCon");
}
