//! `ingress.spool`: a folder whose files are taken.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::config::Period;
use vconductor_core::ingress::{Call, Delivery, Direction, Event, Fetcher, File, Media, Refused, party_called, time};
use vconductor_core::plugin::{Ingress, IngressPlugin, Spool};
use vconductor_core::{Error, Result, register_ingress};

/// Takes the files that are moved into a folder.
///
/// A file that is a vCon is taken as it is, byte for byte; a recording becomes a vCon, and `pattern` says what its name tells. Each
/// file is taken once, however often this process is killed and however many look at the folder; it stays in the folder
/// until its vCon is stored and on its list. What cannot be taken stays, and is a dead letter with the reason.
///
/// Move files in when they are complete (`mv` on one file system does that at once). One that is written in place counts as
/// complete when it has not changed for `settled_after`. Names that begin with a dot, or end in `.tmp`, `.part` or `.partial`, are
/// left alone, and so are folders and links.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The folder: an absolute path.
    folder: PathBuf,
    /// What becomes of a file when its vCon is made: it is moved to the folder `done` in the same folder, or deleted.
    #[serde(default)]
    afterwards: Afterwards,
    /// How long a file must not have changed before it is taken.
    #[serde(default = "settled_after")]
    settled_after: Period,
    /// A regular expression over the names of recordings. Its groups `from`, `to`, `start`, `direction` and `call` say what they are;
    /// any other group becomes a tag. A start may be a Unix time, RFC 3339, or digits (`20260714090000`) in UTC.
    #[serde(default)]
    pattern: Option<String>,
}

fn settled_after() -> Period {
    Period(Duration::from_secs(2))
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Afterwards {
    /// It is kept in the folder `done`.
    #[default]
    Move,
    /// It is deleted.
    Delete,
}

struct Folder {
    folder: PathBuf,
    done: Option<PathBuf>,
    settled_after: Duration,
    pattern: Option<Regex>,
}

register_ingress!(Folder);

impl IngressPlugin for Folder {
    const MODULE: &'static str = "ingress.spool";
    const EXAMPLE: &'static str = "\
recorder:
  module: ingress.spool
  list: calls
  options:
    folder: /var/spool/vconductor/recordings
    pattern: '^(?<start>\\d{14})_(?<from>\\+?\\d+)_(?<to>\\+?\\d+)_(?<queue>\\w+)\\.wav$'
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        if !options.folder.is_absolute() {
            return Err(Error::configuration(format!(
                "`folder`: `{}` is not an absolute path",
                options.folder.display()
            ))
            .help("write the whole path: it must not depend on where the process was started"));
        }
        let pattern = options.pattern.as_deref().map(Regex::new).transpose().map_err(|error| {
            let why = error.to_string();
            let last = why.lines().last().unwrap_or_default().to_owned();
            Error::configuration(format!("`pattern` is no regular expression: {last}"))
        })?;
        let done = (options.afterwards == Afterwards::Move).then(|| options.folder.join("done"));
        Ok(Folder { folder: options.folder, done, settled_after: options.settled_after.0, pattern })
    }
}

#[async_trait]
impl Ingress for Folder {
    fn verify(&self, _: &Delivery) -> Result<(), Refused> {
        Err(Refused::unproved("nothing is taken but files"))
    }

    fn read(&self, _: &Delivery) -> Result<Vec<Event>, Refused> {
        Ok(Vec::new())
    }

    async fn media(&self, media: &Media, fetcher: &Fetcher) -> Result<Bytes> {
        fetcher.file(&self.folder, &media.url).await
    }

    fn spool(&self) -> Option<&dyn Spool> {
        Some(self)
    }
}

impl Spool for Folder {
    fn folder(&self) -> &Path {
        &self.folder
    }

    fn settled_after(&self) -> Duration {
        self.settled_after
    }

    fn done(&self) -> Option<&Path> {
        self.done.as_deref()
    }

    fn event(&self, name: &str, hash: &str, modified: Timestamp) -> Event {
        let media = Media { url: name.to_owned(), filename: Some(name.to_owned()), ..Media::default() };
        // Another file under the same name is another one, and so is the same under another name.
        Event::File(File { id: format!("{hash}/{name}"), media, call: self.call(name), modified })
    }
}

impl Folder {
    /// What a name tells.
    fn call(&self, name: &str) -> Call {
        let mut call = Call::new(name);
        let Some((pattern, found)) = self.pattern.as_ref().and_then(|pattern| Some((pattern, pattern.captures(name)?)))
        else {
            return call;
        };
        for group in pattern.capture_names().flatten() {
            let Some(value) = found.name(group).map(|found| found.as_str()).filter(|value| !value.is_empty()) else {
                continue;
            };
            match group {
                "from" => call.from = party_called(value),
                "to" => call.to = party_called(value),
                "start" => call.start = start(value),
                "direction" => call.direction = Direction::said(value),
                "call" => value.clone_into(&mut call.id),
                tag => drop(call.tags.insert(tag.to_owned(), value.to_owned())),
            }
        }
        call
    }
}

/// A time as recorders write it into names: year to second, with anything or nothing between them, else as everywhere. Of
/// fourteen digits none is a number of milliseconds.
fn start(text: &str) -> Option<Timestamp> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if digits.len() != 14 {
        return time(text);
    }
    let time = DateTime::strptime("%Y%m%d%H%M%S", &digits).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use vconductor_core::Class;

    use super::*;

    fn folder(options: Value) -> Result<Folder> {
        Folder::new("main", serde_json::from_value(options).unwrap())
    }

    #[test]
    fn a_name_tells_what_the_pattern_says() {
        let folder = folder(json!({
            "folder": "/spool", "pattern": r"^(?<start>[-\d_]+)\.(?<from>\+?\d+)-(?<to>\w+)-(?<direction>in|out)(?:-(?<queue>\w+))?\.wav$",
        }))
        .unwrap();
        let of = |name: &str| match folder.event(name, "h", Timestamp::UNIX_EPOCH) {
            Event::File(file) => file.call,
            other => panic!("{other:?}"),
        };
        let call = of("2026-07-14_09-00-00.+15550100-1001-out-sales.wav");
        assert_eq!((call.from, call.to), (party_called("+15550100"), party_called("1001")));
        assert_eq!(
            (call.start.unwrap().to_string().as_str(), call.direction),
            ("2026-07-14T09:00:00Z", Some(Direction::Outbound))
        );
        assert_eq!(call.tags.into_iter().collect::<Vec<_>>(), [("queue".to_owned(), "sales".to_owned())]);
        assert_eq!(of("1784019600.1000-1001-in.wav").start.unwrap().to_string(), "2026-07-14T09:00:00Z");
        assert_eq!(of("20261314000000.1000-1001-in.wav").start, None, "no such month");
        assert_eq!(of("other.wav"), Call::new("other.wav"));
    }

    #[test]
    fn files_of_one_name_or_one_content_are_two() {
        let folder = folder(json!({"folder": "/spool"})).unwrap();
        let key = |name: &str, hash: &str| folder.event(name, hash, Timestamp::UNIX_EPOCH).key();
        assert!(key("a", "1") != key("a", "2") && key("a", "1") != key("b", "1") && key("a", "1") == key("a", "1"));
        assert!(
            folder
                .verify(&Delivery {
                    method: vconductor_core::http::Method::POST,
                    query: String::new(),
                    headers: vconductor_core::http::HeaderMap::new(),
                    body: Bytes::new(),
                    at: 0,
                })
                .is_err()
        );
    }

    #[test]
    fn options_that_are_wrong_are_refused() {
        for (options, word) in
            [(json!({"folder": "here"}), "`folder`"), (json!({"folder": "/s", "pattern": "("}), "`pattern`")]
        {
            let error = folder(options).err().unwrap();
            assert!(error.class() == Class::Configuration && error.chain_text().contains(word), "{error}");
        }
    }
}
