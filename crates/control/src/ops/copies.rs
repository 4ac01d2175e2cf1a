//! What operations that copy, move and resize volumes share, of whatever guest.

use std::collections::BTreeSet;

use model::{ByteSize, Error, ErrorKind, GuestConfig, GuestKind, Privilege, StorageId, StorageMap};
use node::tasks::NewSize;
use node::{bandwidth, volumes_of};
use proto::table::bridge_paths;
use storage::StorageConfig;

use super::Op;
use super::volume_access::require_space;

/// Refuses a caller without the right to allocate on the storage of a disk.
pub(super) fn require_space_beside(op: &Op, config: &GuestConfig, disk: &str) -> Result<(), Error> {
    let named = volumes_of(config).into_iter();
    let named = named.filter(|(option, _)| *option == disk);
    require_space(op, named.map(|(_, volume)| volume.storage().clone()))
}

/// Refuses a caller without the right to use the bridges that a copy's cards will be on.
pub(super) fn require_bridges(op: &Op, kind: GuestKind, config: &GuestConfig) -> Result<(), Error> {
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    for path in bridges(kind, config) {
        view.require(&path, &[Privilege::SdnUse])?;
    }
    Ok(())
}

/// Where the rights on a guest's bridges are.
fn bridges(kind: GuestKind, config: &GuestConfig) -> BTreeSet<String> {
    let of_card = |text: &str| match kind {
        GuestKind::Qemu => {
            let net = model::qemu::Net::parse(text).ok()?;
            Some(bridge_paths(net.bridge.as_ref()?, &net.vlans()))
        }
        GuestKind::Lxc => {
            let net = model::lxc::Net::parse(text).ok()?;
            Some(bridge_paths(net.bridge()?, &net.vlans()))
        }
    };
    let is_card = |name: &str| {
        let index = name.strip_prefix("net");
        index.is_some_and(|index| index.parse::<u8>().is_ok())
    };
    let options = config.0.iter().filter(|(name, _)| is_card(name));
    options
        .filter_map(|(_, value)| of_card(value.as_str()?))
        .flatten()
        .collect()
}

/// The storages of those volumes of a guest that are copied, and the one that they are copied to.
pub(super) fn storages_of(
    config: &GuestConfig,
    is_copied: impl Fn(&str) -> bool,
    target: Option<&StorageId>,
) -> Vec<StorageId> {
    let volumes = volumes_of(config).into_iter();
    let copied = volumes.filter(|(option, _)| is_copied(option));
    let own = copied.map(|(_, volume)| volume.storage().clone());
    own.chain(target.cloned()).collect()
}

/// What is configured of a storage; none of one that is gone, which the task refuses.
async fn storage_config(op: &Op, id: &StorageId) -> Result<Option<StorageConfig>, Error> {
    match op.records.storage(id).await {
        Ok(storage) => Ok(Some(storage.config)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The storages that a guest's volumes are copied from and to when it goes to another node.
pub(super) async fn storages_moved(
    op: &Op,
    config: &GuestConfig,
    map: &StorageMap,
) -> Result<Vec<StorageId>, Error> {
    let mut storages = Vec::new();
    for id in storages_of(config, |_| true, None) {
        let storage = storage_config(op, &id).await?;
        if storage.is_some_and(|storage| !storage.spec.is_shared()) {
            storages.extend([map.target(&id).clone(), id]);
        }
    }
    Ok(storages)
}

/// The rate for copying disks between storages: the lowest of what is requested in KiB/s and of their limits; the
/// cluster's where one of them has none. Who asks for a rate and could change a limit is not bound by it. 0 for no
/// limit; a part of a KiB is one. Source: Proxmox VE's order.
pub(super) async fn bytes_per_s(
    op: &Op,
    operation: &str,
    storages: Vec<StorageId>,
    asked_kib: Option<f64>,
) -> Result<u64, Error> {
    let is_free = async |path: &str, right: Privilege| match asked_kib {
        Some(_) => op.has(path, right).await,
        None => Ok(false),
    };
    let mut limits = vec![asked_kib];
    let mut by_cluster = storages.is_empty();
    for id in storages.into_iter().collect::<BTreeSet<_>>() {
        let path = format!("/storage/{}", id.as_str());
        if is_free(&path, Privilege::DatastoreAllocate).await? {
            continue;
        }
        let storage = storage_config(op, &id).await?;
        let text = storage.and_then(|storage| storage.common.bwlimit);
        let limit = text.and_then(|text| bandwidth(&text, operation));
        by_cluster |= limit.is_none();
        limits.push(limit);
    }
    if by_cluster && !is_free("/", Privilege::SysModify).await? {
        let options = op.records.cluster_options().await?;
        limits.push(options.bandwidth(operation));
    }
    let limit_kib = limits
        .into_iter()
        .flatten()
        .map(|limit| limit.ceil() as u64)
        .filter(|limit| *limit > 0)
        .min();
    Ok(limit_kib.unwrap_or(0).saturating_mul(1024))
}

/// A size as `resize` takes it: `8G`, or `+1G` for so much more.
pub(super) fn new_size(text: &str) -> Result<NewSize, Error> {
    let bytes = |text: &str| -> Result<ByteSize, Error> {
        text.parse()
            .map_err(|error: model::SizeError| Error::invalid("size", error.to_string()))
    };
    Ok(match text.strip_prefix('+') {
        Some(more) => NewSize::LargerBy(bytes(more)?),
        None => NewSize::Exactly(bytes(text)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bridges_are_found_in_the_cards_of_each_kind() {
        let of = |kind, options: &[(&str, &str)]| {
            let mut config = GuestConfig::default();
            for (name, value) in options {
                config.set(*name, *value);
            }
            bridges(kind, &config).into_iter().collect::<Vec<_>>()
        };
        let local = |rest: &str| format!("/sdn/zones/localnetwork/{rest}");
        let cards = [
            ("net0", "virtio,bridge=vmbr0"),
            ("net1", "e1000,bridge=vmbr1,tag=7"),
        ];
        let found = of(GuestKind::Qemu, &cards);
        assert_eq!(found, [local("vmbr0"), local("vmbr1/7")]);
        let cards = [
            ("net0", "name=eth0,bridge=vmbr2,tag=5"),
            ("net1", "name=eth1"),
        ];
        assert_eq!(of(GuestKind::Lxc, &cards), [local("vmbr2/5")]);
    }
}
