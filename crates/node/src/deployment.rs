//! What new guests may be made of (docs/deployment.md).

use model::schema::format::split_list;
use model::{Error, VmId, VolumeId};
use serde_json::Value;
use store::Key;

use crate::{Records, Settings};

/// The key of the policy's record.
pub fn deployment_key() -> Key {
    Key::new("settings/deployment").expect("a constant that is a key")
}

/// The policy.
#[derive(Debug, Clone, Default)]
pub struct Deployment(pub Settings);

impl Deployment {
    fn list(&self, option: &str) -> impl Iterator<Item = &str> {
        let text = self.0.options.get(option).and_then(Value::as_str);
        split_list(text.unwrap_or_default())
    }

    /// Whether guests are only made of what is approved.
    pub fn is_enforced(&self) -> bool {
        self.0.options.get("mode").and_then(Value::as_str) == Some("approved")
    }

    /// Whether guests may be made as clones of this one.
    pub fn approves_guest(&self, vmid: VmId) -> bool {
        self.list("templates").any(|one| one.parse() == Ok(vmid))
    }

    /// Whether guests may be made of this image or archive, or be installed from it.
    pub fn approves_volume(&self, volume: &VolumeId) -> bool {
        self.list("volumes")
            .any(|one| one.parse().as_ref() == Ok(volume))
    }
}

impl Records {
    pub async fn deployment(&self) -> Result<Deployment, Error> {
        Ok(Deployment(self.settings(&deployment_key()).await?))
    }
}
