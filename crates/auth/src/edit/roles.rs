//! Roles.

use model::{Privilege, Record, RoleId};

use super::{Edit, readable};
use crate::acl::Access;
use crate::error::AccessError;
use crate::keys;
use crate::records::Role;
use crate::roles;

fn not_built_in(id: &RoleId, attempt: &'static str) -> Result<(), AccessError> {
    if roles::is_built_in(id.as_str()) {
        return Err(AccessError::BuiltInRole(id.clone(), attempt));
    }
    Ok(())
}

pub fn create(access: &Access, id: &RoleId, privileges: &[Privilege]) -> Result<Edit, AccessError> {
    if access.role(id.as_str()).is_some() {
        return Err(AccessError::RoleExists(id.clone()));
    }
    let privileges = privileges.iter().map(|p| p.as_str().to_owned()).collect();
    let mut edit = Edit::new();
    edit.put(access, keys::role(id), &Record::new(Role { privileges }))?;
    Ok(edit)
}

/// Replaces a role's privileges, or adds to them.
pub fn update(
    access: &Access,
    id: &RoleId,
    privileges: &[Privilege],
    append: bool,
) -> Result<Edit, AccessError> {
    not_built_in(id, "modified")?;
    let missing = || AccessError::NoRole(id.to_string());
    let mut record = access.roles.get(id).cloned().ok_or_else(missing)?;
    if !append {
        record.data.privileges.clear();
    }
    record
        .data
        .privileges
        .extend(privileges.iter().map(|p| p.as_str().to_owned()));
    let mut edit = Edit::new();
    edit.put(access, keys::role(id), &record)?;
    Ok(edit)
}

/// Removes a role, and its entries in the access control list.
pub fn delete(access: &Access, id: &RoleId) -> Result<Edit, AccessError> {
    not_built_in(id, "deleted")?;
    let key = keys::role(id);
    readable(access, &key)?;
    if access.role(id.as_str()).is_none() {
        return Err(AccessError::NoRole(id.to_string()));
    }
    let mut edit = Edit::new();
    edit.forget_acl(access, |entry| entry.role == id.as_str())?;
    edit.delete(key);
    Ok(edit)
}
