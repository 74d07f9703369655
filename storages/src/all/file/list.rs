//! Listing by time: the folders of the days, and the root for files that lie in none.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use vconductor_core::Result;
use vconductor_core::plugin::{ListPage, ListQuery};

use super::disk::Disk;
use super::fault::fault;
use super::find;
use super::place::stem_of_file;
use crate::days::{Key, Listing};
use crate::stem::uuid;

impl Disk {
    /// One page, and what is needed for the next one.
    pub(super) fn list(&self, query: &ListQuery, under_way: Option<Listing>) -> Result<(ListPage, Option<Listing>)> {
        let mut listing = match under_way {
            Some(listing) => listing,
            None => {
                let mut listing = Listing::start(query, find::days(&self.options.path)?)?;
                listing.add(self.read_folder(Path::new(""))?);
                listing
            }
        };
        while let Some(day) = listing.next_day(query.limit) {
            listing.add(self.read_folder(&find::day_folder(day))?);
        }
        Ok(listing.page(query.limit))
    }

    /// The vCons in one folder.
    fn read_folder(&self, folder: &Path) -> Result<Vec<Key>> {
        let mut found = Vec::new();
        let path = self.options.path.join(folder);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(fault("list", &path, error)),
        };
        for entry in entries {
            let name = entry.map_err(|error| fault("list", &path, error))?.file_name();
            let Some(name) = name.to_str() else { continue };
            let Some((stem, uuid)) = stem_of_file(name).and_then(|stem| Some((stem, uuid(stem)?))) else { continue };
            let place: PathBuf = folder.join(name);
            let created = match self.index.read(stem)? {
                Some(known) if known.place == place => Some(known.created),
                // A file that the vCon has left.
                Some(known) if find::is_file(&self.options.path.join(&known.place))? => None,
                _ => self.created(&place)?,
            };
            found.extend(created.map(|created| (created, uuid)));
        }
        Ok(found)
    }
}
