//! What a hook is told of vCons that come and go.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use vconductor_core::plugin::Hook;
use vconductor_core::register_hook;

use crate::world::{Call, World, cases, uuid, vcon};

cases!(a_hook_is_told_of_what_comes_and_goes, a_hook_that_panics_harms_nobody);

static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Numbers of vCons that only these cases post.
const OURS: [usize; 3] = [8801, 8802, 8803];

#[derive(Debug, Default)]
struct Watching;

register_hook!(Watching);

#[async_trait]
impl Hook for Watching {
    async fn vcon_created(&self, uuid: &str, document: &Bytes, lists: &[String]) {
        write(format!("created {uuid} {} {lists:?}", document.len()));
        assert_ne!(uuid, crate::world::uuid(OURS[1]), "the panic of the test");
    }

    async fn vcon_deleted(&self, uuid: &str) {
        write(format!("deleted {uuid}"));
    }
}

fn write(line: String) {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner).push(line);
}

/// What was told of a vCon of this store, once there is so much of it.
async fn told(uuid: &str, many: usize) -> Vec<String> {
    for _ in 0..500 {
        let all = TOLD.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let lines: Vec<_> = all.into_iter().filter(|line| line.contains(uuid)).collect();
        if lines.len() >= many {
            return lines;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the hook is not told of {uuid}");
}

async fn a_hook_is_told_of_what_comes_and_goes(world: World) {
    let server = world.serve().await;
    // The case runs once for each store.
    let number = if world.redis.is_some() { OURS[0] } else { OURS[2] };
    let (uuid, document) = (uuid(number), vcon(&uuid(number)));
    let post =
        || Call::new("POST", "/vcon?ingress_lists=calls").header("idempotency-key", "once").body(document.clone());
    for _ in 0..2 {
        assert_eq!(server.ask(post()).await.status, 201);
    }
    assert_eq!(server.ask(Call::new("DELETE", &format!("/vcon/{uuid}"))).await.status, 204);
    let told = told(&uuid, 2).await;
    let created = format!("created {uuid} {} [\"calls\"]", document.len());
    assert_eq!(told, [created, format!("deleted {uuid}")], "a repetition is not told");
}

async fn a_hook_that_panics_harms_nobody(world: World) {
    let server = world.serve().await;
    let uuid = uuid(OURS[1]);
    assert_eq!(server.ask(Call::new("POST", "/vcon").body(vcon(&uuid))).await.status, 201);
    told(&uuid, 1).await;
    assert_eq!(server.ask(Call::new("GET", &format!("/vcon/{uuid}"))).await.status, 200);
}
