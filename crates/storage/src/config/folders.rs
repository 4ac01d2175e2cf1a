//! Folders of contents that a storage has elsewhere: `content-dirs iso=a/b,backup=c`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ContentType;

/// Other folders than the usual ones, each relative to the storage's path. As text a list of
/// `content=folder`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FolderNames(BTreeMap<ContentType, String>);

impl FolderNames {
    pub fn get(&self, content: ContentType) -> Option<&str> {
        self.0.get(&content).map(String::as_str)
    }
}

impl TryFrom<String> for FolderNames {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut names = BTreeMap::new();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (content, folder) = part
                .split_once('=')
                .ok_or_else(|| format!("'{part}' is not CONTENT=FOLDER"))?;
            let kind = ContentType::from_name(content)
                .ok_or_else(|| format!("unknown content type '{content}'"))?;
            let folder = folder.trim_matches('/');
            let is_below = folder
                .split('/')
                .all(|part| !part.is_empty() && part != "..");
            if !is_below || folder.split('/').any(|part| part.starts_with('.')) {
                return Err(format!("'{folder}' is no folder below the storage's path"));
            }
            if names.insert(kind, folder.to_owned()).is_some() {
                return Err(format!("'{content}' has two folders"));
            }
        }
        Ok(Self(names))
    }
}

impl From<FolderNames> for String {
    fn from(names: FolderNames) -> Self {
        names.to_string()
    }
}

impl fmt::Display for FolderNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (content, folder)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{}={folder}", content.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<FolderNames, String> {
        text.to_owned().try_into()
    }

    #[test]
    fn folders_are_relative_and_below_the_path() {
        let names = read("iso=/a/b/,backup=c").unwrap();
        assert_eq!(names.get(ContentType::Iso), Some("a/b"));
        assert_eq!(names.get(ContentType::Images), None);
        assert_eq!(names.to_string(), "iso=a/b,backup=c");
        for bad in [
            "iso",
            "iso=",
            "iso=../x",
            "iso=a/../b",
            "disc=a",
            "iso=a,iso=b",
            "iso=.a",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
