//! `GET /transcripts`: what was said, in one form whoever transcribed it.

use axum::extract::{Extension, Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Json, Response};
use serde_json::{Value, json};
use vconductor_core::transcript::{self, Found};
use vconductor_core::vcon::Vcon;

use super::pages::{Wanted, described, read};
use super::{summary, turns};
use crate::api::Context;
use crate::api::access::Caller;
use crate::api::answer::{Invalid, Refusal, Result};
use crate::api::query::{Query, uuid};
use crate::api::route::{Required, Route, Verb};

/// The forms in which a transcript is handed out.
const FORMATS: [&str; 4] = ["json", "text", "vtt", "srt"];

pub(super) fn routes() -> Vec<Route> {
    let list = Route::new(Verb::Get, "/transcripts", Required::Read, "Lists transcripts, newest first", list);
    vec![
        described(list)
            .for_tenants()
            .query("contains", "Text", "Only those in which this was said, in any case of letters")
            .query("language", "Text", "Only those in this language: `en`, also for `en-US`")
            .query("min_confidence", "Share", "Only those of which the transcriber is at least so sure, from 0 to 1")
            .gives(200, "A page; it may be short, or empty, while there is a `next_cursor`", "Transcripts")
            .gives(422, "A parameter is wrong", "Problem"),
        Route::new(Verb::Get, "/transcripts/{uuid}", Required::Read, "Reads the transcripts of a vCon", one)
            .for_tenants()
            .query("dialog", "Count", "Only those of this dialog")
            .query("words", "Text", "`true`: with the times of single words")
            .query("format", "Format", "json, or without statistics: text, vtt (WebVTT), srt (SubRip)")
            .gives(200, "All transcripts, with turns and statistics", "Conversation")
            .gives(404, "There is no such vCon, or it has no transcript", "Problem")
            .gives(422, "A parameter is wrong", "Problem"),
    ]
}

/// What a transcript must be like.
struct Like {
    contains: Option<String>,
    language: Option<String>,
    confidence: Option<f64>,
}

impl Like {
    fn read(query: &Query) -> Result<Self> {
        let text = |name| query.one(name).filter(|text| !text.is_empty()).map(str::to_lowercase);
        let confidence = query.one("min_confidence").map(|text| {
            let read = text.trim().parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
            let message = "Input should be a number from 0 to 1";
            read.ok_or_else(|| Invalid::new("share", json!(["query", "min_confidence"]), message, json!(text)))
        });
        Ok(Like { contains: text("contains"), language: text("language"), confidence: confidence.transpose()? })
    }

    fn fits(&self, found: &Found) -> bool {
        let transcript = &found.transcript;
        let language = transcript.language.as_ref().map(|language| language.to_lowercase());
        self.contains.as_ref().is_none_or(|wanted| transcript.text.to_lowercase().contains(wanted))
            && self.language.as_ref().is_none_or(|wanted| {
                language.as_ref().is_some_and(|own| own == wanted || own.split('-').next() == Some(wanted))
            })
            && self.confidence.is_none_or(|least| turns::confidence(transcript).is_some_and(|sure| sure >= least))
    }
}

async fn list(State(context): State<Context>, Extension(caller): Extension<Caller>, query: Query) -> Result<Response> {
    let (wanted, like) = (Wanted::read(&query)?, Like::read(&query)?);
    let entry = |uuid: &str, vcon: &Vcon| {
        let found = transcript::find(vcon);
        let heads: Vec<Value> = found.iter().filter(|found| like.fits(found)).map(turns::head).collect();
        (!heads.is_empty()).then(|| json!({"call": summary::call(uuid, vcon), "transcripts": heads}))
    };
    let page = wanted.page(&context, &caller.tenants, entry).await?;
    Ok(Json(json!({"transcripts": page.entries, "next_cursor": page.next})).into_response())
}

async fn one(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    query: Query,
) -> Result<Response> {
    let uuid = uuid(&text, json!(["path", "uuid"]))?;
    let dialog = match query.one("dialog") {
        Some(_) => usize::try_from(query.number("dialog", 0, 0..=u64::from(u32::MAX))?).ok(),
        None => None,
    };
    let format = query.one("format").unwrap_or(FORMATS[0]);
    if !FORMATS.contains(&format) {
        let message = "Input should be 'json', 'text', 'vtt' or 'srt'";
        return Err(Invalid::new("enum", json!(["query", "format"]), message, json!(format)).into());
    }
    let failed = |error| Refusal::of(&error, "Failed to read vCon");
    let Some(vcon) = read(&context, &caller.tenants, &uuid).await.map_err(failed)? else {
        return Err(Refusal::not_found("vCon not found"));
    };
    let mut found = transcript::find(&vcon);
    found.retain(|found| dialog.is_none_or(|dialog| found.dialogs.contains(&dialog)));
    if found.is_empty() {
        return Err(Refusal::not_found("There is no transcript"));
    }
    let write = match format {
        "text" => transcript::text,
        "vtt" => transcript::web_vtt,
        "srt" => transcript::sub_rip,
        _ => {
            let words = query.one("words") == Some("true");
            let whole = found.iter().map(|found| turns::whole(found, &vcon, words)).collect::<Vec<_>>();
            return Ok(Json(json!({"call": summary::call(&uuid, &vcon), "transcripts": whole})).into_response());
        }
    };
    let media = if format == "vtt" { "text/vtt; charset=utf-8" } else { "text/plain; charset=utf-8" };
    // Captions have one time line: of several dialogs the first is told, unless one is named.
    let texts = if format == "text" { found.as_slice() } else { &found[..1] };
    let text: Vec<String> = texts.iter().map(|found| write(&found.transcript)).collect();
    Ok(([(header::CONTENT_TYPE, media)], text.join("\n")).into_response())
}
