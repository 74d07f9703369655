//! Durations and sizes as people write them, for the configuration and for options of plugins.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Longest duration that is accepted: 10 years.
const MAX_SECONDS: f64 = 10.0 * 365.0 * 86_400.0;

/// A duration in options: a number of seconds, or text such as `500ms`, `90s`, `5m`, `2h`, `1d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Period(pub Duration);

/// A size in options: a number of bytes, or text such as `256KB`, `50MB`, `1GB` (steps of 1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Size(pub u64);

/// Reads a duration: seconds without a unit, or with `ms`, `s`, `m`, `h` or `d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        "d" => number * 86_400.0,
        _ => return None,
    };
    (seconds <= MAX_SECONDS).then(|| Duration::from_secs_f64(seconds))
}

/// Reads a size: bytes without a unit, or with `B`, `KB`, `MB`, `GB`, `KiB`, `MiB`, `GiB` in any case.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1024,
        "m" | "mb" | "mib" => 1024 * 1024,
        "g" | "gb" | "gib" => 1024 * 1024 * 1024,
        _ => return None,
    };
    let bytes = number * factor as f64;
    (bytes <= 2f64.powi(53)).then_some(bytes as u64)
}

/// The number and the unit of a text such as `1.5 GB`.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim_start()))
}

/// What the two types differ in.
trait Unit: Sized {
    const EXPECTED: &'static str;
    fn read(text: &str) -> Option<Self>;
}

impl Unit for Period {
    const EXPECTED: &'static str = "a duration (seconds, or text such as `500ms`, `90s`, `5m`, `2h`, `1d`)";
    fn read(text: &str) -> Option<Self> {
        parse_duration(text).map(Period)
    }
}

impl Unit for Size {
    const EXPECTED: &'static str = "a size (bytes, or text such as `256KB`, `50MB`, `1GB`)";
    fn read(text: &str) -> Option<Self> {
        parse_size(text).map(Size)
    }
}

struct UnitVisitor<T>(std::marker::PhantomData<T>);

impl<T: Unit> Visitor<'_> for UnitVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::read(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnitVisitor(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnitVisitor(std::marker::PhantomData))
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration: seconds, or text such as `500ms`, `90s`, `5m`, `2h`, `1d`.",
            "anyOf": [{ "type": "number", "minimum": 0 }, { "type": "string", "pattern": r"^([0-9.]+ *(ms|s|m|h|d)?|\$\{.*)$" }]
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A size: bytes, or text such as `256KB`, `50MB`, `1GB` (steps of 1024).",
            "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": r"^([0-9.]+ *([kKmMgG]?i?[bB]?)|\$\{.*)$" }]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_with_their_units() {
        let durations = [
            ("500ms", Some(500)),
            ("1s", Some(1000)),
            ("1.5", Some(1500)),
            ("5m", Some(300_000)),
            ("2 h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("", None),
            ("-1s", None),
            ("5 minutes", None),
            ("1e300d", None),
            ("99999999d", None),
            ("s", None),
        ];
        for (text, millis) in durations {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text}");
        }
        let sizes = [
            ("256KB", Some(262_144)),
            ("1 MiB", Some(1_048_576)),
            ("1.5k", Some(1536)),
            ("10", Some(10)),
            ("2gb", Some(2_147_483_648)),
            ("1TB", None),
            ("-1", None),
        ];
        for (text, bytes) in sizes {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }
}
