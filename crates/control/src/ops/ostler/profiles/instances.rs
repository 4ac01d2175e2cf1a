//! `POST /ostler/nodes/{node}/profiles/{profile}/create`: one or several virtual machines of a profile. Each is made
//! as its caller could make it without a profile, with the same rights.

use std::collections::BTreeMap;

use model::qemu::{DriveSlot, OPTIONS};
use model::schema::{Values, find};
use model::{Error, GuestConfig, PoolId, StorageId, VmId};
use node::profiles::Profile;
use node::tasks::{CloneChanges, QemuClone};
use node::{Edit, random_mac};
use proto::table;
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Named, check_no_volumes};
use crate::ops::Op;
use crate::ops::qemu;

#[derive(Deserialize)]
struct Instances {
    vmid: Option<VmId>,
    name: Option<String>,
    pool: Option<PoolId>,
    storage: Option<StorageId>,
    start: Option<bool>,
    count: Option<u32>,
}

pub(super) async fn instances(mut op: Op) -> Result<Answer, Error> {
    let Named { profile } = op.params()?;
    let wanted: Instances = op.params()?;
    let profile = op.records.profile(&profile).await?;
    let count = wanted.count.unwrap_or(1);
    if wanted.vmid.is_some() && count > 1 {
        return Err(Error::invalid("vmid", "several machines get free numbers"));
    }
    if profile.from().is_none() && wanted.storage.is_some() {
        let text = "this profile has no template: its disks name their storages";
        return Err(Error::invalid("storage", text));
    }
    let mut options = profile.options();
    let given = op.params.iter();
    let own = given.filter(|(name, _)| is_option(name) && *name != "name");
    options.extend(own.map(|(name, value)| (name.clone(), value.clone())));

    let mut machines = Vec::new();
    for number in 1..=count {
        let vmid = match wanted.vmid {
            Some(vmid) => vmid,
            None => op.records.reserve_vmid(&op.identity()?.label()).await?,
        };
        let name = wanted.name.as_ref().map(|name| match count {
            1 => name.clone(),
            _ => format!("{name}-{number}"),
        });
        machines.push((vmid, name));
    }
    // All are checked before the first is made.
    let requests: Vec<Values> = machines
        .iter()
        .map(|(vmid, name)| request(&op, &wanted, &options, *vmid, name.as_deref()))
        .collect::<Result<_, _>>()?;
    let (mut rows, id) = (Vec::new(), op.request_id.clone());
    for ((vmid, name), params) in machines.into_iter().zip(requests) {
        // Each is a request of its own.
        op.request_id = format!("{id} {vmid}");
        op.params = params;
        let answer = match profile.from() {
            None => qemu::submit_creation(&op).await?,
            Some(template) => clone(&op, &profile, template, &wanted).await?,
        };
        let mut row = json!({"vmid": vmid, "upid": answer.data});
        if let Some(name) = name {
            row["name"] = name.into();
        }
        rows.push(row);
    }
    Ok(Answer::new(rows))
}

fn is_option(name: &str) -> bool {
    find(OPTIONS, name).is_some()
}

/// The creation that a machine of these options would be, checked as one.
fn request(
    op: &Op,
    wanted: &Instances,
    options: &Values,
    vmid: VmId,
    name: Option<&str>,
) -> Result<Values, Error> {
    let mut params = options.clone();
    for (key, value) in [
        ("node", Some(op.context.node.name.as_str().into())),
        ("vmid", Some(vmid.get().into())),
        ("name", name.map(Value::from)),
        (
            "pool",
            wanted.pool.as_ref().map(|pool| pool.as_str().into()),
        ),
        ("start", wanted.start.map(Value::from)),
    ] {
        if let Some(value) = value {
            params.insert(key.to_owned(), value);
        }
    }
    permitted(op, "qemu_create", &params)
}

/// The parameters of another operation, with all that is checked before it runs.
fn permitted(op: &Op, name: &str, params: &Values) -> Result<Values, Error> {
    let row = table::row(name).ok_or_else(|| Error::bug(format!("there is no row {name}")))?;
    let params = row.check_params(params)?;
    let access = op.context.authority.access();
    access.check(
        &row.permission,
        op.identity()?,
        &params,
        op.context.clock.wall(),
    )?;
    Ok(params)
}

/// A clone of the template that has the options of the profile from the beginning.
async fn clone(
    op: &Op,
    profile: &Profile,
    template: VmId,
    wanted: &Instances,
) -> Result<Answer, Error> {
    let storage = wanted.storage.clone().or_else(|| profile.storage());
    let full = profile.full().unwrap_or(storage.is_some());
    let of = |name: &str| op.params.get(name).cloned();
    let mut params = Values::new();
    for (name, value) in [
        ("node", of("node")),
        ("vmid", Some(template.get().into())),
        ("newid", of("vmid")),
        ("name", of("name")),
        ("pool", of("pool")),
        ("full", Some(full.into())),
        (
            "storage",
            storage
                .filter(|_| full)
                .map(|storage| storage.as_str().into()),
        ),
    ] {
        if let Some(value) = value {
            params.insert(name.to_owned(), value);
        }
    }
    let params = permitted(op, "qemu_clone", &params)?;
    let mut task = qemu::clone_task(op, template, &params).await?;
    task.changes = changes(op, profile.disk_sizes()?, wanted.start == Some(true)).await?;
    op.context.submit::<QemuClone>(op, task.vmid, task).await
}

async fn changes(
    op: &Op,
    sizes: BTreeMap<DriveSlot, u64>,
    start: bool,
) -> Result<CloneChanges, Error> {
    let cluster = op.records.cluster_options().await?;
    let mut options = qemu::stored_options(&op.params, &cluster);
    options.remove("name");
    qemu::seal_password(&op.context, &mut options, &GuestConfig::default()).await?;
    let edit = Edit::new(&options, &|| {
        random_mac(cluster.mac_prefix(), &op.context.node.name)
    })?;
    check_no_volumes(&edit)?;
    qemu::check_creation(op, &edit)?;
    qemu::check_cpu_model(op, &edit).await?;
    qemu::check_hook_script_in(op, &edit).await?;
    Ok(CloneChanges {
        options: edit.set,
        sizes,
        start,
    })
}
