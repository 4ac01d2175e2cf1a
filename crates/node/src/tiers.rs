//! Tiers: what volumes of a class of guests are like (docs/tiers.md).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use auth::Authority;
use model::schema::find;
use model::schema::format::split_list;
use model::{Error, PoolId, StorageId, VmId, VolumeId};
use proto::table::TIER_PROPERTIES;
use serde_json::Value;
use storage::{StorageError, TieredVolume};
use store::{Key, Prefix, Revision};

use crate::{NodeContext, Records, Settings, volumes};

/// The key of a tier's record.
pub fn tier_key(id: &str) -> Result<Key, Error> {
    let key = Key::new(format!("tier/{id}"));
    key.map_err(|_| Error::invalid("tier", "the name is too long"))
}

pub fn no_tier(id: &str) -> Error {
    Error::invalid("tier", format!("no such tier '{id}'"))
}

/// A tier.
#[derive(Debug, Clone, PartialEq)]
pub struct Tier {
    pub id: String,
    pub settings: Settings,
}

impl Tier {
    fn list(&self, option: &str) -> impl Iterator<Item = &str> {
        let text = self.settings.options.get(option).and_then(Value::as_str);
        split_list(text.unwrap_or_default())
    }

    /// The tags of its guests.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.list("tags")
    }

    pub fn pools(&self) -> impl Iterator<Item = &str> {
        self.list("pools")
    }

    fn priority(&self) -> u64 {
        let priority = self.settings.options.get("priority");
        priority.and_then(Value::as_u64).unwrap_or_default()
    }

    /// What its volumes are to have.
    pub fn properties(&self) -> BTreeMap<String, String> {
        let options = self.settings.options.iter();
        let own = options.filter(|(name, _)| find(&[TIER_PROPERTIES], name).is_some());
        own.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect()
    }

    fn has(&self, class: &Class) -> bool {
        let has_tag = split_list(&class.tags).any(|given| self.tags().any(|tag| tag == given));
        let pool = class.pool.as_ref();
        has_tag || pool.is_some_and(|pool| self.pools().any(|one| one == pool.as_str()))
    }
}

impl Records {
    /// All tiers, by id.
    pub async fn tiers(&self) -> Result<Vec<Tier>, Error> {
        let prefix = Prefix::below("tier").expect("a constant that is a key");
        let all = self.all_settings(&prefix).await?.into_iter();
        Ok(all.map(|(id, settings)| Tier { id, settings }).collect())
    }

    pub async fn tier(&self, id: &str) -> Result<Tier, Error> {
        let settings = self.kept_settings(&tier_key(id)?).await?;
        Ok(Tier {
            id: id.to_owned(),
            settings: settings.ok_or_else(|| no_tier(id))?,
        })
    }

    pub async fn remove_tier(&self, id: &str) -> Result<Revision, Error> {
        self.tier(id).await?;
        self.remove_settings(&tier_key(id)?).await
    }
}

/// What a guest's tier depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) tags: String,
    pub(crate) pool: Option<PoolId>,
}

/// Knows the tiers of guests, also of those that a task is making: their records have no options yet.
pub(crate) struct GuestTiers {
    records: Records,
    authority: Arc<Authority>,
    /// A task that was interrupted makes nothing of a guest any more, so this needs no store.
    new: Mutex<BTreeMap<VmId, Class>>,
}

impl GuestTiers {
    pub(crate) fn new(records: &Records, authority: Arc<Authority>) -> Self {
        Self {
            records: records.local(),
            authority,
            new: Mutex::default(),
        }
    }

    /// Says what a guest will be that is being made.
    pub(crate) fn expect(&self, vmid: VmId, class: Class) {
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        new.insert(vmid, class);
    }

    /// Its record says it now, or it will not be.
    pub(crate) fn forget(&self, vmid: VmId) {
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        new.remove(&vmid);
    }

    fn expected(&self, vmid: VmId) -> Option<Class> {
        let new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        new.get(&vmid).cloned()
    }

    async fn class_of(&self, vmid: VmId) -> Result<Class, Error> {
        if let Some(class) = self.expected(vmid) {
            return Ok(class);
        }
        let guest = self.records.find(vmid).await?;
        let tags = guest.and_then(|guest| guest.record.data.config.text("tags"));
        let access = self.authority.access();
        Ok(Class {
            tags: tags.unwrap_or_default(),
            pool: access.pool_of_guest(vmid.get()).cloned(),
        })
    }

    async fn find(&self, owner: VmId) -> Result<Option<Tier>, Error> {
        let tiers = self.records.tiers().await?;
        if tiers.is_empty() {
            return Ok(None);
        }
        let class = self.class_of(owner).await?;
        Ok(first_of(&tiers, &class).cloned())
    }
}

/// The tier that counts for a guest.
fn first_of<'a>(tiers: &'a [Tier], class: &Class) -> Option<&'a Tier> {
    let its = tiers.iter().filter(|tier| tier.has(class));
    its.max_by_key(|tier| (tier.priority(), Reverse(tier.id.as_str())))
}

impl From<&Tier> for storage::Tier {
    fn from(tier: &Tier) -> Self {
        Self {
            name: tier.id.clone(),
            properties: tier.properties(),
        }
    }
}

fn unknown(owner: VmId, error: &Error) -> StorageError {
    StorageError::NoTier {
        owner,
        reason: error.to_string(),
    }
}

#[async_trait]
impl storage::Tiers for GuestTiers {
    async fn tier_of(&self, owner: VmId) -> Result<Option<storage::Tier>, StorageError> {
        let tier = self.find(owner).await;
        let tier = tier.map_err(|error| unknown(owner, &error))?;
        Ok(tier.as_ref().map(storage::Tier::from))
    }

    /// The tiers are read once, and each guest.
    async fn tiers_of(
        &self,
        owners: &BTreeSet<VmId>,
    ) -> Result<BTreeMap<VmId, storage::Tier>, StorageError> {
        let mut found = BTreeMap::new();
        let Some(first) = owners.first() else {
            return Ok(found);
        };
        let tiers = self.records.tiers().await;
        let tiers = tiers.map_err(|error| unknown(*first, &error))?;
        if tiers.is_empty() {
            return Ok(found);
        }
        for owner in owners {
            let class = self.class_of(*owner).await;
            let class = class.map_err(|error| unknown(*owner, &error))?;
            if let Some(tier) = first_of(&tiers, &class) {
                found.insert(*owner, tier.into());
            }
        }
        Ok(found)
    }
}

/// Which volumes of a node are looked at.
#[derive(Debug, Clone, Default)]
pub struct Selected {
    pub storage: Option<StorageId>,
    pub vmid: Option<VmId>,
}

/// The volumes that were found, and the storages that could not be looked at.
#[derive(Debug, Default)]
pub struct Found {
    pub volumes: Vec<(VolumeId, TieredVolume)>,
    pub failed: Vec<(StorageId, String)>,
}

impl Selected {
    /// A storage that is named has to have such properties, and to be there.
    pub async fn find(&self, node: &NodeContext) -> Result<Found, Error> {
        let mut found = Found::default();
        let storages = match &self.storage {
            Some(id) => vec![node.storage(id).await?],
            None => node.storages().await?,
        };
        for driver in storages {
            let id = driver.config().id();
            let Some(tiered) = driver.tiered() else {
                if self.storage.is_some() {
                    let text = format!("storage '{id}' has no properties of volumes");
                    return Err(Error::invalid("storage", text));
                }
                continue;
            };
            let there = match driver.activate().await {
                Ok(()) => tiered.compare().await,
                Err(error) => Err(error),
            };
            match there {
                Ok(volumes) => {
                    for volume in volumes {
                        if self.vmid.is_none_or(|vmid| vmid == volume.owner) {
                            let named = volumes::named(id, volume.name.clone())?;
                            found.volumes.push((named, volume));
                        }
                    }
                }
                Err(error) if self.storage.is_some() => return Err(error.into()),
                Err(error) => found.failed.push((id.clone(), Error::chain(&error))),
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(id: &str, options: &[(&str, Value)]) -> Tier {
        let mut settings = Settings::default();
        for (name, value) in options {
            settings.options.insert((*name).into(), value.clone());
        }
        Tier {
            id: id.to_owned(),
            settings,
        }
    }

    /// covers: S4.14
    #[test]
    fn guests_are_of_a_tier_by_tag_or_pool() {
        let gold = tier(
            "gold",
            &[
                ("tags", "db;critical".into()),
                ("pools", "prod/a".into()),
                ("sync", "always".into()),
                ("priority", 5.into()),
            ],
        );
        let class = |tags: &str, pool: Option<&str>| Class {
            tags: tags.to_owned(),
            pool: pool.map(|pool| pool.parse().unwrap()),
        };
        assert!(gold.has(&class("web;db", None)) && gold.has(&class("", Some("prod/a"))));
        assert!(!gold.has(&class("dbs", Some("prod"))));
        let set = BTreeMap::from([("sync".to_owned(), "always".to_owned())]);
        assert_eq!((gold.properties(), gold.priority()), (set, 5));
    }
}
