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
    for finding in findings {
        let advice = finding.advice();
        out.push_str(&renderer.render(&[group(finding, advice.as_deref())]));
        out.push_str("\n\n");
    }
    out
}

fn group<'a>(finding: &'a Finding, advice: Option<&'a str>) -> annotate_snippets::Group<'a> {
    let title = match finding.level {
        Level::Error => Title::ERROR,
        Level::Warning => Title::WARNING,
    };
    let mut group = title.primary_title(finding.message.as_str()).id(finding.code.as_str()).elements(snippets(finding));
    if let Some(advice) = advice {
        group = group.element(Title::HELP.message(advice));
    }
    group
}

/// One snippet for every source that the finding speaks of, its own first.
fn snippets(finding: &Finding) -> Vec<Element<'_>> {
    let own = finding.span.source();
    let mut sources: Vec<&Arc<Source>> = vec![own];
    for (span, _) in &finding.related {
        if !sources.iter().any(|known| Arc::ptr_eq(known, span.source())) {
            sources.push(span.source());
        }
    }
    sources.into_iter().map(|source| snippet(finding, source)).collect()
}

fn snippet<'a>(finding: &'a Finding, source: &'a Arc<Source>) -> Element<'a> {
    if source.text().is_empty() {
        return annotate_snippets::Origin::path(source.name()).into();
    }
    let mut snippet = Snippet::source(source.text()).path(source.name());
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

/// All findings as GitHub workflow commands, one line each.
pub fn render_github(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let span = &finding.span;
        let mut text = finding.message.clone();
        if let Some(advice) = finding.advice() {
            text = format!("{text}. {advice}");
        }
        out.push_str(&format!(
            "::{} file={},line={},col={},endColumn={},title={}::{}\n",
            finding.level.as_str(),
            property(span.source().name()),
            span.line(),
            span.column(),
            span.end_column(),
            finding.code,
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
            "::error file=a%2Cb.yml,line=3,col=13,endColumn=16,title=VC0402::no link is called `tga`. did you mean `tag`? 100 %25 sure\n"
        );
    }
}
