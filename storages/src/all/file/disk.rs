//! The work on the disk. Everything here blocks.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Once;

use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use uuid::Uuid;
use vconductor_core::clock::{Clock as _, Millis, SystemClock};
use vconductor_core::plugin::SaveItem;
use vconductor_core::{Error, Result};

use super::fault::fault;
use super::find;
use super::folder::{self, Incoming, Temporary};
use super::index::{Entry, Index, part};
use super::options::Options;
use super::place::{ENDINGS, place, stem};

/// How often a save makes its day folder anew when a delete of the day's last other vCon took it away.
const FOLDER_RACES: usize = 5;

/// One storage's folder.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) options: Options,
    pub(super) index: Index,
    swept: Once,
}

/// A vCon that is completely written and durable, but not at its place yet.
#[derive(Debug)]
pub(super) struct Staged {
    stem: String,
    entry: Entry,
    file: Temporary,
}

impl Disk {
    pub(super) fn new(options: Options) -> Disk {
        let index = Index {
            folder: options.path.join(".index"),
            incoming: Incoming {
                folder: options.path.join(".incoming"),
                file_mode: options.file_permissions.0,
                dir_mode: options.dir_permissions.0,
            },
        };
        Disk { options, index, swept: Once::new() }
    }

    /// Writes one vCon beside its place. Needs no lock.
    pub(super) fn stage(&self, item: &SaveItem) -> Result<Staged> {
        let stem = stem(&item.uuid)?;
        let document = self.options.format.text(&item.vcon)?;
        let limit = self.options.max_file_size.0;
        if limit > 0 && document.len() as u64 > limit {
            let size = document.len();
            return Err(Error::permanent(format!(
                "vCon `{}` has {size} bytes, more than max_file_size {limit}",
                item.uuid
            ))
            .help("raise `max_file_size` (0 is no limit), or take recordings out of the document (link `diet`)"));
        }
        let place = place(&self.options, &stem, &item.vcon);
        let created = item.vcon.created_at().map_or_else(|| SystemClock.now(), jiff::Timestamp::as_millisecond);
        let content = if self.options.compression { compressed(&document, &place)? } else { document };
        self.swept.call_once(|| folder::sweep(&self.index.incoming.folder));
        let file = self.index.incoming.write(&stem, &content, self.options.fsync)?;
        Ok(Staged { entry: Entry { revision: item.revision, created, place }, stem, file })
    }

    /// Moves staged vCons to their places, unless newer ones are there; one result each. A folder is made durable once
    /// for all of them.
    pub(super) fn publish(&self, staged: Vec<Staged>) -> Vec<Result<()>> {
        let mut results: Vec<Result<()>> = staged.iter().map(|_| Ok(())).collect();
        let mut locks: BTreeMap<u8, Option<File>> = staged.iter().map(|one| (part(&one.stem), None)).collect();
        let mut refused = BTreeMap::new();
        for (part, lock) in &mut locks {
            match self.index.lock(*part) {
                Ok(file) => *lock = Some(file),
                Err(error) => drop(refused.insert(*part, error)),
            }
        }
        // Several revisions of one vCon in a batch: the newest goes last.
        let mut order: Vec<(usize, Staged)> = staged.into_iter().enumerate().collect();
        order.sort_by_key(|(_, one)| one.entry.revision);

        let mut moved = Vec::new();
        let mut folders: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
        for (position, mut one) in order {
            if let Some(error) = refused.get(&part(&one.stem)) {
                results[position] = Err(again(error));
                continue;
            }
            match self.move_to_place(&mut one) {
                Ok(true) => {
                    folders.entry(self.folder_of(&one.entry.place)).or_default().push(position);
                    moved.push((position, one));
                }
                Ok(false) => {}
                Err(error) => results[position] = Err(error),
            }
        }
        if self.options.fsync {
            for (folder, positions) in &folders {
                if let Err(error) = folder::sync(folder) {
                    positions.iter().for_each(|&position| results[position] = Err(again(&error)));
                }
            }
        }
        for (position, one) in moved {
            if results[position].is_ok() {
                results[position] = self.enter(&one);
            }
        }
        results
    }

    /// False when a newer revision is there.
    fn move_to_place(&self, one: &mut Staged) -> Result<bool> {
        if let Some(known) = self.index.read(&one.stem)?
            && known.revision > one.entry.revision
            && find::is_file(&self.options.path.join(&known.place))?
        {
            return Ok(false);
        }
        let path = self.options.path.join(&one.entry.place);
        let mut races = 0;
        loop {
            match one.file.move_to(&path) {
                Ok(()) => return Ok(true),
                Err(error) if error.kind() == ErrorKind::NotFound && races < FOLDER_RACES => {
                    races += 1;
                    let folder = self.folder_of(&one.entry.place);
                    folder::make(&folder, self.options.dir_permissions.0, self.options.fsync)?;
                }
                Err(error) => return Err(fault("write", &path, error)),
            }
        }
    }

    /// Removes the vCon's file at other places and writes the index entry.
    fn enter(&self, one: &Staged) -> Result<()> {
        match self.index.read(&one.stem)? {
            Some(known) if known == one.entry => return Ok(()),
            Some(known) if known.place != one.entry.place => self.remove_file(&known.place)?,
            Some(_) => {}
            None => {
                // What vcon-server, or we under other options, may have written on the same day or without one.
                let folder = one.entry.place.parent().unwrap_or(Path::new(""));
                for folder in [folder, Path::new("")] {
                    for other in ENDINGS.map(|ending| folder.join(format!("{}{ending}", one.stem))) {
                        if other != one.entry.place {
                            self.remove_file(&other)?;
                        }
                    }
                }
            }
        }
        self.index.write(&one.stem, &one.entry)
    }

    /// The document of a uuid.
    pub(super) fn load(&self, uuid: &str) -> Result<Option<Bytes>> {
        let Ok(stem) = stem(uuid) else { return Ok(None) };
        let root = &self.options.path;
        if let Some(known) = self.index.read(&stem)?
            && let Some(document) = find::read(&root.join(known.place))?
        {
            return Ok(Some(document));
        }
        for place in find::copies(root, &stem)? {
            if let Some(document) = find::read(&root.join(place))? {
                return Ok(Some(document));
            }
        }
        Ok(None)
    }

    /// Deletes every file of a uuid; false if there was none.
    pub(super) fn delete(&self, uuid: &str) -> Result<bool> {
        let Ok(stem) = stem(uuid) else { return Ok(false) };
        if !self.options.path.is_dir() {
            return Ok(false);
        }
        let _lock = self.index.lock(part(&stem))?;
        // All of them: an older file that stayed would come back as the vCon.
        let copies = find::copies(&self.options.path, &stem)?;
        for place in &copies {
            self.remove_file(place)?;
        }
        self.index.remove(&stem)?;
        Ok(!copies.is_empty())
    }

    /// Removes a file and the folders that this empties.
    fn remove_file(&self, place: &Path) -> Result<()> {
        let path = self.options.path.join(place);
        if folder::remove(&path)? {
            let folder = self.folder_of(place);
            let stays = folder::prune(&folder, &self.options.path);
            if self.options.fsync {
                // A save at the same time may have taken that one away as well; then there is nothing to make durable.
                if let Err(error) = folder::sync(stays)
                    && stays.exists()
                {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Writes and removes a file, and the folders that had to be made for it.
    pub(super) fn probe(&self) -> Result<()> {
        let incoming = &self.index.incoming.folder;
        let made = folder::make(incoming, self.options.dir_permissions.0, false)?;
        let probe = incoming.join(format!("health.{}", Uuid::new_v4().simple()));
        let written = File::create_new(&probe)
            .and_then(|mut file| file.write_all(b"probe").and_then(|()| file.sync_all()))
            .map_err(|error| fault("write", &probe, error));
        let removed = fs::remove_file(&probe).map_err(|error| fault("remove", &probe, error));
        for folder in made.iter().rev() {
            // Somebody else may use it by now.
            fs::remove_dir(folder).ok();
        }
        written.and(removed)
    }

    /// When a vCon without an index entry was created.
    pub(super) fn created(&self, place: &Path) -> Result<Option<Millis>> {
        let path = self.options.path.join(place);
        let Some(document) = find::read(&path)? else { return Ok(None) };
        if let Some(created) = vconductor_core::vcon::Vcon::read(document).ok().and_then(|vcon| vcon.created_at()) {
            return Ok(Some(created.as_millisecond()));
        }
        let written = fs::metadata(&path).and_then(|metadata| metadata.modified());
        let since = written.ok().and_then(|written| written.duration_since(std::time::UNIX_EPOCH).ok());
        Ok(Some(since.map_or(0, |since| Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX))))
    }

    fn folder_of(&self, place: &Path) -> PathBuf {
        match place.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => self.options.path.join(parent),
            None => self.options.path.clone(),
        }
    }
}

fn compressed(document: &[u8], place: &Path) -> Result<Bytes> {
    // No name and no time inside: the same document gives the same bytes.
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::default());
    let done = gzip.write_all(document).and_then(|()| gzip.finish());
    done.map(Bytes::from).map_err(|error| fault("compress", place, error))
}

/// The same error for another vCon of the batch.
fn again(error: &Error) -> Error {
    let copy = Error::new(error.class(), error.chain_text());
    match error.help_text() {
        Some(help) => copy.help(help),
        None => copy,
    }
}
