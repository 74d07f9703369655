//! A webhook receiver for trying things out: writes one JSON line per request to a file and answers 200.
//!
//! `vconductor-receiver ADDRESS LOGFILE [STATUS]`; with `:0` as port the chosen one is in the first line of stdout.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

/// Largest request body that is taken.
const LARGEST: usize = 256 << 20;

#[derive(Clone)]
struct Receiver {
    log: Arc<Mutex<File>>,
    status: StatusCode,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(log)) = (arguments.next(), arguments.next()) else {
        return Err("usage: vconductor-receiver ADDRESS LOGFILE [STATUS]".into());
    };
    let status = arguments.next().map_or(Ok(StatusCode::OK), |text| text.parse())?;
    let log = OpenOptions::new().create(true).append(true).open(log)?;
    let receiver = Receiver { log: Arc::new(Mutex::new(log)), status };
    let router = Router::new().fallback(receive).layer(DefaultBodyLimit::max(LARGEST)).with_state(receiver);
    let listener = tokio::net::TcpListener::bind(&address).await?;
    writeln!(std::io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    axum::serve(listener, router).await?;
    Ok(())
}

/// Writes the request down before it answers: what is acknowledged is in the log.
async fn receive(State(receiver): State<Receiver>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let vcon: Value = serde_json::from_slice(&body).unwrap_or_default();
    let line = json!({
        "path": uri.path(),
        "webhook_id": text("webhook-id"),
        "uuid": vcon.get("uuid"),
        "bytes": body.len(),
    });
    let mut log = receiver.log.lock().unwrap_or_else(PoisonError::into_inner);
    match writeln!(log, "{line}") {
        Ok(()) => receiver.status,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
