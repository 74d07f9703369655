//! Mail and chats: any bytes become conversations or a reason, and what becomes a conversation is a vCon that can be read.
#![no_main]

use jiff::tz::Offset;
use libfuzzer_sys::fuzz_target;
use vconductor_core::import::{Gathered, Options, chat, mail, recognise};
use vconductor_core::vcon::Vcon;

fuzz_target!(|bytes: &[u8]| {
    drop(recognise(bytes, Some("message.eml")));
    drop(recognise(bytes, None));
    let options = Options { offset: Some(Offset::UTC), ..Options::default() };
    let mut gathered = Gathered::default();
    drop(gathered.mail("fuzz.eml", bytes, None));
    for message in mail::messages(bytes).take(64).flatten() {
        drop(gathered.mail("fuzz.mbox", &message, None));
    }
    for made in gathered.finish(&options).filter_map(|(_, made)| made.ok()) {
        Vcon::read(made.text).expect("what was made of mail is a vCon");
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        drop(chat::is_whatsapp(text));
        drop(chat::whatsapp(text, Some(Offset::UTC)));
        drop(chat::table(text, Some(Offset::UTC)));
    }
});
