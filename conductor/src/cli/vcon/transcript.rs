//! `vcon transcript`: the transcripts of a vCon, or of a speech service's answer, in one form.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;
use vconductor_core::import::Companion;
use vconductor_core::transcript::{Found, Place, Transcript, find, sub_rip, text, web_vtt, wtf};
use vconductor_core::vcon::{Form, Vcon};

use super::files::{self, write_whole};
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::output::{self, Format, plain};

const ABOUT: &str = "\
List the transcripts of a vCon, or write one of them as WTF, WebVTT, SubRip or text

FILE is a vCon, or what a speech service answered. Without --to the transcripts are listed. The World Transcription Format \
requires times and confidences that not every service measures; what is estimated is named in `quality.processing_warnings`.";

const EXAMPLES: &str = "\
Examples:
  vconductor vcon transcript call.vcon
  vconductor vcon transcript call.vcon --to wtf > call.wtf.json
  vconductor vcon transcript deepgram.json --to vtt --out call.vtt
  vconductor vcon transcript call.vcon --number 1 --to text";

/// List the transcripts of a vCon, or write one of them as WTF, WebVTT, SubRip or text
#[derive(Debug, Args)]
#[command(name = "transcript", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct ShowTranscript {
    /// The file; - for stdin
    #[arg(value_name = "FILE")]
    file: String,
    /// The form to write one transcript in
    #[arg(long, value_enum, value_name = "FORM")]
    to: Option<To>,
    /// Which transcript, counted as in the list
    #[arg(long, value_name = "N", default_value_t = 0, requires = "to")]
    number: usize,
    /// Write to this file; by default to stdout
    #[arg(short, long, value_name = "PATH", requires = "to")]
    out: Option<PathBuf>,
    /// The form of the list
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum To {
    /// World Transcription Format, the body alone
    Wtf,
    /// WebVTT captions
    Vtt,
    /// SubRip captions
    Srt,
    /// A line per turn
    Text,
}

/// A transcript in the list.
#[derive(Debug, Serialize)]
struct Row {
    number: usize,
    /// Where it is kept, as a JSON pointer; empty for a file that is the transcript.
    pointer: String,
    form: &'static str,
    provider: Option<String>,
    model: Option<String>,
    language: Option<String>,
    turns: usize,
    speakers: usize,
    seconds: Option<f64>,
}

impl ShowTranscript {
    pub(crate) fn run(&self) -> Result<Exit> {
        let all = self.read().map_err(|failure| failure.within(&self.file))?;
        let Some(to) = self.to else {
            self.list(&all)?;
            return Ok(Exit::Done);
        };
        let Some((_, transcript)) = all.get(self.number) else {
            let failure =
                Failure::new(Exit::Findings, format!("{}: there is no transcript {}", self.file, self.number));
            return Err(failure.help("without --to the transcripts are listed"));
        };
        let written = match to {
            To::Wtf => {
                let mut written = serde_json::to_string_pretty(&wtf::body(transcript, Timestamp::now()))
                    .map_err(std::io::Error::from)?;
                written.push('\n');
                written
            }
            To::Vtt => web_vtt(transcript),
            To::Srt => sub_rip(transcript),
            To::Text => text(transcript),
        };
        match &self.out {
            None => output::print_bytes(written.as_bytes())?,
            Some(path) => write_whole(path, written.as_bytes()).map_err(|error| {
                Failure::new(Exit::Findings, format!("{} cannot be written: {error}", path.display()))
            })?,
        }
        Ok(Exit::Done)
    }

    /// The transcripts, each with its pointer.
    fn read(&self) -> Result<Vec<(String, Transcript)>> {
        let bytes = files::bytes(&self.file)?;
        match Vcon::read(bytes.clone()) {
            Ok(vcon) if vcon.form() != Form::Unsigned => Err(Failure::new(Exit::Data, "is signed or encrypted")
                .help("`vconductor vcon verify --payload -` or `vconductor vcon decrypt` writes what is in it")),
            Ok(vcon) => Ok(find(&vcon).into_iter().map(|found| (pointer(&found), found.transcript)).collect()),
            Err(_) => {
                let companion = Companion::read(bytes, None).map_err(files::of_the_file)?;
                Ok(vec![(String::new(), companion.transcript().clone())])
            }
        }
    }

    fn list(&self, all: &[(String, Transcript)]) -> Result<()> {
        let rows = all.iter().enumerate().map(|(number, (pointer, transcript))| Row {
            number,
            pointer: pointer.clone(),
            form: transcript.origin.format.as_str(),
            provider: transcript.origin.provider.clone(),
            model: transcript.origin.model.clone(),
            language: transcript.language.clone(),
            turns: transcript.turns.len(),
            speakers: transcript.speakers().len(),
            seconds: transcript.duration,
        });
        match self.output {
            Format::Json => output::print_json(&rows.collect::<Vec<_>>()),
            Format::Jsonl => output::print_jsonl(rows),
            Format::Table if all.is_empty() => {
                output::say("there is no transcript in it");
                Ok(())
            }
            Format::Table => {
                let mut table = output::table(&["", "where", "form", "provider", "language", "turns", "speakers"]);
                for row in rows {
                    let provider: Vec<String> = row.provider.into_iter().chain(row.model).collect();
                    table.add_row([
                        output::number(row.number),
                        row.pointer.into(),
                        row.form.into(),
                        plain(&provider.join(" ")).into(),
                        plain(&row.language.unwrap_or_default()).into(),
                        output::number(row.turns),
                        output::number(row.speakers),
                    ]);
                }
                output::print(&output::table_text(&table))
            }
        }
    }
}

fn pointer(found: &Found) -> String {
    match found.place {
        Place::Analysis(index) => format!("/analysis/{index}"),
        Place::Attachment(index) => format!("/attachments/{index}"),
    }
}
