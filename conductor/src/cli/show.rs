//! `show`: one vCon on the terminal.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use clap::Args;
use comfy_table::Cell;
use uuid::Uuid;
use vconductor_core::error::Error;
use vconductor_core::format::{self, Limits};
use vconductor_core::vcon::{Body, Form, Vcon};

use super::exit::{Exit, Failure, Result};
use super::output::{self, DIM, Format, STRONG, plain, styled};
use super::store;

const EXAMPLES: &str = "\
Examples:
  vconductor show 018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10
  vconductor show call.vcon
  vconductor show 018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10 --output json   # the document, byte for byte
  cat call.vcon | vconductor show -";

/// How much of a text is shown.
const EXCERPT: usize = 400;

/// Show a vCon from the store or a file
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Show {
    /// The uuid of a stored vCon, a file, or - for stdin
    #[arg(value_name = "UUID|FILE")]
    what: String,
    /// The store to look in
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The form of the output; `json` is the document itself
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

impl Show {
    pub(crate) async fn run(&self) -> Result<Exit> {
        let bytes = self.read().await?;
        let vcon = format::read(bytes, &Limits::default()).map_err(|error| self.broken(&error))?;
        match self.output {
            Format::Table => {
                let inside = format::unverified(&vcon, &Limits::default()).map_err(|error| self.broken(&error))?;
                output::print(&text(&inside, vcon.form()))?;
            }
            Format::Json => output::print_bytes(&ended(&vcon.to_bytes()))?,
            Format::Jsonl => output::print_jsonl([vcon.document().root().to_value()])?,
        }
        Ok(Exit::Done)
    }

    fn broken(&self, error: &Error) -> Failure {
        let failure = Failure::new(Exit::Data, format!("{}: {}", self.what, error.chain_text()));
        match error.help_text() {
            Some(help) => failure.help(help),
            None => failure,
        }
    }

    async fn read(&self) -> Result<Bytes> {
        let unreadable = |error| Failure::new(Exit::Data, format!("{} cannot be read: {error}", self.what));
        if self.what == "-" {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map_err(unreadable)?;
            return Ok(bytes.into());
        }
        if Path::new(&self.what).exists() {
            return Ok(std::fs::read(&self.what).map_err(unreadable)?.into());
        }
        self.stored().await
    }

    async fn stored(&self) -> Result<Bytes> {
        // Identifiers that are no UUIDs are stored as they are.
        let id = Uuid::parse_str(&self.what).map_or_else(|_| self.what.clone(), |uuid| uuid.to_string());
        let store = store::open_existing(self.store.as_deref(), None).await?;
        match store.get(&id).await? {
            Some(stored) => Ok(stored.document),
            None => Err(Failure::new(
                Exit::Findings,
                format!("`{}` is no file, and no vCon of that uuid is in {}", self.what, store.describe()),
            )
            .help("it may have expired (VCON_REDIS_EXPIRY), or be in another store (--store)")),
        }
    }
}

/// `vcon` is what lies inside of a vCon of `form`.
fn text(vcon: &Vcon, form: Form) -> String {
    let mut text = heading(vcon);
    let is_sealed = match form {
        Form::Unsigned => None,
        Form::Signed => Some("signed; the signature was not verified (vconductor validate --trust)"),
        Form::Encrypted => Some("encrypted: its content cannot be shown"),
    };
    if let Some(why) = is_sealed {
        text.push_str(&format!("\n{why}\n"));
    }
    for part in [parties(vcon), dialogs(vcon), analyses(vcon), attachments(vcon), tags(vcon)] {
        text.push_str(&part);
    }
    text
}

/// The vCon's uuid, subject, times and version.
pub(crate) fn heading(vcon: &Vcon) -> String {
    let uuid = vcon.id().unwrap_or_else(|| "without uuid".to_owned());
    let mut text = format!("{} {}\n", styled(STRONG, "vCon"), styled(STRONG, uuid));
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!("  {} {value}\n", styled(DIM, format_args!("{name:<8}"))));
        }
    };
    let own = |name: &str| vcon.entry().text(name).map(|text| plain(&text));
    line("subject", own("subject"));
    line("created", own("created_at"));
    line("updated", own("updated_at"));
    line("version", own("vcon"));
    text
}

fn section(title: &str, table: &comfy_table::Table) -> String {
    if table.is_empty() {
        return String::new();
    }
    format!("\n{}\n{}", styled(STRONG, title), output::table_text(table))
}

fn parties(vcon: &Vcon) -> String {
    let mut table = output::table(&["#", "NAME", "ROLE", "ADDRESS"]);
    for party in vcon.parties() {
        let addresses = ["tel", "mailto", "sip", "did", "uuid"];
        let address = addresses.iter().find_map(|name| party.entry().text(name));
        let role = party.role().or_else(|| party.entry().text("type"));
        table.add_row([party.index().to_string(), or_dash(&party.name()), or_dash(&role), or_dash(&address)]);
    }
    section("Parties", &table)
}

fn dialogs(vcon: &Vcon) -> String {
    let mut table = output::table(&["#", "TYPE", "START", "SECONDS", "PARTIES", "MEDIA", "SIZE", "CONTENT"]);
    for dialog in vcon.dialogs() {
        let parties = dialog.parties().iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
        let (size, content) = content(dialog.body(), &dialog.url(), &dialog.filename());
        table.add_row([
            Cell::new(dialog.index()),
            Cell::new(or_dash(&dialog.kind())),
            Cell::new(or_dash(&dialog.entry().text("start"))),
            output::number(dialog.duration().map_or_else(|| "-".to_owned(), |seconds| seconds.to_string())),
            Cell::new(if parties.is_empty() { "-".to_owned() } else { parties }),
            Cell::new(or_dash(&dialog.mediatype())),
            output::number(size),
            Cell::new(content),
        ]);
    }
    section("Dialog", &table)
}

fn analyses(vcon: &Vcon) -> String {
    let mut table = output::table(&["#", "TYPE", "VENDOR", "DIALOG", "SIZE", "CONTENT"]);
    for analysis in vcon.analyses() {
        let dialogs = analysis.dialogs().iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
        let (size, content) = content(analysis.body(), &analysis.url(), &None);
        table.add_row([
            Cell::new(analysis.index()),
            Cell::new(or_dash(&analysis.kind())),
            Cell::new(or_dash(&analysis.vendor())),
            Cell::new(if dialogs.is_empty() { "-".to_owned() } else { dialogs }),
            output::number(size),
            Cell::new(content),
        ]);
    }
    section("Analysis", &table)
}

fn attachments(vcon: &Vcon) -> String {
    let mut table = output::table(&["#", "PURPOSE", "MEDIA", "SIZE", "CONTENT"]);
    for attachment in vcon.attachments().filter(|attachment| !attachment.is_tags()) {
        let (size, content) = content(attachment.body(), &attachment.url(), &attachment.filename());
        table.add_row([
            Cell::new(attachment.index()),
            Cell::new(or_dash(&attachment.purpose())),
            Cell::new(or_dash(&attachment.mediatype())),
            output::number(size),
            Cell::new(content),
        ]);
    }
    section("Attachments", &table)
}

fn tags(vcon: &Vcon) -> String {
    let tags = vcon.tags();
    if tags.is_empty() {
        return String::new();
    }
    let shown = |tag: &vconductor_core::document::Tag| match &tag.value {
        Some(value) if *value != tag.name => plain(&format!("{}:{value}", tag.name)),
        _ => plain(&tag.name),
    };
    format!("\n{}\n{}\n", styled(STRONG, "Tags"), tags.iter().map(shown).collect::<Vec<_>>().join("  "))
}

type Text<'a> = Option<std::borrow::Cow<'a, str>>;

/// Size and a short form of what an entry holds.
fn content(body: vconductor_core::Result<Body<'_>>, url: &Text<'_>, filename: &Text<'_>) -> (String, String) {
    let name = || filename.as_deref().map_or_else(|| "-".to_owned(), plain);
    match body {
        Ok(Body::Text(text)) => (size(text.len()), excerpt(&text)),
        Ok(Body::Json(value)) => {
            let text = value.to_string();
            (size(text.len()), excerpt(&text))
        }
        Ok(Body::Bytes(bytes)) => (size(bytes.len()), name()),
        Ok(Body::None) => ("-".to_owned(), url.as_deref().map_or_else(name, |url| plain(without_query(url)))),
        Err(error) => ("?".to_owned(), plain(&error.chain_text())),
    }
}

/// Presigned URLs carry their secret in the query.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn or_dash(text: &Text<'_>) -> String {
    text.as_deref().map(plain).filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned())
}

fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}...", plain(&text[..end])),
        None => plain(text),
    }
}

/// With a line end, so that a prompt does not stick to it.
fn ended(bytes: &Bytes) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if std::io::IsTerminal::is_terminal(&std::io::stdout()) && !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes
}
