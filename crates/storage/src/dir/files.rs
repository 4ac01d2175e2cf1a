//! Files that people bring: iso images, templates, snippets.

use std::path::{Path, PathBuf};

use super::{Dir, layout};
use crate::{ContentType, FileVolumes, StorageError};

impl FileVolumes for Dir {
    fn file_volume(&self, content: ContentType, file_name: &str) -> Result<String, StorageError> {
        let name = format!("{}/{file_name}", content.as_str());
        match layout::parse(&name) {
            Some(location) if location.name.content == content => Ok(name),
            _ => Err(StorageError::BadName(name)),
        }
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn uploads(&self) -> PathBuf {
        self.root.join(".arriving")
    }
}
