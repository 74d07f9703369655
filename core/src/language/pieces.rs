//! Cutting a text that is too long for one call, between turns where that is possible.

use crate::error::{Error, Result};

/// The most pieces that a text is cut into: the bound of what one conversation can cost.
const MOST_PIECES: usize = 100;

/// About how many tokens a text has, rather too many: four characters of ASCII are one, others are one each.
pub(super) fn tokens(text: &str) -> u64 {
    quarters(text).div_ceil(4)
}

fn quarters(text: &str) -> u64 {
    text.chars().map(|character| if character.is_ascii() { 1 } else { 4 }).sum()
}

/// The text in pieces of at most `most` tokens, in order; nothing is left out.
///
/// # Errors
/// Permanent, when there are too many.
pub(super) fn cut(text: &str, most: u64) -> Result<Vec<&str>> {
    let most = most.saturating_mul(4);
    if quarters(text) <= most {
        return Ok(vec![text]);
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if pieces.len() == MOST_PIECES {
            return Err(Error::permanent(format!("the text is longer than {MOST_PIECES} calls can take"))
                .help("raise `max_input_tokens` to what the model takes"));
        }
        let (piece, after) = rest.split_at(end_of_piece(rest, most));
        if !piece.trim().is_empty() {
            pieces.push(piece);
        }
        rest = after;
    }
    Ok(pieces)
}

/// Where the first piece ends: behind the last line that fits, else behind the last sentence, word or character.
fn end_of_piece(text: &str, most: u64) -> usize {
    let mut used = 0;
    let (mut line, mut sentence, mut word) = (0, 0, 0);
    let mut before = ' ';
    for (at, character) in text.char_indices() {
        used += if character.is_ascii() { 1 } else { 4 };
        if used > most && at > 0 {
            // A line in the first half would make many small pieces.
            let late = |end: usize| (end > at / 2).then_some(end);
            return late(line).or(late(sentence)).or(late(word)).unwrap_or(at);
        }
        let end = at + character.len_utf8();
        if character == '\n' {
            line = end;
        } else if character.is_whitespace() {
            word = end;
            if matches!(before, '.' | '!' | '?' | '…') {
                sentence = end;
            }
        }
        before = character;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_end_between_turns() {
        let text = "Ann: one two three\nBob: four five six\nAnn: seven eight nine\n";
        let pieces = cut(text, 10).unwrap();
        assert_eq!(pieces, ["Ann: one two three\nBob: four five six\n", "Ann: seven eight nine\n"]);
        let one_line = "One is done. Two is done. Three is done.";
        assert_eq!(cut(one_line, 7).unwrap(), ["One is done. Two is done. ", "Three is done."]);
        assert_eq!(cut("short", 2).unwrap(), ["short"]);
        assert!(cut(&"x".repeat(4 * 100 + 1), 1).unwrap_err().help_text().is_some());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_long(text in "[a-z .\n漢ü]{0,400}", most in 5_u64..40) {
            let pieces = cut(&text, most).unwrap();
            prop_assert!(pieces.iter().all(|piece| tokens(piece) <= most), "{pieces:?}");
            let said = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(said(&pieces.concat()), said(&text));
        }
    }
}
