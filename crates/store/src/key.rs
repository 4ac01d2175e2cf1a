//! Keys: paths of printable words.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a key (words joined by '/', printable, 1024 bytes at most)")]
pub struct KeyError(String);

/// The name of a value: words joined by `/`, none empty, e.g. `guest/100`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

impl Key {
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        let word = |w: &str| !w.is_empty() && w.chars().all(|c| !c.is_control());
        if text.len() <= limits::KEY_BYTES && text.split('/').all(word) {
            Ok(Self(text))
        } else {
            Err(KeyError(text))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Allows searching a map of keys from a prefix, which is not a key. Keys are ordered like their
/// text, by bytes.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Key {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> String {
        key.0
    }
}

impl FromStr for Key {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::new(text)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A prefix of keys: empty for all, else it ends with `/`, so that `guest/1` does not match
/// `guest/100`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Prefix(String);

impl Prefix {
    /// All keys.
    pub fn all() -> Self {
        Self(String::new())
    }

    /// All keys below `folder`, which is a key without the final `/`.
    pub fn below(folder: &str) -> Result<Self, KeyError> {
        Key::new(folder).map(|key| Self(format!("{key}/")))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn contains(&self, key: &Key) -> bool {
        key.as_str().starts_with(&self.0)
    }
}
