//! `GET /calls/{uuid}/audio`: the recording of a dialog, whole or a part of it.

use std::ops::Range;

use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::json;
use vconductor_core::audio;
use vconductor_core::vcon::{Body, Dialog};

use super::pages::read;
use super::summary::has_audio;
use crate::api::Context;
use crate::api::access::Caller;
use crate::api::answer::{Refusal, Result};
use crate::api::paced::{Held, paced};
use crate::api::query::{Query, uuid};
use crate::api::route::{Required, Route, Verb};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Verb::Get, "/calls/{uuid}/audio", Required::Read, "Reads the recording of a dialog", play)
            .for_tenants()
            .query("dialog", "Count", "Which dialog; without, the first that is recorded")
            .header("Range", "The bytes that are wanted, for example bytes=0-65535")
            .gives_as(200, "The recording", "audio/*", "Binary")
            .gives_as(206, "The bytes that are wanted", "audio/*", "Binary")
            .ends(302, "It lies elsewhere: there")
            .gives(404, "There is no such vCon, or no recording that can be had over HTTP", "Problem")
            .ends(416, "There are no such bytes")
            .gives(422, "A parameter is wrong", "Problem"),
    ]
}

async fn play(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    query: Query,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let uuid = uuid(&text, json!(["path", "uuid"]))?;
    let wanted = match query.one("dialog") {
        Some(_) => usize::try_from(query.number("dialog", 0, 0..=u64::from(u32::MAX))?).ok(),
        None => None,
    };
    let failed = |error| Refusal::of(&error, "Failed to read vCon");
    let read = async {
        let vcon = read(&context, &caller.tenants, &uuid).await.map_err(failed)?;
        let vcon = vcon.ok_or_else(|| Refusal::not_found("vCon not found"))?;
        let size = vcon.to_bytes();
        Ok((vcon, size))
    };
    // As much as the whole vCon: the recording is a part of it.
    let (vcon, _, held) = context.answers.read(read).await?;
    let mut dialogs = vcon.dialogs();
    let found = dialogs.find(|dialog| has_audio(dialog) && wanted.is_none_or(|wanted| dialog.index() == wanted));
    let Some(dialog) = found else { return Err(Refusal::not_found("There is no recording")) };
    if let Some(response) = elsewhere(&dialog)? {
        return Ok(response);
    }
    let Ok(Body::Bytes(bytes)) = dialog.body() else {
        return Err(Refusal::not_found("What should be a recording is none"));
    };
    let mediatype = match audio::probe(&bytes) {
        Ok(info) => info.mediatype().to_owned(),
        // What the vCon says counts only for sound and pictures: nothing that a browser would run.
        Err(_) => dialog
            .mediatype()
            .filter(|kind| kind.starts_with("audio/") || kind.starts_with("video/"))
            .map_or_else(|| "application/octet-stream".to_owned(), |kind| kind.into_owned()),
    };
    let tag = format!("\"{}\"", audio::content_hash(&bytes));
    Ok(answer(&bytes.into(), held, &mediatype, &tag, &method, &headers))
}

/// Where a recording is that the vCon only names.
fn elsewhere(dialog: &Dialog<'_>) -> Result<Option<Response>> {
    let (Some(url), None) = (dialog.url(), dialog.entry().get("body")) else { return Ok(None) };
    let place = HeaderValue::from_str(&url).ok().filter(|_| url.starts_with("https://"));
    let place = place.ok_or_else(|| Refusal::not_found("The recording lies where HTTP does not reach"))?;
    Ok(Some((StatusCode::FOUND, [(header::LOCATION, place)]).into_response()))
}

fn answer(bytes: &Bytes, held: Held, mediatype: &str, tag: &str, method: &Method, headers: &HeaderMap) -> Response {
    let size = bytes.len();
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // A part of what was there before would not fit to it.
    let is_same = text(header::IF_RANGE).is_none_or(|known| known == tag);
    let wanted = text(header::RANGE).filter(|_| is_same && method == Method::GET).and_then(|text| range(text, size));
    let mut response = match &wanted {
        None => paced(bytes.clone(), held),
        Some(None) => StatusCode::RANGE_NOT_SATISFIABLE.into_response(),
        Some(Some(part)) => (StatusCode::PARTIAL_CONTENT, paced(bytes.slice(part.clone()), held)).into_response(),
    };
    let part = match wanted {
        None => None,
        Some(None) => Some(format!("bytes */{size}")),
        Some(Some(part)) => Some(format!("bytes {}-{}/{size}", part.start, part.end - 1)),
    };
    let told = [
        (header::CONTENT_TYPE, Some(mediatype.to_owned())),
        (header::ACCEPT_RANGES, Some("bytes".to_owned())),
        (header::ETAG, Some(tag.to_owned())),
        (header::CONTENT_RANGE, part),
    ];
    for (name, value) in told {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The one range that is asked for (RFC 9110, section 14.1.2); `None`: what cannot be read, or several, is as nothing;
/// `Some(None)`: there are no such bytes.
fn range(text: &str, size: usize) -> Option<Option<Range<usize>>> {
    let (from, to) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| text.parse::<usize>().ok();
    let part = match (from, to) {
        ("", last) => size.saturating_sub(number(last)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(size)
        }
    };
    Some((part.start < part.end).then_some(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_says() {
        assert_eq!(range("bytes=0-9", 100), Some(Some(0..10)));
        assert_eq!(range("bytes=90-", 100), Some(Some(90..100)));
        assert_eq!(range("bytes=-10", 100), Some(Some(90..100)));
        assert_eq!(range("bytes=-1000", 100), Some(Some(0..100)));
        assert_eq!(range("bytes=50-1000", 100), Some(Some(50..100)));
        for beyond in ["bytes=100-", "bytes=-0", "bytes=100-200"] {
            assert_eq!(range(beyond, 100), Some(None), "{beyond}");
        }
        for odd in ["bytes=9-0", "bytes=0-1,5-6", "lines=1-2", "bytes=", "bytes=a-b", "bytes=-"] {
            assert_eq!(range(odd, 100), None, "{odd}");
        }
    }
}
