//! Which guests reach their bridge's uplink and not each other (docs/isolation.md).

use std::collections::BTreeMap;
use std::time::Duration;

use guest::lxc::CtConfig;
use guest::qemu::VmConfig;
use model::schema::format::split_list;
use model::{Error, GuestKind, GuestRecord, PoolId, PortSpec, VmId};
use serde_json::Value;
use store::Key;
use tracing::warn;

use crate::guests::ports;
use crate::{NodeContext, Records, Settings};

/// How soon a change of the policy, of tags or of pools has reached ports that are there.
const LOOK: Duration = Duration::from_secs(5);

/// The key of the policy's record.
pub fn isolation_key() -> Key {
    Key::new("settings/isolation").expect("a constant that is a key")
}

/// The policy.
#[derive(Debug, Clone, Default)]
pub struct Isolation(pub Settings);

impl Isolation {
    fn list(&self, option: &str) -> impl Iterator<Item = &str> {
        let text = self.0.options.get(option).and_then(Value::as_str);
        split_list(text.unwrap_or_default())
    }

    /// The tags of guests that are isolated.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.list("tags")
    }

    fn is_empty(&self) -> bool {
        self.tags().chain(self.list("pools")).next().is_none()
    }

    fn has_guest(&self, guest: &GuestRecord, pool: Option<&PoolId>) -> bool {
        let given = guest.config.text("tags").unwrap_or_default();
        let has_tag = split_list(&given).any(|given| self.tags().any(|tag| tag == given));
        has_tag || pool.is_some_and(|pool| self.list("pools").any(|one| one == pool.as_str()))
    }

    fn has_bridge(&self, bridge: &str) -> bool {
        let mut bridges = self.list("bridges").peekable();
        bridges.peek().is_none() || bridges.any(|one| one == bridge)
    }
}

impl Records {
    pub async fn isolation(&self) -> Result<Isolation, Error> {
        Ok(Isolation(self.settings(&isolation_key()).await?))
    }
}

impl NodeContext {
    /// Isolates those of a guest's ports that are to be.
    pub(crate) async fn isolate<'a>(
        &self,
        vmid: VmId,
        ports: impl IntoIterator<Item = &'a mut PortSpec>,
    ) -> Result<(), Error> {
        let policy = self.records.local().isolation().await?;
        if policy.is_empty() {
            return Ok(());
        }
        // One that arrives is still another node's.
        let guest = self.records.local().find(vmid).await?;
        let gone = || Error::not_found(format!("guest {vmid} does not exist"));
        let guest = guest.ok_or_else(gone)?.record.data;
        self.apply(&policy, &guest, ports);
        Ok(())
    }

    fn apply<'a>(
        &self,
        policy: &Isolation,
        guest: &GuestRecord,
        ports: impl IntoIterator<Item = &'a mut PortSpec>,
    ) {
        let access = self.authority.access();
        let pool = access.pool_of_guest(guest.vmid.get());
        if policy.has_guest(guest, pool) {
            for port in ports {
                port.isolated = policy.has_bridge(&port.bridge);
            }
        }
    }
}

/// Has ports that are there follow the policy. Never returns.
pub async fn follow_isolation(node: &NodeContext) {
    let mut known = None;
    loop {
        if let Err(error) = settle(node, &mut known).await {
            warn!(%error, "the isolation of guests is not as it is to be");
        }
        node.clock.sleep(LOOK).await;
    }
}

/// Whether each port is isolated.
type Ports = BTreeMap<String, bool>;

/// `known`: what this agent has found or set; none before its first look.
async fn settle(node: &NodeContext, known: &mut Option<Ports>) -> Result<(), Error> {
    let records = node.records.local();
    let policy = records.isolation().await?;
    let none_is = |ports: &Ports| ports.values().all(|is_isolated| !is_isolated);
    if policy.is_empty() && known.as_ref().is_some_and(none_is) {
        return Ok(());
    }
    let before = known.take().unwrap_or_default();
    let mut seen = Ports::new();
    for vmid in node
        .host
        .scopes()
        .await?
        .into_iter()
        .filter_map(|scope| scope.vmid())
    {
        let Some(guest) = records.find(vmid).await? else {
            continue;
        };
        let guest = guest.record.data;
        let mut ports = ports_of(&guest)?;
        node.apply(&policy, &guest, &mut ports);
        for port in ports {
            if node.host.link(&port.name).await?.is_none() {
                continue;
            }
            if before.get(&port.name) != Some(&port.isolated) {
                network::set_isolated(&*node.host, &port).await?;
            }
            seen.insert(port.name, port.isolated);
        }
    }
    *known = Some(seen);
    Ok(())
}

fn ports_of(guest: &GuestRecord) -> Result<Vec<PortSpec>, Error> {
    let vmid = guest.vmid;
    Ok(match guest.kind {
        GuestKind::Qemu => {
            let config = VmConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
            let nets = config.nets.iter();
            nets.filter_map(|(index, net)| ports::of_vm(vmid, *index, net))
                .collect()
        }
        GuestKind::Lxc => {
            let config = CtConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
            let nets = config.nets.iter();
            nets.filter_map(|(index, net)| ports::of_container(vmid, *index, net))
                .collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(options: &[(&str, &str)]) -> Isolation {
        let mut policy = Isolation::default();
        for (name, value) in options {
            policy.0.options.insert((*name).into(), (*value).into());
        }
        policy
    }

    /// covers: S2.70
    #[test]
    fn guests_are_chosen_by_tag_or_pool() {
        let mut guest = GuestRecord::new(
            VmId::new(100).unwrap(),
            GuestKind::Lxc,
            "n1".parse().unwrap(),
            model::UnixTime::default(),
        );
        guest.config.set("tags", "customer;web");
        let pool: PoolId = "tenants/a".parse().unwrap();
        let by_tag = policy(&[("tags", "customer"), ("bridges", "vmbr1,vmbr2")]);
        assert!(by_tag.has_guest(&guest, None));
        assert!(by_tag.has_bridge("vmbr2") && !by_tag.has_bridge("vmbr0"));
        guest.config.set("tags", "customers");
        assert!(!by_tag.has_guest(&guest, Some(&pool)));
        let by_pool = policy(&[("pools", "tenants/a")]);
        assert!(by_pool.has_guest(&guest, Some(&pool)) && !by_pool.has_guest(&guest, None));
        assert!(by_pool.has_bridge("vmbr0"));
        assert!(policy(&[("bridges", "vmbr0")]).is_empty());
    }
}
