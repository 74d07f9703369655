//! Two shipped binaries: one serves its lists over HTTP, the other follows it.

use serde_json::Value;

use crate::place::{Place, done};
use crate::server::{KEY, Served};

const VCONS: usize = 25;

fn uuid(number: usize) -> String {
    format!("018f2b7c-5e1a-8c33-9d2b-0000000000{number:02}")
}

fn vcon(number: usize) -> String {
    let uuid = uuid(number);
    format!(
        "{{\"vcon\":\"0.4.0\", \"uuid\":\"{uuid}\",\"created_at\":\"2024-01-02T03:04:05Z\",\"parties\":[],\"n\":1e3}}"
    )
}

/// A place where `done` holds vCons that no chain takes.
fn north() -> Place {
    let place = Place::new();
    place.write("north.yml", "store: embedded:./data\nlinks: {}\nchains:\n  c: {links: [], ingress_lists: [calls]}\n");
    let lines: Vec<String> = (0..VCONS).map(vcon).collect();
    place.write("vcons.jsonl", lines.join("\n"));
    let taken = place.run(&["ingest", "--list", "done", "--store", "embedded:./data", "vcons.jsonl"]);
    assert_eq!(taken.code, 0, "{}", taken.stderr);
    place
}

fn south(address: &str, key: &str) -> Place {
    let place = Place::new();
    let config = format!(
        "store: embedded:./data\nlinks: {{}}\nchains:\n  c: {{links: [], ingress_lists: [in], egress_lists: [out]}}\n\
         followers:\n  north: {{url: \"http://{address}/api\", egress_list: done, follower_ingress_list: in, auth_token: \
         {key}, pulling_interval: 0.1, fetch_vcon_limit: 7}}\n"
    );
    place.write("south.yml", config);
    place
}

#[test]
fn a_conductor_follows_another_one() {
    let north = north();
    let served = Served::begin(&north, &["run", "north.yml", "--http", "127.0.0.1:0"]);
    let south = south(&served.address, KEY);
    let end = done(&mut south.command(&["run", "south.yml", "--until-idle", "--output", "json"]));
    assert_eq!(end.code, 0, "{}", end.stderr);
    let summary: Value = serde_json::from_str(&end.stdout).unwrap();
    assert_eq!(summary["chains"][0]["done"], VCONS, "{summary}");
    for number in 0..VCONS {
        let shown = south.run(&["show", &uuid(number), "--store", "embedded:./data", "--output", "json"]);
        assert_eq!(shown.stdout, vcon(number), "byte for byte");
    }
    let left = north.run(&["queue", "--store", "embedded:./data", "--output", "json"]);
    let left: Value = serde_json::from_str(&left.stdout).unwrap();
    assert!(left["lists"].as_array().is_some_and(Vec::is_empty), "{left}");
}

#[test]
fn without_the_key_nothing_is_handed_out() {
    let north = north();
    let served = Served::begin(&north, &["run", "north.yml", "--http", "127.0.0.1:0"]);
    let ask = r#"{"follower":"x","list":"done","limit":5,"hold_seconds":60}"#;
    for key in [None, Some("key-of-the-operato"), Some("")] {
        let headers: Vec<_> = key.map(|key| ("x-conserver-api-token", key)).into_iter().collect();
        let (status, body) = served.call_with(&headers, "POST", "/api/vconductor/follow/claim", ask);
        assert_eq!((status, body.as_str()), (403, r#"{"detail":"Invalid API Key"}"#), "{key:?}");
    }
    let (status, body) = served.call("POST", "/vconductor/follow/claim", ask);
    assert!(status == 200 && body.contains(&uuid(0)), "{body}");
    for path in ["/health", "/api/health", "/version"] {
        assert_eq!(served.call_with(&[], "GET", path, "").0, 200, "{path}");
    }
    assert_eq!(served.call("GET", "/nowhere", "").0, 404);
    assert_eq!(served.call("POST", "/vconductor/follow/claim", &" ".repeat(2 << 20)).0, 413);
}

#[test]
fn it_serves_only_with_a_key_and_where_it_can() {
    let place = north();
    let refused = place.run(&["run", "north.yml", "--http", "127.0.0.1:0"]);
    assert_eq!(refused.code, 78, "{}", refused.all());
    assert!(refused.stderr.contains("CONSERVER_API_TOKEN"), "{}", refused.stderr);
    place.write("keys", "\n one \n");
    let mut command = place.command(&["run", "north.yml", "--http", "192.0.2.1:80"]);
    let refused = done(command.env("CONSERVER_API_TOKEN_FILE", "keys"));
    assert_eq!(refused.code, 78, "{}", refused.all());
    assert!(refused.stderr.contains("cannot listen on 192.0.2.1:80"), "{}", refused.stderr);
}
