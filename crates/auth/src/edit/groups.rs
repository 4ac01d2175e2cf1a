//! Groups of users.

use model::{GroupId, Record};

use super::{Edit, names, readable};
use crate::acl::Access;
use crate::error::AccessError;
use crate::keys;
use crate::records::{Group, SubjectKind};

pub fn create(access: &Access, id: &GroupId, comment: &str) -> Result<Edit, AccessError> {
    if access.group(id).is_some() {
        return Err(AccessError::GroupExists(id.clone()));
    }
    let mut edit = Edit::new();
    edit.put(
        access,
        keys::group(id),
        &Record::new(Group {
            comment: comment.to_owned(),
        }),
    )?;
    Ok(edit)
}

pub fn update(access: &Access, id: &GroupId, comment: Option<&str>) -> Result<Edit, AccessError> {
    let missing = || AccessError::NoGroup(id.to_string());
    let mut record = access.groups.get(id).cloned().ok_or_else(missing)?;
    if let Some(comment) = comment {
        record.data.comment = comment.to_owned();
    }
    let mut edit = Edit::new();
    edit.put(access, keys::group(id), &record)?;
    Ok(edit)
}

/// Removes a group; its members stay.
pub fn delete(access: &Access, id: &GroupId) -> Result<Edit, AccessError> {
    let key = keys::group(id);
    readable(access, &key)?;
    if access.group(id).is_none() {
        return Err(AccessError::NoGroup(id.to_string()));
    }
    let mut edit = Edit::new();
    edit.forget_acl(access, names(SubjectKind::Group, id.as_str()))?;
    for (user, record) in &access.users {
        if record.data.groups.contains(id) {
            let mut record = record.clone();
            record.data.groups.remove(id);
            edit.put(access, keys::user(user), &record)?;
        }
    }
    edit.delete(key);
    Ok(edit)
}
