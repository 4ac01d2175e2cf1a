//! Which storages volumes go to: the format `storage-pair-list`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::StorageId;

/// Each source storage's target. The default is that volumes stay on storages of the same id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageMap {
    entries: BTreeMap<StorageId, StorageId>,
    /// The target of all others; none: the same id.
    default: Option<StorageId>,
}

impl StorageMap {
    /// Reads `1` (the same ids), or a list of `SOURCE:TARGET` and at most one `TARGET` for all
    /// others. The error is the text of Proxmox VE.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).map_err(|why| format!("failed to parse storage map: {why}"))
    }

    fn read(text: &str) -> Result<Self, String> {
        let mut map = Self::default();
        let mut is_identity = false;
        let entries: Vec<&str> = crate::schema::format::split_list(text).collect();
        for entry in &entries {
            let invalid = |_| format!("entry '{entry}' contains invalid ID");
            let id = |text: &str| StorageId::new(text).map_err(invalid);
            match entry.split_once(':') {
                Some((from, to)) => {
                    if map.entries.insert(id(from)?, id(to)?).is_some() {
                        return Err(format!("duplicate mapping for source '{from}'"));
                    }
                }
                None if *entry == "1" => is_identity = true,
                None if map.default.is_some() => {
                    return Err("default target ID can only be provided once".to_owned());
                }
                None => map.default = Some(id(entry)?),
            }
        }
        if is_identity && entries.len() > 1 {
            return Err("identity mapping cannot be combined with other mappings".to_owned());
        }
        Ok(map)
    }

    pub fn target<'a>(&'a self, from: &'a StorageId) -> &'a StorageId {
        let named = self.entries.get(from).or(self.default.as_ref());
        named.unwrap_or(from)
    }

    /// Whether volumes keep the storage of this id.
    pub fn is_identity(&self, from: &StorageId) -> bool {
        self.target(from) == from
    }

    /// Every storage that is named as a target.
    pub fn targets(&self) -> impl Iterator<Item = &StorageId> {
        self.entries.values().chain(&self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> StorageId {
        StorageId::new(text).unwrap()
    }

    #[test]
    fn a_volume_goes_where_its_storage_is_mapped_to() {
        let map = StorageMap::parse("a1:b1,c1:d1 e1").unwrap();
        for (from, to) in [("a1", "b1"), ("c1", "d1"), ("x1", "e1"), ("e1", "e1")] {
            assert_eq!(map.target(&id(from)), &id(to));
        }
        assert!(map.is_identity(&id("e1")) && !map.is_identity(&id("a1")));
        assert_eq!(StorageMap::parse("1").unwrap(), StorageMap::default());
    }

    #[test]
    fn a_bad_map_is_refused() {
        for (text, why) in [
            ("a1:b/1", "entry 'a1:b/1' contains invalid ID"),
            ("a1:b1,a1:c1", "duplicate mapping for source 'a1'"),
            ("a1,b1", "default target ID can only be provided once"),
            (
                "1,a1:b1",
                "identity mapping cannot be combined with other mappings",
            ),
        ] {
            let refused = StorageMap::parse(text).unwrap_err();
            assert_eq!(refused, format!("failed to parse storage map: {why}"));
        }
    }
}
