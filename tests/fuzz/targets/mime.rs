//! Mail, chats, transcripts and media: any bytes become conversations or a reason, and what becomes a conversation is a vCon
//! that can be read.
#![no_main]

use std::hint::black_box;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::Offset;
use libfuzzer_sys::fuzz_target;
use vconductor_core::import::chat::{self, Application};
use vconductor_core::import::{self, Companion, Gathered, Made, Options, mail, recognise};
use vconductor_core::transcript::{sub_rip, web_vtt};
use vconductor_core::vcon::Vcon;

fuzz_target!(|bytes: &[u8]| {
    black_box((recognise(bytes, Some("SMS1_Ann_12345678.txt")), recognise(bytes, None)));
    let start = Some(Timestamp::UNIX_EPOCH);
    let options = Options { offset: Some(Offset::UTC), start, wtf: true, ..Options::default() };
    let mut gathered = Gathered::default();
    drop(gathered.mail("fuzz.eml", bytes, None));
    for message in mail::messages(bytes).take(64).flatten() {
        drop(gathered.mail("fuzz.mbox", &message, None));
    }
    gathered.finish(&options).filter_map(|(_, made)| made.ok()).for_each(read);
    import::recording(bytes, None, start, &options).into_iter().for_each(read);
    if let Ok(companion) = Companion::read(Bytes::copy_from_slice(bytes), None) {
        black_box((web_vtt(companion.transcript()), sub_rip(companion.transcript())));
        import::transcript(&companion, start, &options).into_iter().for_each(read);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let whatsapp = if chat::is_whatsapp(text) { chat::whatsapp(text, Some(Offset::UTC)) } else { Vec::new() };
        for messages in [whatsapp, chat::table(text, Some(Offset::UTC)).unwrap_or_default()] {
            let made = chat::vcon(messages, Application::Chat, start, &options);
            made.into_iter().flatten().for_each(read);
        }
    }
});

fn read(made: Made) {
    Vcon::read(made.text).expect("what was made is a vCon");
}
