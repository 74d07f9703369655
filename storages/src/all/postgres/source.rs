//! What JSONB cannot hold of a JSON text: `\u0000`, and surrogates without a partner.

use std::borrow::Cow;

/// U+FFFD, which stands for a character that cannot be shown.
const REPLACEMENT: &[u8] = br"\ufffd";

/// A JSON text as JSONB takes it; borrowed when it already is.
pub(super) fn for_jsonb(text: &[u8]) -> Cow<'_, [u8]> {
    let (mut out, mut copied, mut at) = (Vec::new(), 0, 0);
    // In JSON a backslash is always the start of an escape in a string.
    while let Some(found) = text[at..].iter().position(|byte| *byte == b'\\') {
        let start = at + found;
        let (length, fits) = escape(&text[start..]);
        at = (start + length).min(text.len());
        if !fits {
            out.extend_from_slice(&text[copied..start]);
            out.extend_from_slice(REPLACEMENT);
            copied = at;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&text[copied..]);
    Cow::Owned(out)
}

/// The length of the escape at the start of a text, with that of its partner, and whether JSONB takes it.
fn escape(text: &[u8]) -> (usize, bool) {
    match unit(text) {
        None => (2, true),
        Some(0) => (6, false),
        Some(0xD800..=0xDBFF) => match text.get(6..).and_then(unit) {
            Some(0xDC00..=0xDFFF) => (12, true),
            _ => (6, false),
        },
        Some(0xDC00..=0xDFFF) => (6, false),
        Some(_) => (6, true),
    }
}

/// The UTF-16 unit that a `\uXXXX` at the start of a text names.
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(br"\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_jsonb_refuses_is_replaced_and_nothing_else() {
        let same = [r#"{"a":"b"}"#, r#""\\u0000 \n \" \u00e9 \ud83d\ude00 \\\\u0000""#, r#""\\""#, ""];
        for text in same {
            assert!(matches!(for_jsonb(text.as_bytes()), Cow::Borrowed(_)), "{text}");
        }
        let cases = [
            (r#""\u0000""#, r#""\ufffd""#),
            (r#""\\\u0000x\u0000""#, r#""\\\ufffdx\ufffd""#),
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\uDE00\ud83d\ud83d\ude00""#, r#""\ufffd\ufffd\ud83d\ude00""#),
            (r#"{"\u0000":"\ud83d\n"}"#, r#"{"\ufffd":"\ufffd\n"}"#),
        ];
        for (text, expected) in cases {
            assert_eq!(for_jsonb(text.as_bytes()), expected.as_bytes(), "{text}");
        }
    }
}
