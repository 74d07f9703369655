//! Two shipped binaries: one serves its lists over HTTP, the other follows it.

mod place;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use place::{Place, done};
use serde_json::Value;

const KEY: &str = "key-of-the-north";
const VCONS: usize = 25;

/// A conductor that serves; killed when it is dropped.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(place: &Place) -> Self {
        let mut command = place.command(&["run", "north.yml", "--http", "127.0.0.1:0"]);
        command.env("CONSERVER_API_TOKEN", KEY).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| Some(line.unwrap().split_once("http://")?.1.trim().to_owned()));
        Served { address: address.expect("the start line says where"), child }
    }

    /// Status and body.
    fn call(&self, method: &str, path: &str, key: Option<&str>, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let key = key.map(|key| format!("x-conserver-api-token: {key}\r\n")).unwrap_or_default();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n{key}\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

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
    let served = Served::start(&north);
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
    let served = Served::start(&north);
    let ask = r#"{"follower":"x","list":"done","limit":5,"hold_seconds":60}"#;
    for key in [None, Some("key-of-the-nort"), Some("")] {
        let (status, body) = served.call("POST", "/api/vconductor/follow/claim", key, ask);
        assert_eq!((status, body.as_str()), (403, r#"{"detail":"Invalid API Key"}"#), "{key:?}");
    }
    let (status, body) = served.call("POST", "/vconductor/follow/claim", Some(KEY), ask);
    assert!(status == 200 && body.contains(&uuid(0)), "{body}");
    for path in ["/health", "/api/health", "/version"] {
        assert_eq!(served.call("GET", path, None, "").0, 200, "{path}");
    }
    assert_eq!(served.call("GET", "/nowhere", Some(KEY), "").0, 404);
    assert_eq!(served.call("POST", "/vconductor/follow/claim", Some(KEY), &" ".repeat(2 << 20)).0, 413);
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
