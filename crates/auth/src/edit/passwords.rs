//! Passwords of realm `pve`.

use model::UserId;

use super::Edit;
use crate::acl::Access;
use crate::authority::PasswordHash;
use crate::error::AccessError;
use crate::keys;
use crate::records::RealmKind;

/// Whether the passwords of this user's realm are stored by the platform itself.
pub fn is_kept_here(access: &Access, id: &UserId) -> bool {
    access
        .realm(id.realm())
        .is_some_and(|realm| realm.kind == RealmKind::Pve)
}

/// Sets a password. Sessions from before end.
pub fn set(access: &Access, id: &UserId, password: &PasswordHash) -> Result<Edit, AccessError> {
    let mut record = super::users::record(access, id)?;
    if !is_kept_here(access, id) {
        let reason = format!(
            "passwords of realm '{}' are kept by the node's operating system: change it there",
            id.realm()
        );
        return Err(AccessError::Invalid("userid", reason));
    }
    record.data.end_sessions();
    let mut edit = Edit::new();
    edit.put(access, keys::user(id), &record)?;
    edit.put_bytes(keys::password_secret(id), password.encode()?);
    Ok(edit)
}
