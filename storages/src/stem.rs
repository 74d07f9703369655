//! A uuid as the name of a file or object. A uuid is data: it must not leave its folder, be hidden, or meet another one.

use std::fmt::Write as _;

use vconductor_core::{Error, Result};

/// Letters, digits, `-`, `_` and inner dots as they are, other bytes as `%XX`. At most `longest` bytes; `what` says in the error
/// what is named.
///
/// # Errors
/// Permanent for a uuid that is empty or too long.
pub(crate) fn stem(uuid: &str, longest: usize, what: &str) -> Result<String> {
    let mut stem = String::with_capacity(uuid.len());
    for (position, byte) in uuid.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && position > 0) {
            stem.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _written = write!(stem, "%{byte:02X}");
        }
    }
    if stem.is_empty() || stem.len() > longest {
        let shown: String = uuid.chars().take(60).collect();
        return Err(Error::permanent(format!("`{shown}` cannot be the name of {what}"))
            .help("a vCon needs a uuid of at most 200 characters"));
    }
    Ok(stem)
}

/// The uuid that [`stem`] was made from; `None` for what it never makes.
pub(crate) fn uuid(stem: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(stem.len());
    let mut rest = stem.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok().filter(|uuid| !uuid.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_uuid_leaves_its_folder_is_hidden_or_meets_another() {
        for (text, expected) in [
            ("018f0000-1234-8abc-9def-0123456789ab", "018f0000-1234-8abc-9def-0123456789ab"),
            ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
            ("..", "%2E."),
            (".hidden", "%2Ehidden"),
            ("a%2Fb", "a%252Fb"),
            ("a/b\0", "a%2Fb%00"),
            ("grün", "gr%C3%BCn"),
        ] {
            assert_eq!(stem(text, 200, "a file").unwrap(), expected);
            assert_eq!(uuid(expected).as_deref(), Some(text));
        }
        let error = stem("", 200, "a file").unwrap_err();
        assert!(error.help_text().is_some() && error.message().contains("a file"), "{error}");
        assert!(stem(&"x".repeat(200), 200, "a file").is_ok() && stem(&"x".repeat(201), 200, "a file").is_err());
        assert_eq!((uuid("a%2"), uuid("")), (None, None));
    }
}
