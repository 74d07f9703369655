//! `vcon import`: vCons from mail, chats, recordings and transcripts, without a store.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::intake::{Event, ImportOptions, Intake, Taken};
use crate::cli::output::{self, BAD, Format};

const ABOUT: &str = "\
Make vCons of mail, chats, recordings and transcripts

PATH is a mail (.eml) or a mailbox (mbox), a WhatsApp chat, messages as CSV, JSON or JSON Lines, text messages in files named \
SMS1_Alice_+15550100.txt, a recording (MP3, WAV, Ogg, FLAC, M4A), a video (MP4, Matroska, WebM), a transcript (Deepgram, Whisper, AssemblyAI, Rev AI, \
Speechmatics, Amazon, Twilio, NVIDIA, WTF, SRT, WebVTT, lines such as `Alice: hello`), a directory of all that, a pattern, or - for \
stdin. What a file holds is found from its bytes.

A thread of mails is one vCon; a transcript beside its recording (call.wav, call.json) becomes its analysis. vCons among the files \
pass through as they are.";

const EXAMPLES: &str = "\
Examples:
  vconductor vcon import mailbox.mbox --out threads/
  vconductor vcon import call.wav --party name=Agent --party name=Caller --out call.vcon
  vconductor vcon import 'WhatsApp Chat with Ann.txt' --utc-offset +02:00 | vconductor show -
  vconductor vcon import recordings/ --wtf > calls.jsonl
  vconductor vcon import deepgram.json --start 2026-03-01T10:00:00Z | vconductor validate -";

/// Make vCons of mail, chats, recordings and transcripts
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Import {
    /// Files, directories, patterns, or - for stdin
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    /// Where to: a directory (UUID.vcon in it), or a file when it is one vCon; by default stdout, one vCon per line
    #[arg(short, long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// The form of what is told about files that were written (--out)
    #[arg(long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    options: ImportOptions,
}

#[derive(Debug, Serialize)]
struct Row {
    uuid: String,
    from: String,
    file: String,
    bytes: usize,
}

impl Import {
    pub(crate) fn run(&self) -> Result<Exit> {
        let mut rows: Vec<Row> = Vec::new();
        let mut refused = 0u64;
        let mut held: Option<(String, Taken)> = None;
        let directory = self.directory()?;
        for event in Intake::new(&self.paths, self.options.options()) {
            match event {
                Event::Taken { from, taken, .. } => match (&self.out, directory) {
                    (None, _) => print(&taken)?,
                    (Some(folder), true) => {
                        rows.push(written(&folder.join(format!("{}.vcon", taken.uuid)), from, &taken)?)
                    }
                    (Some(_), false) if held.is_some() => {
                        return Err(Failure::new(Exit::Usage, "there is more than one conversation in it")
                            .help("give --out a directory (with a slash at its end)"));
                    }
                    (Some(_), false) => held = Some((from, taken)),
                },
                Event::Refused(refusal) => {
                    refused += 1;
                    output::complain(BAD, "refused", &refusal, refusal.help.as_deref());
                }
                Event::Skipped(path) => tracing::debug!(path = %path.display(), "skipped: of no kind that is read"),
            }
        }
        if let (Some(file), Some((from, taken))) = (&self.out, held) {
            rows.push(written(file, from, &taken)?);
        }
        self.report(&rows)?;
        Ok(if refused > 0 { Exit::Findings } else { Exit::Done })
    }

    /// Whether `--out` is a directory, which is made when its name says so.
    fn directory(&self) -> Result<bool> {
        let Some(out) = &self.out else { return Ok(false) };
        let says_so = out.as_os_str().to_string_lossy().ends_with('/');
        if says_so {
            fs::create_dir_all(out)
                .map_err(|error| Failure::new(Exit::Findings, format!("{} cannot be made: {error}", out.display())))?;
        }
        Ok(says_so || out.is_dir())
    }

    fn report(&self, rows: &[Row]) -> Result<()> {
        if self.out.is_none() {
            return Ok(());
        }
        match self.output {
            Format::Json => output::print_json(&rows),
            Format::Jsonl => output::print_jsonl(rows),
            Format::Table => {
                let mut table = output::table(&["vcon", "from", "file"]);
                for row in rows {
                    table.add_row([&row.uuid, &output::plain(&row.from), &row.file]);
                }
                output::print(&output::table_text(&table))
            }
        }
    }
}

/// One vCon in one line: what came over several lines is written compactly.
fn print(taken: &Taken) -> Result<()> {
    let mut line = taken.text.to_vec();
    if line.contains(&b'\n') {
        // A line end inside of a JSON text is white space, never part of a string.
        line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    }
    line.push(b'\n');
    output::print_bytes(&line)
}

fn written(file: &Path, from: String, taken: &Taken) -> Result<Row> {
    super::files::write_whole(file, &taken.text)
        .map_err(|error| Failure::new(Exit::Findings, format!("{} cannot be written: {error}", file.display())))?;
    Ok(Row { uuid: taken.uuid.clone(), from, file: file.display().to_string(), bytes: taken.text.len() })
}
