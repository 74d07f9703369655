//! Chats and text messages.

use jiff::tz::Offset;
use serde_json::{Value, json};

use super::super::chat::{self, Application, Message, named_message, table, whatsapp};
use super::super::{Gathered, Kind, Options, recognise};
use super::{options, said, vcon};

fn lines(messages: &[Message]) -> Vec<String> {
    let time = |message: &Message| message.time.map_or("-".to_owned(), |time| time.to_string());
    let from = |message: &Message| message.from.clone().unwrap_or_default();
    messages.iter().map(|message| format!("{} {}: {}", time(message), from(message), message.text)).collect()
}

fn vcons(messages: Vec<Message>, application: Application) -> Vec<Value> {
    let made = chat::vcon(messages, application, None, &options()).unwrap();
    made.iter().map(vcon).collect()
}

#[test]
fn files_of_one_message_each_are_one_conversation() {
    let folder = format!("{}/../tests/fixtures/messages", env!("CARGO_MANIFEST_DIR"));
    let mut gathered = Gathered::default();
    // Any order: the counter in the name is what counts.
    for name in ["SMS4_Bob_12345678902.txt", "SMS1_Alice_12345678901.txt", "SMS2_Bob_12345678902.txt"] {
        let text = std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
        assert_eq!(recognise(text.as_bytes(), Some(name)), Some(Kind::NamedMessage), "{name}");
        gathered.message(&folder, name, &text, None).unwrap();
    }
    let made: Vec<_> = gathered.finish(&options()).map(|(_, made)| made.unwrap()).collect();
    let vcon = vcon(&made[0]);
    assert_eq!(made.len(), 1);
    assert_eq!(
        vcon["parties"],
        json!([{"tel": "+12345678901", "name": "Alice"}, {"tel": "+12345678902", "name": "Bob"}])
    );
    assert_eq!(
        said(&vcon),
        [
            "[0,1] How is the weather in Hayannis?",
            "[1,0] Sunny, cold and windy.\nHow is the traffic coming down?",
            "[1,0] I will see you there!"
        ]
    );
    assert_eq!(vcon["dialog"][1]["start"], "2026-03-01T10:00:01Z");
    assert_eq!(vcon["dialog"][0]["application"], "sms");
}

#[test]
fn only_names_with_counter_sender_and_number_are_messages() {
    assert!(named_message("SMS1_Alice_+12345678901.txt", "x").is_some());
    for name in
        ["notes.txt", "SMS_Alice_12345.txt", "SMS1_Alice.txt", "SMS1__12345678901.txt", "X1_Alice_12345678901.txt"]
    {
        assert!(named_message(name, "x").is_none(), "{name}");
    }
}

#[test]
fn whatsapp_of_both_kinds_of_telephones() {
    let iphone = "\u{200e}[15/01/2024, 10:32:45] Ann Lee: \u{200e}Messages and calls are end-to-end encrypted.\n\
        [15/01/2024, 10:33:00] Ann Lee: Hi: two\nlines\n[16/01/2024, 09:00:00] +1 555 0100: Yes\n";
    assert_eq!(recognise(iphone.as_bytes(), None), Some(Kind::WhatsApp));
    assert_eq!(
        lines(&whatsapp(iphone, None))[1..],
        ["2024-01-15T10:33:00Z Ann Lee: Hi: two\nlines", "2024-01-16T09:00:00Z +1 555 0100: Yes"]
    );
    let android = "1/9/24, 12:05\u{202f}AM - Messages to this chat are secured.\n1/9/24, 12:05\u{202f}AM - Bob: Hello\n\
        1/9/24, 1:15\u{202f}PM - Ann: https://example.com/a: b\n";
    assert_eq!(recognise(android.as_bytes(), None), Some(Kind::WhatsApp));
    assert_eq!(
        lines(&whatsapp(android, Some(Offset::constant(-5)))),
        ["2024-01-09T05:05:00Z Bob: Hello", "2024-01-09T18:15:00Z Ann: https://example.com/a: b"]
    );
    let german = "09.01.24, 10:32 - Bob: Hallo\n10.01.24, 10:32 - Ann: Ja\n";
    assert_eq!(lines(&whatsapp(german, None))[0], "2024-01-09T10:32:00Z Bob: Hallo");
    let vcon = &vcons(whatsapp(iphone, None), Application::WhatsApp)[0];
    assert_eq!(vcon["parties"], json!([{"name": "Ann Lee"}, {"tel": "+1 555 0100"}]));
    assert_eq!(vcon["dialog"][0]["application"], "whatsapp");
}

#[test]
fn tables_of_messages() {
    let csv = "\u{feff}Time,From,To,Text\n2026-03-01T10:00:05Z,+15550100,+15550101,\"Hi, \"\"you\"\"\"\n\
        2026-03-01 10:00:01,+15550101,+15550100,First\n1772359210,Ann,Bob,Other people\n";
    assert_eq!(recognise(csv.as_bytes(), None), Some(Kind::Messages));
    let found = table(csv, None).unwrap();
    let vcons = vcons(found, Application::Chat);
    assert_eq!(vcons.len(), 2, "a conversation per set of people");
    assert_eq!(said(&vcons[0]), ["[0,1] First", "[1,0] Hi, \"you\""]);
    assert_eq!(vcons[1]["dialog"][0]["start"], "2026-03-01T10:00:10Z");

    let semicolons = "date;sender;message\n2026-03-01;Ann;a, b\n";
    assert_eq!(lines(&table(semicolons, None).unwrap()), ["2026-03-01T00:00:00Z Ann: a, b"]);

    let lines_of_json = "{\"dateSent\": \"Mon, 02 Mar 2026 10:00:00 +0000\", \"from\": \"+15550100\", \"to\": \"+15550101\", \"body\": \"x\", \"sid\": \"SM1\"}\n\n{\"timestamp\": 1772359210123, \"from\": {\"name\": \"Ann\"}, \"to\": [\"a@example.com\"], \"text\": \"y\", \"conversation_id\": 7}\n";
    assert_eq!(recognise(lines_of_json.as_bytes(), None), Some(Kind::Messages));
    let found = table(lines_of_json, None).unwrap();
    assert_eq!(lines(&found), ["2026-03-02T10:00:00Z +15550100: x", "2026-03-01T10:00:10.123Z Ann: y"]);
    assert_eq!((found[0].id.as_deref(), found[1].conversation.as_deref()), (Some("SM1"), Some("7")));

    let slack = "[{\"type\": \"message\", \"user\": \"U1\", \"text\": \"hi\", \"ts\": \"1772359210.000200\"}]";
    assert_eq!(lines(&table(slack, None).unwrap()), ["2026-03-01T10:00:10.0002Z U1: hi"]);
}

#[test]
fn what_is_no_table_of_messages_is_none() {
    for text in [
        "name,age\nAnn,7\n",
        "[1, 2]",
        "[]",
        "{\"text\": \"hello\"}",
        "{\"uuid\": \"x\", \"parties\": [], \"from\": \"a\", \"text\": \"b\", \"time\": 1772359210}",
        "[{\"speaker\": \"A\", \"message\": \"x\"}]",
        "",
    ] {
        assert_eq!(table(text, None).unwrap(), [], "{text}");
    }
    let error = table("{\"ts\": \"1772359210\", \"from\": \"a\", \"text\": \"b\"}\n{broken\n", None).unwrap_err();
    assert!(error.message().starts_with("line 2"), "{error}");
}

#[test]
fn times_without_an_offset_are_where_the_option_says() {
    let csv = "time,from,text\n2026-03-01 10:00:00,Ann,x\n2026-03-01T10:00:00+01:00,Ann,y\n";
    let found = table(csv, Some(Offset::constant(2))).unwrap();
    assert_eq!(lines(&found), ["2026-03-01T08:00:00Z Ann: x", "2026-03-01T09:00:00Z Ann: y"]);
    let local = Options { offset: Some(Offset::constant(2)), ..options() };
    let made = chat::vcon(found, Application::Chat, None, &local).unwrap();
    assert_eq!(vcon(&made[0])["dialog"][0]["start"], "2026-03-01T10:00:00+02:00");
}

#[test]
fn a_crowd_is_refused_and_listeners_are_not_listed_without_end() {
    let crowd = |people: usize| {
        let message =
            |number: usize| Message { from: Some(format!("p{number}")), text: "x".into(), ..Message::default() };
        chat::vcon((0..people).map(message).collect(), Application::Chat, None, &options())
    };
    assert!(crowd(5_001).unwrap_err().to_string().contains("more than 5000 people"));
    let parties = |people: usize| vcon(&crowd(people).unwrap()[0])["dialog"][0]["parties"].as_array().unwrap().len();
    assert_eq!((parties(1_000), parties(2_000)), (1_000, 1));
}
