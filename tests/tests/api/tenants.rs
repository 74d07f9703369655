//! Keys that are bound to a tenant: on every route they reach what is theirs, and nothing else.

use std::sync::Arc;

use serde_json::{Value, json};
use vconductor_core::plugin::{Registry, SaveItem, Storage};
use vconductor_core::store::TenantScope;
use vconductor_core::vcon::Vcon;

use crate::access::{create, keys, keys_ends};
use crate::history::{call, transcript};
use crate::world::{Answer, Call, Server, World, cases, uuid, vcon};

cases![
    what_a_tenant_posts_is_his_and_nobody_elses,
    a_tenant_reads_his_own_on_every_route,
    a_tenant_changes_his_own_alone,
    a_uuid_that_is_taken_is_refused_without_a_word_of_it,
    lines_of_somebody_else_do_not_take_the_others_with_them,
    two_tenants_may_choose_the_same_key_for_repetitions,
    only_ones_own_is_put_on_a_list,
    what_only_a_storage_has_is_not_for_tenants,
    a_key_says_whose_it_is,
    a_tenant_hands_in_on_his_list,
];

fn key(world: &World, tenant: &str) -> String {
    create(world, &["read", "write"], &["--tenant", tenant])
}

async fn get(server: &Server, key: &str, path: &str) -> Answer {
    server.ask(Call::new("GET", path).key(key)).await
}

async fn post(server: &Server, key: &str, body: String) -> u16 {
    server.ask(Call::new("POST", "/vcon").key(key).body(body)).await.status.as_u16()
}

/// A call with a transcript and a recording.
fn conversation(number: usize) -> String {
    call(number, "+12025550123", "inbound", &transcript(["Hello", "Yes"])).to_string()
}

/// A world in which number 1 is of `acme`, 2 of `other`, 3 of nobody; and the keys of the two.
async fn mixed(world: &World) -> (Server, [String; 2]) {
    let keys = [key(world, "acme"), key(world, "other")];
    let server = world.serve().await;
    for (number, key) in [(1, keys[0].as_str()), (2, &keys[1]), (3, crate::world::TOKEN)] {
        assert_eq!(post(&server, key, conversation(number)).await, 201);
    }
    (server, keys)
}

async fn what_a_tenant_posts_is_his_and_nobody_elses(world: World) {
    let (server, [acme, other]) = mixed(&world).await;
    for number in 1..=4 {
        let path = format!("/vcon/{}", uuid(number));
        assert_eq!(get(&server, &acme, &path).await.status == 200, number == 1, "{number}");
        assert_eq!(get(&server, &other, &path).await.status == 200, number == 2, "{number}");
        assert_eq!(server.get(&path).await.status == 200, number < 4, "{number}");
    }
    let told = get(&server, &acme, &format!("/vcon/{}", uuid(2))).await;
    let unknown = get(&server, &acme, &format!("/vcon/{}", uuid(4))).await;
    assert_eq!((told.status, told.text), (unknown.status, unknown.text), "as if it were not there");
}

async fn a_tenant_reads_his_own_on_every_route(world: World) {
    let (server, [acme, other]) = mixed(&world).await;
    let sid = |number: usize| format!("GT{}", uuid(number).replace('-', ""));
    let lists = [
        "/vcon".to_owned(),
        "/vcon?cursor=".to_owned(),
        format!("/vcons?vcon_uuids={}&vcon_uuids={}&vcon_uuids={}", uuid(1), uuid(2), uuid(3)),
        "/vcons/search?tel=%2B12025550123".to_owned(),
        "/vcons/ndjson".to_owned(),
        "/calls".to_owned(),
        "/calls?number=%2B12025550123".to_owned(),
        "/transcripts".to_owned(),
        "/v2/Transcripts".to_owned(),
    ];
    for path in lists {
        for (key, own, others) in [(&acme, 1, [2, 3]), (&other, 2, [1, 3])] {
            let told = get(&server, key, &path).await;
            assert!(told.status == 200 && told.text.contains(&uuid(own)), "{path}: {told:?}");
            for foreign in others {
                assert!(!told.text.contains(&uuid(foreign)), "{path}: {told:?}");
            }
        }
        let all = server.get(&path).await.text;
        assert!((1..=3).all(|number| all.contains(&uuid(number))), "{path}: {all}");
    }
    let ones = |number: usize| {
        [
            format!("/vcon/{}", uuid(number)),
            format!("/calls/{}/audio", uuid(number)),
            format!("/transcripts/{}", uuid(number)),
            format!("/v2/Transcripts/{}", sid(number)),
            format!("/v2/Transcripts/{}/Sentences", sid(number)),
            format!("/v2/Transcripts/{}/Media", sid(number)),
        ]
    };
    for (number, status) in [(1, 200), (2, 404), (3, 404)] {
        for path in ones(number) {
            // Sound is no text: its length tells enough.
            let call = Call::new(if path.ends_with("/audio") { "HEAD" } else { "GET" }, &path).key(&acme);
            assert_eq!(server.ask(call).await.status, status, "{path}");
        }
    }
    let page = get(&server, &acme, "/vcon?size=1&page=1").await.json();
    assert_eq!(page, json!([uuid(1)]), "pages count what is seen");
    assert_eq!(get(&server, &acme, "/vcon?size=1&page=2").await.json(), json!([]));
    let elsewhere = get(&server, &acme, &format!("/vcon?cursor={}", uuid(2))).await;
    assert_eq!(elsewhere.status, 410, "another's place is none");
}

async fn a_tenant_changes_his_own_alone(world: World) {
    let (server, [acme, _]) = mixed(&world).await;
    let replace = async |number: usize| {
        let call = Call::new("PUT", &format!("/vcon/{}", uuid(number))).key(&acme).header("If-Match", "*");
        server.ask(call.body(vcon(&uuid(number)))).await.status.as_u16()
    };
    let delete = async |number: usize| {
        let call = Call::new("DELETE", &format!("/vcon/{}", uuid(number))).key(&acme);
        assert_eq!(server.ask(call).await.status, 204, "{number}");
        server.get(&format!("/vcon/{}", uuid(number))).await.status.as_u16()
    };
    for (number, replaced, left) in [(1, 200, 404), (2, 404, 200), (3, 404, 200)] {
        assert_eq!(replace(number).await, replaced, "{number}");
        assert_eq!(delete(number).await, left, "{number}");
    }
}

async fn a_uuid_that_is_taken_is_refused_without_a_word_of_it(world: World) {
    let (server, [acme, _]) = mixed(&world).await;
    for number in [2, 3] {
        let before = server.get(&format!("/vcon/{}", uuid(number))).await;
        let answer = server.ask(Call::new("POST", "/vcon").key(&acme).body(vcon(&uuid(number)))).await;
        assert_eq!(answer.status, 409);
        assert!(!answer.text.contains("other") && !answer.text.contains("Hello"), "{answer:?}");
        let after = server.get(&format!("/vcon/{}", uuid(number))).await;
        assert_eq!((before.header("etag"), &before.text), (after.header("etag"), &after.text));
    }
    assert_eq!(post(&server, &acme, conversation(1)).await, 201, "one's own may come again");
    assert_eq!(server.post("/vcon", conversation(1)).await.status, 201, "and the operator's does not make it his");
    assert_eq!(get(&server, &acme, &format!("/vcon/{}", uuid(1))).await.status, 200);
}

async fn lines_of_somebody_else_do_not_take_the_others_with_them(world: World) {
    let (server, [acme, other]) = mixed(&world).await;
    let lines: String = [7, 2, 8].map(|number| format!("{}\n", vcon(&uuid(number)))).concat();
    for (repeated, status) in [(false, 201), (true, 200)] {
        let call = Call::new("POST", "/vcons/ndjson?ingress_lists=calls").key(&acme).header("Idempotency-Key", "k");
        let answer = server.ask(call.body(lines.clone())).await;
        let told: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let statuses: Vec<u64> = told.iter().filter_map(|line| line["status"].as_u64()).collect();
        assert_eq!(statuses, [status, 409, status], "repeated: {repeated}: {answer:?}");
    }
    assert_eq!(server.depth("calls").await, 2);
    let told = get(&server, &acme, "/vcons/ndjson").await.text;
    assert!([1, 7, 8].iter().all(|number| told.contains(&uuid(*number))) && told.lines().count() == 3, "{told}");
    assert!(get(&server, &other, &format!("/vcon/{}", uuid(2))).await.text.contains("Hello"));
}

async fn two_tenants_may_choose_the_same_key_for_repetitions(world: World) {
    let (server, [acme, other]) = mixed(&world).await;
    for (key, number) in [(&acme, 11), (&other, 12)] {
        for replayed in [false, true] {
            let call = Call::new("POST", "/vcon").key(key).header("Idempotency-Key", "k").body(vcon(&uuid(number)));
            let answer = server.ask(call).await;
            assert_eq!((answer.status.as_u16(), answer.header("idempotent-replayed").is_some()), (201, replayed));
        }
    }
}

async fn only_ones_own_is_put_on_a_list(world: World) {
    let (server, [acme, _]) = mixed(&world).await;
    let body = json!([uuid(1), uuid(2), uuid(3), uuid(4)]).to_string();
    let call = Call::new("POST", "/vcon/ingress?ingress_list=calls").key(&acme).body(body);
    assert_eq!(server.ask(call).await.status, 204);
    assert_eq!(server.get("/vcon/egress?egress_list=calls&limit=9").await.json(), json!([uuid(1)]));
}

async fn what_only_a_storage_has_is_not_for_tenants(world: World) {
    let acme = key(&world, "acme");
    let entry = Registry::collect().expect("plugins").storage("storage.file").expect("the storage").build;
    let storage: Arc<dyn Storage> =
        entry("files", json!({"path": world.folder.path().join("files")})).expect("a storage");
    for number in [1, 2] {
        let vcon = Arc::new(Vcon::read(conversation(number)).expect("a vCon"));
        let item = SaveItem { uuid: uuid(number), revision: 1, vcon, effect_id: String::new() };
        storage.save(&item).await.expect("it is saved");
    }
    let storages = vec![("files".to_owned(), Arc::clone(&storage))];
    let server = world.serve_with(|settings| settings.storages = storages).await;
    assert_eq!(post(&server, &acme, conversation(2)).await, 201);
    for path in ["/vcon/", "/transcripts/"] {
        assert_eq!(get(&server, &acme, &format!("{path}{}", uuid(1))).await.status, 404, "{path}");
    }
    let several = get(&server, &acme, &format!("/vcons?vcon_uuids={}", uuid(1))).await;
    assert_eq!(several.json(), json!([null]));
    let enqueue = Call::new("POST", "/vcon/ingress?ingress_list=calls").key(&acme);
    assert_eq!(server.ask(enqueue.body(json!([uuid(1)]).to_string())).await.status, 204);
    assert_eq!(server.depth("calls").await, 0);
    for number in [1, 2] {
        let call = Call::new("DELETE", &format!("/vcon/{}", uuid(number))).key(&acme);
        assert_eq!(server.ask(call).await.status, 204);
        let left = storage.load(&uuid(number)).await.expect("an answer").is_some();
        assert_eq!(left, number == 1, "what is known to be his is deleted there, too");
    }
    assert_eq!(server.get(&format!("/vcon/{}", uuid(1))).await.status, 200, "the operator has it back");
    assert_eq!(get(&server, &acme, &format!("/vcon/{}", uuid(1))).await.status, 404, "and then it is nobody's");
}

async fn a_key_says_whose_it_is(world: World) {
    key(&world, "acme");
    create(&world, &["read"], &[]);
    let told: Value = serde_json::from_str(&keys(&world, &["list", "--output", "json"])).expect("JSON");
    let mut tenants: Vec<&Value> = told.as_array().expect("keys").iter().map(|key| &key["tenant"]).collect();
    tenants.sort_by_key(|tenant| tenant.is_null());
    assert_eq!(tenants, [&json!("acme"), &Value::Null]);
    for (scope, tenant, why) in [("admin", "acme", "scope admin"), ("read", "A B", "no name of a tenant")] {
        let refused = keys_ends(&world, &["create", "test", "--scope", scope, "--tenant", tenant]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&refused.stderr).contains(why), "{refused:?}");
    }
    let table = keys(&world, &["list"]);
    assert!(table.contains("TENANT") && table.contains("acme"), "{table}");
}

async fn a_tenant_hands_in_on_his_list(world: World) {
    let acme = create(&world, &["ingress:calls"], &["--tenant", "acme"]);
    let server = world.serve().await;
    let path = "/vcon/external-ingress?ingress_list=calls";
    let hand_in = async |number: usize| {
        server.ask(Call::new("POST", path).key(&acme).body(vcon(&uuid(number)))).await.status.as_u16()
    };
    assert_eq!(server.post("/vcon", vcon(&uuid(2))).await.status, 201);
    assert_eq!((hand_in(1).await, hand_in(2).await), (204, 409));
    let scope = TenantScope::One("acme".parse().expect("a name"));
    for (number, his) in [(1, true), (2, false)] {
        let found = world.store.get(&scope, &uuid(number)).await.expect("an answer");
        assert_eq!(found.is_some(), his);
    }
    assert_eq!(get(&server, &acme, "/vcon").await.status, 403, "it opens nothing else");
}
