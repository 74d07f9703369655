//! Transcripts in the shape of Twilio's Conversational Intelligence, formerly Voice Intelligence, so that what reads them
//! there reads them here.
//!
//! <https://www.twilio.com/docs/voice/intelligence/api/transcript-resource> and its subresources. The SID of a transcript
//! is `GT` and the vCon's uuid without hyphens: a vCon is one transcript, with the sentences of all its dialogs on the time
//! line of the first.

use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Json, Response};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use vconductor_core::store::TenantScope;
use vconductor_core::transcript::{self, Found, Turn};
use vconductor_core::vcon::Vcon;

use super::pages::{Wanted, read};
use super::summary;
use crate::api::Context;
use crate::api::access::Caller;
use crate::api::answer::{Refusal, Result};
use crate::api::query::Query;
use crate::api::route::{Required, Route, Verb};

pub(super) fn routes() -> Vec<Route> {
    let list = Route::new(Verb::Get, "/v2/Transcripts", Required::Read, "Lists transcripts in Twilio's shape", list);
    vec![
        list.for_tenants()
            .query("PageSize", "Count", "Entries of a page: 50, at most 200")
            .query("PageToken", "Text", "Where to go on")
            .query("AfterStartTime", "Time", "Only those whose created_at is not before this")
            .query("BeforeStartTime", "Time", "Only those whose created_at is not after this")
            .gives(200, "A page", "Object")
            .gives(422, "A parameter is wrong", "Problem"),
        Route::new(Verb::Get, "/v2/Transcripts/{sid}", Required::Read, "Reads a transcript in Twilio's shape", one)
            .for_tenants()
            .gives(200, "The transcript", "Object")
            .gives(404, "There is none", "Problem"),
        Route::new(
            Verb::Get,
            "/v2/Transcripts/{sid}/Sentences",
            Required::Read,
            "Reads the sentences of a transcript in Twilio's shape",
            sentences,
        )
        .for_tenants()
        .query("PageSize", "Count", "Sentences of a page: 50, at most 1000")
        .query("Page", "Count", "Which page, from 0")
        .query("WordTimestamps", "Text", "`true`: with the times of single words")
        .gives(200, "A page of sentences", "Object")
        .gives(404, "There is no such transcript", "Problem")
        .gives(422, "A parameter is wrong", "Problem"),
        Route::new(
            Verb::Get,
            "/v2/Transcripts/{sid}/Media",
            Required::Read,
            "Tells where the recording of a transcript is, in Twilio's shape",
            media,
        )
        .for_tenants()
        .gives(200, "Its URL, which wants a key, too", "Object")
        .gives(404, "There is no such transcript", "Problem"),
    ]
}

/// The SID of a vCon.
fn sid(uuid: &str) -> String {
    format!("GT{}", uuid.replace('-', ""))
}

/// The uuid in a SID.
fn uuid_of(sid: &str) -> Option<String> {
    let digits = sid.strip_prefix("GT").filter(|digits| digits.len() == 32)?;
    Uuid::try_parse(digits).ok().map(|uuid| uuid.to_string())
}

/// Where this server is, as the caller sees it.
fn base(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("host") {
        Some(host) => {
            format!("{}://{host}", text("x-forwarded-proto").filter(|proto| *proto == "https").unwrap_or("http"))
        }
        None => String::new(),
    }
}

/// A vCon with its transcripts.
async fn found(context: &Context, scope: &TenantScope, sid: &str) -> Result<(String, Vcon, Vec<Found>)> {
    let missing = || Refusal::not_found("There is no such transcript");
    let uuid = uuid_of(sid).ok_or_else(missing)?;
    let read = read(context, scope, &uuid).await.map_err(|error| Refusal::of(&error, "Failed to read vCon"))?;
    let vcon = read.ok_or_else(missing)?;
    let found = transcript::find(&vcon);
    if found.is_empty() { Err(missing()) } else { Ok((uuid, vcon, found)) }
}

/// A transcript as Twilio describes it.
fn resource(uuid: &str, vcon: &Vcon, found: &[Found], base: &str) -> Value {
    let (sid, call) = (sid(uuid), summary::call(uuid, vcon));
    let url = format!("{base}/v2/Transcripts/{sid}");
    let created = vcon.created_at().map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let participants = vcon.parties().enumerate().map(|(index, party)| {
        json!({
            "channel_participant": index + 1, "user_id": party.tel().or_else(|| party.mailto()), "full_name": party.name(),
            "role": party.role(), "media_participant_id": party.tel(),
        })
    });
    let dialogs = found.iter().flat_map(|found| &found.dialogs).collect::<Vec<_>>();
    json!({
        "account_sid": null, "service_sid": null, "sid": sid, "date_created": created, "date_updated": created,
        "status": "completed",
        "channel": {"type": "voice", "dialogs": dialogs, "participants": participants.collect::<Vec<_>>()},
        "data_logging": false, "redaction": false, "customer_key": uuid,
        "language_code": found.iter().find_map(|found| found.transcript.language.as_ref()),
        "media_start_time": call["start"],
        "duration": call["duration"].as_f64().map(|seconds| seconds.round() as u64),
        "url": url,
        "links": {"sentences": format!("{url}/Sentences"), "media": format!("{url}/Media")},
    })
}

async fn list(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response> {
    let wanted = Wanted::read(&query.renamed(&[
        ("PageSize", "size"),
        ("PageToken", "cursor"),
        ("AfterStartTime", "since"),
        ("BeforeStartTime", "until"),
    ]))?;
    let base = base(&headers);
    let entry = |uuid: &str, vcon: &Vcon| {
        let found = transcript::find(vcon);
        (!found.is_empty()).then(|| resource(uuid, vcon, &found, &base))
    };
    let page = wanted.page(&context, &caller.tenants, entry).await?;
    let url = format!("{base}/v2/Transcripts");
    let next = page.next.map(|token| format!("{url}?PageSize={}&PageToken={token}", wanted.size()));
    let meta = json!({
        "key": "transcripts", "page": 0, "page_size": wanted.size(), "url": url, "first_page_url": url,
        "previous_page_url": null, "next_page_url": next,
    });
    Ok(Json(json!({"transcripts": page.entries, "meta": meta})).into_response())
}

async fn one(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(sid): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let (uuid, vcon, found) = found(&context, &caller.tenants, &sid).await?;
    Ok(Json(resource(&uuid, &vcon, &found, &base(&headers))).into_response())
}

async fn media(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(sid): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let (uuid, ..) = found(&context, &caller.tenants, &sid).await?;
    let base = base(&headers);
    Ok(Json(json!({
        "account_sid": null, "service_sid": null, "sid": sid, "media_url": format!("{base}/calls/{uuid}/audio"),
        "url": format!("{base}/v2/Transcripts/{sid}/Media"),
    }))
    .into_response())
}

async fn sentences(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(sid): Path<String>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response> {
    let size = usize::try_from(query.number("PageSize", 50, 1..=1000)?).unwrap_or(usize::MAX);
    let page = usize::try_from(query.number("Page", 0, 0..=u64::from(u32::MAX))?).unwrap_or(usize::MAX);
    let words = query.one("WordTimestamps") == Some("true");
    let (_, vcon, found) = found(&context, &caller.tenants, &sid).await?;
    let all = told(&sid, &vcon, &found, words);
    let url = format!("{}/v2/Transcripts/{sid}/Sentences", base(&headers));
    let at = |page: usize| format!("{url}?PageSize={size}&Page={page}");
    let begin = page.saturating_mul(size).min(all.len());
    let end = begin.saturating_add(size).min(all.len());
    let meta = json!({
        "key": "sentences", "page": page, "page_size": size, "url": at(page), "first_page_url": at(0),
        "previous_page_url": page.checked_sub(1).map(at), "next_page_url": (end < all.len()).then(|| at(page + 1)),
    });
    Ok(Json(json!({"sentences": &all[begin..end], "meta": meta})).into_response())
}

/// The turns of all transcripts as sentences.
fn told(sid: &str, vcon: &Vcon, found: &[Found], words: bool) -> Vec<Value> {
    let start = |dialog: usize| {
        let dialog = vcon.dialogs().find(|own| own.index() == dialog)?;
        Some(dialog.start()?.timestamp().as_millisecond() as f64 / 1000.0)
    };
    let begin = vcon.dialogs().filter_map(|dialog| start(dialog.index())).fold(f64::INFINITY, f64::min);
    let mut all = Vec::new();
    for found in found {
        let later = found.dialogs.first().and_then(|dialog| start(*dialog)).map_or(0.0, |start| start - begin);
        for turn in &found.transcript.turns {
            let index = all.len();
            all.push(sentence(sid, index, turn, later, words));
        }
    }
    all
}

fn sentence(sid: &str, index: usize, turn: &Turn, later: f64, words: bool) -> Value {
    // As text: Twilio's client libraries (twilio-oai, intelligence_v2) read decimals.
    let seconds = |time: Option<f64>| time.map(|time| format!("{:.3}", time + later));
    let hash = Sha256::digest(format!("{sid}/{index}"));
    let digits: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let mut told = Map::from_iter([
        ("media_channel".to_owned(), json!(turn.channel.or(turn.party).map_or(1, |channel| channel + 1))),
        ("sentence_index".to_owned(), json!(index)),
        ("start_time".to_owned(), json!(seconds(turn.start))),
        ("end_time".to_owned(), json!(seconds(turn.end))),
        ("transcript".to_owned(), json!(turn.text)),
        ("sid".to_owned(), json!(format!("GX{digits}"))),
        ("confidence".to_owned(), json!(turn.confidence.map(|sure| format!("{sure:.4}")))),
    ]);
    let timed = turn
        .words
        .iter()
        .filter(|_| words)
        .map(|word| json!({"word": word.text, "start_time": seconds(word.start), "end_time": seconds(word.end)}));
    told.insert("words".to_owned(), timed.collect());
    Value::Object(told)
}
