//! `POST /nodes/{node}/lxc`

use auth::{crypt, is_crypted};
use model::qemu::ssh_keys;
use model::{Error, GuestConfig, GuestKind, PoolId, Privilege, StorageId, VmId};
use node::tasks::{LxcCreate, Template, already_exists};
use node::{CtEdit, random_mac};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::Value;
use storage::ContentType;

use super::Container;
use super::configure::{check_bridges, check_devices, options};
use super::mounts::check_mounts;
use super::rights::check_creation;
use crate::ops::Op;
use crate::ops::approved::check_archive;
use crate::ops::guest_options::new_template;
use crate::ops::qemu::check_hook_script;
use crate::ops::tags::check_tags;
use crate::ops::volume_access::check_use;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Create {
    ostemplate: String,
    storage: Option<StorageId>,
    password: Option<String>,
    ssh_public_keys: Option<String>,
    pool: Option<PoolId>,
    start: Option<bool>,
    template: Option<bool>,
    ignore_unpack_errors: Option<bool>,
}

pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let wanted: Create = op.params()?;
    let cluster = op.records.cluster_options().await?;
    if let Some(taken) = op.records.find(vmid).await? {
        let taken = &taken.record.data;
        return Err(already_exists(GuestKind::Lxc, vmid, taken));
    }
    let keys = keys(wanted.ssh_public_keys.as_deref())?;
    check_pool(&op, wanted.pool.as_ref())?;
    let template = template(&op, vmid, &wanted.ostemplate).await?;
    let archive = match &template {
        Template::Volume(volume) => Some(volume),
        Template::Path(_) => None,
    };
    check_archive(&op, archive).await?;
    let local = || "local".parse().map_err(|_| Error::bug("a constant"));
    let storage = wanted.storage.clone().map_or_else(local, Ok)?;
    op.context.node.storage(&storage).await?;
    let mut options = options(&op.params, &cluster);
    let becomes = new_template(&mut options, wanted.template, wanted.start)?;
    if !options.contains_key("rootfs") {
        if options.keys().any(|name| name.starts_with("mp")) {
            let text = "mount points configured, but 'rootfs' not set - aborting";
            return Err(Error::conflict(text));
        }
        options.insert("rootfs".to_owned(), "4".into());
    }
    let mut edit = CtEdit::new(&options, &storage, &|| {
        random_mac(cluster.mac_prefix(), &op.context.node.name)
    })?;
    edit.fill_in(vmid);
    let is_privileged = !edit.set.contains_key("unprivileged");
    check_creation(&op, &edit, is_privileged)?;
    check_tags(&op, &GuestConfig::default(), edit.set.get("tags")).await?;
    check_mounts(&op, vmid, &edit).await?;
    check_bridges(&op, &edit).await?;
    check_devices(&op, &edit).await?;
    if let Some(script) = edit.set.get("hookscript").and_then(Value::as_str) {
        check_hook_script(&op, script).await?;
    }
    edit.check(None)?;
    let task = LxcCreate {
        vmid,
        edit,
        template,
        password: sealed(&op, wanted.password).await?,
        keys,
        ignore_unpack_errors: wanted.ignore_unpack_errors == Some(true),
        pool: wanted.pool,
        start: wanted.start == Some(true),
        becomes,
        found: None,
        image: None,
    };
    op.context.submit(&op, vmid, task).await
}

/// The lines of `authorized_keys`; unlike for VMs they are given as they are.
fn keys(given: Option<&str>) -> Result<Vec<String>, Error> {
    let given = given.unwrap_or_default();
    // The function reads percent-encoded text.
    let encoded = given.replace('%', "%25");
    ssh_keys(&encoded).map_err(|_| Error::conflict("SSH public key validation error"))
}

pub(super) fn check_pool(op: &Op, pool: Option<&PoolId>) -> Result<(), Error> {
    let Some(pool) = pool else { return Ok(()) };
    match op.context.authority.access().pool(pool) {
        Some(_) => Ok(()),
        None => Err(Error::forbidden(format!(
            "Permission check failed (pool '{pool}' does not exist)"
        ))),
    }
}

/// What the container is made of. Whether it is there, the task says.
async fn template(op: &Op, vmid: VmId, text: &str) -> Result<Template, Error> {
    if text.starts_with('/') {
        if !op.identity()?.is_root() {
            let text = "Only root can pass arbitrary filesystem paths.";
            return Err(Error::forbidden(text));
        }
        return Ok(Template::Path(text.into()));
    }
    let volume: model::VolumeId = text
        .parse()
        .map_err(|_| Error::conflict(format!("unable to parse volume ID '{text}'")))?;
    let storage = op.context.node.storage(volume.storage()).await?;
    let content = storage.config().parse(volume.name());
    if !content.is_ok_and(|said| said.content == ContentType::Vztmpl) {
        return Err(Error::conflict(format!(
            "unable to use volume {volume} - content type needs to be 'vztmpl'"
        )));
    }
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    let path = format!("/storage/{}", volume.storage());
    let may_allocate = view.has(&path, Privilege::DatastoreAllocate);
    if !view.is_root() && !may_allocate {
        check_use(op, vmid, &volume).await?;
    }
    Ok(Template::Volume(volume))
}

/// A password as the task keeps it: hashed, and sealed.
async fn sealed(op: &Op, password: Option<String>) -> Result<Option<String>, Error> {
    let Some(password) = password else {
        return Ok(None);
    };
    let hash = match is_crypted(&password) {
        true => password,
        false => crypt(&password)?,
    };
    Ok(Some(op.context.authority.seal(&hash).await?))
}
