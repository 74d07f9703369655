//! Plain text: lines such as `Alice: hello`, paragraphs, or one piece.

use super::{Format, Origin, Speaker, Transcript, Turn};

/// The longest name that is taken for one, in characters and words.
const LONGEST_NAME: (usize, usize) = (60, 6);

/// Reads text with line ends `\n`.
pub(super) fn read(text: &str) -> Transcript {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if let Some(turns) = labelled(&lines) {
        return of(Format::LabelledText, text, turns);
    }
    let paragraphs = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let turns = paragraphs.filter(|part| !part.is_empty()).map(|text| Turn { text, ..Turn::default() });
    of(Format::Text, text, turns.collect())
}

fn of(format: Format, text: &str, turns: Vec<Turn>) -> Transcript {
    let origin = Origin { format, ..Origin::default() };
    Transcript { text: text.trim().to_owned(), turns, origin, ..Transcript::default() }
}

/// Lines as turns, when enough of them begin with a name: half of them, and one name comes again. `Time: 5 pm` alone
/// is no conversation.
pub(super) fn labelled(lines: &[&str]) -> Option<Vec<Turn>> {
    let heads: Vec<Option<Head<'_>>> = lines.iter().map(|line| head(line)).collect();
    let mut names: Vec<&str> = heads.iter().flatten().map(|head| head.name).collect();
    let found = names.len();
    names.sort_unstable();
    names.dedup();
    if found < 2 || found * 2 < lines.len() || names.len() == found && found > 2 {
        return None;
    }
    let mut turns: Vec<Turn> = Vec::new();
    for (line, head) in lines.iter().zip(heads) {
        match (head, turns.last_mut()) {
            (Some(head), _) => turns.push(Turn {
                text: head.rest.to_owned(),
                start: head.start,
                speaker: Some(Speaker::Name(head.name.to_owned())),
                ..Turn::default()
            }),
            (None, Some(turn)) => {
                turn.text.push(' ');
                turn.text.push_str(line);
            }
            (None, None) => turns.push(Turn { text: (*line).to_owned(), ..Turn::default() }),
        }
    }
    Some(turns)
}

/// The beginning of a labelled line.
pub(super) struct Head<'a> {
    pub(super) name: &'a str,
    pub(super) rest: &'a str,
    start: Option<f64>,
}

/// `Alice: hello`, `[00:01:02] Alice: hello`.
pub(super) fn head(line: &str) -> Option<Head<'_>> {
    let mut line = line;
    let mut start = None;
    if let Some((time, rest)) = line.strip_prefix(['[', '(']).and_then(|rest| rest.split_once([']', ')'])) {
        start = Some(clock(time)?);
        line = rest.trim_start();
    }
    let (name, rest) = line.split_once(':')?;
    let name = name.trim();
    let is_name = !name.is_empty()
        && name.chars().count() <= LONGEST_NAME.0
        && name.split_whitespace().count() <= LONGEST_NAME.1
        && name.chars().next().is_some_and(char::is_alphanumeric)
        && !name.contains(['?', '!', ';', '"', '<', '>', '{', '='])
        // `10:30`, and `https://`.
        && !name.chars().all(|character| character.is_ascii_digit())
        && !rest.starts_with("//");
    is_name.then_some(Head { name, rest: rest.trim(), start })
}

/// `1:02`, `00:01:02.5` or `00:01:02,500` in seconds.
pub(super) fn clock(text: &str) -> Option<f64> {
    let parts: Vec<&str> = text.trim().split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let mut seconds = 0.0;
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        let digits = part.bytes().all(|byte| byte.is_ascii_digit() || is_last && matches!(byte, b'.' | b','));
        if part.is_empty() || !digits {
            return None;
        }
        seconds = seconds * 60.0 + part.replace(',', ".").parse::<f64>().ok()?;
    }
    Some(seconds).filter(|seconds| *seconds <= 31_536_000.0)
}
