//! `show`: one conversation, for people to read.

mod html;
mod markdown;
mod story;
mod terminal;

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use uuid::Uuid;
use vconductor_core::error::Error;
use vconductor_core::format::{self, Limits};
use vconductor_core::jose::{Chains, Payload, SignatureVerdict, Standing, Trust, verify};
use vconductor_core::store::TenantScope;
use vconductor_core::vcon::{Form, Vcon};

use self::story::{Check, Story, Verdict};
use super::exit::{Exit, Failure, Result};
use super::output::{self, DIM, STRONG, plain, styled};
use super::store;
use super::vcon::keys;

const ABOUT: &str = "\
Show a conversation: who took part, what was said, what was made of it

Takes a vCon from the store, a file or stdin. A signed one is shown with what its signature is worth; nothing is fetched. \
Texts come from strangers: they are shown without control characters, and URLs without their queries, which may be secrets.";

const EXAMPLES: &str = "\
Examples:
  vconductor show 018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10
  vconductor show call.vcon
  vconductor show signed.vcon --trust root.pem
  vconductor show call.vcon --output html > call.html     # a page that needs nothing else
  vconductor show 018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10 --output json   # the document, byte for byte
  cat call.vcon | vconductor show -";

/// The form of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Page {
    /// For people, in a terminal
    #[default]
    Table,
    /// Markdown
    Markdown,
    /// A page that needs nothing else
    Html,
    /// The document itself, byte for byte (unpacked, where it came packed)
    Json,
    /// The document in one line
    Jsonl,
}

/// Show a conversation: who took part, what was said, what was made of it
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Show {
    /// The uuid of a stored vCon, a file, or - for stdin
    #[arg(value_name = "UUID|FILE")]
    what: String,
    /// The store to look in
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Certificates to trust when the vCon is signed
    #[arg(long, value_name = "FILE")]
    trust: Vec<String>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    output: Page,
}

impl Show {
    pub(crate) async fn run(&self) -> Result<Exit> {
        let bytes = self.read().await?;
        let vcon = format::read(bytes, &Limits::default()).map_err(|error| self.broken(&error))?;
        match self.output {
            Page::Table => output::print(&terminal::render(&self.story(&vcon)?, width()))?,
            Page::Markdown => output::print_bytes(markdown::render(&self.story(&vcon)?).as_bytes())?,
            Page::Html => output::print_bytes(html::render(&self.story(&vcon)?).as_bytes())?,
            Page::Json => output::print_bytes(&ended(&vcon.to_bytes()))?,
            Page::Jsonl => output::print_jsonl([vcon.document().root().to_value()])?,
        }
        Ok(Exit::Done)
    }

    fn story(&self, vcon: &Vcon) -> Result<Story> {
        match vcon.form() {
            Form::Unsigned => Ok(Story::of(vcon, Vec::new())),
            Form::Encrypted => Ok(Story::sealed(vcon)),
            Form::Signed => {
                let trust = Trust::nobody(Timestamp::now()).anchors(&keys::read(&self.trust)?);
                let verdict = verify(vcon.document(), &trust, &Chains::none());
                let mut seal: Vec<Check> = verdict.signatures.iter().map(signature).collect();
                seal.extend(verdict.faults.iter().map(|fault| Check::new(Verdict::Bad, plain(&fault.message))));
                match Payload::of(vcon.document()).and_then(Payload::innermost) {
                    Ok(inside) => Ok(Story::of(&inside, seal)),
                    Err(fault) => Err(Failure::new(Exit::Data, format!("{}: {}", self.what, plain(&fault.message)))),
                }
            }
        }
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
        let is_path = self.what.contains('/') || Path::new(&self.what).extension().is_some();
        let store = match store::open_existing(self.store.as_deref(), None).await {
            Err(failure) if is_path && failure.exit() == Exit::Findings => {
                return Err(Failure::new(Exit::Data, format!("{} cannot be read: no such file", self.what)));
            }
            opened => opened?,
        };
        match store.get(&TenantScope::Everything, &id).await? {
            Some(stored) => Ok(stored.document),
            None => Err(Failure::new(
                Exit::Findings,
                format!("`{}` is no file, and no vCon of that uuid is in {}", self.what, store.describe()),
            )
            .help("it may have expired (VCON_REDIS_EXPIRY), or be in another store (--store)")),
        }
    }
}

/// The columns of the terminal; `COLUMNS` where it is set, as for pagers and tests.
fn width() -> usize {
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    set.filter(|columns| *columns > 0).unwrap_or_else(output::width)
}

/// What one signature is worth.
fn signature(found: &SignatureVerdict) -> Check {
    let signer = found.certificate.as_ref().map(|certificate| format!(" by `{}`", plain(certificate.name())));
    let signer = signer.unwrap_or_default();
    let (verdict, text) = match &found.standing {
        Standing::Anchor { anchor, lenient } => {
            let how = if *lenient { ", with a lenient chain" } else { "" };
            (Verdict::Good, format!("signed{signer}, trusted through `{}`{how}", plain(anchor)))
        }
        Standing::Key { name } => (Verdict::Good, format!("signed{signer} with the trusted key `{}`", plain(name))),
        Standing::Unasked if found.intact == Some(true) => {
            (Verdict::Unknown, format!("signed{signer} and unchanged since; who that is was not asked (--trust FILE)"))
        }
        Standing::Unasked => (Verdict::Unknown, format!("signed{signer}, with a key that is not in it (--trust FILE)")),
        Standing::Refused => {
            let faults: Vec<String> = found.faults.iter().map(|fault| plain(&fault.message)).collect();
            (Verdict::Bad, format!("signed{signer}, but {}", faults.join("; ")))
        }
    };
    Check::new(verdict, text)
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

/// With a line end, so that a prompt does not stick to it.
fn ended(bytes: &Bytes) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if std::io::IsTerminal::is_terminal(&std::io::stdout()) && !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes
}
