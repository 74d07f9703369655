//! Another configuration while the process goes on.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::place::Place;
use crate::server::Served;

/// How many reloads are made under load.
fn reloads() -> usize {
    std::env::var("VCONDUCTOR_RELOADS").map_or(60, |text| text.parse().expect("a number of reloads"))
}

fn uuid(number: usize) -> String {
    format!("018f2b7c-5e1a-8c33-9d2b-{number:012}")
}

fn post(served: &Served, list: &str, number: usize) {
    let vcon = json!({"uuid": uuid(number), "created_at": "2026-01-02T03:04:05Z", "parties": []}).to_string();
    let (status, text) = served.call("POST", &format!("/vcon?ingress_lists={list}"), &vcon);
    assert_eq!(status, 201, "{text}");
}

/// Waits until a question has an answer.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn waiting(served: &Served, list: &str) -> u64 {
    let lists = served.get(&format!("/runs?list_name={list}"));
    lists["lists"].as_array().and_then(|lists| lists.first()).map_or(0, |list| list["waiting"].as_u64().unwrap())
}

/// The tags that a finished vCon has.
fn tags(served: &Served, number: usize) -> Vec<String> {
    let vcon = served.get(&format!("/vcon/{}", uuid(number)));
    let attachments = vcon["attachments"].as_array().cloned().unwrap_or_default();
    let body = attachments.iter().find(|attachment| attachment["type"] == "tags" || attachment["purpose"] == "tags");
    let Some(body) = body.map(|attachment| &attachment["body"]) else { return Vec::new() };
    let told: Value = body.as_str().map_or_else(|| body.clone(), |text| serde_json::from_str(text).unwrap());
    serde_json::from_value(told).unwrap()
}

/// One chain that tags with this word.
fn tagging(word: &str) -> String {
    format!(
        "store: embedded:./data\nlinks: {{new: {{module: links.tag, options: {{tags: [{word}]}}}}}}\nchains:\n  c: {{links: \
         [new], ingress_lists: [calls], egress_lists: [done]}}\n"
    )
}

fn started(place: &Place, arguments: &[&str]) -> Served {
    Served::begin(place, &[&["run", "chains.yml", "--http", "127.0.0.1:0"], arguments].concat())
}

#[test]
fn a_reload_is_asked_for_by_signal_file_and_api_and_a_wrong_one_changes_nothing() {
    let place = Place::new();
    place.write("chains.yml", tagging("one"));
    let mut served = started(&place, &["--watch"]);
    let status = || served.get("/config/reload");
    assert_eq!((&status()["generation"], &status()["last"]), (&json!(1), &Value::Null));
    assert!(served.call("GET", "/metrics", "").1.contains("vconductor_config_generation 1\n"));
    let worked = |number, word: &str| {
        post(&served, "calls", number);
        until("the vCon", || (waiting(&served, "done") as usize == number).then_some(()));
        assert_eq!(tags(&served, number), [format!("{word}:{word}")]);
    };
    worked(1, "one");

    place.write("chains.yml", tagging("two"));
    served.signal("HUP");
    until("the second generation", || (status()["generation"] == 2).then_some(()));
    assert_eq!(status()["last"]["result"], "applied");
    worked(2, "two");

    place.write("chains.yml", tagging("three").replace("[new]", "[nwe]"));
    let refused = until("the refusal", || Some(status()).filter(|status| status["last"]["result"] == "refused"));
    assert_eq!((&refused["generation"], &refused["last"]["by"]), (&json!(2), &json!("watch")), "{refused}");
    let findings = refused["last"]["findings"].as_array().unwrap();
    let error = findings.iter().find(|finding| finding["level"] == "error").unwrap();
    assert_eq!((&error["line"], &error["help"]), (&json!(4), &json!("did you mean `new`?")), "{refused}");
    worked(3, "two");
    let (code, text) = served.call("POST", "/config/reload", "");
    assert!(code == 422 && text.contains("chains.yml:4:15: ") && text.contains("nwe"), "{code} {text}");

    // The file is right again, and says what works already.
    place.write("chains.yml", tagging("two"));
    let (code, text) = served.call("POST", "/config/reload", "");
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &told["generation"], &told["last"]["result"]), (200, &json!(2), &json!("unchanged")), "{text}");

    place.write("chains.yml", tagging("two").replace("./data", "./other"));
    let (code, text) = served.call("POST", "/config/reload", "");
    assert!(code == 422 && text.contains("`store:` changed, which wants a restart"), "{code} {text}");
    place.write("chains.yml", tagging("two"));

    let mut shown = served.get("/config");
    shown["links"]["new"]["options"]["tags"] = json!(["four"]);
    assert_eq!(served.call("POST", "/config", &shown.to_string()), (204, String::new()));
    assert_eq!(status()["generation"], 3);
    assert_eq!(served.get("/config")["links"]["new"]["options"]["tags"], json!(["four"]));
    worked(4, "four");
    let metrics = served.call("GET", "/metrics", "").1;
    for line in
        ["vconductor_config_generation 3", "reload_total{result=\"ok\"} 2", "reload_total{result=\"rejected\"} "]
    {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    served.signal("TERM");
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}

#[test]
fn without_a_configuration_there_is_nothing_to_reload() {
    let place = Place::new();
    let served = Served::start(&place, &["--store", "embedded:./data"]);
    assert_eq!(served.call("POST", "/config/reload", "").0, 404);
    assert_eq!(served.call("GET", "/config/reload", "").0, 404);
}

#[test]
fn keys_of_partners_adapters_and_followers_come_with_a_reload() {
    let place = Place::new();
    place.write("chains.yml", tagging("one"));
    let served = started(&place, &[]);
    let vcon = json!({"uuid": uuid(1), "created_at": "2026-01-02T03:04:05Z", "parties": []}).to_string();
    let partner = [("x-conserver-api-token", "key-of-a-partner")];
    let external = "/vcon/external-ingress?ingress_list=calls";
    assert_eq!(served.call_with(&partner, "POST", external, &vcon).0, 403);
    let basic = [("authorization", "Basic dXNlcjpwYXNz")];
    let record = json!({"id": "call-7", "from": "+12025550123"}).to_string();
    assert_eq!(served.call_with(&basic, "POST", "/ingress/pbx", &record).0, 404);

    let more = "ingress_auth: {calls: key-of-a-partner}\ningress:\n  pbx:\n    module: ingress.generic\n    list: calls\n    \
                options: {user: user, password: pass, map: '.body | {id, from, to: \"sales\", text: \"hello\", application: \"sms\"}'}\n\
                followers:\n  north: {url: 'http://127.0.0.1:9/api', egress_list: out, follower_ingress_list: calls, \
                auth_token: x, pulling_interval: 0.1, fetch_vcon_limit: 5}\n";
    place.write("chains.yml", tagging("one") + more);
    let (code, text) = served.call("POST", "/config/reload", "");
    assert_eq!(code, 200, "{text}");
    assert_eq!(served.call_with(&partner, "POST", external, &vcon).0, 204);
    assert_eq!(served.call_with(&basic, "POST", "/ingress/pbx", &record).0, 200);
    until("both vCons", || (waiting(&served, "done") == 2).then_some(()));
    let pulls = || served.call("GET", "/metrics", "").1.contains("vconductor_follower_pulls_total{follower=\"north\"");
    until("a pull", || pulls().then_some(()));

    place.write("chains.yml", tagging("one"));
    assert_eq!(served.call("POST", "/config/reload", "").0, 200);
    assert_eq!(served.call_with(&partner, "POST", external, &vcon).0, 403);
    assert_eq!(served.call_with(&basic, "POST", "/ingress/pbx", &record).0, 404);
}

/// Two chains: `steady`, whose link is a process that tells its id, and `busy`, which changes with every reload.
fn two_chains(generation: usize) -> String {
    let script = "import json,os,sys\nfor line in sys.stdin:\n    call=json.loads(line)\n    if call.get('type')=='run': \
                  print(json.dumps({'id':call['id'],'outcome':'continue','edits':[{'op':'add_tag','name':'process','value':str(os.\
                  getpid())}]}),flush=True)\n";
    let config = json!({
        "store": "embedded:./data",
        "links": {
            "process": {"module": "links.exec", "options": {"command": ["python3", "-c", script], "workers": 1}},
            "wait": {"module": "links.delay", "options": {"seconds": 0.05}},
            "new": {"module": "links.tag", "options": {"tags": [format!("g{generation}")]}},
        },
        "chains": {
            "steady": {"links": ["process"], "ingress_lists": ["steady"], "egress_lists": ["steadied"]},
            "busy": {
                "links": ["wait", "new"], "ingress_lists": ["busy"], "egress_lists": ["done"],
                "concurrency": 1 + generation % 40,
            },
        },
    });
    config.to_string()
}

#[test]
fn reloads_under_load_lose_nothing_and_disturb_no_other_chain() {
    let place = Place::new();
    place.write("chains.yml", two_chains(0));
    let served = started(&place, &[]);
    let (mut posted, mut generation) = (0, 1);
    for round in 1..=reloads() {
        for list in ["steady", "busy", "busy"] {
            posted += 1;
            post(&served, list, posted);
        }
        let wrong = round % 10 == 0;
        let config = two_chains(round);
        place.write("chains.yml", if wrong { config.replace("links.tag", "links.tga") } else { config });
        let (code, text) = served.call("POST", "/config/reload", "");
        assert_eq!(code, if wrong { 422 } else { 200 }, "{text}");
        generation += usize::from(!wrong);
        assert_eq!(served.get("/config/reload")["generation"], generation);
    }
    let (steady, busy) = (reloads(), 2 * reloads());
    until("all of them", || {
        let at = (waiting(&served, "steadied") as usize, waiting(&served, "done") as usize);
        (at == (steady, busy)).then_some(())
    });
    let mut processes = std::collections::BTreeSet::new();
    for number in 1..=posted {
        let tags = tags(&served, number);
        assert_eq!(tags.len(), 1, "each is tagged once: {tags:?}");
        if number % 3 == 1 {
            processes.insert(tags[0].clone());
        }
    }
    assert_eq!(processes.len(), 1, "the process of the chain that did not change is the same: {processes:?}");
    assert_eq!((waiting(&served, "steady"), waiting(&served, "busy")), (0, 0));
}

/// A host with a recording that is Deepgram, too; counts the recordings that it gave away.
fn media_host() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, given) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&given);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).unwrap();
            let (kind, answer) = if head.starts_with("get ") {
                count.fetch_add(1, Ordering::SeqCst);
                ("audio/wav", include_bytes!("../../../examples/conversations/recordings/alice-and-bob.wav").to_vec())
            } else {
                let words = json!({"metadata": {"duration": 1.0, "channels": 1}, "results": {"channels": [
                    {"alternatives": [{"transcript": "hello", "confidence": 0.9, "words": []}]}]}});
                ("application/json", words.to_string().into_bytes())
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                answer.len()
            );
            drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&answer)));
        }
    });
    (address.to_string(), given)
}

#[test]
fn addresses_that_a_reload_opened_stay_open_in_the_reload_after_it_and_what_was_fetched_is_kept() {
    let (host, given) = media_host();
    let chains = |http: &str, word: &str| {
        format!(
            "store: embedded:./data\n{http}links:\n  hear: {{module: links.transcribe, options: {{vendor: deepgram, api_key: '${{env:KEY:-k}}', \
             base_url: 'http://{host}'}}}}\n  tag: {{module: links.tag, options: {{tags: [{word}]}}}}\nchains:\n  c: {{links: \
             [{{link: hear, retry: {{attempts: 1}}}}, tag], ingress_lists: [calls], egress_lists: [done]}}\n"
        )
    };
    let open = "http: {allow: [127.0.0.1], allow_http: true}\n";
    let place = Place::new();
    place.write("chains.yml", chains("", "one"));
    let served = started(&place, &[]);
    let call = |number: usize, file: &str| {
        let dialog = json!([{"type": "recording", "start": "2026-01-02T03:04:05Z", "parties": [0], "mediatype": "audio/wav",
            "url": format!("http://{host}/{file}")}]);
        let vcon =
            json!({"uuid": uuid(number), "created_at": "2026-01-02T03:04:05Z", "parties": [{}], "dialog": dialog});
        let (status, text) = served.call("POST", "/vcon?ingress_lists=calls", &vcon.to_string());
        assert_eq!(status, 201, "{text}");
    };
    let reload = |text: String| {
        place.write("chains.yml", text);
        let (status, text) = served.call("POST", "/config/reload", "");
        assert!(status == 200 && text.contains("applied"), "{status} {text}");
    };
    call(1, "a.wav");
    until("the dead letter", || (served.get("/dlq?ingress_list=calls").as_array()?.len() == 1).then_some(()));
    assert_eq!(given.load(Ordering::SeqCst), 0, "nothing opened this address");

    reload(chains(open, "two"));
    call(2, "a.wav");
    until("the second call", || (waiting(&served, "done") == 1).then_some(()));
    assert_eq!(given.load(Ordering::SeqCst), 1);

    reload(chains(open, "three"));
    call(3, "b.wav");
    until("the third call", || (waiting(&served, "done") == 2).then_some(()));
    assert_eq!((given.load(Ordering::SeqCst), tags(&served, 3)), (2, vec!["three:three".to_owned()]));
}
