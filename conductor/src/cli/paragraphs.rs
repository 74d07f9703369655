//! Text that is wrapped to the terminal, so that it is read and not hunted for.

use super::output;

/// Lines of prose are not longer than this, however wide the terminal is.
const READABLE: usize = 100;

/// A paragraph wrapped to the terminal, with a newline at its end. `first` and `rest`: how far its first line and the others are
/// indented.
pub(crate) fn wrapped(text: &str, first: usize, rest: usize) -> String {
    let (first, rest) = (" ".repeat(first), " ".repeat(rest));
    let width = output::width().clamp(30, READABLE);
    let options = textwrap::Options::new(width).initial_indent(&first).subsequent_indent(&rest).break_words(false);
    let options = options.word_splitter(textwrap::WordSplitter::NoHyphenation);
    let mut wrapped = String::new();
    for line in textwrap::wrap(text, &options) {
        wrapped.push_str(line.trim_end());
        wrapped.push('\n');
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_and_lines_short() {
        let long = "word ".repeat(60);
        let text = wrapped(&format!("{long}018f2b7c-5e1a-8c33-9d2b-00000000000a"), 0, 4);
        assert!(text.lines().all(|line| line.chars().count() <= READABLE), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("    ")), "{text}");
        assert!(text.contains("018f2b7c-5e1a-8c33-9d2b-00000000000a\n"), "{text}");
        assert_eq!(wrapped("", 2, 4), "\n");
    }
}
