//! The conversation as a page that needs nothing else: style inside, no script, nothing fetched. Other people's text is
//! escaped, and the page's policy forbids whatever should slip through.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::story::{Media, Part, Said, Story, Verdict};

/// The largest content that is put into the page to be played or seen.
const LARGEST: usize = 24 << 20;
/// Pictures that browsers show and that cannot hold scripts.
const PICTURES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// Writes the page.
pub(super) fn render(story: &Story) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    page(&mut out, story).ok();
    out
}

/// Text that cannot become markup.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

fn page(out: &mut String, story: &Story) -> fmt::Result {
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>",
        Escaped(&story.title),
        include_str!("page.css")
    )?;
    writeln!(out, "<h1>{}</h1>\n<dl class=\"facts\">", Escaped(&story.title))?;
    for (name, value) in &story.facts {
        writeln!(out, "<dt>{name}</dt><dd>{}</dd>", Escaped(value))?;
    }
    writeln!(out, "</dl>")?;
    for notice in &story.notices {
        writeln!(out, "<p class=\"notice\">{}</p>", Escaped(notice))?;
    }
    people(out, story)?;
    let mut day = None;
    for part in &story.parts {
        if part.day.is_some() && part.day != day {
            writeln!(out, "<h2>{}</h2>", Escaped(part.day.as_deref().unwrap_or_default()))?;
            day = part.day.clone();
        }
        self::part(out, part)?;
    }
    notes(out, story)?;
    attachments(out, story)?;
    if !story.tags.is_empty() {
        writeln!(out, "<h2>Tags</h2>\n<p class=\"tags\">")?;
        for tag in &story.tags {
            writeln!(out, "<span>{}</span>", Escaped(tag))?;
        }
        writeln!(out, "</p>")?;
    }
    checks(out, story)?;
    writeln!(out, "</main>\n</body>\n</html>")
}

fn people(out: &mut String, story: &Story) -> fmt::Result {
    if story.people.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>People</h2>\n<table class=\"people\">")?;
    for person in &story.people {
        let share = person.share.map(|share| format!("speaks {:.0} %", share * 100.0)).unwrap_or_default();
        writeln!(
            out,
            "<tr><td class=\"who p{}\">{}</td><td>{}</td><td>{}</td><td>{share}</td></tr>",
            person.index % 6,
            Escaped(&person.name),
            Escaped(&person.role),
            Escaped(&person.address)
        )?;
    }
    writeln!(out, "</table>")
}

fn part(out: &mut String, part: &Part) -> fmt::Result {
    writeln!(
        out,
        "<section>\n<h3><time>{}</time> {}</h3>",
        Escaped(part.time.as_deref().unwrap_or("")),
        Escaped(&part.heading)
    )?;
    if let Some(media) = &part.media {
        self::media(out, media)?;
    }
    for detail in &part.details {
        writeln!(out, "<p class=\"detail\">{}</p>", Escaped(detail))?;
    }
    let is_letter = part.kind == "text" && part.said.len() == 1;
    if is_letter {
        writeln!(out, "<p class=\"letter\">{}</p>", Escaped(&part.said[0].text))?;
    } else if !part.said.is_empty() {
        writeln!(out, "<ol class=\"turns\">")?;
        part.said.iter().try_for_each(|said| self::said(out, said))?;
        writeln!(out, "</ol>")?;
    }
    writeln!(out, "</section>")
}

fn said(out: &mut String, said: &Said) -> fmt::Result {
    let class = said.person.map(|person| format!(" p{}", person % 6)).unwrap_or_default();
    writeln!(
        out,
        "<li><time>{}</time><b class=\"who{class}\">{}</b><span>{}</span></li>",
        Escaped(said.at.as_deref().unwrap_or("")),
        Escaped(&said.who),
        Escaped(&said.text)
    )
}

fn media(out: &mut String, media: &Media) -> fmt::Result {
    let all = [
        Some(&media.title),
        media.purpose.as_ref(),
        media.mediatype.as_ref(),
        media.size.as_ref(),
        media.origin.as_ref(),
        media.place.as_ref(),
    ];
    let mut shown: Vec<&str> = all.into_iter().flatten().map(String::as_str).filter(|text| !text.is_empty()).collect();
    shown.dedup();
    writeln!(out, "<p class=\"detail\">{}</p>", Escaped(&shown.join(" · ")))?;
    if let (Some(bytes), Some(kind)) = (&media.bytes, media.mediatype.as_deref().map(playable))
        && bytes.len() <= LARGEST
    {
        match kind {
            Some((element @ ("audio" | "video"), kind)) => {
                writeln!(
                    out,
                    "<{element} controls src=\"data:{kind};base64,{}\"></{element}>",
                    STANDARD.encode(bytes)
                )?;
            }
            Some((_, kind)) => writeln!(out, "<img alt=\"\" src=\"data:{kind};base64,{}\">", STANDARD.encode(bytes))?,
            None => {}
        }
    }
    match &media.excerpt {
        Some(excerpt) => writeln!(out, "<p class=\"letter\">{}</p>", Escaped(excerpt)),
        None => Ok(()),
    }
}

/// The element that plays a media type, and the name that browsers know it by. No text of the vCon gets into the page
/// this way.
fn playable(mediatype: &str) -> Option<(&'static str, &'static str)> {
    let mediatype = mediatype.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if let Some(picture) = PICTURES.into_iter().find(|picture| *picture == mediatype) {
        return Some(("img", picture));
    }
    Some(match mediatype.as_str() {
        "audio/x-wav" | "audio/wav" | "audio/wave" => ("audio", "audio/wav"),
        "audio/x-mp3" | "audio/mp3" | "audio/mpeg" => ("audio", "audio/mpeg"),
        "audio/x-mp4" | "audio/mp4" | "audio/m4a" => ("audio", "audio/mp4"),
        "audio/ogg" => ("audio", "audio/ogg"),
        "audio/flac" => ("audio", "audio/flac"),
        "video/mp4" | "video/x-mp4" => ("video", "video/mp4"),
        "video/webm" => ("video", "video/webm"),
        "video/ogg" => ("video", "video/ogg"),
        _ => return None,
    })
}

fn notes(out: &mut String, story: &Story) -> fmt::Result {
    if !story.notes.is_empty() {
        writeln!(out, "<h2>Analysis</h2>")?;
    }
    for note in &story.notes {
        writeln!(
            out,
            "<section>\n<h3>{} <small>{}</small></h3>\n<p class=\"letter\">{}</p>\n</section>",
            Escaped(&note.kind),
            Escaped(&note.origin),
            Escaped(&note.text)
        )?;
    }
    Ok(())
}

fn attachments(out: &mut String, story: &Story) -> fmt::Result {
    if story.attachments.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Attachments</h2>\n<ul class=\"attachments\">")?;
    for attachment in &story.attachments {
        writeln!(out, "<li>")?;
        media(out, attachment)?;
        writeln!(out, "</li>")?;
    }
    writeln!(out, "</ul>")
}

fn checks(out: &mut String, story: &Story) -> fmt::Result {
    if story.checks.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Integrity</h2>\n<ul class=\"checks\">")?;
    for check in &story.checks {
        let class = match check.verdict {
            Verdict::Good => "good",
            Verdict::Bad => "bad",
            Verdict::Unknown => "unknown",
        };
        writeln!(out, "<li class=\"{class}\">{}</li>", Escaped(&check.text))?;
    }
    writeln!(out, "</ul>")
}
