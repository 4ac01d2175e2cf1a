//! The access control list.

use model::{Privilege, Record, TokenName, UserId};

use super::{Edit, readable};
use crate::acl::{Access, View};
use crate::error::AccessError;
use crate::keys;
use crate::records::{AclEntry, AclNode, SubjectKind};

/// Entries of one path to be set or removed: every role for every subject.
#[derive(Debug, Clone)]
pub struct AclChange {
    /// Normalized by `acl::normalize`.
    pub path: String,
    pub roles: Vec<String>,
    pub subjects: Vec<(SubjectKind, String)>,
    pub propagate: bool,
    pub delete: bool,
}

/// `by` is the caller: without `Permissions.Modify` it can grant (and revoke) only rights that it
/// has itself.
pub fn change(access: &Access, change: &AclChange, by: &View<'_>) -> Result<Edit, AccessError> {
    let key = keys::acl(&change.path)?;
    readable(access, &key)?;
    for role in &change.roles {
        may_hand_out(access, role, &change.path, by)?;
    }
    if !change.delete {
        change
            .subjects
            .iter()
            .try_for_each(|(kind, id)| exists(access, *kind, id))?;
    }
    let mut record = access
        .acl
        .get(&change.path)
        .cloned()
        .unwrap_or_else(|| Record::new(AclNode::default()));
    let entries = &mut record.data.entries;
    for role in &change.roles {
        for (kind, id) in &change.subjects {
            entries.retain(|e| !(e.kind == *kind && e.id == *id && e.role == *role));
            if !change.delete {
                entries.push(AclEntry {
                    kind: *kind,
                    id: id.clone(),
                    role: role.clone(),
                    propagate: change.propagate,
                });
            }
        }
    }
    entries.sort();
    let mut edit = Edit::new();
    if entries.is_empty() {
        edit.delete(key);
    } else {
        edit.put(access, key, &record)?;
    }
    Ok(edit)
}

fn may_hand_out(access: &Access, role: &str, path: &str, by: &View<'_>) -> Result<(), AccessError> {
    let privileges = access
        .role(role)
        .ok_or_else(|| AccessError::NoRole(role.to_owned()))?;
    let own = by.privileges(path);
    let exceeds = privileges.iter().any(|privilege| !own.contains(privilege));
    // NoAccess has no privileges to exceed the caller's, but it revokes rights that another user
    // granted.
    let takes_away = role == crate::roles::NO_ACCESS;
    if own.contains(Privilege::PermissionsModify) || !(exceeds || takes_away) {
        return Ok(());
    }
    let reason = format!("role '{role}' has privileges on '{path}' that you do not have");
    Err(AccessError::Invalid("roles", reason))
}

fn exists(access: &Access, kind: SubjectKind, id: &str) -> Result<(), AccessError> {
    match kind {
        SubjectKind::User => {
            let user = UserId::new(id).ok().and_then(|user| access.user(&user));
            user.map(drop)
                .ok_or_else(|| AccessError::UnknownUser(id.to_owned()))
        }
        SubjectKind::Group => {
            let group = id.parse().ok().and_then(|group| access.group(&group));
            group
                .map(drop)
                .ok_or_else(|| AccessError::NoGroup(id.to_owned()))
        }
        SubjectKind::Token => {
            let unknown = || AccessError::UnknownUser(id.to_owned());
            let (user, name) = id.split_once('!').ok_or_else(unknown)?;
            let user = UserId::new(user).map_err(|_| unknown())?;
            let name = TokenName::new(name).map_err(|_| unknown())?;
            let token = access.token(&user, &name);
            token.map(drop).ok_or(AccessError::NoToken(user, name))
        }
    }
}
