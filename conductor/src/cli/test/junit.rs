//! Results in the XML of JUnit, which build servers show.

use super::Played;

/// The document.
pub(super) fn document(files: &[(String, Vec<Played>)]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (file, played) in files {
        let failed = played.iter().filter(|played| !played.passed()).count();
        let time: f64 = played.iter().map(|played| played.took.as_secs_f64()).sum();
        text.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" time=\"{time:.3}\">\n",
            escaped(file),
            played.len()
        ));
        for played in played {
            let (name, time) = (escaped(&played.name), played.took.as_secs_f64());
            let class = escaped(file);
            text.push_str(&format!("    <testcase classname=\"{class}\" name=\"{name}\" time=\"{time:.3}\""));
            if played.passed() {
                text.push_str("/>\n");
                continue;
            }
            text.push_str(">\n");
            for finding in &played.findings {
                let message = escaped(&finding.message);
                let place = format!("{}:{}", finding.span.source().name(), finding.span.line());
                text.push_str(&format!("      <failure message=\"{message}\">{}</failure>\n", escaped(&place)));
            }
            text.push_str("    </testcase>\n");
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

/// What XML does not take is left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            character if character.is_control() => {}
            character => escaped.push(character),
        }
    }
    escaped
}
