//! Turns from words, and what a transcript says of itself once it is read.

use super::fields::mean;
use super::{Format, Speaker, Transcript, Turn, Word};

/// A word with the way it stands in the text.
#[derive(Debug, Clone, Default)]
pub(super) struct Piece {
    pub(super) word: Word,
    /// The word with its punctuation, where that is not the word itself.
    pub(super) written: Option<String>,
    /// Whether it follows without a space.
    pub(super) attaches: bool,
}

impl From<Word> for Piece {
    fn from(word: Word) -> Piece {
        let attaches = word.is_punctuation;
        Piece { word, written: None, attaches }
    }
}

/// Whether `text` is punctuation and nothing else.
pub(super) fn is_punctuation(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| !character.is_alphanumeric() && !character.is_whitespace())
}

/// Whether a sentence ends here.
pub(super) fn ends_sentence(text: &str) -> bool {
    text.trim_end_matches(['"', '\'', ')', '”', '’']).ends_with(['.', '!', '?', '…', '。', '？', '！'])
}

/// Words as turns: a new one where another speaker begins.
pub(super) fn by_speaker(pieces: Vec<Piece>, delimiter: &str) -> Vec<Turn> {
    group(pieces, delimiter, |turn, next| {
        // A word that nobody could be found for belongs to whom it follows.
        next.word.speaker.is_some() && turn.speaker.is_some() && turn.speaker != next.word.speaker
    })
}

/// Words as turns: a new one behind the end of a sentence, or behind a silence of a second.
pub(super) fn by_sentence(pieces: Vec<Piece>, delimiter: &str) -> Vec<Turn> {
    group(pieces, delimiter, |turn, next| {
        let silence = next.word.start.zip(turn.end).is_some_and(|(start, end)| start - end > 1.0);
        silence || ends_sentence(&turn.text) && !next.attaches
    })
}

fn group(pieces: Vec<Piece>, delimiter: &str, begins: impl Fn(&Turn, &Piece) -> bool) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for piece in pieces {
        if turns.last().is_none_or(|turn| begins(turn, &piece)) {
            turns.push(Turn::default());
        }
        let Some(turn) = turns.last_mut() else { continue };
        if !turn.text.is_empty() && !piece.attaches {
            turn.text.push_str(delimiter);
        }
        turn.text.push_str(piece.written.as_deref().unwrap_or(&piece.word.text));
        turn.start = turn.start.or(piece.word.start);
        turn.end = latest(turn.end, piece.word.end);
        if turn.speaker.is_none() {
            turn.speaker.clone_from(&piece.word.speaker);
        }
        turn.words.push(piece.word);
    }
    turns
}

/// Gives each word to the turn in which it begins. Both are in the order of time; a word in a gap goes to the turn
/// before it.
pub(super) fn distribute(turns: &mut [Turn], words: Vec<Word>) {
    let mut at = 0;
    for word in words {
        if let Some(start) = word.start {
            // Half a hundredth of a second: times of words and turns are rounded differently.
            let begins = |turn: &Turn| turn.start.is_some_and(|begin| begin <= start + 0.005);
            while turns.get(at + 1).is_some_and(begins) {
                at += 1;
            }
        }
        if let Some(turn) = turns.get_mut(at) {
            turn.words.push(word);
        }
    }
}

fn latest(one: Option<f64>, two: Option<f64>) -> Option<f64> {
    match (one, two) {
        (Some(one), Some(two)) => Some(one.max(two)),
        _ => one.or(two),
    }
}

/// Fills in what follows from the rest: the times and confidences of turns from their words, the text, the duration,
/// the confidence, the order of turns.
pub(super) fn finish(mut transcript: Transcript, format: Format) -> Transcript {
    transcript.origin.format = format;
    transcript.turns.retain(|turn| !turn.text.trim().is_empty());
    for turn in &mut transcript.turns {
        turn.text = turn.text.trim().to_owned();
        complete(turn);
    }
    let start = |turn: &Turn| turn.start.unwrap_or(0.0);
    // Channels come one after the other. Turns without times keep their order: then it is all there is.
    if transcript.turns.iter().all(|turn| turn.start.is_some()) {
        transcript.turns.sort_by(|one, two| start(one).total_cmp(&start(two)));
    }
    if transcript.text.trim().is_empty() {
        let texts: Vec<&str> = transcript.turns.iter().map(|turn| turn.text.as_str()).collect();
        transcript.text = texts.join(" ");
    }
    transcript.text = transcript.text.trim().to_owned();
    let end = transcript.turns.iter().filter_map(|turn| turn.end).fold(None, |end, next| latest(end, Some(next)));
    transcript.duration = transcript.duration.or(end);
    if transcript.confidence.is_none() {
        let words = mean(transcript.words().filter_map(|word| word.confidence));
        transcript.confidence = words.or_else(|| mean(transcript.turns.iter().filter_map(|turn| turn.confidence)));
    }
    transcript
}

fn complete(turn: &mut Turn) {
    turn.start = turn.start.or_else(|| turn.words.iter().find_map(|word| word.start));
    let end = turn.words.iter().filter_map(|word| word.end).fold(None, |end, next| latest(end, Some(next)));
    turn.end = turn.end.or(end);
    turn.confidence = turn.confidence.or_else(|| mean(turn.words.iter().filter_map(|word| word.confidence)));
    if turn.speaker.is_none() {
        turn.speaker = only_speaker(&turn.words);
    }
}

/// The speaker of all words, when it is one.
fn only_speaker(words: &[Word]) -> Option<Speaker> {
    let first = words.iter().find_map(|word| word.speaker.as_ref())?;
    let all_agree = words.iter().all(|word| word.speaker.as_ref().is_none_or(|speaker| speaker == first));
    all_agree.then(|| first.clone())
}
