//! JSON pointers (RFC 6901).

use std::borrow::Cow;

use crate::{Error, Result};

/// The reference tokens of `pointer`, unescaped.
///
/// # Errors
/// Permanent, when it is neither empty nor starts with `/`, or holds `~` without `0` or `1`.
pub(super) fn tokens(pointer: &str) -> Result<Vec<Cow<'_, str>>> {
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let Some(path) = pointer.strip_prefix('/') else {
        return Err(invalid(pointer, "does not start with `/`"));
    };
    path.split('/')
        .map(|token| unescaped(token).ok_or_else(|| invalid(pointer, "has `~` without `0` or `1`")))
        .collect()
}

fn invalid(pointer: &str, problem: &str) -> Error {
    Error::permanent(format!("the JSON pointer `{pointer}` {problem}"))
        .help("write it like `/attachments/0/body`; `~` is `~0` and `/` is `~1` in names (RFC 6901)")
}

/// One token without its escapes.
pub(super) fn unescaped(token: &str) -> Option<Cow<'_, str>> {
    if !token.contains('~') {
        return Some(Cow::Borrowed(token));
    }
    let mut out = String::with_capacity(token.len());
    let mut parts = token.split('~');
    out.push_str(parts.next()?);
    for part in parts {
        let (escaped, rest) = match part.split_at_checked(1)? {
            ("0", rest) => ('~', rest),
            ("1", rest) => ('/', rest),
            _ => return None,
        };
        out.push(escaped);
        out.push_str(rest);
    }
    Some(Cow::Owned(out))
}

/// The JSON pointer to the member `name` of what is at `pointer`.
pub fn child(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The array index that `token` is: decimal digits without leading zeros.
pub(super) fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || !token.starts_with(['0', '+']);
    token.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_6901() {
        assert_eq!(tokens("").unwrap(), Vec::<&str>::new());
        assert_eq!(tokens("/").unwrap(), [""]);
        assert_eq!(tokens("/a~1b/m~0n/c%d").unwrap(), ["a/b", "m~n", "c%d"]);
        assert_eq!(tokens("/~01").unwrap(), ["~1"]);
        for wrong in ["a", "/~", "/~2", "/a~"] {
            assert!(tokens(wrong).unwrap_err().message().contains(wrong), "{wrong}");
        }
    }

    #[test]
    fn child_escapes_what_tokens_unescapes() {
        assert_eq!(tokens(&child("/x", "a/b~1")).unwrap(), ["x", "a/b~1"]);
    }

    #[test]
    fn an_index_has_one_spelling() {
        assert_eq!(index("0"), Some(0));
        assert_eq!(index("10"), Some(10));
        for wrong in ["", "-", "00", "01", "+1", "-1", "1.0"] {
            assert_eq!(index(wrong), None, "{wrong}");
        }
    }
}
