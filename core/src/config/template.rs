//! Templates: texts with places (`{uuid}`) for what a vCon says. What comes from outside must not choose where they lead.

use super::code::Code;
use super::described::Written;
use super::finding::Finding;
use super::model::Config;
use super::typed::push_once;

/// Reports templates that begin with a place, or have one in the host of a URL. Options are templates where their schema
/// says `x-template`.
pub(crate) fn check(config: &Config, written: &[Written], findings: &mut Vec<Finding>) {
    let level = config.mode.unknown_level();
    for Written { place, described, .. } in written {
        described.leaves(&mut |leaf| {
            let Some(text) = leaf.node.as_str() else { return };
            if !leaf.is_template() || leaf.node.substituted {
                return;
            }
            let Some(open) = open_place(text) else { return };
            let (path, what) = (leaf.path(place), place_at(text, open));
            let message = format!("`{path}` is a template whose beginning is not fixed: `{what}` decides where it leads");
            // The plugin says the same in other words.
            findings.retain(|known| known.code != Code::BadValue || known.span != leaf.node.span);
            push_once(
                findings,
                Finding::new(level, Code::Template, &leaf.node.place_of(open), message).help(
                    "begin with what never changes, such as https://host.example.com/path/, and put the place behind it",
                ),
            );
        });
    }
}

/// Where a place stands before the fixed beginning is over: in the scheme or host of a URL, or at the start.
fn open_place(text: &str) -> Option<usize> {
    let first = text.find('{').filter(|at| text[*at..].contains('}'))?;
    let fixed = match text.find("://") {
        Some(scheme) => text[scheme + 3..].find('/').map_or(text.len(), |slash| scheme + 3 + slash),
        None => 0,
    };
    (first <= fixed).then_some(first)
}

/// The place itself, with its braces.
fn place_at(text: &str, open: usize) -> &str {
    let end = text[open..].find('}').map_or(text.len(), |end| open + end + 1);
    &text[open..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_must_be_fixed() {
        for (text, expected) in [
            ("https://crm.example.com/{vcon_id}", None),
            ("https://crm.example.com/calls?id={vcon_id}", None),
            ("https://crm.example.com/calls", None),
            ("archive/{uuid}", None),
            ("{vcon_id}", Some(0)),
            ("https://{vcon_id}.example.com/", Some(8)),
            ("https://example.com{vcon_id}", Some(19)),
            ("{scheme}://example.com/", Some(0)),
            ("no place {", None),
        ] {
            assert_eq!(open_place(text), expected, "{text}");
        }
        assert_eq!(place_at("https://{vcon_id}.x/", 8), "{vcon_id}");
    }
}
