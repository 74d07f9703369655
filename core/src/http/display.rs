//! How URLs and answers are shown in messages: enough to find the fault, nothing that is secret.

use reqwest::Url;

/// Characters of an answer's body that an error quotes.
const EXCERPT: usize = 200;

/// A URL without user, password, query and fragment: presigned URLs carry their secret in the query.
pub(super) fn shown_url(url: &Url) -> String {
    if url.cannot_be_a_base() {
        // `data:` holds content, and `user:password@host` reads as a scheme `user`.
        return format!("{}:…", url.scheme());
    }
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    // Both fail only for URLs that cannot have a user, and those have none to hide.
    shown.set_username("").ok();
    shown.set_password(None).ok();
    shown.into()
}

/// Scheme, host and port alone, for URLs whose path is a secret too.
pub(super) fn shown_origin(url: &Url) -> String {
    format!("{}/[secret]", url.origin().ascii_serialization())
}

/// The first characters of a body: one line, no control characters, `secrets` replaced.
pub(super) fn excerpt(body: &[u8], secrets: &[String]) -> String {
    // More than the excerpt, so that a secret at its end is still recognised whole.
    let head = &body[..body.len().min(16 * 1024)];
    let mut text = String::from_utf8_lossy(head).into_owned();
    for secret in secrets {
        text = text.replace(secret, "[secret]");
    }
    let mut shown = String::new();
    let mut last_was_space = true;
    let mut count = 0;
    for character in text.chars() {
        let blank = character.is_whitespace() || is_invisible(character);
        if blank && last_was_space {
            continue;
        }
        if count == EXCERPT {
            shown.push('…');
            break;
        }
        shown.push(if blank { ' ' } else { character });
        last_was_space = blank;
        count += 1;
    }
    shown.truncate(shown.trim_end().len());
    shown
}

/// Control characters, and those that reorder or hide text on a terminal.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_secrets() {
        let url = Url::parse("https://user:pw@s3.example.com:8443/b/call.wav?X-Amz-Signature=abc#part").unwrap();
        assert_eq!(shown_url(&url), "https://s3.example.com:8443/b/call.wav");
        assert_eq!(shown_origin(&url), "https://s3.example.com:8443/[secret]");
        assert_eq!(shown_url(&Url::parse("data:text/plain,x").unwrap()), "data:…");
        assert_eq!(shown_url(&Url::parse("user:pw@host/x").unwrap()), "user:…");
    }

    #[test]
    fn excerpts_are_one_clean_line_of_bounded_length() {
        assert_eq!(excerpt(b"{\n  \"error\":\t\"no\x1b[31m\x00\xff\"\n}\n", &[]), "{ \"error\": \"no [31m \" }");
        assert_eq!(excerpt("rtl \u{202e}txt".as_bytes(), &[]), "rtl txt");
        let long = "ü".repeat(500);
        assert_eq!(excerpt(long.as_bytes(), &[]), format!("{}…", "ü".repeat(200)));
        assert_eq!(excerpt("x".repeat(200).as_bytes(), &[]), "x".repeat(200));
        assert_eq!(excerpt(b"", &[]), "");
    }

    #[test]
    fn secrets_are_replaced_even_across_the_end_of_the_excerpt() {
        let body = format!("{}sk-very-secret-key", "a".repeat(190));
        let shown = excerpt(body.as_bytes(), &["sk-very-secret-key".to_owned()]);
        assert!(shown.ends_with("[secret]") && !shown.contains("sk-"), "{shown}");
    }
}
