//! The conversation as Markdown (CommonMark with tables). What others wrote is escaped: it cannot become markup.

use std::fmt::Write as _;

use super::story::{Media, Part, Story, Verdict};

/// Writes the story.
pub(super) fn render(story: &Story) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    write(&mut out, story).ok();
    out
}

fn write(out: &mut String, story: &Story) -> std::fmt::Result {
    writeln!(out, "# {}\n", escaped(&story.title))?;
    for (name, value) in &story.facts {
        writeln!(out, "- **{name}:** {}", escaped(value))?;
    }
    for notice in &story.notices {
        writeln!(out, "\n> {}", escaped(notice))?;
    }
    people(out, story)?;
    let mut day = None;
    for part in &story.parts {
        if part.day.is_some() && part.day != day {
            writeln!(out, "\n## {}", escaped(part.day.as_deref().unwrap_or_default()))?;
            day = part.day.clone();
        }
        self::part(out, part)?;
    }
    if !story.notes.is_empty() {
        writeln!(out, "\n## Analysis")?;
        for note in &story.notes {
            writeln!(out, "\n### {}\n", escaped(&note.kind))?;
            if !note.origin.is_empty() {
                writeln!(out, "*{}*\n", escaped(&note.origin))?;
            }
            writeln!(out, "{}", block(&note.text))?;
        }
    }
    if !story.attachments.is_empty() {
        writeln!(out, "\n## Attachments\n")?;
        for media in &story.attachments {
            writeln!(out, "- **{}**{}", escaped(&media.title), about(media))?;
            if let Some(excerpt) = &media.excerpt {
                for line in excerpt.lines() {
                    writeln!(out, "  > {}", escaped(line))?;
                }
            }
        }
    }
    if !story.tags.is_empty() {
        writeln!(out, "\n## Tags\n")?;
        for tag in &story.tags {
            writeln!(out, "- {}", escaped(tag))?;
        }
    }
    if !story.checks.is_empty() {
        writeln!(out, "\n## Integrity\n")?;
        for check in &story.checks {
            let mark = match check.verdict {
                Verdict::Good => "✓",
                Verdict::Bad => "✗",
                Verdict::Unknown => "?",
            };
            writeln!(out, "- {mark} {}", escaped(&check.text))?;
        }
    }
    Ok(())
}

fn people(out: &mut String, story: &Story) -> std::fmt::Result {
    if story.people.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## People\n\n| Name | Role | Address | Speaks |\n|---|---|---|---|")?;
    for person in &story.people {
        let share = person.share.map(|share| format!("{:.0} %", share * 100.0)).unwrap_or_default();
        writeln!(
            out,
            "| {} | {} | {} | {share} |",
            escaped(&person.name),
            escaped(&person.role),
            escaped(&person.address)
        )?;
    }
    Ok(())
}

fn part(out: &mut String, part: &Part) -> std::fmt::Result {
    let time = part.time.as_deref().map(|time| format!("{time} ")).unwrap_or_default();
    writeln!(out, "\n### {time}{}", escaped(&part.heading))?;
    if let Some(media) = &part.media {
        writeln!(
            out,
            "\n*{}*{}",
            escaped(if media.title.is_empty() { "content" } else { &media.title }),
            about(media)
        )?;
    }
    for detail in &part.details {
        writeln!(out, "\n*{}*", escaped(detail))?;
    }
    let is_letter = part.kind == "text" && part.said.len() == 1;
    for said in &part.said {
        let at = said.at.as_deref().map(|at| format!("{at} ")).unwrap_or_default();
        if is_letter || said.who.is_empty() {
            writeln!(out, "\n{at}{}", block(&said.text))?;
        } else {
            writeln!(out, "\n{at}**{}:** {}", escaped(&said.who), block(&said.text))?;
        }
    }
    Ok(())
}

fn about(media: &Media) -> String {
    let all = [&media.purpose, &media.mediatype, &media.size, &media.origin, &media.place];
    all.into_iter().flatten().filter(|text| **text != media.title).map(|text| format!(", {}", escaped(text))).collect()
}

/// Lines as they came, with hard breaks.
fn block(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(escaped).collect();
    lines.join("  \n").replace("  \n  \n", "\n\n")
}

/// Without any character that means something in Markdown or HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for (index, character) in text.char_indices() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // Also `://`, so that nothing becomes a link by itself.
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '!' => {
                out.push('\\');
                out.push(character);
            }
            ':' if text[index..].starts_with("://") => out.push_str("&#58;"),
            '@' => out.push_str("&#64;"),
            '-' | '+' | '=' if text[..index].trim().is_empty() => {
                out.push('\\');
                out.push(character);
            }
            // Blanks at the beginning would make it code.
            ' ' if text[..index].trim().is_empty() => out.push_str("&nbsp;"),
            // Some readers make links of these.
            '.' if index >= 3 && text.as_bytes()[index - 3..index].eq_ignore_ascii_case(b"www") => {
                out.push_str("&#46;")
            }
            // `1.` and `1)` begin a list.
            '.' | ')' if index > 0 && text[..index].bytes().all(|byte| byte.is_ascii_digit()) => {
                out.push('\\');
                out.push(character);
            }
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_markup() {
        assert_eq!(escaped("<script>*a* [x](http://y)"), "&lt;script&gt;\\*a\\* \\[x\\](http&#58;//y)");
        assert_eq!(escaped("1. - # x"), "1\\. - \\# x");
        assert_eq!(escaped("- item"), "\\- item");
        assert_eq!(escaped("  www.a.example"), "&nbsp;&nbsp;www&#46;a.example");
        assert_eq!(block("a\nb\n\nc"), "a  \nb\n\nc");
    }
}
