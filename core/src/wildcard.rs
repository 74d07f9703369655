//! Names with stars: how options and chain tests say several texts at once.

/// Whether `text` is as `pattern` says, in which `*` stands for any characters, also for none.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (one, text) in [
            ("a", "a"),
            ("", ""),
            ("*", ""),
            ("*", "x"),
            ("a*", "ab"),
            ("*b", "ab"),
            ("a*c*e", "abcde"),
            ("https://*/v1", "https://x/v1"),
        ] {
            assert!(matches(one, text), "{one} {text}");
        }
        for (one, text) in
            [("a", "ab"), ("", "a"), ("a*a", "a"), ("a*", "ba"), ("a*b", "a"), ("*a", "ab"), ("a*c*e", "aecd")]
        {
            assert!(!matches(one, text), "{one} {text}");
        }
    }
}
