//! Each provider's shape is recognised and read.

use serde_json::json;

use super::super::{Format, Speaker, read};
use super::{fixture, transcript, turns};

#[test]
fn deepgram_with_several_channels_and_utterances() {
    let word = |word: &str, start: f64| json!({"word": word, "start": start, "end": start + 0.4, "confidence": 0.9});
    let channel = |words: Vec<serde_json::Value>| json!({"alternatives": [{"transcript": "x", "confidence": 0.9, "words": words}], "detected_language": "de"});
    let answer = json!({
        "metadata": {"duration": 4.0, "channels": 2, "created": "2026-01-02T03:04:05Z",
            "model_info": {"2187e11a": {"name": "general-nova-3"}}},
        "results": {"channels": [
            channel(vec![word("ja", 0.0), word("bitte", 0.5)]), channel(vec![word("hallo", 2.0)])]},
    });
    let found = transcript(&answer);
    assert_eq!(found.origin.format, Format::Deepgram);
    assert_eq!(turns(&found), ["0.00 0.90 channel 0: x", "2.00 2.40 channel 1: x"]);
    assert_eq!(found.language.as_deref(), Some("de"));
    assert_eq!(found.origin.model.as_deref(), Some("general-nova-3"));
    assert_eq!(found.duration, Some(4.0));

    let mut answer = answer;
    answer["results"]["utterances"] = json!([
        {"start": 2.0, "end": 2.4, "confidence": 0.8, "channel": 1, "transcript": "Hallo?", "speaker": 1},
        {"start": 0.0, "end": 0.9, "confidence": 0.8, "channel": 0, "transcript": "Ja, bitte.", "speaker": 0},
    ]);
    assert_eq!(turns(&transcript(&answer)), ["0.00 0.90 Speaker 0: Ja, bitte.", "2.00 2.40 Speaker 1: Hallo?"]);
}

#[test]
fn deepgrams_paragraphs_are_turns_and_take_their_words() {
    let alternative = json!({
        "transcript": "Hello there. Hi!", "confidence": 0.97, "detected_language": "en",
        "words": [
            {"word": "hello", "start": 0.1, "end": 0.4, "confidence": 1, "punctuated_word": "Hello", "speaker": 0},
            {"word": "there", "start": 0.5, "end": 0.8, "confidence": 0.5, "punctuated_word": "there.", "speaker": 0},
            {"word": "hi", "start": 1.5, "end": 1.8, "confidence": 0.9, "punctuated_word": "Hi!", "speaker": 1}],
        "paragraphs": {"transcript": "Hello there.\n\nHi!", "paragraphs": [
            {"sentences": [{"text": "Hello there.", "start": 0.1, "end": 0.8}], "start": 0.1, "end": 0.8, "speaker": 0},
            {"sentences": [{"text": "Hi!", "start": 1.5, "end": 1.8}], "start": 1.5, "end": 1.8, "speaker": 1}]},
    });
    let found = transcript(&alternative);
    assert_eq!(found.origin.format, Format::DeepgramAlternative);
    assert_eq!(turns(&found), ["0.10 0.80 Speaker 0: Hello there.", "1.50 1.80 Speaker 1: Hi!"]);
    assert_eq!(found.turns[0].words.len(), 2);
    assert_eq!(found.turns[0].confidence, Some(0.75));
    assert_eq!(found.origin.provider.as_deref(), Some("deepgram"));

    let mut alternative = alternative;
    alternative.as_object_mut().unwrap().remove("paragraphs");
    assert_eq!(turns(&transcript(&alternative)), ["0.10 0.80 Speaker 0: Hello there.", "1.50 1.80 Speaker 1: Hi!"]);
}

#[test]
fn openai_in_all_its_forms() {
    let plain = transcript(&json!({"text": "Hello.", "usage": {"type": "duration", "seconds": 7}}));
    assert_eq!((plain.text.as_str(), plain.duration), ("Hello.", Some(7.0)));
    assert_eq!(plain.confidence, None);

    let verbose = transcript(&json!({
        "task": "transcribe", "language": "english", "duration": "8.47", "text": "One. Two.",
        "segments": [
            {"id": 0, "start": 0.0, "end": 3.3, "text": " One.", "avg_logprob": -0.1, "no_speech_prob": 0.01},
            {"id": 1, "start": 3.3, "end": 8.0, "text": " Two.", "avg_logprob": -0.3}],
        "words": [{"word": "One", "start": 0.0, "end": 1.0}, {"word": "Two", "start": 3.5, "end": 4.0}],
    }));
    assert_eq!(turns(&verbose), ["0.00 3.30 -: One.", "3.30 8.00 -: Two."]);
    assert_eq!((verbose.language.as_deref(), verbose.duration), (Some("en"), Some(8.47)));
    assert_eq!(verbose.turns[1].words[0].text, "Two");
    assert!((verbose.confidence.unwrap() - (-0.2f64).exp()).abs() < 1e-12);

    let diarised = transcript(&json!({
        "task": "transcribe", "duration": 42.7, "text": "Agent: Thanks. A: Hi.",
        "segments": [
            {"type": "transcript.text.segment", "id": "seg_001", "start": 0.0, "end": 5.2, "text": "Thanks.",
                "speaker": "agent"},
            {"type": "transcript.text.segment", "id": "seg_002", "start": 5.2, "end": 12.8, "text": "Hi.",
                "speaker": "A"}],
        "usage": {"type": "duration", "seconds": 43},
    }));
    assert_eq!(turns(&diarised), ["0.00 5.20 agent: Thanks.", "5.20 12.80 Speaker A: Hi."]);
    assert_eq!(diarised.origin.provider.as_deref(), Some("openai"));

    let groq = transcript(&json!({"text": "Hi", "x_groq": {"id": "req_1"}}));
    assert_eq!(groq.origin.provider.as_deref(), Some("groq"));
    let hinted = read(&json!({"text": "Hi"}), Some("groq_whisper")).unwrap();
    assert_eq!(hinted.origin.provider.as_deref(), Some("groq"));
}

#[test]
fn whispers_own_words_lie_in_their_segments() {
    let found = transcript(&json!({
        "text": " Hello world", "language": "en",
        "segments": [{"id": 0, "start": 0.0, "end": 1.0, "text": " Hello world", "avg_logprob": -0.2, "words": [
            {"word": " Hello", "start": 0.0, "end": 0.4, "probability": 0.8},
            {"word": " world", "start": 0.5, "end": 1.0, "probability": 0.6}]}],
    }));
    assert_eq!(found.turns[0].words[1].text, "world");
    assert_eq!(found.turns[0].words[1].confidence, Some(0.6));
    assert_eq!(found.text, "Hello world");
}

#[test]
fn hugging_face_chunks_are_segments_or_words() {
    let found = transcript(&json!({
        "text": " Good day. Bye.",
        "chunks": [{"timestamp": [0.0, 2.5], "text": " Good day."}, {"timestamp": [2.5, null], "text": " Bye."}],
    }));
    assert_eq!(turns(&found), ["0.00 2.50 -: Good day.", "2.50 - -: Bye."]);
    let words = ["I", "am", "here.", "You", "too."].iter().enumerate();
    let chunks: Vec<_> = words.map(|(at, text)| json!({"text": text, "timestamp": [at, at + 1]})).collect();
    let found = transcript(&json!({"text": "I am here. You too.", "chunks": chunks}));
    assert_eq!(turns(&found), ["0.00 3.00 -: I am here.", "3.00 5.00 -: You too."]);
}

#[test]
fn assemblyais_times_are_milliseconds_unless_they_are_seconds() {
    let answer = json!({
        "id": "t1", "status": "completed", "text": "Hi. Hello.", "audio_duration": 12, "confidence": 0.95,
        "language_code": "en_us",
        "words": [{"text": "Hi.", "start": 250, "end": 650, "confidence": 0.97, "speaker": "A"},
            {"text": "Hello.", "start": 1730, "end": 2022, "confidence": 0.99, "speaker": "B"}],
    });
    let found = transcript(&answer);
    assert_eq!(turns(&found), ["0.25 0.65 Speaker A: Hi.", "1.73 2.02 Speaker B: Hello."]);
    assert_eq!((found.duration, found.language.as_deref()), (Some(12.0), Some("en-us")));
    let mut answer = answer;
    answer["utterances"] = json!([{"text": "Hi!", "start": 250, "end": 650, "confidence": 0.9, "speaker": "A",
        "channel": "2", "words": []}]);
    let found = transcript(&answer);
    assert_eq!((found.turns[0].start, found.turns[0].channel), (Some(0.25), Some(1)));

    let seconds = transcript(&fixture("provider/assemblyai_sample.json"));
    assert_eq!(seconds.origin.format, Format::AssemblyAi);
    assert_eq!(seconds.turns[0].end, Some(7.5));
    assert_eq!(seconds.turns[0].text, seconds.text);
}

#[test]
fn rev_ai_monologues() {
    let found = transcript(&json!({"monologues": [
        {"speaker": 0, "speaker_info": {"id": "x", "display_name": "Ann"}, "elements": [
            {"type": "text", "value": "Hi", "ts": 0.27, "end_ts": 0.32, "confidence": 1},
            {"type": "punct", "value": ","}, {"type": "punct", "value": " "},
            {"type": "text", "value": "you", "ts": 0.35, "end_ts": 0.46, "confidence": 0.8},
            {"type": "punct", "value": "."}]},
        {"speaker": 1, "elements": [{"type": "text", "value": "Yes", "ts": 1.5, "end_ts": 2.0, "confidence": 0.6}]},
    ]}));
    assert_eq!(turns(&found), ["0.27 0.46 Ann: Hi, you.", "1.50 2.00 Speaker 1: Yes"]);
    assert_eq!(found.text, "Hi, you. Yes");
    assert_eq!(found.words().count(), 3);
    assert!((found.confidence.unwrap() - 0.8).abs() < 1e-12);
}

#[test]
fn speechmatics_words_become_turns() {
    let found = transcript(&fixture("provider/sample_speechmatics_response.json"));
    assert_eq!(found.origin.format, Format::Speechmatics);
    assert_eq!(found.duration, Some(65.2));
    assert_eq!(found.language.as_deref(), Some("en"));
    assert_eq!(found.speakers(), [&Speaker::Name("S1".into()), &Speaker::Name("S2".into())]);
    assert_eq!(
        turns(&found)[0],
        "0.50 5.30 Speaker 1: Hello, this is Alice from customer service. How can I help you?"
    );

    let real = transcript(&fixture("provider/real_speechmatics_response.json"));
    assert_eq!(real.speakers(), Vec::<&Speaker>::new(), "UU is nobody known");
    assert!(turns(&real)[0].starts_with("1.92 2.44 -: Okay."), "{:?}", turns(&real));
    assert!(!real.text.contains(" ."), "{}", real.text);
}

#[test]
fn contact_lens_calls_chats_and_segments() {
    let call = transcript(&json!({
        "Version": "1.1.0", "Channel": "VOICE", "LanguageCode": "en-US",
        "Participants": [{"ParticipantId": "e9b3", "ParticipantRole": "CUSTOMER"}],
        "ConversationCharacteristics": {"TotalConversationDurationMillis": 32110},
        "Transcript": [
            {"BeginOffsetMillis": 2540, "EndOffsetMillis": 2975, "Content": "Mhm.", "ParticipantId": "AGENT"},
            {"BeginOffsetMillis": 1000, "EndOffsetMillis": 1500, "Content": "Hello?", "ParticipantId": "e9b3"}],
    }));
    assert_eq!(call.origin.format, Format::ContactLens);
    assert_eq!(turns(&call), ["1.00 1.50 Customer: Hello?", "2.54 2.98 Agent: Mhm."]);
    assert_eq!((call.duration, call.language.as_deref()), (Some(32.11), Some("en-US")));

    let chat = transcript(&json!({"Channel": "CHAT", "Transcript": [
        {"AbsoluteTime": "2026-10-27T03:31:50.735Z", "Content": "hi", "ContentType": "text/plain", "Id": "1",
            "ParticipantId": "c1", "DisplayName": "Jane"},
        {"AbsoluteTime": "2026-10-27T03:31:53.390Z", "ContentType": "application/vnd.amazonaws.connect.event.joined",
            "Id": "2", "ParticipantId": "a1", "DisplayName": "Bob"},
        {"AbsoluteTime": "2026-10-27T03:31:54.735Z", "Content": "Hello!", "Id": "3", "ParticipantId": "a1",
            "DisplayName": "Bob"}]}));
    assert_eq!(turns(&chat), ["0.00 - Jane: hi", "4.00 - Bob: Hello!"]);

    let live = transcript(&json!({"Segments": [
        {"Transcript": {"Id": "1", "ParticipantId": "CUSTOMER", "ParticipantRole": "CUSTOMER", "Content": "Hi",
            "BeginOffsetMillis": 0, "EndOffsetMillis": 900, "Sentiment": "NEUTRAL"}},
        {"Categories": {"MatchedCategories": []}}]}));
    assert_eq!(turns(&live), ["0.00 0.90 Customer: Hi"]);
}

#[test]
fn amazon_transcribe_items() {
    let item = |kind: &str, text: &str, start: Option<&str>, speaker: &str| {
        json!({"type": kind, "alternatives": [{"confidence": "0.98", "content": text}], "start_time": start,
            "end_time": start, "speaker_label": speaker})
    };
    let found = transcript(&json!({
        "jobName": "j", "status": "COMPLETED",
        "results": {"transcripts": [{"transcript": "Hi, you. Yes."}], "items": [
            item("pronunciation", "Hi", Some("0.1"), "spk_0"), item("punctuation", ",", None, "spk_0"),
            item("pronunciation", "you", Some("0.5"), "spk_0"), item("punctuation", ".", None, "spk_0"),
            item("pronunciation", "Yes", Some("1.5"), "spk_1"), item("punctuation", ".", None, "spk_1")]},
    }));
    assert_eq!(found.origin.format, Format::AmazonTranscribe);
    assert_eq!(turns(&found), ["0.10 0.50 Speaker 0: Hi, you.", "1.50 1.50 Speaker 1: Yes."]);
}

#[test]
fn twilio_sentences_have_their_numbers_in_strings() {
    let sentence = |index: usize, channel: usize, text: &str, start: &str, end: &str| {
        json!({"sid": "GX", "media_channel": channel, "sentence_index": index, "start_time": start, "end_time": end,
            "transcript": text, "confidence": "0.9"})
    };
    let page = json!({"meta": {"key": "sentences"}, "sentences": [
        sentence(1, 2, "Fine.", "2.10", "3.00"), sentence(0, 1, "How are you?", "0.45", "1.90")]});
    let found = transcript(&page);
    assert_eq!(found.origin.format, Format::Twilio);
    assert_eq!(turns(&found), ["0.45 1.90 channel 0: How are you?", "2.10 3.00 channel 1: Fine."]);
    assert_eq!(found.confidence, Some(0.9));
    assert_eq!(turns(&transcript(&page["sentences"])).len(), 2);
}

#[test]
fn nvidia_is_known_by_its_model() {
    let found = transcript(&fixture("provider/canary_sample.json"));
    assert_eq!(found.origin.format, Format::Nvidia);
    assert_eq!(found.origin.provider.as_deref(), Some("canary"));
    assert_eq!(found.turns.iter().map(|turn| turn.words.len()).collect::<Vec<_>>(), [9, 9]);
}

#[test]
fn lists_of_turns() {
    let found = transcript(&json!([
        {"speaker": "Agent", "message": "Hello!"}, {"speaker": "Customer", "message": "Hi, I need help."}]));
    assert_eq!(turns(&found), ["- - Agent: Hello!", "- - Customer: Hi, I need help."]);
    let found = transcript(&json!([
        {"parties": 1, "start": "2022-06-21T17:53:27.200000+00:00", "duration": 0.5, "text": "Hello."},
        {"parties": 0, "start": "2022-06-21T17:53:30.200000+00:00", "duration": 1, "text": "Yes."}]));
    assert_eq!(turns(&found), ["0.00 0.50 -: Hello.", "3.00 4.00 -: Yes."]);
    assert_eq!(found.turns[0].party, Some(1));
}

#[test]
fn what_is_no_transcript_gives_none() {
    for value in [
        json!({}),
        json!([]),
        json!(7),
        json!(null),
        json!("  "),
        json!({"error": "rate limit"}),
        json!({"results": {"channels": "none"}}),
        json!({"text": 5}),
        json!([1, 2, 3]),
        json!({"transcript": {"text": "no segments, no metadata"}}),
    ] {
        assert_eq!(read(&value, None), None, "{value}");
    }
}
