//! A transcript for people and players: WebVTT, SubRip, text.

use super::{Transcript, Turn, wtf};

/// WebVTT (<https://www.w3.org/TR/webvtt1/>): a cue per turn, its speaker as the voice. Times that are missing are estimated
/// from the length of the text.
pub fn web_vtt(transcript: &Transcript) -> String {
    let mut out = "WEBVTT\n".to_owned();
    for (turn, (start, end)) in timed(transcript) {
        let voice = match speaker(transcript, turn) {
            // The name ends at the bracket.
            Some(name) => format!("<v {}>", escaped(&name)),
            None => String::new(),
        };
        let (start, end) = (clock(start, '.'), clock(end, '.'));
        out.push_str(&format!("\n{start} --> {end}\n{voice}{}\n", escaped(&one_line(&turn.text))));
    }
    out
}

/// SubRip: numbered cues, the speaker in front of the text. Times that are missing are estimated.
pub fn sub_rip(transcript: &Transcript) -> String {
    let mut out = String::new();
    for (number, (turn, (start, end))) in timed(transcript).enumerate() {
        let separator = if number == 0 { "" } else { "\n" };
        let (start, end, text) = (clock(start, ','), clock(end, ','), labelled(transcript, turn));
        // An arrow would be taken for times.
        let text = text.replace("-->", "->");
        out.push_str(&format!("{separator}{}\n{start} --> {end}\n{text}\n", number + 1));
    }
    out
}

/// A line per turn: `Alice: hello`; the text as it is where there are no turns.
pub fn text(transcript: &Transcript) -> String {
    if transcript.turns.is_empty() {
        return format!("{}\n", transcript.text.trim_end());
    }
    transcript.turns.iter().map(|turn| format!("{}\n", labelled(transcript, turn))).collect()
}

fn timed(transcript: &Transcript) -> impl Iterator<Item = (&Turn, (f64, f64))> {
    transcript.turns.iter().zip(wtf::times(transcript, &mut Vec::new()))
}

fn speaker(transcript: &Transcript, turn: &Turn) -> Option<String> {
    let name = match (&turn.speaker, turn.channel) {
        (Some(speaker), _) => transcript.label(speaker),
        (None, Some(channel)) => format!("Channel {channel}"),
        (None, None) => return None,
    };
    Some(one_line(&name))
}

fn labelled(transcript: &Transcript, turn: &Turn) -> String {
    let text = one_line(&turn.text);
    speaker(transcript, turn).map_or_else(|| text.clone(), |speaker| format!("{speaker}: {text}"))
}

/// An empty line would end the cue.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `01:02:03.450`
fn clock(seconds: f64, point: char) -> String {
    let milliseconds = (seconds.clamp(0.0, 1e9) * 1000.0).round() as u64;
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    format!("{:02}:{:02}:{:02}{point}{rest:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::super::{Format, Speaker, read_text};
    use super::*;

    fn transcript() -> Transcript {
        let turn = |name: &str, start: Option<f64>, text: &str| Turn {
            speaker: (!name.is_empty()).then(|| Speaker::Name(name.to_owned())),
            start,
            end: start.map(|start| start + 1.5),
            text: text.to_owned(),
            ..Turn::default()
        };
        let turns = vec![
            turn("Ann", Some(0.25), "Hello\n\nthere --> <b> & you"),
            turn("", Some(3725.0), "Who?"),
            turn("Bo <x>", None, "Me"),
        ];
        Transcript { turns, ..Transcript::default() }
    }

    #[test]
    fn cues_cannot_be_broken_out_of() {
        assert_eq!(
            web_vtt(&transcript()),
            "WEBVTT\n\n00:00:00.250 --> 00:00:01.750\n<v Ann>Hello there --&gt; &lt;b&gt; &amp; you\n\n\
             01:02:05.000 --> 01:02:06.500\nWho?\n\n01:02:06.500 --> 01:02:06.633\n<v Bo &lt;x&gt;>Me\n"
        );
        assert!(sub_rip(&transcript()).starts_with("1\n00:00:00,250 --> 00:00:01,750\nAnn: Hello there -> <b>"));
        assert_eq!(text(&transcript()), "Ann: Hello there --> <b> & you\nWho?\nBo <x>: Me\n");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let again = read_text(&web_vtt(&transcript()), None).unwrap();
        assert_eq!(again.origin.format, Format::WebVtt);
        assert_eq!(again.turns[0].text, "Hello there --> <b> & you");
        assert_eq!(again.turns[0].speaker, Some(Speaker::Name("Ann".to_owned())));
        let again = read_text(&sub_rip(&transcript()), None).unwrap();
        assert_eq!((again.origin.format, again.turns.len()), (Format::SubRip, 3));
        assert_eq!((again.turns[1].start, again.turns[1].text.as_str()), (Some(3725.0), "Who?"));
    }
}
