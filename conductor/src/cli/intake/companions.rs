//! Transcripts that lie beside their recordings: `call.wav` with `call.json`, `call.wav.json`, `call.transcript.json`,
//! `call.srt` or `call.vtt`.

use std::fs;
use std::path::{Path, PathBuf};

use vconductor_core::import::Companion;
use vconductor_core::vcon::Vcon;

use super::contents::RECORDINGS;

/// The largest transcript; a day of speech has less.
const LARGEST: u64 = 256 << 20;
/// What stands behind the stem or the whole name of the recording.
const ENDINGS: [&str; 5] = ["json", "transcript.json", "srt", "vtt", "wtf.json"];

/// The transcripts beside a recording, in the order of the endings.
pub(super) fn of_recording(recording: &Path) -> Vec<(PathBuf, Companion)> {
    let bases = [recording.with_extension(""), recording.to_owned()];
    let paths = bases.iter().flat_map(|base| ENDINGS.iter().map(move |ending| with(base, ending)));
    paths.filter_map(|path| Some((path.clone(), read(&path)?))).collect()
}

/// Whether there is a recording of which this may be the transcript.
pub(super) fn has_recording(transcript: &Path) -> bool {
    let Some(name) = transcript.file_name().and_then(|name| name.to_str()) else { return false };
    let stems = ENDINGS.iter().filter_map(|ending| name.strip_suffix(ending)?.strip_suffix('.'));
    let folder = transcript.parent().unwrap_or(Path::new(""));
    stems.into_iter().any(|stem| {
        let is_whole = Path::new(stem)
            .extension()
            .is_some_and(|own| RECORDINGS.iter().any(|known| own.eq_ignore_ascii_case(known)));
        is_whole && folder.join(stem).is_file()
            || RECORDINGS.iter().any(|ending| with(&folder.join(stem), ending).is_file())
    })
}

fn with(base: &Path, ending: &str) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// The transcript in a file. A vCon that lies there is none.
fn read(path: &Path) -> Option<Companion> {
    let metadata = fs::metadata(path).ok().filter(|metadata| metadata.is_file() && metadata.len() <= LARGEST)?;
    let bytes = (metadata.len() > 0).then(|| fs::read(path).ok())??;
    if Vcon::read(bytes.clone()).is_ok() {
        return None;
    }
    let filename = path.file_name().map(|name| name.to_string_lossy().into_owned());
    Companion::read(bytes.into(), filename.as_deref()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transcripts_are_found_by_the_recordings_name_and_the_reverse() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, content) in [
            ("a.wav", "RIFF"),
            ("a.json", "{\"text\": \"hello\", \"language\": \"en\"}"),
            ("a.wav.json", "{\"uuid\": \"x\", \"parties\": []}"),
            ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\nhi\n"),
            ("b.json", "{\"text\": \"alone\"}"),
        ] {
            fs::write(at(name), content).unwrap();
        }
        let found: Vec<_> = of_recording(&at("a.wav")).into_iter().map(|(path, _)| path).collect();
        assert_eq!(found, [at("a.json"), at("a.vtt")]);
        assert!(has_recording(&at("a.json")) && has_recording(&at("a.vtt")) && has_recording(&at("a.wav.json")));
        assert!(!has_recording(&at("b.json")) && !has_recording(&at("a.txt")));
    }
}
