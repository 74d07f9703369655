//! Chats and text messages.

mod named;
mod table;
mod time;
mod whatsapp;
mod write;

use jiff::Timestamp;

pub use named::{is_named_message, named_message};
pub use table::table;
pub use whatsapp::{is_whatsapp, whatsapp};
pub use write::vcon;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// When it was sent.
    pub time: Option<Timestamp>,
    /// Who sent it: a name, a number or an address. None: the program that keeps the chat.
    pub from: Option<String>,
    /// The sender's number or address, where the name is given as well.
    pub address: Option<String>,
    /// Who got it.
    pub to: Vec<String>,
    /// What it says.
    pub text: String,
    /// The id that its program gave it.
    pub id: Option<String>,
    /// The conversation that it belongs to, where the file holds several.
    pub conversation: Option<String>,
}

/// Where messages come from, as the dialog's `application`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Application {
    /// Short messages.
    Sms,
    /// WhatsApp.
    WhatsApp,
    /// Any other chat.
    Chat,
}

impl Application {
    fn as_str(self) -> &'static str {
        match self {
            Application::Sms => "sms",
            Application::WhatsApp => "whatsapp",
            Application::Chat => "chat",
        }
    }
}
