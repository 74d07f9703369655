//! One request as it came.

use bytes::Bytes;
use serde_json::Value;

use super::Refused;
use crate::clock::Millis;
use crate::http::{HeaderMap, Method};

/// The most fields of one form: far more than any vendor sends, and few enough to sort.
const MOST_FIELDS: usize = 2000;

/// One request as it came: nothing of it is changed before its proof is checked.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its method.
    pub method: Method,
    /// What stands behind the question mark, undecoded; empty where nothing does.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, byte for byte.
    pub body: Bytes,
    /// When it came.
    pub at: Millis,
}

impl Delivery {
    /// A header that is there exactly once, as text. What is there twice proves nothing.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.get_all(name).iter();
        match (all.next(), all.next()) {
            (Some(only), None) => only.to_str().ok(),
            _ => None,
        }
    }

    /// A header that proves something.
    ///
    /// # Errors
    /// Unproved: it is missing, there twice, or no text.
    pub fn proof(&self, name: &str) -> Result<&str, Refused> {
        self.header(name).ok_or_else(|| Refused::unproved(format!("the header `{name}` is missing, or there twice")))
    }

    /// The media type of the body in lower case, without parameters.
    pub fn mediatype(&self) -> String {
        let written = self.header("content-type").unwrap_or_default();
        written.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Whether the body says that it is JSON.
    pub fn is_json(&self) -> bool {
        let mediatype = self.mediatype();
        mediatype == "application/json" || mediatype.ends_with("+json")
    }

    /// The fields of a form in the body; none where the body is no form.
    ///
    /// # Errors
    /// Unreadable: there are too many.
    pub fn form(&self) -> Result<Fields, Refused> {
        match self.mediatype().as_str() {
            "application/x-www-form-urlencoded" => Fields::parse(&self.body),
            _ => Ok(Fields::default()),
        }
    }

    /// The fields of the query.
    ///
    /// # Errors
    /// Unreadable: there are too many.
    pub fn query_fields(&self) -> Result<Fields, Refused> {
        Fields::parse(self.query.as_bytes())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// Unreadable: it is no JSON, or nested too deep.
    pub fn json(&self) -> Result<Value, Refused> {
        serde_json::from_slice(&self.body).map_err(|error| {
            // The text of the error may quote the body.
            let (line, column) = (error.line(), error.column());
            Refused::unreadable(format!("the body is no JSON (line {line} column {column})"))
        })
    }
}

/// The fields of a form in their order; a name may be there more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// Unreadable: there are too many.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let mut pairs = form_urlencoded::parse(bytes);
        let fields: Vec<_> =
            pairs.by_ref().take(MOST_FIELDS).map(|(name, value)| (name.into(), value.into())).collect();
        match pairs.next() {
            Some(_) => Err(Refused::unreadable(format!("the form has more than {MOST_FIELDS} fields"))),
            None => Ok(Fields(fields)),
        }
    }

    /// The first value under a name that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, value)| known == name && !value.trim().is_empty()).map(|(_, value)| value.trim())
    }

    /// The first value under a name as it was written, blanks and all.
    pub fn written(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All fields.
    pub fn all(&self) -> &[(String, String)] {
        &self.0
    }

    /// These fields and, behind them, others.
    #[must_use]
    pub fn and(mut self, others: Fields) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The members of a JSON object that are text, numbers or truth values, as fields; none of anything else.
    pub fn of_object(object: &Value) -> Fields {
        let members = object.as_object().into_iter().flatten();
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        Fields(members.filter_map(|(name, value)| Some((name.clone(), text(value)?))).take(MOST_FIELDS).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HeaderValue;

    fn delivery(mediatype: &str, body: &'static str) -> Delivery {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_str(mediatype).unwrap());
        Delivery { method: Method::POST, query: "a=1&a=2".to_owned(), headers, body: Bytes::from(body), at: 0 }
    }

    #[test]
    fn repeated_fields_are_all_kept() {
        let form = delivery("application/x-www-form-urlencoded; charset=UTF-8", "a=&a=x+y&b=%2B1&a=z").form().unwrap();
        let all: Vec<_> = form.all().iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(all, [("a", ""), ("a", "x y"), ("b", "+1"), ("a", "z")]);
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), (Some("x y"), Some("+1"), None));
        let both = form.and(delivery("", "").query_fields().unwrap());
        assert_eq!((both.get("a"), both.all().len()), (Some("x y"), 6));
        assert_eq!(delivery("text/plain", "a=1").form().unwrap(), Fields::default());
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let many = "a=1&".repeat(MOST_FIELDS + 1);
        assert!(matches!(Fields::parse(many.as_bytes()), Err(Refused::Unreadable { .. })));
        let deep = delivery("application/json", Box::leak("[".repeat(100_000).into_boxed_str()));
        assert!(matches!(deep.json(), Err(Refused::Unreadable { .. })));
    }

    #[test]
    fn a_header_that_is_there_twice_proves_nothing() {
        let mut delivery = delivery("application/problem+json", "{}");
        assert!(delivery.is_json());
        delivery.headers.append("x-signature", HeaderValue::from_static("good"));
        assert_eq!(delivery.proof("x-signature"), Ok("good"));
        delivery.headers.append("x-signature", HeaderValue::from_static("bad"));
        assert!(delivery.header("x-signature").is_none() && delivery.proof("x-signature").is_err());
    }
}
