//! Reading members that may be of any type.

use serde_json::{Map, Value};

use super::Speaker;

/// The longest time that is believed, in seconds: a year. Beyond it a number is no offset but a date or a lie.
const LONGEST: f64 = 365.0 * 86_400.0;

/// The string.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

/// The string, trimmed, when anything is left of it.
pub(super) fn filled<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    text(value, name).map(str::trim).filter(|text| !text.is_empty())
}

/// The string as an own one.
pub(super) fn owned(value: &Value, name: &str) -> Option<String> {
    filled(value, name).map(str::to_owned)
}

/// The elements of an array; none for anything else.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The object, when it is one.
pub(super) fn object<'a>(value: &'a Value, name: &str) -> Option<&'a Map<String, Value>> {
    value.get(name)?.as_object()
}

/// A finite number, also when it is written as a string.
pub(super) fn number_of(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        // Google and protocol buffers write `1.2s`.
        Value::String(text) => {
            let text = text.trim();
            text.strip_suffix('s').unwrap_or(text).parse().ok()
        }
        _ => None,
    };
    number.filter(|number: &f64| number.is_finite())
}

/// A finite number, also when it is written as a string.
pub(super) fn number(value: &Value, name: &str) -> Option<f64> {
    number_of(value.get(name)?)
}

/// An offset in seconds.
pub(super) fn seconds(value: &Value, name: &str) -> Option<f64> {
    number(value, name).filter(|seconds| (0.0..=LONGEST).contains(seconds))
}

/// An offset in seconds that is written in milliseconds.
pub(super) fn milliseconds(value: &Value, name: &str) -> Option<f64> {
    number(value, name).map(|milliseconds| milliseconds / 1000.0).filter(|seconds| (0.0..=LONGEST).contains(seconds))
}

/// A confidence from 0 to 1. Percentages are divided; what is neither is no confidence.
pub(super) fn confidence(value: &Value, name: &str) -> Option<f64> {
    match number(value, name)? {
        confidence if (0.0..=1.0).contains(&confidence) => Some(confidence),
        // Floating point overshoots by a hair.
        confidence if confidence > 1.0 && confidence < 1.001 => Some(1.0),
        percentage if percentage > 1.0 && percentage <= 100.0 => Some(percentage / 100.0),
        _ => None,
    }
}

/// The confidence of a natural logarithm of a probability, as Whisper gives it.
pub(super) fn of_logarithm(logarithm: f64) -> Option<f64> {
    Some(logarithm.exp()).filter(|confidence| (0.0..=1.0).contains(confidence))
}

/// A speaker.
pub(super) fn speaker(value: &Value, name: &str) -> Option<Speaker> {
    Speaker::of(value.get(name)?)
}

/// A small index, also when it is written as a string.
pub(super) fn index(value: &Value, name: &str) -> Option<usize> {
    match value.get(name)? {
        Value::Number(number) => usize::try_from(number.as_u64()?).ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The members of `value` but those called `names`, without nulls.
pub(super) fn others(value: &Value, names: &[&str]) -> Map<String, Value> {
    let members = value.as_object().into_iter().flatten();
    let kept = members.filter(|(name, member)| !names.contains(&name.as_str()) && !member.is_null());
    kept.map(|(name, member)| (name.clone(), member.clone())).collect()
}

/// The mean of what is there.
pub(super) fn mean(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = numbers.fold((0u64, 0.0), |(count, sum), number| (count + 1, sum + number));
    (count > 0).then(|| sum / count as f64)
}
