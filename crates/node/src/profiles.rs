//! Profiles: what new virtual machines of a class are like (docs/profiles.md).

use std::collections::BTreeMap;

use model::qemu::DriveSlot;
use model::schema::format::split_list;
use model::schema::{Values, find};
use model::{ByteSize, Error, StorageId, VmId};
use serde_json::Value;
use store::{Key, Prefix, Revision};

use crate::{Records, Settings};

/// The key of a profile's record.
pub fn profile_key(id: &str) -> Result<Key, Error> {
    let key = Key::new(format!("profile/{id}"));
    key.map_err(|_| Error::invalid("profile", "the name is too long"))
}

pub fn no_profile(id: &str) -> Error {
    Error::invalid("profile", format!("no such profile '{id}'"))
}

/// A profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    pub id: String,
    pub settings: Settings,
}

impl Profile {
    fn get(&self, option: &str) -> Option<&Value> {
        self.settings.options.get(option)
    }

    /// The template whose disks a machine gets; none: it is made of its options alone.
    pub fn from(&self) -> Option<VmId> {
        let number = self.get("from")?.as_u64()?;
        VmId::new(u32::try_from(number).ok()?).ok()
    }

    /// Whether the template's disks are copied, not linked.
    pub fn full(&self) -> Option<bool> {
        self.get("full")?.as_bool()
    }

    /// Where copies go.
    pub fn storage(&self) -> Option<StorageId> {
        self.get("storage")?.as_str()?.parse().ok()
    }

    /// How large disks are at least: `scsi0=40G,scsi1=10G`.
    pub fn disk_sizes(&self) -> Result<BTreeMap<DriveSlot, u64>, Error> {
        let text = self.get("disk-size").and_then(Value::as_str);
        disk_sizes(text.unwrap_or_default())
    }

    /// The options of the virtual machine.
    pub fn options(&self) -> Values {
        let all = self.settings.options.iter();
        let own = all.filter(|(name, _)| find(model::qemu::OPTIONS, name).is_some());
        own.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

fn disk_sizes(text: &str) -> Result<BTreeMap<DriveSlot, u64>, Error> {
    let invalid = |reason: String| Error::invalid("disk-size", reason);
    let mut sizes = BTreeMap::new();
    for entry in split_list(text) {
        let parsed = entry.split_once('=').and_then(|(slot, size)| {
            let slot: DriveSlot = slot.parse().ok()?;
            Some((slot, size.parse::<ByteSize>().ok()?.bytes()))
        });
        let Some((slot, bytes)) = parsed.filter(|(slot, bytes)| slot.bus().is_seen() && *bytes > 0)
        else {
            return Err(invalid(format!(
                "'{entry}' is not DISK=SIZE, as in scsi0=40G"
            )));
        };
        if sizes.insert(slot, bytes).is_some() {
            return Err(invalid(format!("'{slot}' is named twice")));
        }
    }
    Ok(sizes)
}

impl Records {
    /// All profiles, by id.
    pub async fn profiles(&self) -> Result<Vec<Profile>, Error> {
        let prefix = Prefix::below("profile").expect("a constant that is a key");
        let all = self.all_settings(&prefix).await?.into_iter();
        Ok(all.map(|(id, settings)| Profile { id, settings }).collect())
    }

    pub async fn profile(&self, id: &str) -> Result<Profile, Error> {
        let settings = self.kept_settings(&profile_key(id)?).await?;
        Ok(Profile {
            id: id.to_owned(),
            settings: settings.ok_or_else(|| no_profile(id))?,
        })
    }

    pub async fn remove_profile(&self, id: &str) -> Result<Revision, Error> {
        self.profile(id).await?;
        self.remove_settings(&profile_key(id)?).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_have_sizes() {
        let sizes = disk_sizes("scsi0=40G,virtio1=512M").unwrap();
        let sizes: Vec<(String, u64)> = sizes
            .iter()
            .map(|(slot, size)| (slot.to_string(), *size))
            .collect();
        assert_eq!(
            sizes,
            [
                ("scsi0".to_owned(), 40 << 30),
                ("virtio1".to_owned(), 512 << 20)
            ]
        );
        assert!(disk_sizes("").unwrap().is_empty());
        for text in [
            "scsi0",
            "scsi0=x",
            "efidisk0=4M",
            "net0=4M",
            "scsi0=0",
            "scsi0=1G,scsi0=2G",
        ] {
            let error = disk_sizes(text).unwrap_err();
            assert!(error.fields.contains_key("disk-size"), "{text}: {error:?}");
        }
    }
}
