//! What `show` makes of conversations of every kind, as a person sees it.

mod place;

use place::Place;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/fixtures/vcon/valid/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn shown(content: impl AsRef<[u8]>, arguments: &[&str]) -> String {
    shown_in(80, content, arguments)
}

fn shown_in(columns: usize, content: impl AsRef<[u8]>, arguments: &[&str]) -> String {
    let place = Place::new();
    place.write("x.vcon", content);
    let mut command = place.command(&[&["show", "x.vcon"], arguments].concat());
    let done = place::done(command.env("COLUMNS", columns.to_string()));
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{}", done.stdout);
    done.stdout
}

/// No line is wider than the terminal, and none has blanks at its end.
fn assert_fits(columns: usize, text: &str) {
    for line in text.lines() {
        let width = unicode_width::UnicodeWidthStr::width(line);
        assert!(width <= columns && line.trim_end() == line, "{width}: {line}");
    }
}

#[test]
fn conversations_of_every_kind_are_read_with_pleasure() {
    for (kind, name) in [
        ("call", "ietf-core-03/ab_call_ext_rec_analysis.vcon"),
        ("call_with_labels", "vcon-mcp/01-siprec-billing-dispute.json"),
        ("call_of_turns", "vcon-server-dataset/05cec3d4-0561-4010-9fb8-23cc7edef146.vcon.json"),
        ("chat", "vcon-js/054219d7-9fa5-4354-aae0-21cab67142e3.vcon.json"),
        ("mails", "ietf-history/container03_ab_email_prob_followup_text_thread.vcon"),
        ("mail_of_parts", "synthetic-core-04/email_rfc822.json"),
        ("meeting", "ietf-meeting/ietf125_anima_35130.vcon.json"),
        ("signed", "ietf-core-03/ab_call_ext_rec_signed.vcon"),
        ("encrypted", "synthetic-jose/jwe_two_recipients.json"),
        ("redacted", "ietf-core-03/ab_call_ext_rec_redacted.vcon"),
        ("transfer", "synthetic-core-04/transfer_blind_failed_target.json"),
        ("missed", "synthetic-core-04/incomplete_congestion.json"),
        ("party_history", "synthetic-core-04/party_history_all_events.json"),
        ("recording_set", "synthetic-core-04/recording_set.json"),
        ("json_bodies", "synthetic-core-04/text_json_bodies.json"),
        ("wtf", "wtf-server/sample-vcon.json"),
        ("minimal", "synthetic-core-04/minimal_uuid_created_at.json"),
    ] {
        let text = shown(fixture(name), &[]);
        assert_fits(80, &text);
        insta::assert_snapshot!(kind, text);
    }
}

#[test]
fn every_fixture_is_shown_in_every_form() {
    let root = format!("{}/../tests/fixtures/vcon/valid", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for folder in std::fs::read_dir(root).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let content = std::fs::read(file.unwrap().path()).unwrap();
            for columns in [40, 80, 120] {
                assert_fits(columns, &shown_in(columns, &content, &[]));
            }
            if count % 8 == 0 {
                assert!(shown(&content, &["--output", "html"]).ends_with("</html>\n"));
                assert!(shown(&content, &["--output", "markdown"]).starts_with("# "));
            }
            count += 1;
        }
    }
    assert!(count > 80, "{count}");
}

/// Everything that a stranger can write, in every place that is shown.
fn hostile() -> String {
    let bad = "<script>alert(1)</script>\\u001b[31m<img src=http://192.0.2.1/x onerror=alert(1)>\\u202eevil \\\"'&amp; [x](javascript:alert(1)) *b*";
    format!(
        r##"{{"uuid": "018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10", "created_at": "{bad}", "subject": "{bad}", "extensions": ["{bad}"],
        "parties": [{{"name": "{bad}", "role": "{bad}", "mailto": "{bad}"}}],
        "dialog": [{{"type": "text", "start": "{bad}", "parties": [0], "body": "{bad}", "encoding": "none", "mediatype": "text/plain"}},
            {{"type": "{bad}", "disposition": "{bad}", "parties": [0], "filename": "{bad}", "mediatype": "image/png\" onload=\"x", "body": "AAAA", "encoding": "base64url"}},
            {{"type": "recording", "url": "https://a.example/x.wav?Signature=topsecret", "mediatype": "{bad}"}}],
        "analysis": [{{"type": "{bad}", "vendor": "{bad}", "body": "{bad}", "encoding": "none"}},
            {{"type": "transcript", "vendor": "{bad}", "body": [{{"speaker": "{bad}", "message": "{bad}"}}], "encoding": "json"}}],
        "attachments": [{{"purpose": "{bad}", "filename": "{bad}", "mediatype": "{bad}", "body": "{bad}", "encoding": "none"}},
            {{"purpose": "tags", "body": ["{bad}"], "encoding": "json"}}]}}"##
    )
}

#[test]
fn what_strangers_write_steers_nothing() {
    let html = shown(hostile(), &["--output", "html"]);
    for forbidden in ["<script", "<img src=http", "onload=\"", "\u{1b}", "\u{202e}", "topsecret"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    assert!(html.contains("default-src 'none'") && html.contains("&lt;script&gt;"));
    assert!(!html.contains("src=\"http") && !html.contains("href="), "nothing is fetched");

    let markdown = shown(hostile(), &["--output", "markdown"]);
    for forbidden in ["<script", "<img", "[x](", "\u{1b}", "\u{202e}", "topsecret", " *b*"] {
        assert!(!markdown.contains(forbidden), "{forbidden}");
    }
    let text = shown(hostile(), &[]);
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}') && !text.contains("topsecret"), "{text}");
    // With colours there are escapes, but none of theirs.
    assert!(!shown(hostile(), &["--color", "always"]).contains("\u{1b}[31m<img"));
}

#[test]
fn a_signature_is_judged_and_nothing_inside_is_trusted() {
    let signed = fixture("ietf-core-03/ab_call_ext_rec_signed.vcon");
    let text = shown(&signed, &[]);
    assert!(text.contains("? signed by") && text.contains("unchanged since"), "{text}");
    // A letter of the payload is changed.
    let altered = String::from_utf8(signed).unwrap();
    let place = altered.find("\"payload\"").unwrap() + 40;
    let letter = if &altered[place..=place] == "A" { "B" } else { "A" };
    let altered = format!("{}{letter}{}", &altered[..place], &altered[place + 1..]);
    let place = Place::new();
    place.write("x.vcon", altered);
    let done = place.run(&["show", "x.vcon"]);
    assert!(done.code == 65 || done.stdout.contains("✗ signed"), "{}", done.stdout);
}

#[test]
fn pages_are_as_they_were() {
    let call = fixture("vcon-mcp/01-siprec-billing-dispute.json");
    insta::assert_snapshot!("markdown", shown(&call, &["--output", "markdown"]));
    let html = shown(&call, &["--output", "html"]);
    let (_, body) = html.split_once("<body>").unwrap();
    insta::assert_snapshot!("html", body);
}

#[test]
fn what_cannot_be_shown_says_why() {
    let place = Place::new();
    place.write("broken.json", "{\"uuid\": ").write("picture.gif", "GIF89a").write("odd.json", "{\"a\": 1}");
    let bundle = fixture("synthetic-container/bundle.vconz");
    place.write("cut.vconz", &bundle[..bundle.len() / 2]);
    let all: Vec<String> = ["broken.json", "picture.gif", "odd.json", "cut.vconz", "gone.json"]
        .map(|name| place.run(&["show", name]).all())
        .into();
    insta::assert_snapshot!("errors", all.join("\n"));
}
