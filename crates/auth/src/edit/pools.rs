//! Pools of guests and storages.

use std::collections::BTreeSet;

use model::{PoolId, Privilege, Record};

use super::{Edit, readable};
use crate::acl::{Access, View};
use crate::error::AccessError;
use crate::keys;
use crate::records::Pool;

/// The changes to a pool.
#[derive(Debug, Clone, Default)]
pub struct PoolChange {
    pub comment: Option<String>,
    pub guests: Vec<u32>,
    pub storages: Vec<String>,
    /// Remove guests and storages instead of adding them.
    pub delete: bool,
    /// Allow guests to be moved out of other pools.
    pub allow_move: bool,
}

pub fn create(access: &Access, id: &PoolId, comment: &str) -> Result<Edit, AccessError> {
    if access.pool(id).is_some() {
        return Err(AccessError::PoolExists(id.clone()));
    }
    if let Some((parent, _)) = id.as_str().rsplit_once('/')
        && !parent
            .parse()
            .is_ok_and(|parent| access.pool(&parent).is_some())
    {
        return Err(AccessError::NoParentPool(parent.to_owned(), id.clone()));
    }
    let pool = Pool {
        comment: comment.to_owned(),
        ..Pool::default()
    };
    let mut edit = Edit::new();
    edit.put(access, keys::pool(id), &Record::new(pool))?;
    Ok(edit)
}

/// Members of pools that no longer exist.
#[derive(Debug, Clone, Default)]
pub struct Gone {
    pub guests: BTreeSet<u32>,
    pub storages: BTreeSet<String>,
}

/// Removes a pool, with the rights on it. Its only members may be those in `gone`.
pub fn delete(access: &Access, id: &PoolId, gone: &Gone) -> Result<Edit, AccessError> {
    let key = keys::pool(id);
    readable(access, &key)?;
    let pool = access
        .pool(id)
        .ok_or_else(|| AccessError::NoPool(id.clone()))?;
    let below = format!("{id}/");
    let inner = access
        .pools()
        .find(|(other, _)| other.as_str().starts_with(&below));
    let content = inner
        .map(|(other, _)| format!("pool '{other}'"))
        .or_else(|| {
            let vmid = pool.guests.difference(&gone.guests).next();
            vmid.map(|vmid| format!("VM {vmid}"))
        })
        .or_else(|| {
            let storage = pool.storages.difference(&gone.storages).next();
            storage.map(|storage| format!("storage '{storage}'"))
        });
    if let Some(content) = content {
        return Err(AccessError::PoolNotEmpty(id.clone(), content));
    }
    let mut edit = Edit::new();
    let path = format!("/pool/{id}");
    if access.acl.contains_key(&path) {
        edit.delete(keys::acl(&path)?);
    }
    edit.delete(key);
    Ok(edit)
}

/// `by` must have the right to move each guest and storage, and rights on the pools they leave.
pub fn update(
    access: &Access,
    id: &PoolId,
    change: &PoolChange,
    by: &View<'_>,
) -> Result<Edit, AccessError> {
    let missing = || AccessError::NoPool(id.clone());
    let mut record = access.pools.get(id).cloned().ok_or_else(missing)?;
    let mut edit = Edit::new();
    if let Some(comment) = &change.comment {
        record.data.comment.clone_from(comment);
    }
    let mut left: Vec<(PoolId, u32)> = Vec::new();
    for vmid in &change.guests {
        by.check_modify_acl(&format!("/vms/{vmid}"))?;
        if change.delete {
            remove_guest(&mut record.data, *vmid)?;
            continue;
        }
        if !record.data.guests.insert(*vmid) {
            return Err(AccessError::AlreadyMember(format!("VM {vmid}")));
        }
        if let Some(other) = access.pool_of_guest(*vmid).filter(|other| *other != id) {
            if !change.allow_move {
                return Err(AccessError::OtherPool(*vmid, other.clone()));
            }
            by.require(&format!("/pool/{other}"), &[Privilege::PoolAllocate])?;
            left.push((other.clone(), *vmid));
        }
    }
    for storage in &change.storages {
        by.require(
            &format!("/storage/{storage}"),
            &[Privilege::DatastoreAllocate],
        )?;
        change_storage(&mut record.data, storage, change.delete)?;
    }
    leave(access, &mut edit, &left)?;
    edit.put(access, keys::pool(id), &record)?;
    Ok(edit)
}

fn remove_guest(pool: &mut Pool, vmid: u32) -> Result<(), AccessError> {
    if pool.guests.remove(&vmid) {
        Ok(())
    } else {
        Err(AccessError::NotMember(format!("VM {vmid}")))
    }
}

fn change_storage(pool: &mut Pool, storage: &str, delete: bool) -> Result<(), AccessError> {
    let name = || format!("Storage '{storage}'");
    if delete {
        return match pool.storages.remove(storage) {
            true => Ok(()),
            false => Err(AccessError::NotMember(name())),
        };
    }
    match pool.storages.insert(storage.to_owned()) {
        true => Ok(()),
        false => Err(AccessError::AlreadyMember(name())),
    }
}

fn leave(access: &Access, edit: &mut Edit, left: &[(PoolId, u32)]) -> Result<(), AccessError> {
    let pools: std::collections::BTreeSet<&PoolId> = left.iter().map(|(pool, _)| pool).collect();
    for id in pools {
        let Some(record) = access.pools.get(id) else {
            continue;
        };
        let mut record = record.clone();
        record
            .data
            .guests
            .retain(|vmid| !left.contains(&(id.clone(), *vmid)));
        edit.put(access, keys::pool(id), &record)?;
    }
    Ok(())
}

/// Puts a new guest into a pool. The operation that creates the guest has checked the caller's
/// rights on the pool.
pub fn join(access: &Access, id: &PoolId, vmid: u32) -> Result<Edit, AccessError> {
    let mut record = access
        .pools
        .get(id)
        .cloned()
        .ok_or_else(|| AccessError::NoPool(id.clone()))?;
    if let Some(other) = access.pool_of_guest(vmid).filter(|other| *other != id) {
        return Err(AccessError::OtherPool(vmid, other.clone()));
    }
    record.data.guests.insert(vmid);
    let mut edit = Edit::new();
    edit.put(access, keys::pool(id), &record)?;
    Ok(edit)
}

/// Removes a destroyed guest from its pool, and all rights on it, so that the next guest with its
/// number does not inherit them. Empty if there is nothing to remove.
pub fn forget_guest(access: &Access, vmid: u32) -> Result<Edit, AccessError> {
    let mut edit = Edit::new();
    if let Some(pool) = access.pool_of_guest(vmid) {
        leave(access, &mut edit, &[(pool.clone(), vmid)])?;
    }
    let path = format!("/vms/{vmid}");
    if access.acl.contains_key(&path) {
        edit.delete(keys::acl(&path)?);
    }
    Ok(edit)
}
