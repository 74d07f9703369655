//! The valid name that someone probably meant.

/// The candidate most like `name`, if one is near enough. Case and the difference of `-` and `_` do not count;
/// the beginning of a name is enough from four letters on.
pub fn nearest<'a, S>(name: &str, candidates: impl IntoIterator<Item = &'a S>) -> Option<&'a str>
where
    S: AsRef<str> + 'a + ?Sized,
{
    let wanted = plain(name);
    candidates
        .into_iter()
        .map(|candidate| {
            let candidate = candidate.as_ref();
            let known = plain(candidate);
            let begun = wanted.len() >= 4 && known.starts_with(&wanted);
            let near = allowed(wanted.chars().count().min(known.chars().count()));
            (strsim::damerau_levenshtein(&wanted, &known), begun, near, candidate)
        })
        .filter(|(distance, begun, near, _)| distance <= near || *begun)
        .min_by_key(|(distance, ..)| *distance)
        .map(|(.., candidate)| candidate)
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
