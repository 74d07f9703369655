//! The dialogs in the order of time, with what was said in them.

use vconductor_core::import::mail::Mail;
use vconductor_core::transcript::{Format, Found, Transcript, Turn, find, read_text};
use vconductor_core::vcon::{Body, Dialog, Vcon};

use super::media::{Media, of_entry, string, words};
use super::people::{Person, name};
use super::text::{beginning, day, duration, line, lines, offset, time_of_day};

/// How much of one turn is shown at most; a body may be a book.
const LONGEST: usize = 20_000;

/// One dialog.
#[derive(Debug, Default)]
pub(in crate::cli::show) struct Part {
    /// Its type.
    pub(in crate::cli::show) kind: String,
    /// The day and the time of day at which it began.
    pub(in crate::cli::show) day: Option<String>,
    pub(in crate::cli::show) time: Option<String>,
    /// Seconds.
    pub(in crate::cli::show) duration: Option<f64>,
    /// Whether it is a part of a longer one, whose length counts already.
    pub(in crate::cli::show) is_within: bool,
    /// What it is, in words: `Recording, 33 s`, `Alice to Bob`.
    pub(in crate::cli::show) heading: String,
    /// More about it, each in a line.
    pub(in crate::cli::show) details: Vec<String>,
    /// The content that is not text.
    pub(in crate::cli::show) media: Option<Media>,
    /// Whether it is a mail.
    pub(in crate::cli::show) is_mail: bool,
    /// What was said.
    pub(in crate::cli::show) said: Vec<Said>,
}

/// A turn.
#[derive(Debug, Default, Clone)]
pub(in crate::cli::show) struct Said {
    /// The party.
    pub(in crate::cli::show) person: Option<usize>,
    /// Who, for people.
    pub(in crate::cli::show) who: String,
    /// When: the time of day, or the offset into the recording.
    pub(in crate::cli::show) at: Option<String>,
    /// What.
    pub(in crate::cli::show) text: String,
    /// How long it took.
    pub(in crate::cli::show) seconds: Option<f64>,
}

pub(super) fn parts(vcon: &Vcon, people: &[Person]) -> Vec<Part> {
    let transcripts = find(vcon);
    let first = vcon.dialogs().find(Dialog::is_recording).map(|dialog| dialog.index());
    let mut parts: Vec<(Option<jiff::Timestamp>, Part)> = Vec::new();
    for dialog in vcon.dialogs() {
        let own = |found: &&Found| {
            found.dialogs.first().copied().or(first) == Some(dialog.index()) && found.dialogs.len() <= 1
                || found.dialogs.len() > 1 && found.dialogs[0] == dialog.index()
        };
        let own: Vec<&Found> = transcripts.iter().filter(own).collect();
        parts.push((dialog.start().map(|start| start.timestamp()), part(&dialog, &own, people)));
    }
    // Arrays are in the order of insertion. What has no start stays behind what it was inserted after.
    let mut last = None;
    for (start, _) in &mut parts {
        *start = start.or(last);
        last = *start;
    }
    parts.sort_by_key(|(start, _)| *start);
    let mut parts: Vec<Part> = parts.into_iter().map(|(_, part)| part).collect();
    // Transcripts of a vCon without dialogs are all that there is.
    if parts.is_empty()
        && let Some(found) = best(&transcripts.iter().collect::<Vec<_>>())
    {
        let mut part = Part { heading: "Transcript".to_owned(), ..Part::default() };
        part.details.push(source(found));
        part.said = turns(&found.transcript, people);
        parts.push(part);
    }
    parts
}

fn part(dialog: &Dialog<'_>, transcripts: &[&Found], people: &[Person]) -> Part {
    let kind = dialog.kind().map(|kind| line(&kind)).unwrap_or_default();
    let start = dialog.entry().text("start");
    let mut part = Part {
        day: start.as_deref().and_then(day),
        time: start.as_deref().and_then(time_of_day),
        duration: dialog.duration(),
        is_within: dialog.entry().index("recording_set").is_some(),
        heading: heading(dialog, &kind, people),
        is_mail: is_mail(dialog),
        kind,
        ..Part::default()
    };
    if let Some(disposition) = dialog.disposition().filter(|_| part.kind != "incomplete") {
        part.details.push(format!("disposition: {}", line(&disposition)));
    }
    if part.kind == "transfer" {
        part.details.extend(transfer(dialog, people));
    }
    if let Some(subject) = dialog.entry().text("subject") {
        part.details.push(format!("subject: {}", line(&subject)));
    }
    part.details.extend(history(dialog, people));
    content(dialog, &mut part, people);
    if let Some(best) = best(transcripts) {
        part.details.push(source(best));
        let others = transcripts.iter().filter(|found| found.place != best.place).count();
        if others > 0 {
            part.details.push(format!("and transcribed {others} more {}", if others == 1 { "time" } else { "times" }));
        }
        // The text of a dialog is what was written; a transcript of it says nothing new.
        if part.said.is_empty() {
            part.said = turns(&best.transcript, people);
        }
    }
    part
}

/// By what the producer says, else by the look of it.
fn is_mail(dialog: &Dialog<'_>) -> bool {
    let own = |name| dialog.entry().text(name);
    match own("application") {
        Some(application) => application == "email",
        None => {
            dialog.mediatype().is_some_and(|kind| kind.starts_with("multipart/") || kind == "message/rfc822")
                || own("message_id").is_some_and(|id| id.starts_with('<') && id.contains('@'))
        }
    }
}

fn heading(dialog: &Dialog<'_>, kind: &str, people: &[Person]) -> String {
    let who: Vec<String> = dialog.parties().into_iter().map(|index| name(people, index)).collect();
    let is_video = dialog.mediatype().is_some_and(|mediatype| mediatype.starts_with("video/"));
    let mut words = match kind {
        "text" => {
            let from = dialog.originator().map(|index| name(people, index));
            let to: Vec<&str> = who.iter().map(String::as_str).filter(|name| Some(*name) != from.as_deref()).collect();
            return match (from, to.is_empty()) {
                (Some(from), false) => format!("{from} to {}", listed(&to)),
                (Some(from), true) => from,
                (None, _) => "Text".to_owned(),
            };
        }
        "incomplete" => match dialog.disposition() {
            Some(disposition) => format!("Not reached: {}", line(&disposition)),
            None => "Not reached".to_owned(),
        },
        "transfer" => "Transfer".to_owned(),
        "recording-set" => "Recordings of one call".to_owned(),
        "recording" | "audio" if !is_video => "Recording".to_owned(),
        "recording" | "audio" | "video" => "Video".to_owned(),
        "" => "Dialog".to_owned(),
        other => other.to_owned(),
    };
    if let Some(seconds) = dialog.duration() {
        words.push_str(&format!(", {}", duration(seconds)));
    }
    let who: Vec<&str> = who.iter().map(String::as_str).collect();
    if !who.is_empty() {
        words.push_str(&format!(", {}", listed(&who)));
    }
    words
}

/// `A, B and 3 others`.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [one, two] => format!("{one}, {two}"),
        [one, two, three] => format!("{one}, {two}, {three}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} others", rest.len()),
    }
}

fn transfer(dialog: &Dialog<'_>, people: &[Person]) -> Vec<String> {
    let person = |member: &str| dialog.entry().indices(member).first().map(|index| name(people, *index));
    let other = |member: &str| dialog.entry().indices(member).first().copied();
    let mut details = Vec::new();
    if let (Some(transferee), Some(transferor)) = (person("transferee"), person("transferor")) {
        let target = person("transfer_target").map(|target| format!(" to {target}")).unwrap_or_default();
        details.push(format!("{transferor} transfers {transferee}{target}"));
    }
    for (member, words) in
        [("original", "the call before"), ("consultation", "the consultation"), ("target_dialog", "the call after")]
    {
        details.extend(other(member).map(|index| format!("{words}: dialog {index}")));
    }
    details
}

/// Who came and went.
fn history(dialog: &Dialog<'_>, people: &[Person]) -> Vec<String> {
    let events = dialog.entry().get("party_history");
    let events = events.into_iter().flat_map(|events| events.elements());
    let shown = events.take(50).filter_map(|event| {
        let who = name(people, event.get("party")?.as_usize()?);
        let what = line(&event.get("event")?.as_str()?);
        let when = string(event.get("time")).and_then(|time| time_of_day(&time));
        Some(format!("{}{who}: {what}", when.map(|when| format!("{when} ")).unwrap_or_default()))
    });
    shown.collect()
}

/// What the dialog holds itself.
fn content(dialog: &Dialog<'_>, part: &mut Part, people: &[Person]) {
    let mediatype = dialog.mediatype().unwrap_or_default().to_ascii_lowercase();
    let sender = dialog.originator();
    let written = |text: String| Said {
        person: sender,
        who: sender.map(|index| name(people, index)).unwrap_or_default(),
        text: beginning(&lines(&text), LONGEST),
        ..Said::default()
    };
    match dialog.body() {
        Ok(Body::Text(text)) if mediatype.starts_with("multipart/") || mediatype == "message/rfc822" => {
            let header = if mediatype == "message/rfc822" {
                String::new()
            } else {
                format!("Content-Type: {}\n\n", dialog.mediatype().unwrap_or_default())
            };
            let mail = Mail::read(format!("{header}{text}").as_bytes()).ok().filter(|mail| !mail.text.is_empty());
            part.said.push(written(mail.map_or_else(|| text.into_owned(), |mail| mail.text)));
        }
        Ok(Body::Text(text)) if mediatype.starts_with("text/html") => part.said.push(written(words(&text))),
        Ok(Body::Text(text)) => match read_text(&text, None) {
            Some(found) if found.origin.format != Format::Text => part.said = turns(&attributed(found, people), people),
            _ => part.said.push(written(text.into_owned())),
        },
        Ok(Body::Json(value)) => match vconductor_core::transcript::read(&value, None) {
            Some(found) => part.said = turns(&attributed(found, people), people),
            None => part.said.push(written(value.to_string())),
        },
        body => {
            let filename = dialog.filename().map(|name| line(&name));
            let mut media = of_entry(dialog.entry(), body);
            if media.size.is_some() || media.place.is_some() || media.excerpt.is_some() || filename.is_some() {
                media.title = filename.unwrap_or_default();
                part.media = Some(media);
            }
        }
    }
    part.said.retain(|said| !said.text.is_empty());
}

/// Turns whose speaker has the name of a party.
fn attributed(mut transcript: Transcript, people: &[Person]) -> Transcript {
    let labels: Vec<Option<String>> = transcript
        .turns
        .iter()
        .map(|turn| turn.speaker.as_ref().map(|speaker| transcript.label(speaker).to_lowercase()))
        .collect();
    for (turn, label) in transcript.turns.iter_mut().zip(labels) {
        let named = |person: &&Person| label.as_ref().is_some_and(|label| person.name.to_lowercase() == *label);
        turn.party = turn.party.or_else(|| people.iter().find(named).map(|person| person.index));
    }
    transcript
}

/// The transcript that tells most: with speakers, with times, with the most turns.
fn best<'a>(transcripts: &[&'a Found]) -> Option<&'a Found> {
    let value = |found: &&&Found| {
        let turns = &found.transcript.turns;
        let has_party = turns.iter().any(|turn| turn.party.is_some());
        let has_speaker = turns.iter().any(|turn| turn.speaker.is_some() || turn.channel.is_some());
        (has_party, has_speaker, turns.len().min(2), turns.iter().any(|turn| turn.start.is_some()))
    };
    // Of equals the first one.
    transcripts.iter().rev().max_by_key(value).copied()
}

fn source(found: &Found) -> String {
    let transcript = &found.transcript;
    let origin = &transcript.origin;
    let mut words: Vec<String> =
        [&origin.provider, &origin.model].into_iter().flatten().map(|text| line(text)).collect();
    words.dedup();
    let mut source =
        format!("transcript: {}", if words.is_empty() { "of unknown origin".to_owned() } else { words.join(" ") });
    if let Some(language) = &transcript.language {
        source.push_str(&format!(", {}", line(language)));
    }
    if let Some(confidence) = transcript.confidence {
        source.push_str(&format!(", {:.0} % sure", confidence * 100.0));
    }
    source
}

/// The turns; those of one speaker that follow each other closely are one paragraph.
fn turns(transcript: &Transcript, people: &[Person]) -> Vec<Said> {
    /// Characters of a paragraph beyond which a new one begins.
    const PARAGRAPH: usize = 400;
    let mut all: Vec<Said> = Vec::new();
    let mut last: Option<&Turn> = None;
    for turn in &transcript.turns {
        let seconds = turn.start.zip(turn.end).map(|(start, end)| (end - start).max(0.0));
        let follows = last.is_some_and(|last| {
            last.speaker == turn.speaker && last.party == turn.party && last.channel == turn.channel && {
                // Without times, what came as turns stays as turns.
                last.end.zip(turn.start).is_some_and(|(end, start)| start - end < 2.0)
            }
        });
        last = Some(turn);
        let text = beginning(&lines(&turn.text), LONGEST);
        if let Some(said) = all.last_mut().filter(|said| follows && said.text.chars().count() < PARAGRAPH) {
            said.text.push(' ');
            said.text.push_str(&text);
            said.seconds = said.seconds.zip(seconds).map(|(one, two)| one + two).or(said.seconds);
            continue;
        }
        all.push(Said {
            person: turn.party,
            who: who(transcript, turn, people),
            at: turn.start.map(offset),
            text,
            seconds,
        });
    }
    all
}

fn who(transcript: &Transcript, turn: &Turn, people: &[Person]) -> String {
    match (turn.party, &turn.speaker, turn.channel) {
        (Some(party), ..) => name(people, party),
        (None, Some(speaker), _) => line(&transcript.label(speaker)),
        (None, None, Some(channel)) => format!("Channel {channel}"),
        (None, None, None) => String::new(),
    }
}
