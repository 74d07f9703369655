//! The output for people: findings of one kind in one row, however many there are.

use comfy_table::{Cell, Color};
use vconductor_core::validate::{Finding, Level, Report};

use crate::cli::output::{self, BAD, DIM, GOOD, STRONG, plain, styled};

/// A document and what was found in it.
pub(super) fn text(name: &str, report: &Report, hints: bool) -> String {
    let (verdict, style) = if report.fails() { ("fails", BAD) } else { ("ok", GOOD) };
    let mut text = format!("{} {}", styled(style, verdict), styled(STRONG, plain(name)));
    push(&mut text, report, hints);
    text
}

fn push(text: &mut String, report: &Report, hints: bool) {
    let mut about = vec![report.form.as_str().to_owned()];
    if let Some(version) = report.version {
        about.push(format!("members of {version}"));
    }
    about.extend(report.notes.iter().map(|note| plain(note)));
    text.push_str(&format!(" {}\n", styled(DIM, format_args!("({})", about.join("; ")))));
    let levels = [Level::Error, Level::Warning, Level::Hint];
    let mut table = output::table(&["", "CHECK", "WHERE", "WHAT"]);
    for level in levels.into_iter().filter(|level| hints || *level != Level::Hint) {
        for group in groups(report.of_level(level)) {
            table.add_row(row(level, &group));
        }
    }
    if !table.is_empty() {
        text.push_str(
            &output::table_text(&table).lines().skip(1).fold(String::new(), |all, line| all + "  " + line + "\n"),
        );
    }
    if report.found.omitted() > 0 {
        text.push_str(&format!("  and {} more\n", report.found.omitted()));
    }
    if let Some(inside) = &report.payload {
        text.push_str(&format!("  {}", styled(STRONG, "inside:")));
        push(text, inside, hints);
    }
}

/// Findings of one check at places that differ by indices only.
struct Group<'a> {
    first: &'a Finding,
    more: usize,
}

fn groups<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<Group<'a>> {
    let mut groups: Vec<(u16, String, Group<'a>)> = Vec::new();
    for finding in findings {
        let shape = shape(&finding.pointer);
        match groups.iter_mut().find(|(check, known, _)| *check == finding.check && *known == shape) {
            Some((.., group)) => group.more += 1,
            None => groups.push((finding.check, shape, Group { first: finding, more: 0 })),
        }
    }
    groups.sort_by_key(|(check, ..)| *check);
    groups.into_iter().map(|(.., group)| group).collect()
}

/// A pointer with its indices replaced.
fn shape(pointer: &str) -> String {
    let is_index = |token: &str| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit());
    pointer.split('/').map(|token| if is_index(token) { "*" } else { token }).collect::<Vec<_>>().join("/")
}

fn row(level: Level, group: &Group<'_>) -> [Cell; 4] {
    let colour = match level {
        Level::Error => Color::Red,
        Level::Warning => Color::Yellow,
        Level::Hint => Color::DarkGrey,
    };
    let finding = group.first;
    let mut place = if finding.pointer.is_empty() { "/".to_owned() } else { plain(&finding.pointer) };
    if group.more > 0 {
        place.push_str(&format!(" and {} more", group.more));
    }
    let rule = finding.rule();
    let what = format!("{}\nhelp: {}", plain(&finding.message), rule.fix);
    [Cell::new(level.as_str()).fg(colour), output::number(finding.check), Cell::new(place), Cell::new(what)]
}
