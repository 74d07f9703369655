//! Saving and deleting: the document first, then the pointer that says its day.
//!
//! The revision is metadata of the document's object, and every write has a condition: that the object is absent, or
//! still the one that was looked at. Tags come from content, so that of a pointer only tells its day; who has written
//! therefore looks at the pointer again.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use vconductor_core::plugin::SaveItem;
use vconductor_core::{Error, Result};

use super::bucket::{Bucket, Condition, Head, Upload};
use super::fault::Refused;
use super::options::Options;
use super::place::{self, Places, Stem};

/// Metadata of a document: its revision.
const REVISION: &str = "vcon-revision";
/// Metadata of a document: `created_at` in milliseconds since the epoch.
pub(super) const CREATED: &str = "vcon-created";
/// Metadata of a pointer: the day that the vCon had before, until nothing lies there any more.
const BEFORE: &str = "vcon-day-before";

/// The media type of a document (draft-ietf-vcon-vcon-core, "IANA Considerations").
const MEDIATYPE: &str = "application/vcon+json";
/// A document up to this size is sent without looking first: a new one, which is the rule, takes two calls then.
const SMALL: usize = 1 << 20;
/// How often a save begins again because others write the same vCon.
const ROUNDS: u32 = 40;

/// One save under way.
struct Write<'a> {
    bucket: &'a Bucket,
    places: &'a Places,
    conditional: bool,
    uuid: &'a str,
    stem: Stem,
    content: Bytes,
    revision: u64,
    created: i64,
    day: Option<String>,
    /// Day and tag of an object that this save has written and no pointer names yet.
    placed: Option<(String, String)>,
}

/// What the pointer of a vCon says.
struct Pointer {
    tag: String,
    day: String,
    before: Option<String>,
}

/// Writes one vCon.
pub(super) async fn save(bucket: &Bucket, places: &Places, options: &Options, item: &SaveItem) -> Result<()> {
    if item.uuid.is_empty() {
        return Err(Error::permanent("a vCon without a uuid cannot be saved").help("give it a uuid"));
    }
    let mut write = Write {
        bucket,
        places,
        conditional: options.conditional_writes,
        uuid: &item.uuid,
        stem: place::stem(&item.uuid)?,
        content: options.format.text(&item.vcon)?,
        revision: item.revision,
        created: item.vcon.created_at().unwrap_or_else(Timestamp::now).as_millisecond(),
        day: place::day_of(&item.vcon),
        placed: None,
    };
    if write.conditional && write.content.len() <= SMALL && write.as_new().await? {
        return Ok(());
    }
    for round in 0..ROUNDS {
        if round > 0 {
            // A moment that differs from one writer to the next.
            let spread = u64::from(Timestamp::now().subsec_nanosecond().unsigned_abs() % 20);
            tokio::time::sleep(Duration::from_millis(2 + spread + u64::from(round))).await;
        }
        if write.round().await? {
            return Ok(());
        }
    }
    Err(Error::retryable(format!("vCon `{}` is written by others all the time", item.uuid))
        .help("it is tried again; if it lasts, look which other program writes to this bucket"))
}

impl Write<'_> {
    /// Writes a vCon as one that nobody has seen. False: somebody has.
    async fn as_new(&mut self) -> Result<bool> {
        let Some(day) = self.day.clone() else { return Ok(false) };
        if !self.put(&day, Condition::Absent).await? {
            return Ok(false);
        }
        self.point(&day, None, Condition::Absent).await.map(|pointed| pointed.is_some())
    }

    /// Looks what is there, and writes if this is newer. False: others have written meanwhile.
    ///
    /// The object in the day that the pointer names decides: a writer is done when it has written that one and the pointer
    /// still names it afterwards. Only then is a vCon moved to another day.
    async fn round(&mut self) -> Result<bool> {
        let pointer = pointer(self.bucket, self.places, &self.stem).await?;
        let named = pointer.as_ref().map(|pointer| pointer.day.clone());
        let target = self.day.clone().or_else(|| named.clone()).unwrap_or_else(place::today);
        let here = named.unwrap_or_else(|| target.clone());
        let found = self.head(&here).await?;
        if self.is_newer(found.as_ref()) {
            self.withdraw(&here).await?;
            return Ok(true);
        }
        if !self.put(&here, over(found)).await? {
            return Ok(false);
        }
        let Some(pointer) = pointer else {
            return self.point(&target, None, Condition::Absent).await.map(|pointed| pointed.is_some());
        };
        if here != target {
            return self.relocate(pointer, &target).await;
        }
        if let Some(before) = pointer.before.filter(|before| *before != here) {
            // A move that was cut off.
            self.tidy(&before, &here, pointer.tag).await?;
        }
        self.stands(&here).await
    }

    /// Moves the vCon, which this save has written to the day that the pointer names, to another day.
    async fn relocate(&mut self, pointer: Pointer, target: &str) -> Result<bool> {
        let here = pointer.day;
        let there = self.head(target).await?;
        if self.is_newer(there.as_ref()) || !self.put(target, over(there)).await? {
            return Ok(false);
        }
        let Some(tag) = self.point(target, Some(&here), Condition::Matches(pointer.tag)).await? else {
            return Ok(false);
        };
        let old = self.head(&here).await?;
        if self.is_newer(old.as_ref()) {
            // Written there a moment ago by somebody who may not have seen the move: it goes back.
            let back = self.point(&here, None, Condition::Matches(tag)).await?;
            let new = self.head(target).await?;
            if let Some(tag) = back.filter(|_| revision(new.as_ref()) > revision(old.as_ref())) {
                self.point(target, None, Condition::Matches(tag)).await?;
            }
            return Ok(false);
        }
        self.tidy(&here, target, tag).await?;
        self.stands(target).await
    }

    /// Deletes what lies in a day that the pointer does not name any more, and lets the pointer forget that day.
    async fn tidy(&self, before: &str, day: &str, tag: String) -> Result<()> {
        if let Some(old) = self.head(before).await? {
            self.bucket.delete(&self.places.document(before, &self.stem), Some(old.tag)).await?;
        }
        // Somebody who has moved it again does this as well.
        self.point(day, None, Condition::Matches(tag)).await.map(drop)
    }

    /// Whether the pointer names the day that this save has written to, and what is there is not older. What others tidy up
    /// is written by others than they think, now and then, on a server that ignores conditions of deletes; and a server that
    /// keeps tags and metadata apart may show a writer the tag of one revision beside the metadata of another.
    async fn stands(&self, day: &str) -> Result<bool> {
        let named = pointer(self.bucket, self.places, &self.stem).await?;
        if named.is_none_or(|named| named.day != day) {
            return Ok(false);
        }
        let found = self.head(day).await?;
        Ok(found.is_some_and(|found| revision(Some(&found)).is_none_or(|there| there >= self.revision)))
    }

    /// Takes back an object of this save when a newer revision lies in another day.
    async fn withdraw(&mut self, current: &str) -> Result<()> {
        match self.placed.take() {
            Some((day, tag)) if day != current => {
                self.bucket.delete(&self.places.document(&day, &self.stem), Some(tag)).await
            }
            _ => Ok(()),
        }
    }

    fn is_newer(&self, found: Option<&Head>) -> bool {
        revision(found).is_some_and(|there| there > self.revision)
    }

    async fn head(&self, day: &str) -> Result<Option<Head>> {
        self.bucket.head(&self.places.document(day, &self.stem)).await
    }

    /// Writes the document. False: the condition does not hold.
    async fn put(&mut self, day: &str, condition: Condition) -> Result<bool> {
        let metadata = [(REVISION, self.revision.to_string()), (CREATED, self.created.to_string())];
        let upload = Upload {
            key: &self.places.document(day, &self.stem),
            content: self.content.clone(),
            mediatype: MEDIATYPE,
            metadata: metadata.map(|(name, value)| (name.to_owned(), value)).into(),
            condition: self.condition(condition),
        };
        match self.written(upload).await? {
            Some(tag) => {
                self.placed = Some((day.to_owned(), tag));
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Writes the pointer; answers its tag, or `None` when the condition does not hold.
    async fn point(&self, day: &str, before: Option<&str>, condition: Condition) -> Result<Option<String>> {
        let before = before.map(|before| (BEFORE.to_owned(), before.to_owned()));
        let upload = Upload {
            key: &self.places.pointer(&self.stem),
            content: Bytes::copy_from_slice(day.as_bytes()),
            mediatype: "text/plain",
            metadata: HashMap::from_iter(before),
            condition: self.condition(condition),
        };
        self.written(upload).await
    }

    async fn written(&self, upload: Upload<'_>) -> Result<Option<String>> {
        match self.bucket.put(upload).await {
            Ok(tag) => Ok(Some(tag)),
            Err(Refused::Changed) => Ok(None),
            Err(other) => Err(other.into_error().within(format_args!("vCon `{}`", self.uuid))),
        }
    }

    fn condition(&self, wanted: Condition) -> Condition {
        if self.conditional { wanted } else { Condition::None }
    }
}

/// The revision of an object; another program's has none.
fn revision(found: Option<&Head>) -> Option<u64> {
    found?.metadata.get(REVISION)?.parse().ok()
}

/// The condition under which an object that was looked at is written over.
fn over(found: Option<Head>) -> Condition {
    found.map_or(Condition::Absent, |found| Condition::Matches(found.tag))
}

/// Whether the pointer of a vCon names this day.
pub(super) async fn is_named(bucket: &Bucket, places: &Places, uuid: &str, day: &str) -> Result<bool> {
    let pointer = bucket.get(&places.pointer(&place::stem(uuid)?)).await?;
    Ok(pointer.is_some_and(|(content, _)| place::read_day(&content).as_deref() == Some(day)))
}

async fn pointer(bucket: &Bucket, places: &Places, stem: &Stem) -> Result<Option<Pointer>> {
    let Some((content, head)) = bucket.get(&places.pointer(stem)).await? else { return Ok(None) };
    let Some(day) = place::read_day(&content) else {
        return Err(Error::permanent(format!("{}: `{}` does not say a day", bucket.place, places.pointer(stem)))
            .help("look who wrote it; delete it, and the vCon can be saved again"));
    };
    let before = head.metadata.get(BEFORE).and_then(|before| place::read_day(before.as_bytes()));
    Ok(Some(Pointer { tag: head.tag, day, before }))
}

/// The document of a uuid; of the day that its pointer has said a moment ago, where somebody has looked.
pub(super) async fn load(bucket: &Bucket, places: &Places, uuid: &str, day: Option<String>) -> Result<Option<Bytes>> {
    let stem = place::stem(uuid)?;
    if let Some(day) = day
        && let Some((content, _)) = bucket.get(&places.document(&day, &stem)).await?
    {
        return Ok(Some(content));
    }
    // It may move between the two calls.
    for _ in 0..3 {
        let Some(pointer) = pointer(bucket, places, &stem).await? else { return Ok(None) };
        if let Some((content, _)) = bucket.get(&places.document(&pointer.day, &stem)).await? {
            return Ok(Some(content));
        }
    }
    Ok(None)
}

/// Deletes a vCon; the pointer last, so that what a crash leaves can be found and deleted again.
pub(super) async fn delete(bucket: &Bucket, places: &Places, uuid: &str) -> Result<bool> {
    let stem = place::stem(uuid)?;
    let Some(pointer) = pointer(bucket, places, &stem).await? else { return Ok(false) };
    for day in pointer.before.iter().chain([&pointer.day]) {
        bucket.delete(&places.document(day, &stem), None).await?;
    }
    bucket.delete(&places.pointer(&stem), None).await?;
    Ok(true)
}

/// Tries what a save needs, and that the server looks at conditions, without leaving a trace.
pub(super) async fn probe(bucket: &Bucket, places: &Places, conditional: bool) -> Result<()> {
    let stem = place::stem(&format!("probe-{}", uuid::Uuid::new_v4()))?;
    let key = places.pointer(&stem);
    let upload = |condition| Upload {
        key: &key,
        content: Bytes::new(),
        mediatype: "text/plain",
        metadata: HashMap::new(),
        condition: if conditional { condition } else { Condition::None },
    };
    bucket.put(upload(Condition::Absent)).await.map_err(Refused::into_error)?;
    let again = bucket.put(upload(Condition::Absent)).await;
    let read = bucket.get(&key).await;
    bucket.delete(&key, None).await?;
    bucket.keys(&places.folder("lookup"), None, 1).await?;
    read?;
    match again {
        Ok(_) if conditional => Err(Error::configuration(format!(
            "{}: the server does not look at the conditions of writes, so two writers could leave an older revision",
            bucket.place
        ))
        .help("set option `conditional_writes: false` if only one conductor writes there, or use a server that knows them")),
        Ok(_) | Err(Refused::Changed) => Ok(()),
        Err(other) => Err(other.into_error()),
    }
}
