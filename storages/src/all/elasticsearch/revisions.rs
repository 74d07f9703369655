//! The index `<prefix>vcon_revisions`: what is known of every vCon, and the gate that every save goes through.
//!
//! A record is changed under a condition (that it is absent, or still stands where it was read), so of two writers one
//! is first and the other sees what that one left. It is written before the parts and says all that may be there.

use std::collections::BTreeMap;

use bytes::Bytes;
use elasticsearch::http::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use vconductor_core::{Error, Result};

use super::bulk::Action;
use super::cluster::Cluster;
use super::parts::Places;

/// The index of one storage.
pub(super) struct Revisions {
    pub(super) index: String,
    prefix: String,
    template: bool,
    made: OnceCell<()>,
}

/// What is known of a vCon.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) uuid: String,
    pub(super) revision: u64,
    /// `created_at` in milliseconds since the epoch.
    pub(super) created: i64,
    /// All parts that may be there.
    pub(super) parts: Places,
    /// The whole document, where it is kept.
    pub(super) document: Option<String>,
}

/// A record as it was read, and where it stands in the order of writes.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) revision: u64,
    pub(super) parts: Places,
    pub(super) place: (u64, u64),
}

impl Revisions {
    pub(super) fn new(prefix: &str, template: bool) -> Self {
        let index = format!("{prefix}vcon_revisions");
        Revisions { index, prefix: prefix.to_owned(), template, made: OnceCell::new() }
    }

    /// Makes the index, and the template where it is wanted, unless they are there.
    pub(super) async fn make(&self, cluster: &Cluster) -> Result<()> {
        self.made.get_or_try_init(|| self.make_now(cluster)).await.copied()
    }

    async fn make_now(&self, cluster: &Cluster) -> Result<()> {
        let mapping = json!({"mappings": {"dynamic": false, "properties": {
            "vcon_id": {"type": "keyword"},
            // Milliseconds since the epoch; dates before it are no `date` everywhere.
            "created_at": {"type": "long"},
            "parts": {"type": "object", "enabled": false},
            "document": {"type": "object", "enabled": false}
        }}});
        let answer = cluster.ask(Method::Put, &self.index, body(&mapping), &[400]).await?;
        let kind = answer.body.pointer("/error/type").and_then(Value::as_str).unwrap_or_default();
        if answer.status == 400 && kind != "resource_already_exists_exception" {
            return Err(super::fault::fault(&cluster.place, answer.status, &answer.body, None));
        }
        if self.template {
            let template = json!({
                "index_patterns": super::parts::patterns(&self.prefix).split(',').collect::<Vec<_>>(),
                "priority": 10,
                "template": {"settings": {"index.mapping.ignore_malformed": true, "index.mapping.total_fields.limit": 2000}}
            });
            let path = format!("_index_template/{}vcon_parts", self.prefix);
            cluster.ask(Method::Put, &path, body(&template), &[]).await?;
        }
        Ok(())
    }

    /// What is known of vCons; one answer each.
    pub(super) async fn read(&self, cluster: &Cluster, uuids: &[&str]) -> Result<Vec<Option<Known>>> {
        let path = format!("{}/_mget?_source_excludes=document", self.index);
        let answer = cluster.ask(Method::Post, &path, body(&json!({"ids": uuids})), &[]).await?;
        let found = answer.body.get("docs").and_then(Value::as_array).cloned().unwrap_or_default();
        if found.len() != uuids.len() {
            return Err(Error::retryable(format!("{}: an answer that cannot be read", cluster.place))
                .help("if it lasts, look for a proxy or a server that is neither Elasticsearch nor OpenSearch"));
        }
        Ok(found.iter().map(known).collect())
    }

    /// The action that writes a record: as the first one, or over the one that was read.
    pub(super) fn write(&self, record: &Record, over: Option<(u64, u64)>) -> Action {
        let mut source = json!({
            "vcon_id": record.uuid, "revision": record.revision, "created_at": record.created, "parts": record.parts,
        });
        if let Some(document) = &record.document {
            source["document"] = json!(document);
        }
        let (verb, condition) = match over {
            Some((number, term)) => ("index", json!({"if_seq_no": number, "if_primary_term": term})),
            None => ("create", json!({})),
        };
        Action::new(verb, &self.index, &record.uuid, condition, Some(&source))
    }

    /// The action that removes a record.
    pub(super) fn remove(&self, uuid: &str) -> Action {
        Action::new("delete", &self.index, uuid, json!({}), None)
    }
}

pub(super) fn body(json: &Value) -> Option<Bytes> {
    Some(Bytes::from(json.to_string()))
}

fn known(found: &Value) -> Option<Known> {
    let source = found.get("_source")?;
    let number = |name: &str| found.get(name).and_then(Value::as_u64);
    let parts = source.get("parts").and_then(Value::as_object)?;
    let positions = |value: &Value| -> Vec<usize> {
        let all = value.as_array().into_iter().flatten();
        all.filter_map(|position| usize::try_from(position.as_u64()?).ok()).collect()
    };
    Some(Known {
        revision: source.get("revision").and_then(Value::as_u64)?,
        parts: parts.iter().map(|(index, value)| (index.clone(), positions(value))).collect::<BTreeMap<_, _>>(),
        place: (number("_seq_no")?, number("_primary_term")?),
    })
}
