//! `/ostler/cluster/tiers`, and the volumes of a node that follow them

mod apply;
mod create;
mod delete;
mod get;
mod list;
mod update;
mod volumes;

use model::schema::find;
use model::{Error, PoolId, StorageId, VmId};
use node::tiers::{Found, Selected, Tier};
use proto::table::TIER_PROPERTIES;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::TieredVolume;

use crate::ops::{Op, Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("tier_apply", apply::apply),
    pair!("tier_create", create::create),
    pair!("tier_delete", delete::delete),
    pair!("tier_get", get::get),
    pair!("tier_list", list::list),
    pair!("tier_update", update::update),
    pair!("tier_volumes", volumes::volumes),
];

/// What a tier has besides the properties of volumes.
const OWN: [&str; 4] = ["comment", "pools", "priority", "tags"];

#[derive(Deserialize)]
struct Named {
    tier: String,
}

#[derive(Deserialize)]
struct Wanted {
    storage: Option<StorageId>,
    vmid: Option<VmId>,
}

impl Wanted {
    fn selected(self) -> Selected {
        Selected {
            storage: self.storage,
            vmid: self.vmid,
        }
    }
}

fn is_option(name: &str) -> bool {
    OWN.contains(&name) || find(&[TIER_PROPERTIES], name).is_some()
}

/// Refuses a tier without guests or properties, and pools that are not there.
fn check(op: &Op, tier: &Tier) -> Result<(), Error> {
    if tier.tags().chain(tier.pools()).next().is_none() {
        let text = "a tier needs tags or pools of its guests";
        return Err(Error::invalid("tags", text));
    }
    if tier.properties().is_empty() {
        return Err(Error::invalid(
            "tier",
            "a tier needs a property of its volumes",
        ));
    }
    let access = op.context.authority.access();
    let is_there = |name: &str| {
        let id = name.parse::<PoolId>();
        id.is_ok_and(|id| access.pool(&id).is_some())
    };
    let missing = tier.pools().find(|name| !is_there(name));
    missing.map_or(Ok(()), |name| {
        let text = format!("pool '{name}' does not exist");
        Err(Error::invalid("pools", text))
    })
}

/// A tier as answers show it.
fn shown(tier: &Tier) -> Value {
    let mut row = json!(tier.settings.options);
    row["tier"] = tier.id.as_str().into();
    row["digest"] = tier.settings.digest().into();
    row
}

/// Volumes as answers show them.
fn shown_volumes(found: &Found, is_wanted: impl Fn(&TieredVolume) -> bool) -> Value {
    let volumes = found.volumes.iter().filter(|(_, one)| is_wanted(one));
    let volumes = volumes.map(|(id, volume)| {
        let differences = volume.differences.iter().map(|one| {
            let mut row = json!({
                "property": one.property,
                "from": one.from,
                "verdict": one.verdict.as_str(),
            });
            if let Some(to) = &one.to {
                row["to"] = to.as_str().into();
            }
            row
        });
        let mut row = json!({
            "volid": id.to_string(),
            "vmid": volume.owner,
            "properties": volume.properties,
            "differences": differences.collect::<Vec<Value>>(),
        });
        if let Some(tier) = &volume.tier {
            row["tier"] = tier.as_str().into();
        }
        row
    });
    let failed = found
        .failed
        .iter()
        .map(|(id, reason)| json!({"storage": id, "reason": reason}));
    json!({
        "volumes": volumes.collect::<Vec<Value>>(),
        "failed": failed.collect::<Vec<Value>>(),
    })
}
