//! One file: reading ranges of rows, writing rows.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Error;
use sys::SharedHost;

use crate::Kind;
use crate::archive::Archive;
use crate::layout::{self, Origin, header, offset};
use crate::row::{Row, consolidate, decode, encode, row_bytes};

/// A file that is open.
pub(crate) struct Ring {
    host: SharedHost,
    path: PathBuf,
    kind: Kind,
    image: Arc<OwnedFd>,
    pub(crate) origin: Origin,
}

/// What is found at a path.
pub(crate) enum Opened {
    Ring(Ring),
    Missing,
    /// Not a file of ours, or not one any more; says why.
    Damaged(String),
}

impl Ring {
    pub(crate) async fn open(
        host: &SharedHost,
        path: &Path,
        kind: Kind,
        write: bool,
    ) -> Result<Opened, Error> {
        let image = match host.open_image(path, write, false).await {
            Ok(image) => image,
            Err(error) if error.is_not_found() => return Ok(Opened::Missing),
            Err(error) if error.is_wrong_content() => {
                return Ok(Opened::Damaged(error.to_string()));
            }
            Err(error) => return Err(error.into()),
        };
        let length = offset(kind, 0, 0) as usize;
        let beginning = host.read_at(&image, path, 0, length).await?;
        Ok(match layout::origin(kind, &beginning) {
            Err(why) => Opened::Damaged(why),
            Ok(origin) => Opened::Ring(Self {
                host: host.clone(),
                path: path.to_owned(),
                kind,
                image,
                origin,
            }),
        })
    }

    /// Makes an empty file, or replaces what is there.
    pub(crate) async fn create(
        host: &SharedHost,
        path: &Path,
        kind: Kind,
        origin: Origin,
    ) -> Result<(), Error> {
        Ok(host.write(path, &header(kind, origin), 0o600).await?)
    }

    fn archive(&self, index: usize) -> &'static Archive {
        &Archive::all(self.kind)[index]
    }

    /// The rows of consecutive slots that were written, in order. At most as many as the archive
    /// has.
    pub(crate) async fn rows(
        &self,
        index: usize,
        first: u32,
        count: u32,
    ) -> Result<Vec<Row>, Error> {
        let archive = self.archive(index);
        let place = archive.place(first);
        let at_end = count.min(archive.rows - place);
        let mut rows = self.read(index, place, at_end).await?;
        rows.extend(self.read(index, 0, count - at_end).await?);
        let wanted = (first..first + count).zip(rows);
        let written = wanted.filter_map(|(slot, row)| row.filter(|row| row.slot == slot));
        Ok(written.collect())
    }

    /// What is at consecutive places.
    async fn read(&self, index: usize, place: u32, count: u32) -> Result<Vec<Option<Row>>, Error> {
        let (archive, columns) = (self.archive(index), self.kind.columns().len());
        let bytes = row_bytes(archive, columns);
        let (start, length) = (offset(self.kind, index, place), bytes * count as usize);
        let read = self.host.read_at(&self.image, &self.path, start, length);
        let mut read = read.await?;
        read.resize(length, 0);
        let rows = read.chunks_exact(bytes);
        Ok(rows.map(|row| decode(archive, columns, row)).collect())
    }

    /// The last minute that was written before this one.
    pub(crate) async fn minute_before(&self, minute: u32) -> Result<Option<u32>, Error> {
        let rows = self.read(0, 0, self.archive(0).rows).await?;
        let slots = rows.iter().flatten().map(|row| row.slot);
        Ok(slots.filter(|slot| *slot < minute).max())
    }

    async fn write(&self, index: usize, row: &Row) -> Result<(), Error> {
        let archive = self.archive(index);
        let start = offset(self.kind, index, archive.place(row.slot));
        let bytes = encode(archive, row);
        let written = self.host.write_at(&self.image, &self.path, start, bytes);
        Ok(written.await?)
    }

    pub(crate) async fn write_origin(&self, origin: Origin) -> Result<(), Error> {
        let bytes = header(self.kind, origin);
        let written = self.host.write_at(&self.image, &self.path, 0, bytes);
        Ok(written.await?)
    }

    /// Writes a minute, and the rows of coarser archives that end with it or have ended since the
    /// minute that was written before.
    pub(crate) async fn add(&self, row: &Row, before: Option<u32>) -> Result<(), Error> {
        self.write(0, row).await?;
        let minute = row.slot;
        for (index, archive) in Archive::all(self.kind).iter().enumerate().skip(1) {
            let left = before.filter(|before| {
                before % archive.minutes() != 0
                    && archive.slot_of(*before) < archive.slot_of(minute)
            });
            if let Some(before) = left {
                self.consolidate(index, archive.slot_of(before)).await?;
            }
            if minute.is_multiple_of(archive.minutes()) {
                self.consolidate(index, archive.slot_of(minute)).await?;
            }
        }
        Ok(())
    }

    async fn consolidate(&self, index: usize, slot: u32) -> Result<(), Error> {
        let of = self.archive(index).of;
        let rows = self.rows(index - 1, (slot - 1) * of + 1, of).await?;
        match consolidate(slot, of, &rows) {
            Some(row) => self.write(index, &row).await,
            None => Ok(()),
        }
    }
}
