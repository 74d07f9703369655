//! Calls, transcripts and recordings, as people look for them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::world::{Call, Server, World, cases, uuid, vcon};

cases![
    calls_are_listed_newest_first_in_pages,
    calls_are_found_by_what_is_known_of_them,
    a_busy_number_is_walked_through,
    transcripts_are_told_in_one_form,
    transcripts_are_found_by_what_was_said,
    transcripts_are_told_as_twilio_tells_them,
    a_recording_is_heard_in_parts,
];

/// A call of a minute, a minute later for each number.
pub(crate) fn call(number: usize, from: &str, direction: &str, more: &Value) -> Value {
    let at = format!("2026-01-02T03:{number:02}:00Z");
    let mut vcon = json!({
        "vcon": "0.4.0", "uuid": uuid(number), "created_at": at, "subject": "Bill",
        "parties": [{"tel": from, "role": "customer", "name": "Ann"}, {"tel": "+12025550199", "role": "agent"}],
        "dialog": [{"type": "recording", "start": at, "duration": 60.0, "parties": [0, 1], "mediatype": "audio/x-wav",
            "encoding": "base64url", "body": URL_SAFE_NO_PAD.encode(sound())}],
        "attachments": [{"purpose": "tags", "encoding": "json", "body": format!("[\"direction:{direction}\",\"line:{}\"]", number % 2)}],
        "analysis": [],
    });
    vcon.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    vcon
}

/// A second of A-law of two channels.
fn sound() -> Vec<u8> {
    let mut wav =
        b"RIFF\xa4\x3e\0\0WAVEfmt \x10\0\0\0\x06\0\x02\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x08\0data\x80\x3e\0\0".to_vec();
    wav.extend((0..16_000).map(|sample| (sample % 251) as u8));
    wav
}

/// A transcript of what two said.
pub(crate) fn transcript(said: [&str; 2]) -> Value {
    let turn = |speaker: usize, start: f64, text: &str| {
        json!({"channel": speaker, "start": start, "end": start + 2.0, "text": text, "confidence": 0.9,
            "words": [{"word": text, "start": start, "end": start + 2.0, "confidence": 0.9}]})
    };
    let body = json!({"text": said.join(" "), "language": "en-US", "segments": [turn(0, 0.5, said[0]), turn(1, 3.0, said[1])]});
    json!({"analysis": [{"type": "transcript", "dialog": 0, "vendor": "openai", "encoding": "json", "body": body.to_string()}]})
}

async fn give(server: &Server, vcon: &Value) {
    let answer = server.post("/vcon", vcon.to_string()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

async fn ask(server: &Server, path: &str) -> Value {
    let answer = server.get(path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn uuids(entries: &Value) -> Vec<&str> {
    entries.as_array().expect("a list").iter().map(|entry| entry["uuid"].as_str().expect("a uuid")).collect()
}

async fn calls_are_listed_newest_first_in_pages(world: World) {
    let server = world.serve().await;
    for number in 0..7 {
        give(&server, &call(number, "+12025550100", "inbound", &json!({}))).await;
    }
    // No call, but text.
    assert_eq!(server.post("/vcon", vcon(&uuid(99))).await.status, 201);
    let (mut path, mut pages) = ("/calls?size=3".to_owned(), Vec::new());
    loop {
        let page = ask(&server, &path).await;
        pages.push(uuids(&page["calls"]).into_iter().map(str::to_owned).collect::<Vec<_>>());
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/calls?size=3&cursor={next}");
        // What comes in between pushes nothing from one page to the next.
        give(&server, &call(30 + pages.len(), "+1202", "inbound", &json!({"created_at": "2999-01-01T00:00:00Z"})))
            .await;
    }
    let expected: Vec<String> = (0..7).rev().map(uuid).collect();
    assert_eq!(pages.concat(), expected, "{pages:?}");
    let first = &ask(&server, "/calls?until=2026-01-02T03:06:00Z&size=1").await["calls"][0];
    let told = json!({
        "uuid": uuid(6), "start": "2026-01-02T03:06:00.000Z", "duration": 60.0, "direction": "inbound", "subject": "Bill",
        "from": {"party": 0, "name": "Ann", "tel": "+12025550100", "role": "customer"},
        "to": [{"party": 1, "tel": "+12025550199", "role": "agent"}], "disposition": null,
        "tags": ["direction:inbound", "line:0"], "recordings": [0], "transcripts": 0,
    });
    assert_eq!(first, &told);
}

async fn calls_are_found_by_what_is_known_of_them(world: World) {
    let server = world.serve().await;
    for number in 0..4 {
        let from = if number == 2 { "tel:+12025550102" } else { "+12025550100" };
        give(&server, &call(number, from, if number < 2 { "inbound" } else { "outbound" }, &json!({}))).await;
    }
    for (query, found) in [
        ("direction=outbound", vec![3, 2]),
        ("number=%2B12025550102", vec![2]),
        ("number=tel:%2B12025550100&direction=inbound", vec![1, 0]),
        ("number=%2B1999", vec![]),
        ("tag=line:1", vec![3, 1]),
        ("tag=line:1&tag=direction:inbound", vec![1]),
        ("tag=line", vec![3, 2, 1, 0]),
        ("since=2026-01-02T03:01:00Z&until=2026-01-02T03:02:00Z", vec![2, 1]),
        ("number=%2B12025550199&since=2026-01-02T03:02:00Z", vec![3, 2]),
    ] {
        let page = ask(&server, &format!("/calls?{query}")).await;
        let expected: Vec<String> = found.into_iter().map(uuid).collect();
        assert_eq!(uuids(&page["calls"]), expected, "{query}");
        assert_eq!(page["next_cursor"], Value::Null);
    }
    for wrong in ["size=0", "size=201", "cursor=x", "since=yesterday"] {
        assert_eq!(server.get(&format!("/calls?{wrong}")).await.status, 422, "{wrong}");
    }
}

/// The number of the house is in all calls.
async fn a_busy_number_is_walked_through(world: World) {
    let server = world.serve().await;
    let lines: Vec<String> = (0..600)
        .map(|number| {
            let at = format!("2026-01-02T{:02}:{:02}:00Z", number / 60, number % 60);
            let mut vcon = call(0, "+12025550100", "inbound", &json!({"uuid": uuid(number), "created_at": at}));
            vcon["dialog"] = json!([{"type": "incomplete", "start": at, "parties": [0, 1], "disposition": "busy"}]);
            vcon.to_string()
        })
        .collect();
    assert_eq!(server.post("/vcons/ndjson", lines.join("\n")).await.status, 200);
    let (mut path, mut found) = ("/calls?number=%2B12025550199&size=200".to_owned(), Vec::new());
    loop {
        let page = ask(&server, &path).await;
        found.extend(uuids(&page["calls"]).into_iter().map(str::to_owned));
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/calls?number=%2B12025550199&size=200&cursor={next}");
    }
    let expected: Vec<String> = (0..600).rev().map(uuid).collect();
    assert_eq!(found, expected);
}

async fn transcripts_are_told_in_one_form(world: World) {
    let server = world.serve().await;
    give(&server, &call(1, "+12025550100", "inbound", &transcript(["Hello there.", "My bill is wrong."]))).await;
    give(&server, &call(2, "+12025550100", "inbound", &json!({}))).await;
    let told = ask(&server, &format!("/transcripts/{}?words=true", uuid(1))).await;
    assert_eq!(told["call"]["uuid"], json!(uuid(1)));
    let one = &told["transcripts"][0];
    let second = json!({
        "start": 3.0, "end": 5.0, "channel": 1, "party": 1, "tel": "+12025550199", "role": "agent", "confidence": 0.9,
        "text": "My bill is wrong.", "words": [{"text": "My bill is wrong.", "start": 3.0, "end": 5.0, "confidence": 0.9}],
    });
    assert_eq!((&one["language"], &one["dialogs"], &one["turns"][1]), (&json!("en-US"), &json!([0]), &second), "{one}");
    let participants = one["statistics"]["participants"].as_array().expect("participants");
    assert_eq!((participants.len(), &participants[0]["role"]), (2, &json!("customer")), "{one}");
    assert!(one["statistics"]["silence"].as_f64().is_some_and(|seconds| seconds > 50.0), "{one}");
    let text = server.get(&format!("/transcripts/{}?format=vtt", uuid(1))).await;
    assert!(text.text.starts_with("WEBVTT") && text.text.contains("My bill is wrong."), "{text:?}");
    assert_eq!(text.header("content-type"), Some("text/vtt; charset=utf-8"));
    for (path, status) in [
        (format!("/transcripts/{}", uuid(2)), 404),
        (format!("/transcripts/{}", uuid(3)), 404),
        (format!("/transcripts/{}?dialog=1", uuid(1)), 404),
        (format!("/transcripts/{}?format=pdf", uuid(1)), 422),
        ("/transcripts/x".to_owned(), 422),
    ] {
        assert_eq!(server.get(&path).await.status, status, "{path}");
    }
}

async fn transcripts_are_found_by_what_was_said(world: World) {
    let server = world.serve().await;
    give(&server, &call(1, "+12025550100", "inbound", &transcript(["Hello.", "A refund, please."]))).await;
    give(&server, &call(2, "+12025550100", "outbound", &transcript(["Hello.", "Goodbye."]))).await;
    give(&server, &call(3, "+12025550100", "inbound", &json!({}))).await;
    for (query, found) in [
        ("", vec![2, 1]),
        ("contains=REFUND", vec![1]),
        ("direction=outbound", vec![2]),
        ("language=en", vec![2, 1]),
        ("language=de", vec![]),
        ("min_confidence=0.95", vec![]),
        ("min_confidence=0.5&contains=goodbye", vec![2]),
    ] {
        let page = ask(&server, &format!("/transcripts?{query}")).await;
        let calls: Vec<Value> =
            page["transcripts"].as_array().expect("a list").iter().map(|one| one["call"].clone()).collect();
        let expected: Vec<String> = found.into_iter().map(uuid).collect();
        assert_eq!(uuids(&json!(calls)), expected, "{query}");
    }
    assert_eq!(server.get("/transcripts?min_confidence=2").await.status, 422);
}

async fn transcripts_are_told_as_twilio_tells_them(world: World) {
    let server = world.serve().await;
    give(&server, &call(1, "+12025550100", "inbound", &transcript(["Hello.", "A refund, please."]))).await;
    let sid = format!("GT{}", uuid(1).replace('-', ""));
    let list = ask(&server, "/v2/Transcripts?PageSize=20").await;
    let one = ask(&server, &format!("/v2/Transcripts/{sid}")).await;
    assert_eq!((&list["transcripts"][0], &list["meta"]["key"]), (&one, &json!("transcripts")));
    assert_eq!((&one["sid"], &one["status"], &one["duration"]), (&json!(sid), &json!("completed"), &json!(60)));
    let links = &one["links"];
    assert_eq!(links["sentences"], json!(format!("{}/v2/Transcripts/{sid}/Sentences", server.base)));
    let page = ask(&server, &format!("/v2/Transcripts/{sid}/Sentences?PageSize=1&Page=1&WordTimestamps=true")).await;
    let sentence = &page["sentences"][0];
    assert_eq!(
        (&sentence["media_channel"], &sentence["sentence_index"], &sentence["start_time"], &sentence["transcript"]),
        (&json!(2), &json!(1), &json!("3.000"), &json!("A refund, please."))
    );
    assert!(sentence["sid"].as_str().is_some_and(|sid| sid.len() == 34 && sid.starts_with("GX")), "{sentence}");
    assert_eq!(sentence["words"][0]["end_time"], json!("5.000"));
    assert_eq!((&page["meta"]["next_page_url"], &page["meta"]["page"]), (&Value::Null, &json!(1)));
    let media = ask(&server, &format!("/v2/Transcripts/{sid}/Media")).await;
    let path = media["media_url"].as_str().and_then(|url| url.strip_prefix(&server.base)).expect("a URL of ours");
    assert_eq!(server.get(path).await.status, 200);
    for unknown in ["GT00", "x", &format!("GT{}", "0".repeat(32))] {
        assert_eq!(server.get(&format!("/v2/Transcripts/{unknown}")).await.status, 404, "{unknown}");
    }
}

async fn a_recording_is_heard_in_parts(world: World) {
    let server = world.serve().await;
    give(&server, &call(1, "+12025550100", "inbound", &json!({}))).await;
    let external = json!({"dialog": [
        {"type": "text", "start": "2026-01-02T03:02:00Z", "parties": 0, "body": "Hi", "encoding": "none"},
        {"type": "recording", "start": "2026-01-02T03:02:00Z", "parties": [0, 1], "url": "https://media.example.com/2.wav",
            "content_hash": format!("sha512-{}", "A".repeat(86)), "mediatype": "audio/x-wav"},
        {"type": "recording", "start": "2026-01-02T03:02:00Z", "parties": [0, 1], "url": "file:///etc/passwd", "mediatype": "audio/x-wav"},
    ]});
    give(&server, &call(2, "+12025550100", "inbound", &external)).await;
    let path = format!("/calls/{}/audio", uuid(1));
    let heard = async |range: Option<&str>, known: Option<&str>| {
        let url = format!("{}{path}", server.base);
        let mut request = server.client.get(url).header("x-conserver-api-token", crate::world::TOKEN);
        for (name, value) in [("Range", range), ("If-Range", known)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, response.bytes().await.expect("a body"))
    };
    let (status, headers, all) = heard(None, None).await;
    assert_eq!((status, all.as_ref()), (200, sound().as_slice()));
    assert!(headers["content-type"].to_str().is_ok_and(|kind| kind.starts_with("audio/")), "{headers:?}");
    let tag = headers["etag"].to_str().expect("a tag").to_owned();
    let (status, headers, part) = heard(Some("bytes=100-199"), Some(&tag)).await;
    assert_eq!((status, part.as_ref()), (206, &sound()[100..200]));
    assert_eq!(headers["content-range"], format!("bytes 100-199/{}", sound().len()).as_str());
    assert_eq!(heard(Some("bytes=100-199"), Some("\"other\"")).await.0, 200);
    let (status, headers, _) = heard(Some("bytes=99999-"), None).await;
    assert_eq!(
        (status, headers["content-range"].to_str().ok()),
        (416, Some(format!("bytes */{}", sound().len()).as_str()))
    );
    for (query, status) in
        [("dialog=1", 302), ("dialog=2", 404), ("dialog=0", 404), ("dialog=9", 404), ("dialog=x", 422)]
    {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a client");
        let url = format!("{}/calls/{}/audio?{query}", server.base, uuid(2));
        let answer =
            client.get(url).header("x-conserver-api-token", crate::world::TOKEN).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{query}");
        if status == 302 {
            assert_eq!(answer.headers()["location"], "https://media.example.com/2.wav");
        }
    }
    assert_eq!(server.ask(Call::new("GET", &path).without_key()).await.status, 403);
}
