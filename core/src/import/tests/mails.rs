//! Mail becomes threads, threads become vCons.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::mail::{Mail, is_mail, is_mailbox, messages, threads};
use super::super::{Gathered, Kind, Made, recognise};
use super::{options, said, vcon};

fn mail(id: &str, more: &str, text: &str) -> String {
    format!(
        "From: Ann Lee <ann@example.com>\r\nTo: bob@example.com\r\nSubject: Refund\r\nMessage-ID: <{id}@example.com>\r\n{more}\
         Date: Mon, 02 Mar 2026 10:0{}:00 +0100\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n",
        id.len()
    )
}

fn all(mails: &[&str]) -> Vec<Value> {
    let made = || -> Vec<(String, Made)> {
        let mut gathered = Gathered::default();
        for (number, mail) in mails.iter().enumerate() {
            gathered.mail(&format!("{number}.eml"), mail.as_bytes(), None).unwrap();
        }
        gathered.finish(&options()).map(|(from, made)| (from, made.unwrap())).collect()
    };
    assert_eq!(made(), made(), "importing twice makes the same");
    made().iter().map(|(_, made)| vcon(made)).collect()
}

#[test]
fn answers_make_a_thread_in_the_order_of_time_whatever_the_order_of_files() {
    let first = mail("a", "", "First");
    let second = mail("bb", "In-Reply-To: <a@example.com>\r\n", "Second");
    // Its parent is missing, but both name the same ancestor.
    let third = mail("ccc", "References: <a@example.com> <gone@example.com>\r\n", "Third");
    let other = mail("dddd", "", "Other");
    let vcons = all(&[&third, &other, &first, &second, &first]);
    assert_eq!(vcons.len(), 2);
    assert_eq!(said(&vcons[0]), ["[0,1] First", "[0,1] Second", "[0,1] Third"]);
    assert_eq!(said(&vcons[1]), ["[0,1] Other"]);
    assert_eq!(vcons[0]["subject"], "Refund");
    let dialog = &vcons[0]["dialog"][0];
    assert_eq!(dialog["message_id"], "<a@example.com>");
    assert_eq!(dialog["start"], "2026-03-02T10:01:00+01:00");
    assert_eq!(dialog["application"], "email");
    assert_eq!(
        vcons[0]["parties"],
        json!([{"mailto": "ann@example.com", "name": "Ann Lee"}, {"mailto": "bob@example.com"}])
    );
}

#[test]
fn a_thread_says_where_it_comes_from_and_a_mail_without_date_has_the_files() {
    let mut gathered = Gathered::default();
    let modified = Some("2026-05-01T10:00:00Z".parse().unwrap());
    let undated =
        "From: ann@example.com\r\nTo: bob@example.com\r\nSubject: x\r\nMessage-ID: <u@example.com>\r\n\r\nHi\r\n";
    gathered.mail("b.eml", undated.as_bytes(), modified).unwrap();
    gathered.mail("a.eml", mail("a", "References: <u@example.com>\r\n", "Re").as_bytes(), modified).unwrap();
    gathered.mail("c.eml", mail("c", "", "Other").as_bytes(), modified).unwrap();
    let made: Vec<_> = gathered.finish(&options()).map(|(from, made)| (from, vcon(&made.unwrap()))).collect();
    assert_eq!(made[0].0, "a.eml and 1 more");
    assert_eq!(made[1].0, "c.eml");
    assert_eq!(made[0].1["dialog"][1]["start"], "2026-05-01T10:00:00Z");
    assert_eq!(made[0].1["created_at"], "2026-05-01T10:00:00Z", "it cannot have been made before its newest mail");
}

#[test]
fn mails_that_are_linked_by_a_third_one_alone_are_one_thread() {
    let one = mail("a", "References: <root@example.com>\r\n", "One");
    let two = mail("bb", "In-Reply-To: <root@example.com>\r\n", "Two");
    assert_eq!(all(&[&one, &two]).len(), 1);
    let thread = threads(vec![Mail::read(one.as_bytes()).unwrap(), Mail::default(), Mail::default()]);
    assert_eq!(thread.len(), 3, "mails without ids stand alone");
}

#[test]
fn parties_stand_in_the_order_from_to_cc_bcc() {
    let text = "From: \"Lee, Ann\" <Ann@example.com>\nTo: Team: bob@example.com, =?utf-8?q?J=C3=BCrgen?= <j@example.com>;\n\
        Cc: ann@EXAMPLE.com, c@example.com\nBcc: secret@example.com\nSubject: =?utf-8?B?w5xiZXI=?= uns\n\
        Date: Mon, 2 Mar 2026 10:00:00 GMT\nMessage-ID: <x@y>\n\nHallo\n";
    let vcons = all(&[text]);
    assert_eq!(said(&vcons[0]), ["[0,1,2,3,4] Hallo"]);
    let names: Vec<_> =
        vcons[0]["parties"].as_array().unwrap().iter().map(|party| party["mailto"].as_str().unwrap()).collect();
    assert_eq!(names, ["Ann@example.com", "bob@example.com", "j@example.com", "c@example.com", "secret@example.com"]);
    assert_eq!(vcons[0]["parties"][0]["name"], "Lee, Ann");
    assert_eq!(vcons[0]["parties"][2]["name"], "Jürgen");
    assert_eq!(vcons[0]["subject"], "Über uns");
}

#[test]
fn encodings_are_read_and_attachments_keep_their_bytes() {
    let picture = [0x89, b'P', b'N', b'G', 0, 0xff];
    let text = format!(
        "From: a@example.com\nTo: b@example.com\nDate: Mon, 2 Mar 2026 10:00:00 +0000\nMIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=\"x\"\n\n--x\nContent-Type: text/plain; charset=iso-8859-1\n\
         Content-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe\n--x\nContent-Type: image/png\n\
         Content-Disposition: attachment; filename=\"../../etc/cat.png\"\nContent-Transfer-Encoding: base64\n\n{}\n--x--\n",
        STANDARD.encode(picture)
    );
    let vcons = all(&[&text]);
    assert_eq!(said(&vcons[0]), ["[0,1] Grüße"]);
    let attachment = &vcons[0]["attachments"][0];
    assert_eq!(attachment["filename"], "cat.png");
    assert_eq!(attachment["mediatype"], "image/png");
    assert_eq!((&attachment["dialog"], &attachment["party"]), (&json!(0), &json!(0)));
    assert_eq!(URL_SAFE_NO_PAD.decode(attachment["body"].as_str().unwrap()).unwrap(), picture);
    assert!(attachment["content_hash"].as_str().unwrap().starts_with("sha512-"));
}

#[test]
fn html_becomes_words_and_is_kept_as_it_came() {
    let html = "<p>Dear <b>Bob</b>,</p><script>alert(1)</script><img src=http://192.0.2.1/pixel>";
    let text = format!(
        "From: a@example.com\nTo: b@example.com\nDate: Mon, 2 Mar 2026 10:00:00 +0000\nContent-Type: text/html\n\n{html}\n"
    );
    let vcons = all(&[&text]);
    let body = vcons[0]["dialog"][0]["body"].as_str().unwrap();
    assert!(body.contains("Dear Bob,") && !body.contains('<') && !body.contains("alert"), "{body}");
    assert_eq!(vcons[0]["dialog"][0]["mediatype"], "text/plain");
    let kept = &vcons[0]["attachments"][0];
    assert_eq!(kept["mediatype"], "text/html");
    let kept = URL_SAFE_NO_PAD.decode(kept["body"].as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(kept).unwrap().trim_end(), html);
}

#[test]
fn dates_that_are_missing_or_impossible_are_replaced() {
    let received = "Received: from x by y; Tue, 3 Mar 2026 08:00:00 +0000\nFrom: a@example.com\nTo: b@example.com\n\
        Date: Mon, 32 Foo 2026 99:00:00\n\nx\n";
    assert_eq!(all(&[received])[0]["dialog"][0]["start"], "2026-03-03T08:00:00Z");
    let none = "From: a@example.com\nTo: b@example.com\nSubject: x\n\nx\n";
    assert_eq!(all(&[none])[0]["dialog"][0]["start"], "2026-03-01T10:00:00Z");
}

#[test]
fn a_mailbox_is_taken_apart() {
    let mailbox = format!(
        "From ann@example.com Mon Mar  2 10:00:00 2026\n{}>From here on it is quoted\n\nFrom bob Mon Mar  2 10:00:00 2026\n{}",
        mail("a", "", "First").replace("\r\n", "\n"),
        mail("bb", "", "Second").replace("\r\n", "\n")
    );
    assert!(is_mailbox(mailbox.as_bytes()) && !is_mail(mailbox.as_bytes()));
    let parts: Vec<Vec<u8>> = messages(mailbox.as_bytes()).collect::<Result<_, _>>().unwrap();
    assert_eq!(parts.len(), 2);
    assert!(Mail::read(&parts[0]).unwrap().text.contains("\nFrom here on"));
}

#[test]
fn mail_is_recognised_by_its_header() {
    assert_eq!(recognise(mail("a", "", "x").as_bytes(), None), Some(Kind::Mail));
    assert_eq!(recognise(b"Ann: hello\nBob: hi\nAnn: from me\n", None), Some(Kind::Transcript));
    for other in [
        "From: a\n\nno more",
        "From here to there\nDate: x\n",
        "{\"From: \": 1}",
        "Subject line\nFrom: x\nTo: y\nDate: z\n",
    ] {
        assert!(!is_mail(other.as_bytes()), "{other}");
    }
}

#[test]
fn hostile_structure_is_bounded() {
    let header = "From: a@example.com\nTo: b@example.com\nDate: Mon, 2 Mar 2026 10:00:00 +0000\n";
    let mut nested = header.to_owned();
    for depth in 0..3_000 {
        nested.push_str(&format!("Content-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\n"));
    }
    let many = format!("{header}Content-Type: multipart/mixed; boundary=x\n\n{}--x--\n", "--x\n\nhi\n".repeat(20_000));
    let addresses = format!("From: a@example.com\nTo: {}\nSubject: x\n\nhi\n", "x@example.com, ".repeat(100_000));
    let references = format!("{header}References: {}\n\nhi\n", "<a@b> ".repeat(200_000));
    let started = std::time::Instant::now();
    for (name, text) in [("nested", nested), ("many", many), ("addresses", addresses), ("references", references)] {
        if let Ok(mail) = Mail::read(text.as_bytes()) {
            assert!(mail.to.len() <= 1_000 && mail.references.len() <= 200 && mail.enclosures.len() <= 5_000, "{name}");
        }
    }
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    let error = Mail::read(b"").unwrap_err();
    assert!(error.message().contains("no mail"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_comes_as_mail_is_a_vcon_or_is_refused(
        header in prop::collection::vec((prop::sample::select(&["From", "To", "Date", "Content-Type", "References",
            "Content-Transfer-Encoding", "Subject", "Content-Disposition"][..]), "[ -~=?;\"<>@,ü\u{0}]{0,60}"), 0..8),
        body in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut bytes: Vec<u8> = Vec::new();
        for (name, value) in header {
            bytes.extend(format!("{name}: {value}\r\n").bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(body);
        let mut gathered = Gathered::default();
        if gathered.mail("x.eml", &bytes, None).is_ok() {
            for (_, made) in gathered.finish(&options()) {
                vcon(&made.unwrap());
            }
        }
    }

    #[test]
    fn recognising_never_fails(bytes in prop::collection::vec(any::<u8>(), 0..400), name in "[a-zA-Z0-9_.+]{0,20}") {
        let kind = recognise(&bytes, Some(&name));
        prop_assert!(kind.is_none_or(|kind| !kind.as_str().is_empty()));
    }
}
