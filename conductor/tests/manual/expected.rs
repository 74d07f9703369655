//! What a page says that a command says, compared with what it says.

/// Whether a line is what the page says: `...` stands for anything, and cells of tables may be wider.
fn is_like(line: &str, expected: &str) -> bool {
    let compact = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, expected) = (compact(line), compact(expected));
    let mut parts = expected.split("...");
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether these lines are what the page says; a line `...` stands for any lines.
pub(crate) fn are_like(lines: &[&str], expected: &[&str]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((&"...", rest)) => (0..=lines.len()).any(|skipped| are_like(&lines[skipped..], rest)),
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, others)| is_like(line, first) && are_like(others, rest))
        }
    }
}

/// Whether lines begin with what the page says.
pub(crate) fn begin_like(lines: &[&str], expected: &[&str]) -> bool {
    are_like(lines, &[expected, &["..."]].concat())
}

pub(crate) fn lines_are_compared_with_room_for_what_differs() {
    assert!(is_like("a   b", "a b") && is_like("abcd", "a...d") && is_like("a x b y c", "a...b...c"));
    assert!(is_like("ab", "a...") && is_like("a...b", "a...b"));
    assert!(!is_like("abcd", "a...c") && !is_like("ab", "a") && !is_like("a c b", "a...b...c"));
    let expected = ["a", "...", "c"];
    assert!(are_like(&["a", "b", "b", "c"], &expected) && are_like(&["a", "c"], &expected));
    assert!(!are_like(&["a", "b"], &expected) && !are_like(&["a", "c", "d"], &expected));
    assert!(begin_like(&["a", "c", "d"], &expected) && !begin_like(&["b", "a", "c"], &expected));
}
