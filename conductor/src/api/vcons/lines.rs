//! `GET` and `POST /vcons/ndjson`: many vCons, one per line.

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::accept::{Batch, Taken, accept_batch};
use super::check::{Checked, check};
use super::read::in_form;
use crate::api::Context;
use crate::api::access::Caller;
use crate::api::answer::{Refusal, Result};
use crate::api::limits::Limits;
use crate::api::paced::Held;
use crate::api::query::{Query, uuid};
use crate::api::route::{Required, Route, Verb};

/// Uuids that are asked for at once.
const PAGE: usize = 200;
/// A batch is stored when it has this many vCons or bytes.
const BATCH: (usize, usize) = (256, 8 << 20);
/// The most lines of one call.
const LINES: usize = 100_000;
/// The media type.
const NDJSON: &str = "application/x-ndjson";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            Verb::Get,
            "/vcons/ndjson",
            Required::Read,
            "Reads all vCons, one per line, in the order of arrival",
            export,
        )
        .for_tenants()
        .query("cursor", "Uuid", "Only those that arrived after this one")
        .gives_as(200, "The vCons", NDJSON, "Text")
        .gives(410, "The vCon of the cursor was deleted", "Problem"),
        Route::new(Verb::Post, "/vcons/ndjson", Required::Write, "Takes many vCons in, one per line", import)
            .for_tenants()
            .many("ingress_lists", "ListName", "Lists to put them on")
            .header("Idempotency-Key", "Makes a repetition of the same lines within a day have no effect")
            .takes(NDJSON, "Text")
            .gives_as(200, "What became of each line: its number, status, and uuid or what is wrong", NDJSON, "Text")
            .gives(413, "There are too many lines, or one is too long", "Problem"),
    ]
}

async fn export(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    query: Query,
) -> Result<Response> {
    let cursor = match query.one("cursor") {
        None | Some("") => None,
        Some(text) => Some(uuid(text, json!(["query", "cursor"]))?),
    };
    // The first page tells whether the cursor is known, while there is still a status to tell it by.
    let first =
        context.store.documents(&caller.tenants, cursor, PAGE).await.map_err(|error| match error.is_retryable() {
            true => Refusal::of(&error, "Failed to list vCons"),
            false => Refusal::new(StatusCode::GONE, error.message()),
        })?;
    let start = ((context, caller.tenants), first.into_iter(), None::<String>, Held::None);
    let lines = stream::unfold(Some(start), |state| async move {
        let (asked, mut page, mut last, before) = state?;
        let (context, scope) = &asked;
        // What was handed on last is written when more is asked for.
        drop(before);
        let broken = |refusal: Refusal| {
            tracing::warn!(reason = %refusal.detail(), "an answer breaks off");
            Some((Err(std::io::Error::other("vCons cannot be read")), None))
        };
        loop {
            let Some(uuid) = page.next() else {
                let after = last.take()?;
                match context.store.documents(scope, Some(after), PAGE).await {
                    Ok(next) if next.is_empty() => return None,
                    Ok(next) => page = next.into_iter(),
                    Err(error) => return broken(Refusal::of(&error, "Failed to list vCons")),
                }
                continue;
            };
            last = Some(uuid.clone());
            let read = async {
                let found = context.store.get(scope, &uuid).await;
                let found = found.map_err(|error| Refusal::of(&error, "Failed to read vCon"))?;
                // An empty line: deleted meanwhile.
                Ok(((), found.map_or_else(Bytes::new, |stored| in_one_line(&in_form(context.form, stored.document)))))
            };
            match context.answers.read(read).await {
                Ok(((), line, _)) if line.is_empty() => {}
                Ok(((), line, held)) => return Some((Ok(line), Some((asked, page, last, held)))),
                Err(refusal) => return broken(refusal),
            }
        }
    });
    Ok(([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(lines)).into_response())
}

/// Line breaks of JSON text stand between its parts only, where a blank means the same.
fn in_one_line(document: &[u8]) -> Bytes {
    let mut line: Vec<u8> =
        document.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
    line.push(b'\n');
    line.into()
}

async fn import(
    State(context): State<Context>,
    Extension(caller): Extension<Caller>,
    query: Query,
    request: Request,
) -> Result<Response> {
    let (parts, body) = request.into_parts();
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        let message = "lines are taken as they are, without an encoding";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let lists: Vec<String> = query.all("ingress_lists").map(str::to_owned).collect();
    let mut import = Import {
        context: &context,
        headers: &parts.headers,
        caller: &caller,
        lists,
        filling: Vec::new(),
        bytes: 0,
        batches: 0,
        told: Vec::new(),
    };
    let mut lines = Lines { body, buffer: BytesMut::new(), seen: 0, ended: false, room: None };
    let mut number = 0;
    while let Some(line) = lines.next(&context).await? {
        number += 1;
        if number > LINES {
            let message = format!("more than {LINES} lines; those before are stored, send the rest in another call");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        if !line.trim_ascii().is_empty() {
            import.line(number, line).await;
        }
    }
    import.store().await;
    let mut answer = Vec::new();
    import.told.sort_by_key(|(number, _)| *number);
    for (_, told) in import.told {
        answer.extend_from_slice(told.to_string().as_bytes());
        answer.push(b'\n');
    }
    Ok(([(header::CONTENT_TYPE, NDJSON)], answer).into_response())
}

/// Lines on their way into the store.
struct Import<'a> {
    context: &'a Context,
    headers: &'a HeaderMap,
    caller: &'a Caller,
    lists: Vec<String>,
    filling: Vec<(usize, Checked)>,
    bytes: usize,
    batches: usize,
    told: Vec<(usize, Value)>,
}

impl Import<'_> {
    async fn line(&mut self, number: usize, line: Bytes) {
        match check(line) {
            Ok(checked) => {
                self.bytes += checked.text.len();
                self.filling.push((number, checked));
                if self.filling.len() >= BATCH.0 || self.bytes >= BATCH.1 {
                    self.store().await;
                }
            }
            Err(refusal) => self.refused(number, &refusal),
        }
    }

    fn refused(&mut self, number: usize, refusal: &Refusal) {
        let told = json!({"line": number, "status": refusal.status().as_u16(), "detail": refusal.detail()});
        self.told.push((number, told));
    }

    async fn store(&mut self) {
        let (numbers, checked): (Vec<usize>, Vec<Checked>) = std::mem::take(&mut self.filling).into_iter().unzip();
        self.bytes = 0;
        if checked.is_empty() {
            return;
        }
        self.batches += 1;
        match self.accept(&checked, 0).await {
            // All or none: one by one, so that what is another tenant's does not take the others with it.
            Err(refusal) if refusal.status() == StatusCode::CONFLICT && checked.len() > 1 => {
                for (index, number) in numbers.into_iter().enumerate() {
                    let one = &checked[index..=index];
                    let taken = self.accept(one, index + 1).await;
                    self.settled(&[number], one, taken);
                }
            }
            taken => self.settled(&numbers, &checked, taken),
        }
    }

    async fn accept(&self, checked: &[Checked], alone: usize) -> Result<Taken> {
        let batch = Batch {
            lists: self.lists.clone(),
            caller: self.caller,
            source: "new",
            parameter: "ingress_lists",
            part: (self.batches, alone),
        };
        accept_batch(self.context, self.headers, checked, batch).await
    }

    fn settled(&mut self, numbers: &[usize], checked: &[Checked], taken: Result<Taken>) {
        match taken {
            Ok(taken) => {
                let status = if taken == Taken::Now { StatusCode::CREATED } else { StatusCode::OK };
                for (number, checked) in numbers.iter().zip(checked) {
                    let told = json!({"line": number, "status": status.as_u16(), "uuid": checked.uuid});
                    self.told.push((*number, told));
                }
            }
            Err(refusal) => numbers.iter().for_each(|number| self.refused(*number, &refusal)),
        }
    }
}

/// The lines of a body.
struct Lines {
    body: Body,
    buffer: BytesMut,
    /// Bytes of the buffer that hold no line break.
    seen: usize,
    ended: bool,
    /// For a line that is large.
    room: Option<OwnedSemaphorePermit>,
}

impl Lines {
    async fn next(&mut self, context: &Context) -> Result<Option<Bytes>> {
        loop {
            if let Some(at) = self.buffer[self.seen..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.seen + at + 1).freeze();
                self.seen = 0;
                return Ok(Some(line.slice(..line.len() - 1)));
            }
            self.seen = self.buffer.len();
            if self.ended {
                self.seen = 0;
                let rest = self.buffer.split().freeze();
                return Ok((!rest.is_empty()).then_some(rest));
            }
            if self.buffer.len() > context.limits.body {
                let message = format!("a line may have {} bytes", context.limits.body);
                return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message));
            }
            match self.buffer.len() > Limits::SMALL {
                // It may become the largest.
                true if self.room.is_none() => self.room = Some(context.room.take(context.limits.body).await?),
                true => {}
                false => self.room = None,
            }
            match timeout(context.limits.progress, self.body.frame()).await {
                Err(_) => return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
                Ok(None) => self.ended = true,
                Ok(Some(Err(_))) => return Err(Refusal::new(StatusCode::BAD_REQUEST, "the body broke off")),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}
