//! Layers: qcow2 images on the images of templates.
//!
//! ```text
//!   images/100/base-100-disk-0.raw        100/base-100-disk-0.raw
//!   images/101/vm-101-disk-0.qcow2        100/base-100-disk-0.raw/101/vm-101-disk-0.qcow2
//!        └─ header: ../100/base-100-disk-0.raw
//! ```

use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use model::{BlockFormat, BlockSource, BlockSpec, VmId, VolumeId};

use super::{Dir, layout};
use crate::{Bases, Storage, StorageError, image, inspect};

/// More layers than anybody stacks; a longer chain leads in a circle.
const LAYERS_MAX: usize = 32;

#[async_trait]
impl Bases for Dir {
    fn base_name(&self, name: &str) -> Result<String, StorageError> {
        let bad = || StorageError::BadName(name.to_owned());
        self.locate_image(name)?;
        let (rest, file) = name.rsplit_once('/').ok_or_else(bad)?;
        let of_base = file.strip_prefix("vm-").ok_or_else(bad)?;
        Ok(format!("{rest}/base-{of_base}"))
    }

    fn is_base(&self, name: &str) -> bool {
        let file = name.rsplit('/').next().unwrap_or_default();
        self.locate_image(name).is_ok() && layout::is_base(file)
    }

    async fn rename_image(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let path = |name: &str| Ok(self.root().join(self.locate_image(name)?.0.path));
        let (source, target): (PathBuf, PathBuf) = (path(from)?, path(to)?);
        let is_there = async |path: &Path| {
            let entry = self.host.stat(path).await;
            entry
                .map(|entry| entry.is_some())
                .map_err(|source| self.failed(source))
        };
        if is_there(&source).await? {
            self.make_place(to, &target).await?;
            let renamed = self.host.rename(&source, &target).await;
            // One of the two folders may have lost its last image, or never got one.
            self.remove_if_empty(&source).await?;
            self.remove_if_empty(&target).await?;
            return renamed.map_err(|source| self.failed(source));
        }
        if is_there(&target).await? {
            return self.remove_if_empty(&source).await;
        }
        let storage = self.config.id.clone();
        let name = from.to_owned();
        Err(StorageError::NoVolume { storage, name })
    }

    async fn choose_layer_name(
        &self,
        base: &str,
        owner: VmId,
        taken: &[String],
    ) -> Result<String, StorageError> {
        let name = self
            .choose_image_name(owner, BlockFormat::Qcow2, taken)
            .await?;
        let base = VolumeId::new(self.config.id.clone(), base)
            .map_err(|_| StorageError::BadName(base.to_owned()))?;
        Ok(format!("{}/{name}", base.image()))
    }

    async fn create_layer(&self, name: &str) -> Result<(), StorageError> {
        let (location, _, _) = self.locate_image(name)?;
        let bad = || StorageError::BadName(name.to_owned());
        let base = location.base.as_deref().ok_or_else(bad)?;
        let (_, _, base_format) = self.locate_image(base)?;
        let path = self.root().join(&location.path);
        self.make_place(name, &path).await?;
        let base_path = self.root().join("images").join(base);
        let header = inspect(&self.host, &base_path, base_format).await;
        let size = header.map_err(|source| self.failed(source))?.virtual_size;
        let backing = format!("../{base}");
        let made = image::create_layer(&self.host, &path, &backing, base_format, size).await;
        if made.is_err() {
            // Only what we were making can be there: it was not there before.
            let _ = self.free(name).await;
        }
        made.map_err(|source| self.failed(source))
    }

    async fn check_fit_for_base(&self, name: &str) -> Result<(), StorageError> {
        let (location, _, format) = self.locate_image(name)?;
        let path = self.root().join(&location.path);
        let header = inspect(&self.host, &path, format).await;
        let header = header.map_err(|source| self.failed(source))?;
        let says = header.backing.map(|backing| resolve(&path, &backing));
        let named = location
            .base
            .map(|base| self.root().join("images").join(base));
        if says == named && !header.has_data_elsewhere {
            return Ok(());
        }
        let what = format!("'{name}' as a base: it refers to other files than its name says");
        let storage = self.config.id.clone();
        Err(StorageError::Unsupported { storage, what })
    }

    async fn backing(&self, name: &str) -> Result<Option<BlockSpec>, StorageError> {
        let Some(base) = self.locate(name)?.base else {
            return Ok(None);
        };
        let mut layers = Vec::new();
        let mut next = Some(self.root().join("images").join(base));
        while let Some(path) = next.take() {
            if layers.len() == LAYERS_MAX {
                return Err(self.inactive(format!("'{name}' has too many layers")));
            }
            let format = self.format_within(&path)?;
            if format == BlockFormat::Qcow2 {
                let header = inspect(&self.host, &path, format).await;
                let header = header.map_err(|source| self.failed(source))?;
                next = header.backing.map(|backing| resolve(&path, &backing));
            }
            layers.push((path, format));
        }
        let spec = layers
            .into_iter()
            .rev()
            .fold(None, |below, (path, format)| {
                Some(BlockSpec {
                    source: BlockSource::Path(path.display().to_string()),
                    format,
                    read_only: true,
                    can_discard: false,
                    backing: below.map(Box::new),
                })
            });
        Ok(spec)
    }
}

impl Dir {
    /// The format of a base by its path, which must be that of a base of this storage: headers
    /// are only believed so far.
    fn format_within(&self, path: &Path) -> Result<BlockFormat, StorageError> {
        let images = self.root().join("images");
        let name = path.strip_prefix(&images).ok().and_then(Path::to_str);
        let file = path.file_name().and_then(|file| file.to_str());
        let is_base = file.is_some_and(layout::is_base);
        let location = name.and_then(layout::parse).filter(|_| is_base);
        let format = location.and_then(|location| location.format);
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
