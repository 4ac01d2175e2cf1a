//! OCI images: what a container is made of when its template is one.
//!
//! ```text
//!   archive ── index ──► manifest ──► configuration ──► options of the container
//!   (tar)                    └─ layers: examine ─ whiteouts ─ put ──► Place
//! ```
//!
//! All of this runs in a process that sees nothing but the archive and the container's file systems,
//! as the container's root. A layer is read twice: nothing of it is written before both of its
//! digests are found to be right.
//!
//! Sources: the image specification of the Open Container Initiative, 1.1; pax(1) and GNU tar's manual
//! on the format of archives.

mod archive;
mod blob;
mod config;
mod layer;
mod tar;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;

use serde::{Deserialize, Serialize};

pub use config::{ImageConfig, ImageOptions, split_words};
pub use tar::{Entry, Kind};

use archive::Archive;

/// Why an image is not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("the image is refused: {0}")]
    Refused(String),
    #[error("there is no space left on the container's file systems")]
    Full,
    #[error("cannot write '{path}'")]
    Write { path: String, source: io::Error },
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
}

impl ImageError {
    fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }

    fn write(path: &str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Write {
                path: path.to_owned(),
                source,
            },
        }
    }
}

/// What is to be done with a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageOrder {
    /// The archive, as the program sees it.
    pub archive: String,
    /// As images name it: `amd64`.
    pub arch: String,
}

/// The container's files. Paths are relative to its root, without `.` and `..`; links among their
/// folders lead to files of the container and nowhere else.
pub trait Place {
    /// Removes what is there, with all that is in it. Nothing there is fine.
    fn remove(&mut self, path: &str) -> io::Result<()>;

    /// Removes all that is in a folder.
    fn clear(&mut self, path: &str) -> io::Result<()>;

    /// Makes a file, folder, link, pipe or device, in place of what is there; a folder that is there
    /// keeps its content. False where it was left out, being a device.
    fn put(&mut self, entry: &Entry, content: &mut dyn io::Read) -> io::Result<bool>;

    /// Makes a folder if nothing is there.
    fn folder(&mut self, path: &str) -> io::Result<()>;

    /// Reads a regular file; none where there is no such file.
    fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>>;
}

/// What became of a template.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageOutcome {
    /// None where the archive is no image: nothing was written.
    pub options: Option<ImageOptions>,
    pub warnings: Vec<String>,
}

/// Unpacks an image, if the archive is one; `say` gets a line for each layer.
pub fn unpack(
    archive: File,
    arch: &str,
    place: &mut dyn Place,
    say: &mut dyn FnMut(&str),
) -> Result<ImageOutcome, ImageError> {
    let mut outcome = ImageOutcome::default();
    let Some(mut archive) = Archive::open(archive)? else {
        return Ok(outcome);
    };
    say("Detected OCI archive");
    let image = archive.image(arch)?;
    let count = image.layers.len();
    for (index, layer) in image.layers.iter().enumerate() {
        say(&format!("layer {} of {count}: {}", index + 1, layer.blob));
        let left_out = layer::unpack(&mut archive, layer, place)?;
        if left_out > 0 {
            let warning = format!("{left_out} devices of {} were left out", layer.blob);
            outcome.warnings.push(warning);
        }
    }
    for folder in image.config.volume_folders()? {
        let made = place.folder(&folder);
        made.map_err(|error| ImageError::write(&folder, error))?;
    }
    let options = image.config.options(place, &mut outcome.warnings)?;
    outcome.options = Some(options);
    Ok(outcome)
}
