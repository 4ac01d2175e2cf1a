//! Linked clones: qcow2 images on the images of templates.
//!
//! ```text
//!   images/100/base-100-disk-0.raw        100/base-100-disk-0.raw
//!   images/101/vm-101-disk-0.qcow2        100/base-100-disk-0.raw/101/vm-101-disk-0.qcow2
//!        └─ header: ../100/base-100-disk-0.raw
//! ```

use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use model::{BlockFormat, BlockSource, BlockSpec, VmId};

use super::{Dir, Location, layout};
use crate::{ContentType, LinkedClones, NewClone, Storage, StorageError, image, inspect};

/// More images than anybody stacks; a longer chain leads in a circle.
const CHAIN_MAX: usize = 32;

#[async_trait]
impl LinkedClones for Dir {
    fn base_name(&self, name: &str) -> Result<String, StorageError> {
        let bad = || StorageError::BadName(name.to_owned());
        self.locate(name)?;
        let (rest, file) = name.rsplit_once('/').ok_or_else(bad)?;
        let of_image = file.strip_prefix("vm-").map(|of| format!("base-{of}"));
        let of_tree = file
            .strip_prefix("subvol-")
            .map(|of| format!("basevol-{of}"));
        let base = of_image.or(of_tree).ok_or_else(bad)?;
        Ok(format!("{rest}/{base}"))
    }

    /// A base is never written, so its header can be relied on from then on, if it names the base
    /// that the image's own name does.
    async fn check_fit_for_base(&self, name: &str) -> Result<(), StorageError> {
        if layout::is_tree(&self.locate(name)?.name) {
            // A folder refers to nothing.
            return Ok(());
        }
        let (location, format) = self.locate_image(name)?;
        let path = self.path_of(&location);
        let header = inspect(&self.host, &path, format).await;
        let header = header.map_err(|source| self.failed(source))?;
        let says = header.backing.map(|backing| resolve(&path, &backing));
        let named = location
            .name
            .base
            .map(|base| self.folder(ContentType::Images).join(base));
        if says == named && !header.has_data_elsewhere {
            return Ok(());
        }
        let what = format!("'{name}' as a base: it refers to other files than its name says");
        let storage = self.config.id().clone();
        Err(StorageError::Unsupported { storage, what })
    }

    fn clone_format(&self) -> BlockFormat {
        BlockFormat::Qcow2
    }

    async fn choose_clone_name(
        &self,
        base: &str,
        owner: VmId,
        taken: &[String],
    ) -> Result<String, StorageError> {
        let (base, _) = self.locate_image(base)?;
        let name = self
            .choose_image_name(owner, BlockFormat::Qcow2, taken)
            .await?;
        Ok(format!("{}/{name}", base.name.image))
    }

    async fn plan_clone(
        &self,
        base: &str,
        owner: VmId,
        taken: &[String],
    ) -> Result<NewClone, StorageError> {
        let found = self.stat(base).await?.ok_or_else(|| self.no_volume(base))?;
        Ok(NewClone {
            name: self.choose_clone_name(base, owner, taken).await?,
            size: found.size,
        })
    }

    async fn create_clone(&self, base: &str, name: &str) -> Result<(), StorageError> {
        let (location, _) = self.locate_image(name)?;
        let (base, base_format) = self.locate_image(base)?;
        if location.name.base.as_ref() != Some(&base.name.image) {
            return Err(StorageError::BadName(name.to_owned()));
        }
        let path = self.path_of(&location);
        self.make_place(name, &path).await?;
        let made = async {
            let header = inspect(&self.host, &self.path_of(&base), base_format).await?;
            let (backing, size) = (format!("../{}", base.name.image), header.virtual_size);
            image::create_overlay(&self.host, &path, &backing, base_format, size).await
        };
        let made = made.await;
        if made.is_err() {
            // Only what we were making can be there: it was not there before.
            let _ = self.free(name).await;
        }
        made.map_err(|source| self.failed(source))
    }
}

impl Dir {
    /// What an image is a linked clone of, down to what stands for itself.
    pub(super) async fn backing(
        &self,
        location: &Location,
    ) -> Result<Option<BlockSpec>, StorageError> {
        let Some(base) = &location.name.base else {
            return Ok(None);
        };
        let mut chain = Vec::new();
        let mut next = Some(self.folder(ContentType::Images).join(base));
        while let Some(path) = next.take() {
            if chain.len() == CHAIN_MAX {
                let name = &location.name.image;
                return Err(self.inactive(format!("'{name}' has too many layers")));
            }
            let format = self.format_within(&path)?;
            if format == BlockFormat::Qcow2 {
                let header = inspect(&self.host, &path, format).await;
                let header = header.map_err(|source| self.failed(source))?;
                next = header.backing.map(|backing| resolve(&path, &backing));
            }
            chain.push((path, format));
        }
        let spec = chain.into_iter().rev().fold(None, |below, (path, format)| {
            let source = BlockSource::File(path.display().to_string());
            Some(BlockSpec {
                read_only: true,
                can_discard: false,
                backing: below.map(Box::new),
                ..BlockSpec::new(source, format)
            })
        });
        Ok(spec)
    }

    /// The format of a base by its path, which must be that of a base of this storage: headers
    /// are only believed so far.
    fn format_within(&self, path: &Path) -> Result<BlockFormat, StorageError> {
        let name = path
            .strip_prefix(self.folder(ContentType::Images))
            .ok()
            .and_then(Path::to_str);
        let location = name.and_then(layout::parse);
        let base = location.filter(|location| location.name.is_base);
        let format = base.and_then(|location| location.name.image_format);
        format.ok_or_else(|| StorageError::BadName(path.display().to_string()))
    }
}

/// Where a header's words lead, without asking the file system.
fn resolve(image: &Path, backing: &str) -> PathBuf {
    let folder = image.parent().unwrap_or(image);
    let mut resolved = PathBuf::new();
    for part in folder.join(backing).components() {
        match part {
            Component::ParentDir => {
                resolved.pop();
            }
            Component::CurDir => {}
            part => resolved.push(part),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_leads_from_its_own_folder() {
        let image = Path::new("/srv/images/101/vm-101-disk-0.qcow2");
        let base = resolve(image, "../100/base-100-disk-0.raw");
        assert_eq!(base, Path::new("/srv/images/100/base-100-disk-0.raw"));
        assert_eq!(resolve(image, "/etc/shadow"), Path::new("/etc/shadow"));
    }
}
