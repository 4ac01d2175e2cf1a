//! What machines from elsewhere are made of: descriptions beside their disks (`.ovf`), or in one archive
//! with them (`.ova`, a tar). Both come from anybody: what is read of them is limited.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use guest::ovf::Appliance;
use model::{Error, VolumeId};

use super::info_of;
use crate::NodeContext;

/// The longest description.
const DESCRIPTION_BYTES_MAX: u64 = 1 << 20;

/// How many files of an archive are looked at.
const FILES_MAX: usize = 1000;

const BLOCK: usize = 512;

impl NodeContext {
    /// What the description in an `ovf` or `ova` says.
    pub async fn appliance(&self, volume: &VolumeId) -> Result<Appliance, Error> {
        let storage = self.storage(volume.storage()).await?;
        storage.activate().await?;
        let found = info_of(&*storage, volume).await?;
        let path = storage.path(volume.name())?;
        let file = self.host.open_image(&path, false, false).await?;
        let archive = Archive {
            node: self,
            path,
            file,
        };
        let text = match found.format.as_str() {
            "ovf" => archive.read(0, found.size).await?,
            "ova" => archive.description().await?,
            _ => {
                let text = format!("'{volume}' describes no machine: only ova and ovf do");
                return Err(Error::conflict(text));
            }
        };
        let unreadable = |why: String| Error::conflict(format!("'{volume}' cannot be read: {why}"));
        Appliance::parse(&text).map_err(unreadable)
    }
}

struct Archive<'a> {
    node: &'a NodeContext,
    path: PathBuf,
    file: Arc<OwnedFd>,
}

impl Archive<'_> {
    async fn read(&self, offset: u64, bytes: u64) -> Result<String, Error> {
        if bytes > DESCRIPTION_BYTES_MAX {
            let path = self.path.display();
            let text =
                format!("the description in '{path}' is longer than {DESCRIPTION_BYTES_MAX} bytes");
            return Err(Error::conflict(text));
        }
        let text = self.at(offset, bytes as usize).await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    async fn at(&self, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let host = &self.node.host;
        let read = host.read_at(&self.file, &self.path, offset, length).await;
        Ok(read?)
    }

    /// The first file of a tar that is a description.
    async fn description(&self) -> Result<String, Error> {
        let mut offset = 0;
        for _ in 0..FILES_MAX {
            let header = self.at(offset, BLOCK).await?;
            let Some((name, bytes)) = entry(&header) else {
                break;
            };
            offset += BLOCK as u64;
            if Path::new(&name)
                .extension()
                .is_some_and(|ending| ending.eq_ignore_ascii_case("ovf"))
            {
                return self.read(offset, bytes).await;
            }
            let whole = bytes.checked_next_multiple_of(BLOCK as u64);
            match whole.and_then(|bytes| offset.checked_add(bytes)) {
                Some(next) => offset = next,
                None => break,
            }
        }
        let path = self.path.display();
        Err(Error::conflict(format!(
            "there is no description in '{path}'"
        )))
    }
}

/// Name and size of a file in a tar; none at the end of it.
fn entry(header: &[u8]) -> Option<(String, u64)> {
    let name = header.get(..100)?;
    let name = name.split(|byte| *byte == 0).next()?;
    let size = header.get(124..136)?;
    let bytes = match size.split_first()? {
        // Large sizes are binary (GNU).
        (0x80, rest) => u64::from_be_bytes(rest.get(3..11)?.try_into().ok()?),
        _ => {
            let digits = std::str::from_utf8(size).ok()?;
            let digits = digits.trim_matches(|c: char| c == '\0' || c.is_whitespace());
            u64::from_str_radix(digits, 8).ok()?
        }
    };
    (!name.is_empty()).then(|| (String::from_utf8_lossy(name).into_owned(), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_name_and_size() {
        let mut header = vec![0; BLOCK];
        assert_eq!(entry(&header), None);
        header[..5].copy_from_slice(b"a.ovf");
        header[124..135].copy_from_slice(b"00000001750");
        assert_eq!(entry(&header), Some(("a.ovf".to_owned(), 1000)));
        header[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
        assert_eq!(entry(&header), Some(("a.ovf".to_owned(), 2 << 32)));
        header[124..128].copy_from_slice(b"9x8 ");
        assert_eq!(entry(&header), None);
        assert_eq!(entry(&header[..50]), None);
    }
}
