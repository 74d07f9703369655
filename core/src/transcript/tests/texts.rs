//! Captions and plain text.

use super::super::{Format, Transcript, read_text};
use super::turns;

fn of(text: &str) -> Transcript {
    read_text(text, None).unwrap()
}

#[test]
fn subrip() {
    let text =
        "1\r\n00:00:01,000 --> 00:00:02,500\r\nHello\r\nthere.\r\n\r\n2\r\n00:01:03,250 --> 00:01:04,000\r\nBye.\r\n";
    let found = of(text);
    assert_eq!(found.origin.format, Format::SubRip);
    assert_eq!(turns(&found), ["1.00 2.50 -: Hello there.", "63.25 64.00 -: Bye."]);
    assert_eq!(found.duration, Some(64.0));
}

#[test]
fn webvtt_with_voices_notes_and_settings() {
    let text = "WEBVTT - Title\n\nNOTE not shown\n\nid-1\n00:01.000 --> 00:02.000 align:start\n<v Ann Lee>Q&amp;A <i>now</i>?\n\n\
        00:02.000 --> 00:03.000\n<v.loud Bob>Yes</v>\n";
    let found = of(text);
    assert_eq!(found.origin.format, Format::WebVtt);
    assert_eq!(turns(&found), ["1.00 2.00 Ann Lee: Q&A now?", "2.00 3.00 Bob: Yes"]);
}

#[test]
fn names_in_front_of_cues_are_speakers() {
    let text = "WEBVTT\n\n00:01.000 --> 00:02.000\nAnn Lee: Hello\n\n00:02.000 --> 00:03.000\nBob: Hi\n";
    assert_eq!(turns(&of(text)), ["1.00 2.00 Ann Lee: Hello", "2.00 3.00 Bob: Hi"]);
}

#[test]
fn cues_of_single_words_become_sentences() {
    let words = ["You", "have", "reached", "Asns.", "Please", "wait."];
    let cues = words.iter().enumerate();
    let text: String =
        cues.map(|(at, word)| format!("{at}\n00:00:0{at},000 --> 00:00:0{at},900\n {word}\n\n")).collect();
    assert_eq!(turns(&of(&text)), ["0.00 3.90 -: You have reached Asns.", "4.00 5.90 -: Please wait."]);
}

#[test]
fn sub_station_repeats_a_line_for_each_word() {
    let text = "[Script Info]\n\n[Events]\nFormat: Layer, Start\n\
        Dialogue: 0,0:00:01.00,0:00:01.04,Default,,0,0,0,,{\\1c&HFF00&}You{\\r} have, reached\n\
        Dialogue: 0,0:00:01.04,0:00:01.22,Default,,0,0,0,,You {\\1c&HFF00&}have,{\\r} reached\n\
        Dialogue: 0,0:00:03.00,0:00:04.00,Default,Ann,0,0,0,,Bye\n";
    let found = of(text);
    assert_eq!(found.origin.format, Format::SubStation);
    assert_eq!(turns(&found), ["1.00 1.22 -: You have, reached", "3.00 4.00 Ann: Bye"]);
}

#[test]
fn lines_with_names_are_turns() {
    let text = "Agent Mike Rivera: How can I help?\n\nSarah: I was charged twice: in May\nand in June.\n\nAgent Mike Rivera: Oh.";
    let found = of(text);
    assert_eq!(found.origin.format, Format::LabelledText);
    assert_eq!(
        turns(&found),
        [
            "- - Agent Mike Rivera: How can I help?",
            "- - Sarah: I was charged twice: in May and in June.",
            "- - Agent Mike Rivera: Oh."
        ]
    );
    let timed = of("[00:01] Ann: Hi\n[00:00:05] Bob: Hello\n[01:02:03] Ann: Bye");
    assert_eq!(turns(&timed), ["1.00 - Ann: Hi", "5.00 - Bob: Hello", "3723.00 - Ann: Bye"]);
}

#[test]
fn other_text_stays_in_paragraphs() {
    let found = of("Hello! My name is Sarah.\n\nHi, Sarah.\nNice.\n");
    assert_eq!(found.origin.format, Format::Text);
    assert_eq!(turns(&found), ["- - -: Hello! My name is Sarah.", "- - -: Hi, Sarah. Nice."]);
    assert_eq!(of("Place: Rome\nDate: today\nNote: see https://example.com").turns.len(), 1);
    assert_eq!(of("see http://example.com\nsee http://example.org").origin.format, Format::Text);
}

#[test]
fn json_in_text_is_read_as_json() {
    assert_eq!(turns(&of(" [{\"speaker\": \"A\", \"message\": \"x\"}]")), ["- - Speaker A: x"]);
    assert_eq!(of("{not json: at all}").text, "{not json: at all}");
    assert_eq!(read_text("{\"error\": 1}", None), None);
}
