//! `POST /nodes/{node}/qemu`

use std::collections::BTreeMap;

use model::qemu::{Boot, Drive, DriveSlot, Net};
use model::{Error, GuestConfig, GuestKind, PoolId};
use node::tasks::{QemuCreate, already_exists};
use node::{Edit, random_mac};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::Guest;
use super::cloudinit::seal_password;
use super::configure::{check_cpu_model, check_hook_script, options};
use super::drives::check_drives;
use super::rights::check_creation;
use crate::ops::Op;
use crate::ops::approved::check_options;
use crate::ops::guest_options::new_template;
use crate::ops::tags::check_tags;

#[derive(Deserialize)]
struct Create {
    pool: Option<PoolId>,
    start: Option<bool>,
    template: Option<bool>,
}

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    submit(&op).await
}

/// Submits the creation that the parameters ask for.
pub(in crate::ops) async fn submit(op: &Op) -> Result<Answer, Error> {
    let vmid = Guest::of(op)?.vmid;
    let Create {
        pool,
        start,
        template,
    } = op.params()?;
    let cluster = op.records.cluster_options().await?;
    let mut options = options(&op.params, &cluster);
    let becomes = new_template(&mut options, template, start)?;
    seal_password(&op.context, &mut options, &GuestConfig::default()).await?;
    let mut edit = Edit::new(&options, &|| {
        random_mac(cluster.mac_prefix(), &op.context.node.name)
    })?;
    if let Some(taken) = op.records.find(vmid).await? {
        return Err(already_exists(GuestKind::Qemu, vmid, &taken.record.data));
    }
    check_creation(op, &edit)?;
    check_tags(op, &GuestConfig::default(), edit.set.get("tags")).await?;
    check_options(op, edit.set.iter()).await?;
    check_drives(op, vmid, &edit).await?;
    check_cpu_model(op, &edit).await?;
    check_hook_script(op, &edit).await?;
    edit.check(None)?;
    fill_in(&mut edit, op.context.clock.wall());
    if let Some(pool) = &pool {
        let known = op.context.authority.access().pool(pool).is_some();
        if !known {
            return Err(Error::not_found(format!("pool '{pool}' does not exist")));
        }
    }
    let task = QemuCreate {
        vmid,
        edit,
        pool,
        start: start == Some(true),
        becomes,
    };
    op.context.submit(op, vmid, task).await
}

/// Defaults of every new guest: an identity, a time of creation, a boot order.
fn fill_in(edit: &mut Edit, now: model::UnixTime) {
    let uuid = || Uuid::new_v4().to_string();
    let set = &mut edit.set;
    set.entry("smbios1".into())
        .or_insert_with(|| format!("uuid={}", uuid()).into());
    let generation = set.entry("vmgenid".into()).or_insert_with(|| "1".into());
    if generation.as_str() == Some("1") {
        *generation = uuid().into();
    }
    set.insert("meta".into(), format!("ctime={now}").into());
    if !set.contains_key("boot") {
        let order = boot_order(set);
        set.insert("boot".into(), order.into());
    }
}

fn boot_order(set: &BTreeMap<String, Value>) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let drives: BTreeMap<DriveSlot, Drive> = set
        .iter()
        .filter_map(|(name, value)| {
            let slot: DriveSlot = name.parse().ok()?;
            Some((slot, Drive::parse(slot.bus(), &text(value)).ok()?))
        })
        .collect();
    let nets: Vec<u8> = set
        .iter()
        .filter(|(_, value)| Net::parse(&text(value)).is_ok())
        .filter_map(|(name, _)| name.strip_prefix("net")?.parse().ok())
        .collect();
    Boot::for_new_guest(&drives, &nets).print()
}
