//! Tiers: what volumes of a class of guests are like, where the storage can set that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use model::VmId;

use crate::StorageError;

/// A class of guests, and the properties of their volumes by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tier {
    /// Letters, digits, `-` and `_`.
    pub name: String,
    pub properties: BTreeMap<String, String>,
}

/// Knows the tiers of guests.
#[async_trait]
pub trait Tiers: Send + Sync {
    /// The tier of a guest; none where it has none.
    async fn tier_of(&self, owner: VmId) -> Result<Option<Tier>, StorageError>;

    /// Those of several guests, as they are at one time; a guest that has none is not among them.
    async fn tiers_of(
        &self,
        owners: &BTreeSet<VmId>,
    ) -> Result<BTreeMap<VmId, Tier>, StorageError> {
        let mut tiers = BTreeMap::new();
        for owner in owners {
            if let Some(tier) = self.tier_of(*owner).await? {
                tiers.insert(*owner, tier);
            }
        }
        Ok(tiers)
    }
}

/// What becomes of a property that is not as its tier says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is set.
    Set,
    /// The tier had set it and says nothing of it any more: it is inherited again.
    Inherit,
    /// It was set outside of the tier, and stays.
    Kept,
    /// It can only be chosen when a volume is made, so it stays.
    OnlyNew,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Inherit => "inherit",
            Self::Kept => "kept",
            Self::OnlyNew => "only-new",
        }
    }

    /// Whether something is done.
    pub fn is_change(self) -> bool {
        matches!(self, Self::Set | Self::Inherit)
    }
}

/// A property that is not as the tier says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub property: String,
    pub from: String,
    /// None: what it inherits.
    pub to: Option<String>,
    pub verdict: Verdict,
}

/// A volume of a guest, with those of its properties that tiers are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TieredVolume {
    pub name: String,
    pub owner: VmId,
    /// The guest's tier as it is now.
    pub tier: Option<String>,
    pub properties: BTreeMap<String, String>,
    pub differences: Vec<Difference>,
}

/// Volumes that are made get what the tiers of their guests say; those that are there are compared
/// and changed.
#[async_trait]
pub trait Tiered: Send + Sync {
    /// Says whom to ask. Without it no guest has a tier.
    fn follow(&self, tiers: Arc<dyn Tiers>);

    /// The volumes of guests, with what differs.
    async fn compare(&self) -> Result<Vec<TieredVolume>, StorageError>;

    /// Makes a volume what its tier says, as far as that can be done, and says what was different.
    /// May be repeated. `NoVolume` where it is gone.
    async fn settle(&self, name: &str) -> Result<Vec<Difference>, StorageError>;
}
