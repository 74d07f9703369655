//! A call as it arrived, and the checks that vendors make.

use std::time::Instant;

use axum::body::Bytes;
use axum::http::HeaderMap;
use memchr::memmem;
use serde_json::Value;

use super::Refusal;

/// A call that a vendor got.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The parameters of the query, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When it was complete.
    pub began: Instant,
    /// What it was answered.
    pub status: u16,
}

impl Call {
    /// A header as text, empty when it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The first value of a parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Refuses everything but POST to a path.
    ///
    /// # Errors
    /// 404 for another path, 405 for another method.
    pub fn is_post_to(&self, path: &str) -> Result<(), Refusal> {
        if self.path != path {
            return Err(Refusal::new(404, format!("unknown path {}", self.path)));
        }
        let is_post = self.method == "POST";
        is_post.then_some(()).ok_or_else(|| Refusal::new(405, format!("{} is not allowed here", self.method)))
    }

    /// Refuses a call without one of the keys behind `scheme` in `Authorization`.
    ///
    /// # Errors
    /// 401.
    pub fn is_authorised(&self, scheme: &str, keys: &[String]) -> Result<(), Refusal> {
        let key = self.header("authorization").strip_prefix(scheme).and_then(|rest| rest.strip_prefix(' '));
        let is_known = key.is_some_and(|key| keys.iter().any(|known| known == key));
        is_known.then_some(()).ok_or_else(|| Refusal::new(401, "invalid credentials"))
    }

    /// Refuses parameters of the query that are not among `known`.
    ///
    /// # Errors
    /// 400.
    pub fn has_only_parameters(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.query.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(Refusal::bad_request(format!("unknown query parameter `{name}`"))),
            None => Ok(()),
        }
    }

    /// The body as JSON, with the right media type.
    ///
    /// # Errors
    /// 415 for another media type, 400 for what is no JSON.
    pub fn json(&self) -> Result<Value, Refusal> {
        let mediatype = self.header("content-type");
        if mediatype.split(';').next() != Some("application/json") {
            return Err(Refusal::new(415, format!("the media type is `{mediatype}`, not application/json")));
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Refusal::bad_request(format!("the body is no JSON: {error}")))
    }

    /// The body as a form with files (RFC 7578).
    ///
    /// # Errors
    /// 400 for what is none.
    pub fn form(&self) -> Result<Form, Refusal> {
        let wrong = |what: &str| Refusal::bad_request(format!("malformed multipart/form-data: {what}"));
        let mediatype = self.header("content-type");
        let boundary = mediatype.strip_prefix("multipart/form-data; boundary=").ok_or_else(|| wrong("media type"))?;
        let delimiter = format!("--{}", boundary.trim_matches('"'));
        let rest = self.body.strip_prefix(delimiter.as_bytes()).ok_or_else(|| wrong("first boundary"))?;
        let mut rest = self.body.slice(self.body.len() - rest.len()..);
        let mut fields = Vec::new();
        let between = format!("\r\n{delimiter}");
        while &rest[..] != b"--\r\n" {
            if !rest.starts_with(b"\r\n") {
                return Err(wrong("line break behind a boundary"));
            }
            let end = memmem::find(&rest[2..], between.as_bytes()).ok_or_else(|| wrong("last boundary"))? + 2;
            let head = memmem::find(&rest[..end], b"\r\n\r\n").ok_or_else(|| wrong("headers of a part"))?;
            let headers = std::str::from_utf8(&rest[2..head.max(2)]).map_err(|_| wrong("headers of a part"))?;
            fields.push(Field::read(headers, rest.slice(head + 4..end)).ok_or_else(|| wrong("headers of a part"))?);
            rest = rest.slice(end + between.len()..);
        }
        Ok(Form { fields })
    }
}

/// A form with files.
#[derive(Debug, Clone)]
pub struct Form {
    /// Its parts in their order.
    pub fields: Vec<Field>,
}

/// A part of a form.
#[derive(Debug, Clone)]
pub struct Field {
    /// The name.
    pub name: String,
    /// The name of the file; none for plain fields.
    pub filename: Option<String>,
    /// The media type, where it says one.
    pub mediatype: Option<String>,
    /// The content.
    pub bytes: Bytes,
}

impl Field {
    fn read(headers: &str, bytes: Bytes) -> Option<Field> {
        let (mut name, mut filename, mut mediatype) = (None, None, None);
        for line in headers.split("\r\n") {
            let (header, value) = line.split_once(": ")?;
            match header.to_ascii_lowercase().as_str() {
                "content-disposition" => {
                    for parameter in value.strip_prefix("form-data; ")?.split("; ") {
                        let (key, value) = parameter.split_once('=')?;
                        let value = value.strip_prefix('"')?.strip_suffix('"')?.to_owned();
                        match key {
                            "name" => name = Some(value),
                            "filename" => filename = Some(value),
                            _ => return None,
                        }
                    }
                }
                "content-type" => mediatype = Some(value.to_owned()),
                _ => return None,
            }
        }
        Some(Field { name: name?, filename, mediatype, bytes })
    }

    /// The content as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Form {
    /// The text of a plain field.
    pub fn text(&self, name: &str) -> Option<String> {
        self.fields.iter().find(|field| field.name == name && field.filename.is_none()).map(Field::text)
    }

    /// The texts of a plain field that may stand there several times.
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.fields.iter().filter(|field| field.name == name && field.filename.is_none()).map(Field::text).collect()
    }

    /// The one file of this name.
    ///
    /// # Errors
    /// 400 when it is missing, empty, or there twice.
    pub fn file(&self, name: &str) -> Result<&Field, Refusal> {
        let mut files = self.fields.iter().filter(|field| field.name == name && field.filename.is_some());
        match (files.next(), files.next()) {
            (Some(file), None) if !file.bytes.is_empty() => Ok(file),
            _ => Err(Refusal::bad_request(format!("one file `{name}` is required"))),
        }
    }

    /// Refuses fields that are not among `known`, and repeated ones whose name does not end in `[]`.
    ///
    /// # Errors
    /// 400.
    pub fn has_only(&self, known: &[&str]) -> Result<(), Refusal> {
        for (index, field) in self.fields.iter().enumerate() {
            if !known.contains(&field.name.as_str()) {
                return Err(Refusal::bad_request(format!("unknown field `{}`", field.name)));
            }
            let is_repeated = self.fields[..index].iter().any(|earlier| earlier.name == field.name);
            if is_repeated && !field.name.ends_with("[]") {
                return Err(Refusal::bad_request(format!("the field `{}` is there twice", field.name)));
            }
        }
        Ok(())
    }
}

/// Refuses an object that has members which are not among `known`, or that is no object.
///
/// # Errors
/// 400.
pub fn only_members(value: &Value, known: &[&str]) -> Result<(), Refusal> {
    let members = value.as_object().ok_or_else(|| Refusal::bad_request("an object is required"))?;
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Refusal::bad_request(format!("unknown member `{name}`"))),
        None => Ok(()),
    }
}
