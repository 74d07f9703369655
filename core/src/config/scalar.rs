//! Types of plain scalars, exactly as PyYAML's `SafeLoader` (YAML 1.1) resolves them.

use super::node::Value;

/// What a plain scalar is.
#[derive(Debug, Clone)]
pub(crate) enum Scalar {
    /// A value.
    Value(Value),
    /// A date or time, which we keep as text.
    Timestamp,
    /// Something that PyYAML refuses to load (`=`, `<<` as a value, `0x_`).
    Unusable,
}

/// Resolves the text of a plain scalar.
pub(crate) fn resolve(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Value(Value::Null),
        "=" | "<<" => return Scalar::Unusable,
        _ => {}
    }
    if let Some(flag) = truth(text) {
        return Scalar::Value(Value::Bool(flag));
    }
    if looks_float(text) {
        return float(text).map_or(Scalar::Unusable, |number| Scalar::Value(Value::Float(number)));
    }
    if looks_int(text) {
        return int(text).map_or(Scalar::Unusable, Scalar::Value);
    }
    if looks_timestamp(text) {
        return Scalar::Timestamp;
    }
    Scalar::Value(Value::String(text.to_owned()))
}

/// Resolves a scalar with an explicit core tag (`str`, `int`, `float`, `bool`, `null`, `timestamp`), plain or quoted.
///
/// `None`: no such tag, or the text does not fit it.
pub(crate) fn resolve_tagged(tag: &str, text: &str) -> Option<Scalar> {
    let value = match tag {
        "str" => Value::String(text.to_owned()),
        "null" => Value::Null,
        "bool" => Value::Bool(truth(&text.to_lowercase())?),
        "int" => int(text)?,
        "float" => Value::Float(float(text)?),
        "timestamp" if looks_timestamp(text) => return Some(Scalar::Timestamp),
        _ => return None,
    };
    Some(Scalar::Value(value))
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

/// Whether the text is not empty and made of bytes that satisfy `allowed`.
fn all(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(allowed)
}

fn digit_or_gap(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'_'
}

/// `[0-9][0-9_]*`
fn digits(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit()) && all(text, digit_or_gap)
}

/// `(:[0-5]?[0-9])+`, given without its first colon.
fn sixtieths(text: &str) -> bool {
    text.split(':').all(|part| match part.as_bytes() {
        [units] => units.is_ascii_digit(),
        [tens, units] => (b'0'..=b'5').contains(tens) && units.is_ascii_digit(),
        _ => false,
    })
}

fn looks_int(text: &str) -> bool {
    let body = unsigned(text);
    if let Some(rest) = body.strip_prefix("0b") {
        return all(rest, |byte| matches!(byte, b'0' | b'1' | b'_'));
    }
    if let Some(rest) = body.strip_prefix("0x") {
        return all(rest, |byte| byte.is_ascii_hexdigit() || byte == b'_');
    }
    if let Some(rest) = body.strip_prefix('0') {
        return rest.is_empty() || all(rest, |byte| matches!(byte, b'0'..=b'7' | b'_'));
    }
    match body.split_once(':') {
        Some((first, rest)) => digits(first) && sixtieths(rest),
        None => digits(body),
    }
}

fn looks_float(text: &str) -> bool {
    let body = unsigned(text);
    match body {
        ".inf" | ".Inf" | ".INF" => return true,
        ".nan" | ".NaN" | ".NAN" => return body.len() == text.len(),
        _ => {}
    }
    let Some((whole, rest)) = body.split_once('.') else { return false };
    if let Some((first, minutes)) = whole.split_once(':') {
        return digits(first) && sixtieths(minutes) && rest.bytes().all(digit_or_gap);
    }
    let (fraction, exponent) = match rest.split_once(['e', 'E']) {
        // PyYAML wants a sign: `1.0e3` is text.
        Some((fraction, exponent)) => (fraction, exponent.strip_prefix(['-', '+']).unwrap_or("")),
        None => (rest, "0"),
    };
    if !all(exponent, |byte| byte.is_ascii_digit()) {
        return false;
    }
    if whole.is_empty() {
        // Without digits before the dot there is no sign: `-.5` is text.
        return body.len() == text.len() && digits(fraction);
    }
    digits(whole) && fraction.bytes().all(digit_or_gap)
}

fn int(text: &str) -> Option<Value> {
    let negative = text.starts_with('-');
    let body = unsigned(text).replace('_', "");
    let magnitude = if let Some(rest) = body.strip_prefix("0b") {
        i128::from_str_radix(rest, 2)
    } else if let Some(rest) = body.strip_prefix("0x") {
        i128::from_str_radix(rest, 16)
    } else if body.starts_with('0') {
        i128::from_str_radix(&body, 8)
    } else if body.contains(':') {
        return sexagesimal_int(&body).map(|number| narrowed(negative, number));
    } else {
        match body.parse::<i128>() {
            Err(_) if all(&body, |byte| byte.is_ascii_digit()) => {
                return Some(Value::BigInt(if negative { format!("-{body}") } else { body }));
            }
            parsed => parsed,
        }
    };
    magnitude.ok().map(|number| narrowed(negative, number))
}

fn sexagesimal_int(body: &str) -> Option<i128> {
    body.split(':').try_fold(0i128, |sum, part| sum.checked_mul(60)?.checked_add(part.parse().ok()?))
}

fn narrowed(negative: bool, magnitude: i128) -> Value {
    let number = if negative { -magnitude } else { magnitude };
    i64::try_from(number).map_or_else(|_| Value::BigInt(number.to_string()), Value::Int)
}

fn float(text: &str) -> Option<f64> {
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let body = unsigned(text).replace('_', "").to_lowercase();
    let magnitude = match body.as_str() {
        ".inf" => f64::INFINITY,
        ".nan" => f64::NAN,
        _ => body.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + number(part)?))?,
    };
    Some(sign * magnitude)
}

/// A decimal number; Rust's words (`inf`, `infinity`, `nan`) are not numbers here.
fn number(text: &str) -> Option<f64> {
    if text.contains(|letter: char| letter.is_alphabetic() && letter != 'e') {
        return None;
    }
    text.parse().ok()
}

fn looks_timestamp(text: &str) -> bool {
    let mut rest = Pattern(text);
    if !(rest.digits(4, 4) && rest.one_of("-")) {
        return false;
    }
    let date = Pattern(rest.0);
    if matches_date_alone(date) {
        return true;
    }
    let spaced = rest.digits(1, 2) && rest.one_of("-") && rest.digits(1, 2) && (rest.one_of("Tt") || rest.blanks());
    if !(spaced && rest.digits(1, 2) && rest.one_of(":") && rest.digits(2, 2) && rest.one_of(":") && rest.digits(2, 2))
    {
        return false;
    }
    if rest.one_of(".") {
        rest.0 = rest.0.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    if rest.0.is_empty() {
        return true;
    }
    rest.blanks();
    if rest.one_of("Z") {
        return rest.0.is_empty();
    }
    if !(rest.one_of("-+") && rest.digits(1, 2)) {
        return false;
    }
    rest.0.is_empty() || (rest.one_of(":") && rest.digits(2, 2) && rest.0.is_empty())
}

/// `MM-DD` and the end.
fn matches_date_alone(mut rest: Pattern<'_>) -> bool {
    rest.digits(2, 2) && rest.one_of("-") && rest.digits(2, 2) && rest.0.is_empty()
}

/// What is left of a text while it is matched from the left.
struct Pattern<'a>(&'a str);

impl Pattern<'_> {
    fn digits(&mut self, least: usize, most: usize) -> bool {
        let count = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        self.0 = &self.0[count..];
        count >= least
    }

    fn one_of(&mut self, letters: &str) -> bool {
        match self.0.strip_prefix(|c| letters.contains(c)) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn blanks(&mut self) -> bool {
        let before = self.0.len();
        self.0 = self.0.trim_start_matches([' ', '\t']);
        self.0.len() < before
    }
}

#[cfg(test)]
#[path = "scalar_table.rs"]
mod table;
