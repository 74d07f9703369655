//! The conversation in a terminal.

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use super::story::{Media, Part, Said, Story, Verdict};
use crate::cli::output::{BAD, DIM, GOOD, STRONG, WARN, styled};

/// A colour per speaker, in the order of parties.
const SPEAKERS: [AnsiColor; 6] =
    [AnsiColor::Cyan, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Yellow, AnsiColor::Blue, AnsiColor::BrightRed];
/// The widest column of names.
const WIDEST_NAME: usize = 18;
/// The widest lines that are still read with ease.
const WIDEST: usize = 110;

/// Lays the story out in lines of at most `width` columns.
pub(super) fn render(story: &Story, width: usize) -> String {
    let mut page = Page { out: String::new(), width: width.clamp(40, WIDEST) };
    page.head(story);
    page.people(story);
    page.parts(story);
    page.notes(story);
    page.attachments(story);
    page.tags(story);
    page.checks(story);
    page.out
}

struct Page {
    out: String,
    width: usize,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// A heading with an empty line before it.
    fn section(&mut self, title: &str) {
        self.line("");
        self.line(&styled(STRONG, title));
    }

    /// Text in lines behind `indent` columns, in a style.
    fn wrapped(&mut self, text: &str, indent: usize, style: Style) {
        for line in wrap(text, self.width.saturating_sub(indent)) {
            let line = format!("{}{}", " ".repeat(indent), painted(style, &line));
            self.line(&line);
        }
    }

    fn head(&mut self, story: &Story) {
        self.wrapped(&story.title, 0, STRONG);
        let widest = story.facts.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
        for (name, value) in &story.facts {
            let indent = widest + 4;
            for (number, line) in wrap(value, self.width.saturating_sub(indent)).iter().enumerate() {
                let shown = if number == 0 { *name } else { "" };
                let line = format!("  {}  {line}", styled(DIM, padded(shown, widest)));
                self.line(&line);
            }
        }
        for notice in &story.notices {
            self.line("");
            self.wrapped(notice, 0, WARN);
        }
    }

    fn people(&mut self, story: &Story) {
        if story.people.is_empty() {
            return;
        }
        self.section("People");
        let (most_name, most_role) = (30.min(self.width / 2 - 4), 24.min(self.width / 4));
        let name = story.people.iter().map(|person| person.name.width()).max().unwrap_or(0).min(most_name);
        let role = story.people.iter().map(|person| person.role.width()).max().unwrap_or(0).min(most_role);
        for person in &story.people {
            let share = person.share.map(|share| format!("speaks {:.0} %", share * 100.0)).unwrap_or_default();
            let who = speaker_style(Some(person.index));
            let fits = 2 + name + 2 + role + 2 + person.address.width() + 2 + share.width() <= self.width;
            let columns = [
                (cut(&person.name, most_name), name, who),
                (cut(&person.role, most_role), role, DIM),
                (if fits { person.address.clone() } else { String::new() }, 0, Style::new()),
                (share, 0, DIM),
            ];
            // Blanks only in front of something, outside of any style.
            let (mut line, mut gap) = (String::new(), 2);
            for (text, width, style) in columns.iter().filter(|(text, width, _)| *width > 0 || !text.is_empty()) {
                if !text.is_empty() {
                    line.push_str(&" ".repeat(std::mem::take(&mut gap)));
                    line.push_str(&painted(*style, text));
                }
                gap += width.saturating_sub(text.width()) + 2;
            }
            self.line(&line);
            if !fits {
                self.wrapped(&person.address, 4, Style::new());
            }
        }
    }

    fn parts(&mut self, story: &Story) {
        let mut day = None;
        let names = story.parts.iter().flat_map(|part| &part.said).map(|said| said.who.width()).max();
        let names = names.unwrap_or(0).min(WIDEST_NAME);
        let mut after_chat = false;
        for part in &story.parts {
            let new_day = part.day.is_some() && part.day != day;
            if let Some(shown) = part.day.as_ref().filter(|_| new_day) {
                self.section(shown);
                day = part.day.clone();
            }
            let is_line = is_chat_line(part);
            if !(new_day || is_line && after_chat) {
                self.line("");
            }
            after_chat = is_line;
            if is_line {
                self.said(&part.said[0], part.time.as_deref().map(|time| &time[..5]), names);
            } else {
                self.part(part, names);
            }
        }
    }

    fn part(&mut self, part: &Part, names: usize) {
        let time = part.time.as_deref().unwrap_or("");
        let indent = if time.is_empty() { 2 } else { time.width() + 4 };
        for (number, line) in wrap(&part.heading, self.width.saturating_sub(indent)).iter().enumerate() {
            let lead =
                if number == 0 && !time.is_empty() { format!("  {}  ", styled(DIM, time)) } else { " ".repeat(indent) };
            let line = format!("{lead}{}", styled(STRONG, line));
            self.line(&line);
        }
        if let Some(media) = &part.media {
            self.wrapped(&described(media, ""), indent, DIM);
            if let Some(place) = &media.place {
                self.wrapped(place, indent, DIM);
            }
            if let Some(excerpt) = &media.excerpt {
                self.wrapped(excerpt, indent, Style::new());
            }
        }
        for detail in &part.details {
            self.wrapped(detail, indent, DIM);
        }
        if !part.said.is_empty() {
            self.line("");
        }
        // What one wrote alone, as in a mail, needs no name in front of each line.
        let is_letter = part.kind == "text" && part.said.len() == 1;
        for said in &part.said {
            if is_letter {
                self.wrapped(&said.text, 4, Style::new());
            } else {
                self.said(said, said.at.as_deref(), names);
            }
        }
    }

    /// Time, name, and the text beside them.
    fn said(&mut self, said: &Said, at: Option<&str>, names: usize) {
        const TIME: usize = 7;
        let names = if self.width < 60 { names.min(10) } else { names };
        let indent = 2 + TIME + if names > 0 { names + 2 } else { 0 };
        for (number, line) in wrap(&said.text, self.width.saturating_sub(indent)).iter().enumerate() {
            let lead = if number == 0 {
                let at = format!("{:>TIME$}", at.unwrap_or(""));
                let who = padded(&cut(&said.who, names), names);
                let who = painted(speaker_style(said.person).bold(), &who);
                let gap = if names > 0 { " " } else { "" };
                format!("{} {gap}{who}{gap} ", styled(DIM, at))
            } else {
                " ".repeat(indent)
            };
            let line = format!("{lead}{line}");
            self.line(&line);
        }
    }

    fn notes(&mut self, story: &Story) {
        if story.notes.is_empty() {
            return;
        }
        self.section("Analysis");
        for note in &story.notes {
            let gap = if note.origin.is_empty() { "" } else { "  " };
            let heading = format!("  {}{gap}{}", note.kind, painted(DIM, &note.origin));
            self.line(&heading);
            self.wrapped(&note.text, 4, Style::new());
        }
    }

    fn attachments(&mut self, story: &Story) {
        if story.attachments.is_empty() {
            return;
        }
        self.section("Attachments");
        let number = story.attachments.iter().map(|media| media.index.to_string().len()).max().unwrap_or(1);
        for media in &story.attachments {
            let indent = number + 4;
            let lead = format!("  {:>number$}  ", media.index);
            for (line_number, line) in wrap(&media.title, self.width.saturating_sub(indent)).iter().enumerate() {
                let line = if line_number == 0 {
                    format!("{}{line}", styled(DIM, &lead))
                } else {
                    format!("{}{line}", " ".repeat(indent))
                };
                self.line(&line);
            }
            let mut about: Vec<String> = media.purpose.iter().cloned().collect();
            about.extend(Some(described(media, &media.title)).filter(|text| !text.is_empty()));
            about.extend(media.origin.clone());
            self.wrapped(&about.join("  "), indent, DIM);
            if let Some(place) = &media.place {
                self.wrapped(place, indent, DIM);
            }
            if let Some(excerpt) = &media.excerpt {
                self.wrapped(excerpt, indent, Style::new());
            }
        }
    }

    fn tags(&mut self, story: &Story) {
        if !story.tags.is_empty() {
            self.section("Tags");
            self.wrapped(&story.tags.join("  "), 2, Style::new());
        }
    }

    fn checks(&mut self, story: &Story) {
        if story.checks.is_empty() {
            return;
        }
        self.section("Integrity");
        for check in &story.checks {
            let (mark, style) = match check.verdict {
                Verdict::Good => ("✓", GOOD),
                Verdict::Bad => ("✗", BAD),
                Verdict::Unknown => ("?", WARN),
            };
            for (number, line) in wrap(&check.text, self.width.saturating_sub(4)).iter().enumerate() {
                let line =
                    if number == 0 { format!("  {} {line}", styled(style, mark)) } else { format!("    {line}") };
                self.line(&line);
            }
        }
    }
}

/// A message of a chat: one short turn, and nothing else to say about it.
fn is_chat_line(part: &Part) -> bool {
    part.kind == "text"
        && !part.is_mail
        && part.details.is_empty()
        && part.media.is_none()
        && matches!(part.said.as_slice(), [only] if only.text.chars().count() <= 300 && only.text.lines().count() <= 4 && !only.who.is_empty())
}

/// Name, media type and size in one line, as far as they are not the title above it.
fn described(media: &Media, title: &str) -> String {
    let parts = [Some(&media.title), media.mediatype.as_ref(), media.size.as_ref()];
    let words = parts.into_iter().flatten().map(String::as_str).filter(|part| !part.is_empty() && *part != title);
    words.collect::<Vec<_>>().join("  ")
}

fn speaker_style(person: Option<usize>) -> Style {
    person.map_or_else(Style::new, |index| SPEAKERS[index % SPEAKERS.len()].on_default())
}

fn painted(style: Style, text: &str) -> String {
    if style == Style::new() || text.is_empty() { text.to_owned() } else { styled(style, text) }
}

/// With blanks up to `width` columns.
fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// At most `width` columns of it.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        if kept.width() + 2 > width {
            break;
        }
        kept.push(character);
    }
    kept.push('…');
    kept
}

/// Lines of at most `width` columns.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let options = textwrap::Options::new(width.max(16)).break_words(true);
    text.lines().flat_map(|line| textwrap::wrap(line, &options)).map(|line| line.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_and_padded_by_columns() {
        assert_eq!(cut("Alexander", 5), "Alex…");
        assert_eq!(padded("日本", 6), "日本  ");
        assert_eq!(wrap("one two three four\n\nfive", 16), ["one two three", "four", "", "five"]);
    }
}
