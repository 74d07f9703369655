//! The valid name that someone probably meant.

/// The candidate most like `name`, if one is near enough. Case and the difference of `-` and `_` do not count;
/// the beginning of a name is enough from four letters on, and so are whole words out of it (`bucket` for `aws_bucket`).
pub fn nearest<'a, S>(name: &str, candidates: impl IntoIterator<Item = &'a S>) -> Option<&'a str>
where
    S: AsRef<str> + 'a + ?Sized,
{
    let wanted = plain(name);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let candidate = candidate.as_ref();
            let known = plain(candidate);
            let distance = strsim::damerau_levenshtein(&wanted, &known);
            let is_slip = distance <= allowed(wanted.chars().count().min(known.chars().count()));
            let is_part = (wanted.len() >= 4 && known.starts_with(&wanted)) || has_words(&known, &wanted);
            (is_slip || is_part).then_some(((!is_slip, distance), candidate))
        })
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, candidate)| candidate)
}

/// Whether the words of `wanted` stand side by side in `name`; an `s` at the end of one does not count.
fn has_words(name: &str, wanted: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.split(['_', '.']).map(|word| word.trim_end_matches('s').to_owned()).collect()
    };
    let (name, wanted_words) = (words(name), words(wanted));
    wanted.len() >= 3
        && name.len() > wanted_words.len()
        && name.windows(wanted_words.len()).any(|part| part == wanted_words)
}

/// How many edits still count as a slip of the pen, by the length of the shorter word.
fn allowed(length: usize) -> usize {
    match length {
        0..=2 => 0,
        3..=5 => 1,
        6..=8 => 2,
        _ => 3,
    }
}

fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let names = ["transcribe", "tag", "webhook", "webhook-urls", "s3"];
        let cases = [
            ("transcirbe", Some("transcribe")),
            ("Transcribe", Some("transcribe")),
            ("tga", Some("tag")),
            ("webhook_urls", Some("webhook-urls")),
            ("webhok", Some("webhook")),
            ("trans", Some("transcribe")),
            ("S3", Some("s3")),
            ("url", Some("webhook-urls")),
            ("urls_webhook", None),
            ("s4", None),
            ("diet", None),
            ("summarise", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, &names), expected, "{name}");
        }
    }
}
