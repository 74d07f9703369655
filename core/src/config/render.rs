//! Findings as text: rustc's look for people, one line each for GitHub.

use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Element, Level as Title, Renderer, Snippet};

use super::finding::{Finding, Level};
use super::source::{Source, Span};

/// All findings with their source lines, as a compiler prints them.
///
/// `width` is the width of the terminal in columns. Only source text is shown, so that no interpolated
/// secret can appear.
pub fn render(findings: &[Finding], colour: bool, width: usize) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() }.term_width(width);
    let mut out = String::new();
    let sources = Sources::of(findings);
    for finding in findings {
        let advice = finding.advice();
        out.push_str(&renderer.render(&[group(finding, advice.as_deref(), &sources)]));
        out.push_str("\n\n");
    }
    out
}

/// The texts of sources in which something is secret, with that made unreadable.
struct Sources(Vec<(Arc<Source>, String)>);

impl Sources {
    fn of(findings: &[Finding]) -> Self {
        let mut sources: Vec<(Arc<Source>, String)> = Vec::new();
        for span in findings.iter().flat_map(|finding| &finding.hidden) {
            let known = sources.iter().position(|(source, _)| Arc::ptr_eq(source, span.source()));
            let index = known.unwrap_or_else(|| {
                sources.push((Arc::clone(span.source()), span.source().text().to_owned()));
                sources.len() - 1
            });
            let text = &mut sources[index].1;
            // As many bytes, so that all places stay.
            let stars: String = text[span.range()].bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }).collect();
            text.replace_range(span.range(), &stars);
        }
        Sources(sources)
    }

    fn text<'a>(&'a self, source: &'a Arc<Source>) -> &'a str {
        self.0.iter().find(|(known, _)| Arc::ptr_eq(known, source)).map_or(source.text(), |(_, text)| text)
    }
}

fn group<'a>(finding: &'a Finding, advice: Option<&'a str>, sources: &'a Sources) -> annotate_snippets::Group<'a> {
    let title = match finding.level {
        Level::Error => Title::ERROR,
        Level::Warning => Title::WARNING,
    };
    let elements = snippets(finding, sources);
    let mut group = title.primary_title(finding.message.as_str()).id(finding.code.as_str()).elements(elements);
    if let Some(advice) = advice {
        group = group.element(Title::HELP.message(advice));
    }
    group
}

/// One snippet for every source that the finding speaks of, its own first.
fn snippets<'a>(finding: &'a Finding, texts: &'a Sources) -> Vec<Element<'a>> {
    let own = finding.span.source();
    let mut sources: Vec<&Arc<Source>> = vec![own];
    for (span, _) in &finding.related {
        if !sources.iter().any(|known| Arc::ptr_eq(known, span.source())) {
            sources.push(span.source());
        }
    }
    sources.into_iter().map(|source| snippet(finding, source, texts)).collect()
}

fn snippet<'a>(finding: &'a Finding, source: &'a Arc<Source>, texts: &'a Sources) -> Element<'a> {
    if source.text().is_empty() {
        return annotate_snippets::Origin::path(source.name()).into();
    }
    let mut snippet = Snippet::source(texts.text(source)).path(source.name());
    if Arc::ptr_eq(finding.span.source(), source) {
        snippet = snippet.annotation(AnnotationKind::Primary.span(visible(&finding.span)));
    }
    for (span, note) in finding.related.iter().filter(|(span, _)| Arc::ptr_eq(span.source(), source)) {
        snippet = snippet.annotation(AnnotationKind::Context.span(visible(span)).label(note.as_str()));
    }
    snippet.into()
}

/// The part to underline.
fn visible(span: &Span) -> std::ops::Range<usize> {
    span.first_line()
}

/// All findings as GitHub workflow commands, one line each: annotations at the lines of a pull request.
pub fn render_github(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let span = &finding.span;
        let mut text = finding.message.clone();
        for (span, note) in &finding.related {
            text.push_str(&format!("\nnote: {span}: {note}"));
        }
        if let Some(advice) = finding.advice() {
            text.push_str(&format!("\nhelp: {advice}"));
        }
        out.push_str(&format!(
            "::{} file={},line={},col={},endColumn={},title={}::{}\n",
            finding.level.as_str(),
            property(span.source().name()),
            span.line(),
            span.column(),
            span.end_column(),
            property(&format!("{}: {}", finding.code, finding.code.title())),
            message(&text),
        ));
    }
    out
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::code::Code;

    fn finding() -> Finding {
        let source = Source::new("a,b.yml", "chains:\n  calls:\n    links: [tga]\n");
        Finding::error(Code::UnknownLink, &Span::new(&source, 29..32), "no link is called `tga`")
            .nearest(Some("tag"))
            .help("100 % sure")
    }

    #[test]
    fn the_text_form_shows_place_line_caret_code_and_help() {
        let text = render(&[finding()], false, 100);
        for part in ["error[VC0402]: no link", "--> a,b.yml:3:13", "links: [tga]", "^^^", "help: did you mean `tag`?"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
        assert!(render(&[finding()], true, 100).contains('\u{1b}'));
    }

    #[test]
    fn the_github_form_is_one_escaped_line() {
        assert_eq!(
            render_github(&[finding()]),
            "::error file=a%2Cb.yml,line=3,col=13,endColumn=16,title=VC0402%3A an unknown link::no link is called `tga`%0Ahelp: did you mean `tag`? 100 %25 sure\n"
        );
    }
}
