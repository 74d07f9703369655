//! A host that serves files, as buckets with signed URLs do: they refuse credentials besides the signature
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;

use super::{Answer, Api, Call, Refusal};

/// The host.
#[derive(Default)]
pub struct MediaHost {
    files: Files,
}

/// A file, and what `Authorization` must be for it.
type File = (Bytes, Option<String>);

/// What lies there. Clones see the same.
#[derive(Debug, Clone, Default)]
pub struct Files(Arc<Mutex<BTreeMap<String, File>>>);

impl Files {
    /// Puts a file at a path; anybody may fetch it.
    pub fn put(&self, path: &str, bytes: impl Into<Bytes>) {
        self.set(path, bytes.into(), None);
    }

    /// Puts a file at a path, for those with this in `Authorization`.
    pub fn put_for(&self, authorization: &str, path: &str, bytes: impl Into<Bytes>) {
        self.set(path, bytes.into(), Some(authorization.to_owned()));
    }

    /// Takes a file away.
    pub fn remove(&self, path: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }

    fn set(&self, path: &str, bytes: Bytes, authorization: Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), (bytes, authorization));
    }
}

impl MediaHost {
    /// What lies there.
    pub fn files(&self) -> Files {
        self.files.clone()
    }
}

impl Api for MediaHost {
    fn answer(&self, call: &Call) -> Result<Answer, Refusal> {
        if call.method != "GET" {
            return Err(Refusal::new(405, "only GET is allowed here"));
        }
        let files = self.files.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (bytes, authorization) = files.get(&call.path).ok_or_else(|| Refusal::new(404, "NoSuchKey"))?;
        if call.parameter("X-Amz-Signature").is_some() && !call.header("authorization").is_empty() {
            return Err(Refusal::bad_request("InvalidArgument: only one auth mechanism allowed"));
        }
        match authorization {
            Some(expected) if call.header("authorization") != expected => Err(Refusal::new(401, "who is there?")),
            _ => Ok(Answer::text(200, "application/octet-stream", bytes.clone())),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        Answer::text(refusal.status, "application/xml", format!("<Error>{}</Error>", refusal.message))
    }
}
