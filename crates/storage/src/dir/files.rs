//! Files that people bring: iso images, templates, snippets.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{Dir, layout};
use crate::{ContentType, FileVolumes, StorageError};

#[async_trait]
impl FileVolumes for Dir {
    fn file_volume(&self, content: ContentType, file_name: &str) -> Result<String, StorageError> {
        let name = format!("{}/{file_name}", content.as_str());
        match layout::parse(&name) {
            Some(location) if location.content == content => Ok(name),
            _ => Err(StorageError::BadName(name)),
        }
    }

    fn path(&self, name: &str) -> Result<PathBuf, StorageError> {
        Ok(self.root().join(self.locate(name)?.path))
    }

    fn uploads(&self) -> PathBuf {
        self.root().join(".arriving")
    }

    async fn adopt(&self, arrived: &Path, name: &str, replace: bool) -> Result<(), StorageError> {
        let path = self.path(name)?;
        if let Some(folder) = path.parent() {
            self.host
                .create_dir(folder, 0o755)
                .await
                .map_err(|source| self.failed(source))?;
        }
        if replace {
            self.host
                .remove(&path)
                .await
                .map_err(|source| self.failed(source))?;
        }
        let exists = self
            .host
            .stat(&path)
            .await
            .map_err(|source| self.failed(source))?
            .is_some();
        if exists {
            let storage = self.config.id.clone();
            return Err(StorageError::Exists {
                storage,
                name: name.to_owned(),
            });
        }
        self.host
            .rename(arrived, &path)
            .await
            .map_err(|source| self.failed(source))
    }
}
