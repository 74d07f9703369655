//! Who gets in: keys with their scopes, and the table of every route with every kind of key.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use vconductor::api::{Jwt, JwtSource, openapi};
use vconductor_core::config::{ProcessEnvironment, load_text};
use vconductor_core::secret::Secret;

use crate::world::{Call, Server, TOKEN, World, cases, uuid, vcon};

cases![
    every_route_lets_in_whom_the_table_says,
    a_key_is_shown_once_and_only_its_hash_is_kept,
    a_revoked_key_opens_nothing_soon_after,
    an_expired_key_opens_nothing,
    keys_come_in_either_header,
    the_last_use_is_told,
    wrong_keys_are_slowed_down_and_right_ones_are_not,
    calls_are_written_down_without_secrets,
    nobody_starts_without_a_key,
    a_key_of_a_tenant_has_no_scope_admin,
    tokens_of_a_provider_open_what_they_say,
];

/// Every route and what a key must have for it. A route that is not here fails the test.
const TABLE: &[(&str, &str)] = &[
    ("get /health", "none"),
    ("get /ready", "none"),
    ("get /version", "none"),
    ("get /openapi.json", "none"),
    ("get /docs", "none"),
    ("get /docs/page.js", "none"),
    ("get /docs/page.css", "none"),
    ("get /config", "admin"),
    ("post /config", "admin"),
    ("get /config/reload", "admin"),
    ("post /config/reload", "admin"),
    ("get /metrics", "read"),
    ("get /vcon", "read"),
    ("get /vcon/{uuid}", "read"),
    ("get /vcons", "read"),
    ("get /vcons/search", "read"),
    ("get /vcons/ndjson", "read"),
    ("get /stats/queue", "read"),
    ("get /vcon/count", "read"),
    ("get /runs", "read"),
    ("get /runs/events", "read"),
    ("get /calls", "read"),
    ("get /calls/{uuid}/audio", "read"),
    ("get /transcripts", "read"),
    ("get /transcripts/{uuid}", "read"),
    ("get /v2/Transcripts", "read"),
    ("get /v2/Transcripts/{sid}", "read"),
    ("get /v2/Transcripts/{sid}/Sentences", "read"),
    ("get /v2/Transcripts/{sid}/Media", "read"),
    ("get /dlq", "read"),
    ("get /dlq/letters", "read"),
    ("get /vcon/egress", "write"),
    ("get /index_vcons", "write"),
    ("post /vcon", "write"),
    ("put /vcon/{uuid}", "write"),
    ("delete /vcon/{uuid}", "write"),
    ("post /vcons/ndjson", "write"),
    ("post /vcon/ingress", "write"),
    ("post /dlq/reprocess", "write"),
    ("post /dlq/letters/{run}/retry", "write"),
    ("delete /dlq/letters/{run}", "write"),
    ("post /vconductor/follow/claim", "write"),
    ("post /vconductor/follow/confirm", "write"),
    ("post /vcon/external-ingress", "ingress"),
];

/// Routes that a key which is bound to a tenant opens, if it has the scope; besides those that need no key.
const FOR_TENANTS: &[&str] = &[
    "get /vcon",
    "get /vcon/{uuid}",
    "get /vcons",
    "get /vcons/search",
    "get /vcons/ndjson",
    "get /calls",
    "get /calls/{uuid}/audio",
    "get /transcripts",
    "get /transcripts/{uuid}",
    "get /v2/Transcripts",
    "get /v2/Transcripts/{sid}",
    "get /v2/Transcripts/{sid}/Sentences",
    "get /v2/Transcripts/{sid}/Media",
    "post /vcon",
    "put /vcon/{uuid}",
    "delete /vcon/{uuid}",
    "post /vcons/ndjson",
    "post /vcon/ingress",
    "post /vcon/external-ingress",
];

/// Where the store of a world is, for commands.
fn url(world: &World) -> String {
    match &world.redis {
        Some(server) => server.url(),
        None => format!("embedded:{}", world.folder.path().join("store").display()),
    }
}

/// What the command `keys` does and how it ends.
pub(crate) fn keys_ends(world: &World, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conductor_under_test"));
    command.arg("keys").args(arguments).args(["--store", &url(world)]).current_dir(world.folder.path());
    command.env_remove("REDIS_URL").output().expect("it runs")
}

pub(crate) fn keys(world: &World, arguments: &[&str]) -> String {
    let output = keys_ends(world, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

pub(crate) fn create(world: &World, scopes: &[&str], more: &[&str]) -> String {
    let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
    let arguments: Vec<&str> = ["create", "test"].into_iter().chain(scopes).chain(more.iter().copied()).collect();
    keys(world, &arguments)
}

/// The parts of an id that `keys` tells.
fn id_of(key: &str) -> &str {
    key.split('_').nth(1).expect("an id")
}

fn partners(list: &str, key: &str) -> Vec<vconductor_core::config::IngressAuth> {
    let text = serde_json::json!({"links": {}, "chains": {}, "ingress_auth": {list: key}}).to_string();
    load_text("c", &text, &ProcessEnvironment).config.expect("a configuration").ingress_auth
}

/// Method, path and scope of every operation of the OpenAPI document, and whether it is for tenants.
fn operations() -> Vec<(String, String, String, bool)> {
    let document = openapi();
    let mut found = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (verb, operation) in operations.as_object().expect("operations") {
            let scope = operation["x-scope"].as_str().expect("a scope");
            let for_tenants = operation["x-for-tenants"].as_bool().expect("yes or no");
            found.push((verb.clone(), path.clone(), scope.to_owned(), for_tenants));
        }
    }
    found
}

/// The kind of key that is bound to a tenant.
const TENANT: &str = "of a tenant";

async fn every_route_lets_in_whom_the_table_says(world: World) {
    let table: BTreeMap<&str, &str> = TABLE.iter().copied().collect();
    let kinds: Vec<(&str, Option<String>, Vec<&str>)> = vec![
        ("no key", None, vec!["none"]),
        ("a wrong key", Some("wrong".to_owned()), vec!["none"]),
        ("a made up key", Some(format!("vck_0123456789ab_{}", "x".repeat(43))), vec!["none"]),
        ("read", Some(create(&world, &["read"], &[])), vec!["none", "read"]),
        ("write", Some(create(&world, &["write"], &[])), vec!["none", "write", "ingress"]),
        ("both", Some(create(&world, &["read", "write"], &[])), vec!["none", "read", "write", "ingress"]),
        ("its list", Some(create(&world, &["ingress:calls"], &[])), vec!["none", "ingress"]),
        ("another list", Some(create(&world, &["ingress:chats"], &[])), vec!["none"]),
        ("ingress_auth", Some("partner".to_owned()), vec!["none", "ingress"]),
        ("admin", Some(create(&world, &["admin"], &[])), vec!["none", "read", "write", "admin", "ingress"]),
        (
            TENANT,
            Some(create(&world, &["read", "write"], &["--tenant", "acme"])),
            vec!["none", "read", "write", "ingress"],
        ),
        // As in vcon-server, the token does not open what `ingress_auth` is for.
        ("the token", Some(TOKEN.to_owned()), vec!["none", "read", "write", "admin"]),
    ];
    let auth = partners("calls", "partner");
    let server = world
        .serve_with(|settings| {
            settings.ingress_auth = auth;
            settings.limits.wrong_keys = 100_000;
        })
        .await;
    let operations = operations();
    assert_eq!(operations.len(), TABLE.len(), "the table has rows for routes that are no more");
    for (verb, path, scope, for_tenants) in operations {
        let route = format!("{verb} {path}");
        let row = table.get(route.as_str()).unwrap_or_else(|| panic!("{route} has no row"));
        assert_eq!(*row, scope, "{route}");
        assert_eq!(FOR_TENANTS.contains(&route.as_str()) || *row == "none", for_tenants, "{route}");
        for (kind, key, opens) in &kinds {
            let filled = path.replace("{uuid}", &uuid(9)).replace("{run}", &uuid(9)).replace("{sid}", "GT0");
            let query = "list_name=calls&egress_list=calls&ingress_list=calls&tel=1";
            let mut call = Call::new(&verb.to_uppercase(), &format!("{filled}?{query}")).body(vcon(&uuid(8)));
            call.key.clone_from(key);
            for prefix in ["", "/api"] {
                let call = Call { path: format!("{prefix}{}", call.path), ..call.clone() };
                let status = server.ask(call).await.status.as_u16();
                let opened = opens.contains(row) && (for_tenants || *kind != TENANT);
                assert_eq!(status != 403, opened, "{route} for {kind} answers {status}");
                assert!(status < 500, "{route} for {kind} answers {status}");
            }
        }
    }
}

async fn a_key_is_shown_once_and_only_its_hash_is_kept(world: World) {
    let key = create(&world, &["read"], &[]);
    let told = keys(&world, &["list", "--output", "json"]);
    let secret = key.splitn(3, '_').last().expect("a secret");
    assert!(told.contains(id_of(&key)) && !told.contains(secret), "{told}");
    let kept = world.store.keys().await.expect("the keys");
    assert!(!format!("{kept:?}").contains(secret));
    let server = world.serve().await;
    let me = |path: &str| Call::new("GET", path).key(&key);
    assert_eq!(server.ask(me("/vcon")).await.status, 200);
    let metrics = server.get("/metrics").await.text;
    assert!(!metrics.contains(secret) && !metrics.contains(TOKEN));
}

async fn a_revoked_key_opens_nothing_soon_after(world: World) {
    let key = create(&world, &["read"], &[]);
    let server = world.serve().await;
    assert_eq!(server.ask(Call::new("GET", "/vcon").key(&key)).await.status, 200);
    keys(&world, &["revoke", id_of(&key)]);
    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert_eq!(server.ask(Call::new("GET", "/vcon").key(&key)).await.status, 403);
}

async fn an_expired_key_opens_nothing(world: World) {
    let key = keys(&world, &["create", "short", "--scope", "read", "--expires", "2s"]);
    let server = world.serve().await;
    assert_eq!(server.ask(Call::new("GET", "/vcon").key(&key)).await.status, 200);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(server.ask(Call::new("GET", "/vcon").key(&key)).await.status, 403);
    let told: Value = serde_json::from_str(&keys(&world, &["list", "--output", "json"])).expect("JSON");
    assert_eq!(told[0]["expired"], true);
}

async fn keys_come_in_either_header(world: World) {
    let key = create(&world, &["read"], &[]);
    let server = world.serve().await;
    let bearer = |value: String| Call::new("GET", "/vcon").without_key().header("authorization", &value);
    for value in [format!("Bearer {key}"), format!("bearer {key}"), format!("Bearer {TOKEN}")] {
        assert_eq!(server.ask(bearer(value)).await.status, 200);
    }
    for value in [key.clone(), format!("Basic {key}"), "Bearer".to_owned(), "Bearer ".to_owned()] {
        assert_eq!(server.ask(bearer(value)).await.status, 403);
    }
    let other = world.serve_with(|settings| {
        settings.keys = vconductor::api::Keys::new("X-Other".to_owned(), [TOKEN.to_owned()]);
    });
    let other = other.await;
    assert_eq!(other.get("/vcon").await.status, 403);
    assert_eq!(other.ask(Call::new("GET", "/vcon").without_key().header("x-other", TOKEN)).await.status, 200);
}

async fn the_last_use_is_told(world: World) {
    let key = create(&world, &["read"], &[]);
    let server = world.serve().await;
    server.ask(Call::new("GET", "/vcon").key(&key)).await;
    server.api.stop().await;
    assert!(world.store.keys().await.expect("the keys")[0].used_at.is_some(), "it is noted at the end at the latest");
}

async fn wrong_keys_are_slowed_down_and_right_ones_are_not(world: World) {
    let server = world.serve_with(|settings| settings.limits.wrong_keys = 5).await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(server.ask(Call::new("GET", "/vcon").key("wrong")).await.status.as_u16());
    }
    assert_eq!((&statuses[..5], &statuses[6..]), (&[403; 5][..], &[429; 2][..]));
    assert_eq!(server.get("/vcon").await.status, 200, "behind the same proxy may be somebody with a key");
}

async fn calls_are_written_down_without_secrets(world: World) {
    let log = world.folder.path().join("audit.jsonl");
    let key = create(&world, &["read", "write"], &[]);
    let auth = partners("calls", "key-of-the-partner");
    let path = log.clone();
    let server = world
        .serve_with(|settings| {
            settings.audit = Some(path);
            settings.ingress_auth = auth;
        })
        .await;
    async fn write(server: &Server, key: &str, path: &str) {
        server.ask(Call::new("POST", path).key(key).body(vcon(&uuid(1)))).await;
    }
    write(&server, &key, "/vcon?secret=hidden").await;
    write(&server, "key-of-the-partner", "/vcon/external-ingress?ingress_list=calls").await;
    write(&server, "a-wrong-key", "/vcon").await;
    server.ask(Call::new("DELETE", &format!("/vcon/{}", uuid(1))).key(TOKEN)).await;
    server.get("/vcon").await;
    let text = std::fs::read_to_string(&log).expect("a log");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Vec<(&str, &str, i64)> = lines
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().expect("text");
            (text("who"), text("path"), line["status"].as_i64().expect("a status"))
        })
        .collect();
    let (name, deleted) = (format!("test ({})", id_of(&key)), format!("/vcon/{}", uuid(1)));
    assert_eq!(
        told,
        [
            (name.as_str(), "/vcon", 201),
            ("ingress_auth.calls", "/vcon/external-ingress", 204),
            ("nobody", "/vcon", 403),
            ("token", deleted.as_str(), 204),
        ]
    );
    for secret in [key.as_str(), TOKEN, "key-of-the-partner", "a-wrong-key", "hidden"] {
        assert!(!text.contains(secret), "{text}");
    }
}

async fn nobody_starts_without_a_key(world: World) {
    let keys = vconductor::api::Keys::new("x".to_owned(), []);
    let settings = vconductor::api::Settings { keys, ..World::settings() };
    let refused = vconductor::api::Api::start(settings, world.store.clone()).await.err().expect("it is refused");
    assert!(refused.help_text().is_some_and(|help| help.contains("vconductor keys create")), "{refused}");
}

async fn a_key_of_a_tenant_has_no_scope_admin(world: World) {
    let key = create(&world, &["admin"], &[]);
    let mut kept = world.store.keys().await.expect("the keys").remove(0);
    let server = world.serve().await;
    assert_eq!(server.ask(Call::new("GET", "/vcon").key(&key)).await.status, 200);
    // `keys create` refuses it; whoever writes it into the store himself gains nothing.
    kept.tenant = Some("acme".parse().expect("a name"));
    world.store.keep_key(&kept).await.expect("a key is kept");
    tokio::time::sleep(Duration::from_millis(2200)).await;
    for path in ["/vcon", "/metrics", "/config", "/runs"] {
        assert_eq!(server.ask(Call::new("GET", path).key(&key)).await.status, 403, "{path}");
    }
}

/// A token (RFC 7519) of the secret of the tests.
fn token(secret: &str, claims: &Value) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", encode(br#"{"alg":"HS256"}"#), encode(claims.to_string().as_bytes()));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", encode(&mac.finalize().into_bytes()))
}

async fn tokens_of_a_provider_open_what_they_say(world: World) {
    let secret = "the secret of the tests has more than 32 bytes";
    let jwt = Jwt {
        source: JwtSource::Secret(Secret::new(secret)),
        issuer: Some("https://id.example.com".to_owned()),
        audience: Some("vcons".to_owned()),
    };
    let server = world.serve_with(|settings| settings.jwt = Some(jwt)).await;
    let end = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs() + 60;
    let claims =
        json!({"sub": "ann", "iss": "https://id.example.com", "aud": "vcons", "exp": end, "scope": "openid read"});
    let ask = async |method: &str, token: String| {
        let call = Call::new(method, "/vcon").without_key().header("authorization", &format!("Bearer {token}"));
        server.ask(call.body(vcon(&uuid(1)))).await.status.as_u16()
    };
    assert_eq!(ask("GET", token(secret, &claims)).await, 200);
    assert_eq!(ask("POST", token(secret, &claims)).await, 403, "it may only read");
    assert_eq!(ask("GET", token("another secret that has more than 32 bytes", &claims)).await, 403);
    let mut of_a_tenant = claims.clone();
    of_a_tenant["tenant"] = json!("acme");
    assert_eq!(ask("GET", token(secret, &of_a_tenant)).await, 200);
    for (name, value) in [
        ("tenant", json!("A B")),
        ("exp", json!(1000)),
        ("iss", json!("https://else.example.com")),
        ("aud", json!("others")),
    ] {
        let mut other = claims.clone();
        other[name] = value;
        assert_eq!(ask("GET", token(secret, &other)).await, 403, "{name}");
    }
    assert_eq!(ask("GET", "a.b.c".to_owned()).await, 403);
}
