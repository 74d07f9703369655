//! Parties, times and lengths as vendors spell them.

use jiff::Timestamp;

use crate::import::Party;
use crate::vcon::Date;

/// A party as vendors write it: a number, `sip:` and an address, `client:` and a name, or a word for nobody.
pub fn party_called(text: &str) -> Option<Party> {
    let text = text.trim();
    let (kind, rest) = text.split_once(':').unwrap_or(("", text));
    match kind {
        "" | "tel" if is_nobody(rest) => None,
        // Messaging channels write `whatsapp:+15550100`.
        "whatsapp" | "messenger" | "rcs" => party_called(rest),
        "client" | "agent" | "worker" if !rest.is_empty() => Some(Party::named(rest)),
        "sips" => Some(Party { sip: Some(rest.to_owned()), ..Party::default() }),
        // Short codes and extensions have fewer digits than a party that is called by number anywhere else.
        "" | "tel" if rest.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(Party { tel: Some(rest.to_owned()), ..Party::default() })
        }
        // What stands behind the address is about the call, not about who it is.
        "sip" => {
            Some(Party { sip: Some(rest.split([';', '?']).next().unwrap_or(rest).to_owned()), ..Party::default() })
        }
        _ => Some(Party::called(text)),
    }
}

/// Words that stand in place of a number that is withheld; Twilio also spells some of them as digits.
fn is_nobody(text: &str) -> bool {
    const WORDS: [&str; 6] = ["anonymous", "restricted", "unavailable", "unknown", "private", "withheld"];
    const SPELLED: [&str; 5] = ["+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253"];
    text.is_empty() || WORDS.contains(&text.to_ascii_lowercase().as_str()) || SPELLED.contains(&text)
}

/// A time as vendors write it: RFC 3339, RFC 2822, or seconds, milliseconds or microseconds since the Unix epoch.
pub fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() >= 9 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        let (whole, _) = text.split_once('.').unwrap_or((text, ""));
        let number: i64 = whole.parse().ok().filter(|number| *number > 0)?;
        return match whole.len() {
            9..=11 => Timestamp::from_second(number).ok(),
            12..=14 => Timestamp::from_millisecond(number).ok(),
            15..=17 => Timestamp::from_microsecond(number).ok(),
            _ => None,
        };
    }
    Some(Date::parse(text)?.timestamp())
}

/// A number of seconds as vendors write it: `13`, `13.67`, or ISO 8601 (`PT1M13.67S`); never negative.
pub fn seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let total = match text.strip_prefix("PT") {
        None => text.parse::<f64>().ok()?,
        Some(mut rest) => {
            let mut total = 0.0;
            while !rest.is_empty() {
                let end = rest.find(|letter: char| !(letter.is_ascii_digit() || letter == '.'))?;
                let number: f64 = rest[..end].parse().ok()?;
                total += number
                    * match rest.as_bytes()[end] {
                        b'H' => 3600.0,
                        b'M' => 60.0,
                        b'S' => 1.0,
                        _ => return None,
                    };
                rest = rest.get(end + 1..)?;
            }
            total
        }
    };
    (total.is_finite() && total >= 0.0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_are_called_as_vendors_call_them() {
        let tel = |number: &str| Some(Party { tel: Some(number.to_owned()), ..Party::default() });
        let sip = |address: &str| Some(Party { sip: Some(address.to_owned()), ..Party::default() });
        for (text, party) in [
            ("+14158675309", tel("+14158675309")),
            ("tel:+14158675309", tel("+14158675309")),
            ("whatsapp:+14158675309", tel("+14158675309")),
            ("1001", tel("1001")),
            ("32665", tel("32665")),
            ("sip:ann@example.com;transport=tls", sip("ann@example.com")),
            ("sips:ann@example.com", sip("ann@example.com")),
            ("client:ann", Some(Party::named("ann"))),
            ("Ann Lee", Some(Party::named("Ann Lee"))),
            ("", None),
            ("Anonymous", None),
            ("+266696687", None),
        ] {
            assert_eq!(party_called(text), party, "{text}");
        }
    }

    #[test]
    fn times_and_lengths_are_read_in_every_spelling() {
        let at = |text: &str| time(text).map(|time| time.to_string());
        for text in [
            "2026-07-14T09:00:00Z",
            "Tue, 14 Jul 2026 09:00:00 +0000",
            "Tue, 14 Jul 2026 11:00:00 +0200",
            "1784019600",
            "1784019600.0",
            "1784019600000",
            "1784019600000000",
            "2026-07-14 09:00:00",
        ] {
            assert_eq!(at(text).as_deref(), Some("2026-07-14T09:00:00Z"), "{text}");
        }
        for wrong in ["", "0", "000000000", "yesterday", "12345", "99999999999999999999", "9.9.9.9.9.9"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
        for (text, expected) in [
            ("13", Some(13.0)),
            ("PT13.67S", Some(13.67)),
            ("PT1H2M3S", Some(3723.0)),
            ("0", Some(0.0)),
            ("PT", Some(0.0)),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
        for wrong in ["", "-1", "NaN", "inf", "PT1", "PTS", "PT1X", "P1D", "PT1é"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
