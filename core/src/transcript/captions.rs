//! Captions: SubRip, WebVTT (<https://www.w3.org/TR/webvtt1/>) and Advanced SubStation.

use super::assemble::{Piece, by_sentence};
use super::prose::{clock, head};
use super::{Format, Origin, Speaker, Transcript, Turn, Word};

/// Reads text with line ends `\n`, when it is captions.
pub(super) fn read(text: &str) -> Option<Transcript> {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if start.starts_with("[Script Info]") {
        return Some(of(Format::SubStation, merged(sub_station(text))));
    }
    if start.starts_with("WEBVTT") {
        return Some(of(Format::WebVtt, cues(text)));
    }
    let first = start.lines().take(2).any(|line| times(line).is_some());
    first.then(|| of(Format::SubRip, cues(text)))
}

fn of(format: Format, turns: Vec<Turn>) -> Transcript {
    let origin = Origin { format, ..Origin::default() };
    Transcript { turns: readable(turns), origin, ..Transcript::default() }
}

/// The cues of SubRip and WebVTT: a line with times, then text up to an empty line.
fn cues(text: &str) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if let Some((start, end)) = times(line) {
            turns.push(Turn { start: Some(start), end: Some(end), ..Turn::default() });
            open = true;
        } else if line.trim().is_empty() {
            open = false;
        } else if let Some(turn) = turns.last_mut().filter(|_| open) {
            let (speaker, shown) = without_tags(line);
            if !turn.text.is_empty() {
                turn.text.push(' ');
            }
            turn.text.push_str(shown.trim());
            turn.speaker = turn.speaker.take().or(speaker);
        }
    }
    turns
}

/// `00:00:01,000 --> 00:00:02,500`, with settings behind it in WebVTT.
fn times(line: &str) -> Option<(f64, f64)> {
    let (start, rest) = line.split_once("-->")?;
    Some((clock(start)?, clock(rest.split_whitespace().next()?)?))
}

/// The text of a line without `<...>`, and the name in `<v Name>`.
fn without_tags(line: &str) -> (Option<Speaker>, String) {
    let mut speaker = None;
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, tag)) = rest.split_once('<') {
        let Some((inside, after)) = tag.split_once('>') else { break };
        shown.push_str(before);
        let mut words = inside.splitn(2, char::is_whitespace);
        let is_voice = words.next().is_some_and(|tag| tag == "v" || tag.starts_with("v."));
        if let Some(name) = words.next().map(str::trim).filter(|name| is_voice && !name.is_empty()) {
            speaker = Some(Speaker::Name(name.to_owned()));
        }
        rest = after;
    }
    shown.push_str(rest);
    for (entity, character) in
        [("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " "), ("&lrm;", ""), ("&rlm;", ""), ("&amp;", "&")]
    {
        shown = shown.replace(entity, character);
    }
    (speaker, shown)
}

/// Events of Advanced SubStation: nine fields, then text with overrides in braces.
fn sub_station(text: &str) -> Vec<Turn> {
    let events = text.lines().filter_map(|line| line.strip_prefix("Dialogue:"));
    let turns = events.filter_map(|event| {
        let fields: Vec<&str> = event.splitn(10, ',').collect();
        let [_, start, end, _, name, _, _, _, _, shown] = fields.as_slice() else { return None };
        let name = name.trim();
        Some(Turn {
            text: without_overrides(shown),
            start: clock(start),
            end: clock(end),
            speaker: (!name.is_empty()).then(|| Speaker::Name(name.to_owned())),
            ..Turn::default()
        })
    });
    turns.collect()
}

fn without_overrides(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once('{') {
        shown.push_str(before);
        rest = inside.split_once('}').map_or("", |(_, after)| after);
    }
    shown.push_str(rest);
    let broken = shown.replace("\\N", " ").replace("\\n", " ").replace("\\h", " ");
    broken.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Captions that light up word by word repeat their line for each word: the line counts once.
fn merged(turns: Vec<Turn>) -> Vec<Turn> {
    let mut all: Vec<Turn> = Vec::new();
    for turn in turns {
        match all.last_mut() {
            Some(last) if last.text == turn.text && last.speaker == turn.speaker => last.end = turn.end,
            _ => all.push(turn),
        }
    }
    all
}

/// Cues of single words become sentences; names in front of cues become speakers.
fn readable(mut turns: Vec<Turn>) -> Vec<Turn> {
    turns.retain(|turn| !turn.text.is_empty());
    let single = |turn: &&Turn| !turn.text.contains(char::is_whitespace);
    if turns.len() > 3 && turns.iter().filter(single).count() * 10 > turns.len() * 9 {
        let words = turns.into_iter().map(|turn| Word {
            text: turn.text,
            start: turn.start,
            end: turn.end,
            speaker: turn.speaker,
            ..Word::default()
        });
        return by_sentence(words.map(Piece::from).collect(), " ");
    }
    let named = turns.iter().filter(|turn| turn.speaker.is_none() && head(&turn.text).is_some()).count();
    if named >= 2 && named * 2 >= turns.len() {
        for turn in &mut turns {
            if let Some(head) = head(&turn.text).filter(|_| turn.speaker.is_none()) {
                turn.speaker = Some(Speaker::Name(head.name.to_owned()));
                turn.text = head.rest.to_owned();
            }
        }
    }
    turns
}
