//! The order in which guests of a node start and stop together: that of their `startup`.

use model::qemu::Startup;
use model::{Error, GuestKind, VmId};

use crate::{NodeContext, node_config_key};

/// A guest of this node, by its turn.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StartupOrder {
    /// Those without an order come last.
    pub(crate) order: u32,
    pub(crate) vmid: VmId,
    /// How long the next ones wait after this one was started.
    pub(crate) delay_s: u64,
    /// How long it may take to shut down, where that is configured.
    pub(crate) down_s: Option<u64>,
    pub(crate) on_boot: bool,
    pub(crate) kind: GuestKind,
}

/// All guests of this node, by their turn.
pub(crate) async fn guests(node: &NodeContext) -> Result<Vec<StartupOrder>, Error> {
    let mut found = Vec::new();
    for guest in node.records.local().guests().await? {
        let guest = guest?;
        let is_template = guest.config.flag("template") == Some(true);
        if guest.node != node.name || is_template {
            continue;
        }
        let startup = guest.config.text("startup");
        let startup = startup.and_then(|text| Startup::parse(&text).ok());
        let startup = startup.unwrap_or_default();
        found.push(StartupOrder {
            order: startup.order.unwrap_or(u32::MAX),
            vmid: guest.vmid,
            delay_s: startup.up_seconds.unwrap_or(0).into(),
            down_s: startup.down_seconds.map(u64::from),
            on_boot: guest.config.flag("onboot") == Some(true),
            kind: guest.kind,
        });
    }
    found.sort();
    Ok(found)
}

/// How long guests wait that start with the node.
pub(crate) async fn onboot_delay_s(node: &NodeContext) -> Result<u64, Error> {
    let settings = node
        .records
        .local()
        .settings(&node_config_key(&node.name))
        .await?;
    Ok(settings.onboot_delay_s())
}

/// Those with the same order together, the groups in order.
pub(crate) fn groups(guests: Vec<StartupOrder>) -> Vec<Vec<StartupOrder>> {
    let mut groups: Vec<Vec<StartupOrder>> = Vec::new();
    for guest in guests {
        match groups.last_mut() {
            Some(group) if group[0].order == guest.order => group.push(guest),
            _ => groups.push(vec![guest]),
        }
    }
    groups
}
