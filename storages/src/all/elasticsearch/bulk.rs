//! Bulk requests: actions in one body, as many as fit, and one result each.

use bytes::Bytes;
use elasticsearch::http::Method;
use serde_json::{Value, json};
use vconductor_core::Result;

use super::cluster::Cluster;

/// Bytes of actions in one request; one action always fits. Servers take 100 MB, hosted ones often 10 MB.
const FLIGHT: usize = 8 << 20;
/// Actions in one request.
const ACTIONS: usize = 5000;

/// One action.
#[derive(Debug, Clone)]
pub(super) struct Action {
    /// Two lines, or one for a delete.
    lines: Vec<u8>,
}

/// What became of one action.
#[derive(Debug, Clone)]
pub(super) struct Done {
    pub(super) status: u16,
    /// The server's error, null where there is none.
    pub(super) error: Value,
    /// Where the document stands in the order of writes, for a condition of the next one.
    pub(super) place: Option<(u64, u64)>,
}

impl Action {
    /// `verb` is `index`, `create` or `delete`; `more` are members of the action beside index and id.
    pub(super) fn new(verb: &str, index: &str, id: &str, more: Value, source: Option<&Value>) -> Action {
        let mut about = json!({"_index": index, "_id": id});
        if let (Value::Object(about), Value::Object(more)) = (&mut about, more) {
            about.extend(more);
        }
        let mut lines = json!({verb: about}).to_string().into_bytes();
        lines.push(b'\n');
        if let Some(source) = source {
            // Writing to memory does not fail.
            let _written = serde_json::to_writer(&mut lines, source);
            lines.push(b'\n');
        }
        Action { lines }
    }
}

impl Done {
    /// The action was refused because a version or a condition does not hold.
    pub(super) fn conflicts(&self) -> bool {
        self.status == 409
    }

    /// It is done, or there was nothing to delete.
    pub(super) fn is_done(&self) -> bool {
        self.status < 300 || (self.status == 404 && self.error.is_null())
    }

    /// The document does not fit the mapping of its index.
    pub(super) fn misfits(&self) -> bool {
        let kind = self.error.get("type").and_then(Value::as_str).unwrap_or_default();
        let known = [
            "mapper_parsing_exception",
            "document_parsing_exception",
            "illegal_argument_exception",
            "strict_dynamic_mapping_exception",
            "x_content_parse_exception",
        ];
        self.status == 400 && known.contains(&kind)
    }
}

/// Sends actions; one result each, or an error per action where a request failed as a whole.
pub(super) async fn send(cluster: &Cluster, actions: &[Action]) -> Vec<Result<Done>> {
    let mut results = Vec::with_capacity(actions.len());
    let mut rest = actions;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take(ACTIONS).take_while(|action| {
            bytes += action.lines.len();
            bytes <= FLIGHT
        });
        let (flight, later) = rest.split_at(fitting.count().max(1));
        rest = later;
        match fly(cluster, flight).await {
            Ok(done) => results.extend(done.into_iter().map(Ok)),
            Err(error) => results.extend(flight.iter().map(|_| Err(super::fault::again(&error)))),
        }
    }
    results
}

async fn fly(cluster: &Cluster, flight: &[Action]) -> Result<Vec<Done>> {
    let mut body = Vec::with_capacity(flight.iter().map(|action| action.lines.len()).sum());
    for action in flight {
        body.extend_from_slice(&action.lines);
    }
    let path = "_bulk?filter_path=items.*.status,items.*.error.type,items.*.error.reason,items.*._seq_no,items.*._primary_term";
    let answer = cluster.ask(Method::Post, path, Some(Bytes::from(body)), &[]).await?;
    let items = answer.body.get("items").and_then(Value::as_array);
    let done: Vec<Done> = items.into_iter().flatten().filter_map(read).collect();
    if done.len() != flight.len() {
        return Err(vconductor_core::Error::retryable(format!(
            "{}: {} results for {} actions of a bulk request",
            cluster.place,
            done.len(),
            flight.len()
        ))
        .help("if it lasts, look for a proxy or a server that is neither Elasticsearch nor OpenSearch"));
    }
    Ok(done)
}

fn read(item: &Value) -> Option<Done> {
    let result = item.as_object()?.values().next()?;
    let number = |name: &str| result.get(name).and_then(Value::as_u64);
    Some(Done {
        status: u16::try_from(number("status")?).ok()?,
        error: result.get("error").cloned().unwrap_or(Value::Null),
        place: number("_seq_no").zip(number("_primary_term")),
    })
}
