//! Users.

use std::collections::BTreeSet;

use model::{GroupId, Record, UnixTime, UserId};

use super::{Edit, readable};
use crate::acl::Access;
use crate::authority::PasswordHash;
use crate::error::AccessError;
use crate::keys;
use crate::records::{SubjectKind, User};

/// The fields to change; None leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    pub enable: Option<bool>,
    pub expire: Option<UnixTime>,
    pub firstname: Option<String>,
    pub lastname: Option<String>,
    pub email: Option<String>,
    pub comment: Option<String>,
    pub groups: Option<BTreeSet<GroupId>>,
    /// Add the groups to the user's groups instead of replacing them.
    pub append: bool,
}

fn set<T: Clone>(field: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        field.clone_from(value);
    }
}

impl UserChange {
    fn apply(&self, access: &Access, user: &mut User) -> Result<(), AccessError> {
        set(&mut user.enable, &self.enable);
        set(&mut user.expire, &self.expire);
        set(&mut user.firstname, &self.firstname);
        set(&mut user.lastname, &self.lastname);
        set(&mut user.email, &self.email);
        set(&mut user.comment, &self.comment);
        if let Some(groups) = &self.groups {
            if let Some(unknown) = groups.iter().find(|group| access.group(group).is_none()) {
                return Err(AccessError::NoSuchGroup(unknown.to_string()));
            }
            if !self.append {
                user.groups.clear();
            }
            user.groups.extend(groups.iter().cloned());
        }
        Ok(())
    }
}

pub fn create(
    access: &Access,
    id: &UserId,
    change: &UserChange,
    password: Option<&PasswordHash>,
) -> Result<Edit, AccessError> {
    if access.user(id).is_some() {
        return Err(AccessError::UserExists(id.clone()));
    }
    if access.realm(id.realm()).is_none() {
        return Err(AccessError::NoRealm(id.realm().to_owned()));
    }
    let mut user = User::default();
    user.end_sessions();
    change.apply(access, &mut user)?;
    let mut edit = Edit::new();
    edit.put(access, keys::user(id), &Record::new(user))?;
    if let Some(password) = password {
        edit.put_bytes(keys::password_secret(id), password.encode()?);
    }
    Ok(edit)
}

/// A user's record; `root@pam` has one even if it is not stored.
pub(super) fn record(access: &Access, id: &UserId) -> Result<Record<User>, AccessError> {
    let user = access
        .user(id)
        .ok_or_else(|| AccessError::NoUser(id.clone()))?;
    let record = access.users.get(id).cloned();
    Ok(record.unwrap_or_else(|| Record::new(user)))
}

/// Changes a user. Sessions end if the user is inactive before or after the change.
pub fn update(
    access: &Access,
    id: &UserId,
    change: &UserChange,
    now: UnixTime,
) -> Result<Edit, AccessError> {
    let mut record = record(access, id)?;
    let was_active = record.data.is_active(now);
    change.apply(access, &mut record.data)?;
    if !was_active || !record.data.is_active(now) {
        record.data.end_sessions();
    }
    let mut edit = Edit::new();
    edit.put(access, keys::user(id), &record)?;
    Ok(edit)
}

/// Removes a user with tokens, secrets and rights.
pub fn delete(access: &Access, id: &UserId) -> Result<Edit, AccessError> {
    if id.is_root() {
        return Err(AccessError::RootStays);
    }
    let key = keys::user(id);
    readable(access, &key)?;
    if access.user(id).is_none() {
        return Err(AccessError::NoUser(id.clone()));
    }
    let mut edit = Edit::new();
    let tokens = format!("{id}!");
    edit.forget_acl(access, |entry| {
        (entry.kind == SubjectKind::Token && entry.id.starts_with(&tokens))
            || (entry.kind == SubjectKind::User && entry.id == id.as_str())
    })?;
    for (name, _) in access.tokens_of(id) {
        edit.delete(keys::token_secret(id, name));
        edit.delete(keys::token(id, name));
    }
    edit.delete(keys::password_secret(id));
    edit.delete(keys::tfa_secret(id));
    edit.delete(key);
    Ok(edit)
}
