//! The query of a URL. A name that is repeated has several values; where one is wanted the last one counts.

use std::convert::Infallible;
use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde_json::{Value, json};
use uuid::Uuid;
use vconductor_core::store::seconds;

use super::answer::{Invalid, Result};

/// The parameters of a query in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Query::read(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    pub(super) fn read(text: &str) -> Self {
        Query(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The same with some parameters under other names; those that have them already are gone.
    pub(super) fn renamed(&self, names: &[(&str, &str)]) -> Self {
        let other = |(name, value): &(String, String)| {
            let (_, own) = names.iter().find(|(theirs, _)| theirs == name)?;
            Some(((*own).to_owned(), value.clone()))
        };
        Query(self.0.iter().filter_map(other).collect())
    }

    /// All values of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter.
    pub(super) fn one<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).last()
    }

    /// The value of a parameter that must be there.
    pub(super) fn required<'a>(&'a self, name: &'a str) -> Result<&'a str> {
        Ok(self.one(name).ok_or_else(|| Invalid::missing(name))?)
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str, default: u64, range: RangeInclusive<u64>) -> Result<u64> {
        let Some(text) = self.one(name) else { return Ok(default) };
        let wrong = |kind: &str, message: String| Invalid::new(kind, json!(["query", name]), message, json!(text));
        let number: i128 = text.trim().parse().map_err(|_| {
            let message = "Input should be a valid integer, unable to parse string as an integer";
            wrong("int_parsing", message.to_owned())
        })?;
        if number < i128::from(*range.start()) {
            let message = format!("Input should be greater than or equal to {}", range.start());
            return Err(wrong("greater_than_equal", message).into());
        }
        match u64::try_from(number) {
            Ok(number) if number <= *range.end() => Ok(number),
            _ => {
                let message = format!("Input should be less than or equal to {}", range.end());
                Err(wrong("less_than_equal", message).into())
            }
        }
    }

    /// A point in time, in seconds since the epoch.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>> {
        let Some(text) = self.one(name) else { return Ok(None) };
        let read = seconds(&Value::String(text.to_owned()));
        let message = "Input should be a valid datetime";
        Ok(Some(
            read.ok_or_else(|| {
                Invalid::new("datetime_from_date_parsing", json!(["query", name]), message, json!(text))
            })?,
        ))
    }
}

/// A uuid in any of its spellings, as it is stored: lower-case with hyphens. `place` is where it stands.
pub(super) fn uuid(text: &str, place: Value) -> Result<String, Invalid> {
    let read = Uuid::parse_str(text.trim());
    read.map(|uuid| uuid.to_string()).map_err(|error| {
        Invalid::new("uuid_parsing", place, format!("Input should be a valid UUID, {error}"), json!(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_repeated_and_values_are_decoded() {
        let query = Query::read("a=1&b=x%20y&a=2&empty=&tel=%2B1");
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((query.one("a"), query.one("b"), query.one("tel")), (Some("2"), Some("x y"), Some("+1")));
        assert_eq!((query.one("empty"), query.one("c")), (Some(""), None));
        assert!(query.required("c").is_err());
    }

    #[test]
    fn numbers_have_bounds() {
        let of = |text: &str| Query::read(&format!("n={text}")).number("n", 5, 1..=10).ok();
        assert_eq!(
            (of("7"), of("%207"), of("0"), of("11"), of("-1"), of("x")),
            (Some(7), Some(7), None, None, None, None)
        );
        assert_eq!(of("99999999999999999999999999"), None);
        assert_eq!(Query::default().number("n", 5, 1..=10).ok(), Some(5));
    }

    #[test]
    fn uuids_are_read_in_every_spelling() {
        let plain = "018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10";
        for spelling in [plain, "018F2B7C5E1A8C339D2B2F5B6F1F7A10", "urn:uuid:018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10"] {
            assert_eq!(uuid(spelling, Value::Null).unwrap(), plain);
        }
        assert!(uuid("count", Value::Null).is_err());
    }
}
